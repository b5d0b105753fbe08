"""A disk that dies under a file in memory ends a command with a sentence, not with a signal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncd.cli import cli
from syncd.cli.screen import dead_disk

DIES = """
import mmap, os, sys, threading
from pathlib import Path
from syncd.cli.screen.dead_disk import say_of_a_dead_disk

say_of_a_dead_disk(Path(sys.argv[1]))
with open(sys.argv[2], "w+b") as file:
    file.truncate(8192)
    mapped = mmap.mmap(file.fileno(), 8192)
    file.truncate(0)

def use():
    mapped[4096]

if sys.argv[3] == "thread":
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
else:
    use()
print("still here")
"""
"""The kernel answers the use of a page behind the end of its file as it does one of a dead disk."""


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_page_that_cannot_be_had_ends_in_a_sentence(where: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIES, "/a/mirror\x1b", str(tmp_path / "file"), where],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (1, "", 2), done
    assert lines[0].startswith("syncd: ")
    assert "/a/mirror" in lines[0]
    assert "input/output error" in lines[0]
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("error", [MemoryError, OSError])
def test_a_process_that_may_map_no_code_does_without(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(_: Path) -> None:
        raise error

    monkeypatch.setattr(dead_disk, "say_of_a_dead_disk", refuse)
    assert CliRunner().invoke(cli, ["completion", "bash"]).exit_code == 0


def test_a_python_without_ctypes_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "syncd.cli.screen.dead_disk", None)
    assert CliRunner().invoke(cli, ["completion", "bash"]).exit_code == 0
