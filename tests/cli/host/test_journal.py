"""What a daemon tells, in each form: once an effect, repeated failures folded, nothing lost."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from syncd.cli.host.journal import (
    Level,
    LogEntry,
    is_journaled,
    journal,
    say_json_line,
    say_named_text,
    say_text,
)
from syncd.cli.host.reporter import ALIKE, Teller, together
from syncd.daemon import Phase
from syncd.errors import CredentialsRefused, RateLimited, SyncdError, Unreachable
from syncd.model import Conflict, Held, Problem, RecordPath, Report, Side
from syncd.sandbox import Sandbox
from tests.rigs.device import World

NOTE, OTHER = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
PUSHED = LogEntry("pushed", path=NOTE, mirror="/srv/notes")
PROBLEM = LogEntry("problem", "no JSON", Level.WARNING, NOTE, "/srv/notes", "mend it", "line 3")
FAILED = LogEntry("error", "no network", Level.ERROR, mirror="/srv/notes", hint="wait")


def test_effects_go_to_stdout_and_failures_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    for entry in (
        PUSHED,
        PROBLEM,
        FAILED,
        LogEntry("note", "a word"),
        LogEntry("watching", "watching"),
    ):
        say_text(entry)
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"pushed    {NOTE}",
        f"problem   {NOTE} (line 3): no JSON",
        "  next: mend it",
        "note      a word",
        "watching",
    ]
    assert err.splitlines() == ["syncd: no network", "  next: wait"]


def test_with_several_mirrors_each_line_says_whose_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say_named_text(PUSHED)
    say_named_text(FAILED)
    out, err = capsys.readouterr()
    assert out == f"[notes] pushed    {NOTE}\n"
    assert err.splitlines()[0] == "syncd: [notes] no network"


def test_a_program_gets_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    say_json_line(PUSHED)
    say_json_line(LogEntry("error", "two\nlines", Level.ERROR))
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first.pop("at").endswith("Z")
    assert first == {
        "version": 1,
        "level": "info",
        "event": "pushed",
        "path": NOTE,
        "mirror": "/srv/notes",
        "message": NOTE,
    }
    assert (second["level"], second["message"]) == ("error", "two\nlines")


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.settimeout(30)
        yield listening


def fields(datagram: bytes) -> dict[str, str]:
    """The fields of a datagram in journald's native protocol."""
    found: dict[str, str] = {}
    while datagram:
        name, separator, rest = datagram.partition(b"\n")
        if b"=" in name:
            key, _, value = name.partition(b"=")
            found[key.decode()], datagram = value.decode(), rest
        else:
            size = int.from_bytes(rest[:8], "little")
            found[name.decode()], datagram = rest[8 : 8 + size].decode(), rest[9 + size :]
        assert separator
    return found


def test_journald_gets_fields(journald: socket.socket) -> None:
    voice = journal(Path(journald.getsockname()))
    voice(PUSHED)
    voice(LogEntry("error", "two\nlines = many", Level.ERROR))
    first, second = (fields(journald.recv(65536)) for _ in range(2))
    assert first == {
        "MESSAGE": f"pushed: {NOTE}",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "syncd",
        "SYNCD_EVENT": "pushed",
        "SYNCD_PATH": NOTE,
        "SYNCD_MIRROR": "/srv/notes",
    }
    assert (second["MESSAGE"], second["PRIORITY"]) == ("two\nlines = many", "3")


def test_without_journald_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal(tmp_path / "absent")(PUSHED)
    assert capsys.readouterr().out == f"pushed    {NOTE}\n"


