"""What `syncd demo` leaves behind: nothing, unless it was asked to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.rigs.machine import Machine

WITHOUT_THE_EXTRA = """
import sys
sys.modules["uvicorn"] = None
sys.argv = ["syncd", "demo", "--once"]
from syncd.cli import main
main()
"""


def test_without_its_extra_it_says_what_to_install_and_makes_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "home", {"TMPDIR": str(tmp_path / "home")})
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_EXTRA],
        env=machine.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert "next: in a checkout of syncd: pip install '.[sandbox]'" in done.stderr
    assert list(machine.home.iterdir()) == []


def test_a_tour_that_ends_takes_its_directory_with_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "home", {"TMPDIR": str(tmp_path / "home")})
    shown = machine.ok("demo", "--once").out
    assert f"{machine.home}/syncd-demo-" in shown
    assert list(machine.home.iterdir()) == []
