"""What a command waits for is said on a terminal, and nothing of it stays."""

from __future__ import annotations

import io
import time

import pytest

from syncd.cli.cells import cells
from syncd.cli.screen.output import say
from syncd.cli.screen.waits import SHOWN_SECONDS, Line, show_waits
from syncd.waiting import WAITS, Wait, Waits

CLEAR = "\r\x1b[K"


def long_ago(what: str, seconds: float = SHOWN_SECONDS + 1) -> Wait:
    return Wait(what, time.monotonic() - seconds)


def test_a_long_wait_is_said_and_goes_away_when_it_ends() -> None:
    out, waits = io.StringIO(), Waits()
    line = Line(out, is_live=True, waits=waits)
    waits.ended = line.clear
    with waits.waiting("https://pds.example.com (getRepo)"):
        line.tick()
        assert out.getvalue() == ""
        waits._now.append(long_ago("another\x1b[2J"))
        line.tick()
        assert "waiting for another\\x1b[2J (3 s)" in out.getvalue()
        waits._now.pop()
    assert out.getvalue().endswith(CLEAR)
    line.tick()
    assert waits.longest is None
    assert out.getvalue().count("waiting") == 1


@pytest.mark.parametrize("what", ["https://pds.example.com/xrpc/com.atproto.sync", "お" * 40])
def test_the_line_of_a_wait_fits_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Of a longer one, only the last part would go away."""
    out, waits = io.StringIO(), Waits()
    monkeypatch.setattr(out, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    waits._now.append(long_ago(what))
    Line(out, is_live=True, waits=waits).tick()
    assert 30 < cells(out.getvalue().removeprefix(CLEAR)) < 40


def test_a_terminal_whose_lines_stay_hears_of_each_wait_once() -> None:
    out, waits = io.StringIO(), Waits()
    line = Line(out, is_live=False, waits=waits)
    waits._now.append(long_ago("git commit"))
    for _ in range(3):
        line.tick()
    line.clear()
    assert out.getvalue() == "waiting for git commit\n"


def test_what_is_no_terminal_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WAITS, "ended", lambda: None)
    before = WAITS.ended
    show_waits(io.StringIO())
    assert WAITS.ended is before


def test_what_is_printed_takes_the_line_away(monkeypatch: pytest.MonkeyPatch) -> None:
    cleared: list[int] = []
    monkeypatch.setattr(WAITS, "ended", lambda: cleared.append(1))
    say("done")
    assert cleared