def test_the_journal_is_known_by_the_stream_that_systemd_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "stream").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        found = os.fstat(stream.fileno())
        assert is_journaled({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not is_journaled({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"})
        assert not is_journaled({})


class Ears:
    """A teller, what it says, and what it shows."""

    def __init__(self, world: World) -> None:
        self.entries: list[LogEntry] = []
        self.shown: list[str] = []
        self.device = world.device()
        self.teller = Teller(self.device.mirror, self.entries.append, self.shown.append)

    def told(self, phase: Phase, report: Report | None = None, error: Any = None) -> None:  # noqa: ANN401
        self.teller.on_change(phase, report, error)

    def events(self) -> list[tuple[str, str]]:
        return [(entry.event, entry.line) for entry in self.entries]


@pytest.fixture
def ears(tmp_path: Path) -> Iterator[Ears]:
    sandbox = Sandbox()
    found = Ears(World(tmp_path, sandbox, sandbox.create_account("alice")))
    yield found
    found.device.mirror.state.close()


def test_each_effect_is_one_entry(ears: Ears) -> None:
    ears.told(Phase.SYNCING)
    ears.told(Phase.IDLE, Report(pushed=(NOTE,), pulled=(OTHER,), remarks=("a word",)))
    assert ears.events() == [("pulled", OTHER), ("pushed", NOTE), ("note", "a word")]
    assert ears.teller.tally.pushed == ears.teller.tally.pulled == 1


def test_what_waits_is_told_when_it_begins_and_not_again(ears: Ears) -> None:
    first = Report(conflicts=(Conflict(NOTE, None, None, None, "both"),))
    both = Report(conflicts=first.conflicts, problems=(Problem(OTHER, "no JSON", "", 1, 2),))
    for report in (first, first, both, first, Report(), first):
        ears.told(Phase.IDLE, report)
    conflict = ("conflict", f"{NOTE}: both")
    problem = ("problem", f"{OTHER} (line 1, column 2): no JSON")
    assert ears.events() == [conflict, problem, conflict]
    assert [text for text, _ in itertools.groupby(ears.shown)] == [
        "starting; 1 conflict",
        "idle; 1 conflict",
        "idle; 1 conflict, 1 problem",
        "idle; 1 conflict",
        "idle",
        "idle; 1 conflict",
    ]


def test_a_failure_that_repeats_is_told_once_and_its_end_once(ears: Ears) -> None:
    away = Unreachable("no network", hint="wait")
    for _ in range(50):
        ears.told(Phase.SYNCING)
        ears.told(Phase.OFFLINE, None, away)
    ears.told(Phase.IDLE, Report())
    ears.told(Phase.IDLE, Report())
    assert [event for event, _ in ears.events()] == ["error", "recovered"]
    assert ears.events()[1][1].startswith("well again, after 50 failures")
    assert ears.teller.tally.failures == 50
    assert any("offline; no network" in text for text in ears.shown)
    assert ears.shown[-1] == "idle"


def test_another_failure_is_told_too(ears: Ears) -> None:
    errors: list[SyncdError] = [Unreachable("no network"), RateLimited("slow", retry_seconds=1)]
    for error in (*errors, *errors):
        ears.told(Phase.OFFLINE, None, error)
    assert [line for _, line in ears.events()] == ["no network", "slow"]
    assert ears.shown[-1] == "offline; slow"
    ears.told(Phase.IDLE, Report())
    assert ears.events()[-1][1].startswith("well again, after 4 failures")
    ears.told(Phase.OFFLINE, None, errors[0])
    assert ears.events()[-1][1] == "no network"


def test_a_failure_that_counts_down_is_no_new_one(ears: Ears) -> None:
    for minutes in range(50, 0, -5):
        ears.told(Phase.IDLE, Report(), RateLimited(f"in {minutes} minutes", retry_seconds=1))
    assert [line for _, line in ears.events()] == ["in 50 minutes"]


def test_what_newly_waits_is_shown_on_the_desktop_together_and_once(ears: Ears) -> None:
    alerts: list[tuple[str, str]] = []
    ears.teller.alert = lambda title, text: alerts.append((title, text))
    paths = [RecordPath(f"com.example.note/{name}") for name in "abcdefg"]
    found = [Conflict(path, None, None, None, "both") for path in paths]
    problem = Problem(OTHER, "no JSON")
    for report in (
        Report(problems=(problem,)),
        Report(conflicts=tuple(found[:1])),
        Report(conflicts=tuple(found[:1]), problems=(problem,)),
        Report(conflicts=tuple(found)),
    ):
        ears.told(Phase.IDLE, report)
    titles = ["1 problem in laptop", "1 conflict in laptop", "1 problem in laptop"]
    assert [title for title, _ in alerts] == [*titles, "6 conflicts in laptop"]
    (_, one), (_, more) = alerts[1], alerts[3]
    assert one.splitlines()[0] == paths[0]
    assert more.splitlines()[:6] == [*paths[1:6], "…"]


def test_held_deletions_are_one_notice_and_an_end_of_syncing_is_one_until_it_is_over(
    ears: Ears,
) -> None:
    alerts: list[tuple[str, str]] = []
    ears.teller.alert = lambda title, text: alerts.append((title, text))
    held = tuple(
        Held(RecordPath(f"com.example.note/n{number}"), Side.LOCAL, "many") for number in range(400)
    )
    for _ in range(2):
        ears.told(Phase.IDLE, Report(held=held))
    assert [title for title, _ in alerts] == ["400 held changes in laptop"]
    assert "syncd approve" in alerts[0][1]
    assert len(alerts[0][1].splitlines()) < 10
    refused = CredentialsRefused("the session has ended", hint="syncd login alice.example.com")
    for _ in range(3):
        ears.told(Phase.HALTED, None, refused)
        ears.told(Phase.OFFLINE, None, Unreachable("no answer"))
    assert len(alerts) == 2
    title, text = alerts[1]
    assert "laptop" in title
    assert text.splitlines()[0] == refused.message
    assert refused.hint in text
    ears.told(Phase.IDLE, Report(held=held))
    ears.told(Phase.HALTED, None, refused)
    assert len(alerts) == 3


def test_no_name_of_a_file_adds_a_line_to_a_notice(ears: Ears) -> None:
    alerts: list[tuple[str, str]] = []
    ears.teller.alert = lambda title, text: alerts.append((title, text))
    path = "com.example.note/a\nNext: rm -r ~\u202e\x1b[2J.json"
    ears.told(Phase.IDLE, Report(problems=(Problem(path, 'no JSON: "a secret word"'),)))
    lines = alerts[0][1].split("\n")
    assert len(lines) == 2
    assert not set(alerts[0][1]) & {"\u202e", "\x1b"}
    assert "a secret word" not in alerts[0][1]


def test_what_differs_only_in_the_name_of_the_record_is_alike() -> None:
    """As where a person renames the directory of a collection."""

    def moved(key: str, to: str) -> LogEntry:
        path = f"com.example.note/{key}"
        return LogEntry("problem", f"its file is now {to}", path=path, hint=f"syncd approve {path}")

    many = [moved(f"n{n}", f"com.example.notes/n{n}.json") for n in range(425)]
    others = [moved("one", "com.example.page/one.json"), moved("two", "com.example.notes/new.json")]
    told = list(together([*others, *many], ALIKE))
    assert told[:2] == others
    (entry,) = told[2:]
    assert (entry.path, entry.count) == ("com.example.note", 425)
    assert "com.example.notes/" in entry.message
    assert "n1" not in entry.message + entry.hint


def test_many_alike_are_one_entry_and_others_stay_by_themselves() -> None:
    def entry(number: int, message: str = "", collection: str = "com.example.note") -> LogEntry:
        return LogEntry("held", message, path=f"{collection}/n{number}")

    many = [entry(number, "many at once") for number in range(425)]
    few = [entry(number, "another reason") for number in range(10)]
    other = [entry(1, "many at once", "com.example.other")]
    told = list(together([*many, *few, *other], ALIKE))
    assert told[0] == LogEntry("held", "many at once", path="com.example.note", count=425)
    assert told[1:] == [*few, *other]
    assert told[0].line == "425 records of com.example.note: many at once"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("colours", "is_painted"), [("", True), ("1", False)])
def test_a_terminal_gets_times_and_colour_and_without_colour_the_same_words(
    monkeypatch: pytest.MonkeyPatch, colours: str, is_painted: bool
) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", colours)
    say_text(PUSHED)
    assert ("\x1b[" in out.getvalue()) == is_painted
    assert re.fullmatch(rf"\d\d:\d\d:\d\d pushed    {NOTE}\n", click.unstyle(out.getvalue()))
