"""Progress: told often enough to be believed, and never where a program reads."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from syncd.cli.screen.progress import (
    LINE_SECONDS,
    REDRAW_SECONDS,
    Meter,
    describe,
    describe_pushing,
    describe_writing,
)
from syncd.cycle.observe.fetch import Fetching, Writing
from syncd.cycle.push.outbox import Pushing
from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from syncd.sandbox.limits import Bucket, RateLimits
from tests.rigs.device import World


class Screen(io.StringIO):
    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def shown_of(*, is_terminal: bool, seconds: float, every: float) -> str:
    """What is shown of a fetch that takes so long and brings a chunk every so often."""
    now = [0.0]
    screen = Screen(is_terminal=is_terminal)
    meter = Meter(screen, lambda: now[0])
    for n in range(int(seconds / every)):
        now[0] += every
        meter.note(Fetching(n, n * 1000, 0))
    meter.clear()
    return screen.getvalue()


def test_a_terminal_has_one_line_that_changes_and_is_gone_in_the_end() -> None:
    shown = shown_of(is_terminal=True, seconds=10, every=0.01)
    assert "\n" not in shown
    assert shown.endswith("\r\x1b[K")
    assert 40 <= shown.count("fetched") <= 10 / REDRAW_SECONDS


def test_the_line_that_changes_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a longer one, only the last part would go away."""
    monkeypatch.setenv("COLUMNS", "30")
    shown = shown_of(is_terminal=True, seconds=10, every=0.01)
    assert 20 < max(map(len, shown.split("\r\x1b[K"))) < 30


def test_elsewhere_there_is_a_line_every_ten_seconds() -> None:
    lines = shown_of(is_terminal=False, seconds=60, every=0.1).splitlines()
    assert 5 <= len(lines) <= 60 / LINE_SECONDS
    assert all(line.startswith("fetched ") for line in lines)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_is_over_in_a_moment_is_not_told(is_terminal: bool) -> None:
    assert shown_of(is_terminal=is_terminal, seconds=0.15, every=0.05) == ""


@pytest.mark.parametrize(
    ("fetching", "seconds", "line"),
    [
        (Fetching(0, 0, 0), 0.0, "fetched 0 blocks, 0.0 MB, 0.0 MB/s"),
        (Fetching(12_345, 6_000_000, 0), 3.0, "fetched 12345 blocks, 6.0 MB, 2.0 MB/s"),
        (Fetching(9, 100_000, 2), 1.0, "fetched 9 blocks, 0.1 MB, 0.1 MB/s, filling hole 2"),
    ],
)
def test_a_line_names_blocks_bytes_rate_and_repairs(
    fetching: Fetching, seconds: float, line: str
) -> None:
    assert describe(fetching, seconds) == line


@pytest.mark.parametrize(
    ("writing", "done", "seconds", "line"),
    [
        (Writing(500, 1_000), 0, 0.0, "wrote 500 of 1000 records, 0 a second"),
        (Writing(600, 1_000), 100, 2.0, "wrote 600 of 1000 records, 50 a second, 8 s left"),
        (Writing(10, 7_210), 10, 1.0, "wrote 10 of 7210 records, 10 a second, 12 min 0 s left"),
    ],
)
def test_a_line_of_writing_names_records_rate_and_time_left(
    writing: Writing, done: int, seconds: float, line: str
) -> None:
    assert describe_writing(writing, done, seconds) == line


def test_the_rate_of_writing_is_not_that_of_fetching() -> None:
    now, screen = [0.0], Screen(is_terminal=False)
    meter = Meter(screen, lambda: now[0])
    for at in (Fetching(10, 1_000, 0), Writing(100, 1_000), Writing(600, 1_000)):
        now[0] += LINE_SECONDS
        meter.note(at)
    assert screen.getvalue().splitlines()[-1] == (
        "wrote 600 of 1000 records, 50 a second, 8 s left"
    )


@pytest.mark.parametrize(
    ("pushing", "done", "seconds", "line"),
    [
        (Pushing(200, 1_000, 0), 0, 0.0, "pushed 200 of 1000 records, 0 a second"),
        (Pushing(400, 1_000, 0), 200, 4.0, "pushed 400 of 1000 records, 50 a second, 12 s left"),
        (
            Pushing(600, 9_000, 14_400),
            400,
            8.0,
            "pushed 600 of 9000 records, 50 a second, the last in about 4 hours, as the PDS allows",
        ),
    ],
)
def test_a_line_of_pushing_names_the_pause_of_the_budget_too(
    pushing: Pushing, done: int, seconds: float, line: str
) -> None:
    assert describe_pushing(pushing, done, seconds) == line


def test_every_push_has_a_rate_of_its_own() -> None:
    now, screen = [0.0], Screen(is_terminal=False)
    meter = Meter(screen, lambda: now[0])
    for done in (100, 600, 50, 250):
        now[0] += LINE_SECONDS
        meter.note(Pushing(done, 1_000, 0))
    rates = [line.split(", ")[1] for line in screen.getvalue().splitlines()]
    assert rates == ["0 a second", "50 a second", "0 a second", "20 a second"]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_no_line_that_changes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    shown = shown_of(is_terminal=True, seconds=60, every=0.1)
    assert "\r" not in shown
    assert "\x1b" not in shown
    assert 5 <= len(shown.splitlines()) <= 60 / LINE_SECONDS


async def test_a_long_push_tells_how_far_it_is_and_what_the_budget_leaves(tmp_path: Path) -> None:
    sandbox = Sandbox(limits=RateLimits(hour=Bucket("hour", 1_000, 3_600)))
    laptop = World(tmp_path, sandbox, sandbox.create_account("alice")).device()
    for number in range(450):
        laptop.save(RecordPath(f"com.example.note/n{number}"), v=number)
    heard: list[Pushing] = []
    laptop.mirror.outbox.on_push = heard.append
    await laptop.sync()
    assert [(at.done, at.total) for at in heard] == [(200, 450), (333, 450)]
    assert all(3_500 < at.wait_seconds <= 3_600 for at in heard)
