"""How a process of syncd ends: at Ctrl-C, and with output that cannot be written."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from syncd.cli.asking import confirm

SYNCD = (sys.executable, "-m", "syncd")
STOP = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
"""Ctrl-C in the middle of an import."""


def run(
    place: Path, *words: str, stdout: str = "", stderr: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run syncd in a process of its own; `stdout` and `stderr` name files in the place of pipes."""
    environ = {"HOME": str(place), "PATH": os.defpath, "PYTHONPATH": str(place / "path")}
    with (
        open(stdout or os.devnull, "wb") as out,  # noqa: PTH123 (devices)
        open(stderr or os.devnull, "wb") as err,  # noqa: PTH123
    ):
        return subprocess.run(
            [*SYNCD, *words],
            cwd=place,
            env=environ,
            stdout=out if stdout else subprocess.PIPE,
            stderr=err if stderr else subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.mark.parametrize("words", [("status",), ("--version",)])
def test_ctrl_c_while_syncd_is_imported_shows_no_traceback(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "click.py").write_text(STOP)
    done = run(tmp_path, *words)
    assert done.returncode == -signal.SIGINT
    assert (done.stdout, done.stderr) == ("", "")


def test_ctrl_c_while_a_command_is_imported_ends_it_with_130(tmp_path: Path) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sqlite3.py").write_text(STOP)
    done = run(tmp_path, "status", "--json")
    assert done.returncode == 130
    assert '"Interrupted"' in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [(("man",), 1), (("--version",), 1), (("--help",), 1), (("help", "topics"), 1),
     (("lexicon", "show", "app.bsky.feed.post"), 1), (("nonsense",), 2)],
)  # fmt: skip
def test_output_that_cannot_be_written_costs_a_sentence_and_nothing_of_pythons_own(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    done = run(tmp_path, *words, stdout="/dev/full")
    assert done.returncode == code
    assert done.stderr
    assert "Exception ignored" not in done.stderr
    assert "Traceback" not in done.stderr
    assert run(tmp_path, *words, stdout="/dev/full", stderr="/dev/full").returncode == code


def test_a_question_in_an_event_loop_ends_at_the_first_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed = threading.Event()

    def wait_for_an_answer(_: str = "") -> str:
        os.kill(os.getpid(), signal.SIGINT)
        typed.wait(5)
        return "y"

    monkeypatch.setattr(click.termui, "visible_prompt_func", wait_for_an_answer)

    async def ask() -> bool:
        return confirm("Publish them?")

    with pytest.raises(click.Abort):
        asyncio.run(ask())
