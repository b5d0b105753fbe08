"""What syncd prints: numbers and nouns that fit, bounded, and nothing that steers a terminal."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.cli.cells import broken
from syncd.cli.commands.run import _voice
from syncd.cli.commands.sync import say_report
from syncd.cli.host.journal import LogEntry
from syncd.cli.screen.changes import Line
from syncd.cli.screen.output import (
    LINES,
    fail,
    many,
    say,
    say_changes,
    say_command,
    say_json,
    say_waiting,
    take_any_text,
    tell,
)
from syncd.cli.screen.visible import has_runner, inert, visible, visible_json
from syncd.errors import FileProblem, SyncdError
from syncd.model import Conflict, Held, Problem, RecordPath, Report, Side
from tests.test_architecture import ROOT, Module

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
EVIL = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31m" + BIDI + "\u2028\ud800\x7f"
ANY_TEXT = st.text(st.characters(exclude_categories=()))
NOTE = RecordPath("com.example.note/one")
CID = cid_of_block(b"a")


def steers(text: str) -> list[str]:
    """The characters of `text` that do something else than be seen."""
    unseen = {"Cc", "Zl", "Zp", "Cs"}
    return [c for c in text if c != "\t" and (unicodedata.category(c) in unseen or c in BIDI)]


@given(ANY_TEXT)
@example(EVIL)
def test_no_text_can_steer_a_terminal(text: str) -> None:
    assert steers(visible(text)) == []
    visible(text).encode()


@given(ANY_TEXT)
@example("a tab\tand 👩\u200d👩\u200d👧 and fünf שלום")
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    if not steers(text) and "\ufeff" not in text:
        assert visible(text) == text


@given(st.dictionaries(ANY_TEXT, st.recursive(ANY_TEXT, st.lists), max_size=3))
@example({EVIL: [EVIL]})
def test_json_says_the_same_without_what_steers(value: dict[str, object]) -> None:
    shown = visible_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert steers(shown.replace("\n", "")) == []
    assert json.loads(shown) == value


COMMANDS = [
    "::set-output name=a::b",
    "  \t::error::x",
    "why: ##[set-output name=a]b",
    "##vso[task.setvariable variable=a]b",
    "###[add-mask]x",
]


@pytest.mark.parametrize("text", COMMANDS)
def test_no_text_is_a_command_of_a_runner(text: str) -> None:
    line = inert(text)
    assert not line.lstrip().startswith("::")
    assert "##[" not in line
    assert "##vso[" not in line
    assert line.replace("\\x3a", ":").replace("\\x23", "#") == text
    shown = visible_json(json.dumps({"a": text}))
    assert ("##[" in shown, "##vso[" in shown) == (False, False)
    assert json.loads(shown) == {"a": text}


@pytest.mark.parametrize("text", ["a::b", "at://did:plc:a/b", "# [a](b)", "## a", "[##]", ": :"])
def test_what_is_no_command_of_a_runner_stays_as_it_is(text: str) -> None:
    assert inert(text) == text
    assert visible_json(text) == text


def test_a_runner_is_known_by_its_environment() -> None:
    assert has_runner({"GITHUB_ACTIONS": "true"})
    assert has_runner({"TF_BUILD": "True"})
    assert not has_runner({"CI": "true", "GITHUB_ACTIONS": ""})


@pytest.mark.parametrize("text", COMMANDS)
def test_nothing_that_is_said_in_a_job_is_a_command(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    say(text)
    tell(text)
    say_json({"a": text})
    say_changes([Line(" ", ((text, False),))])
    out, err = capsys.readouterr()
    for line in (out + err).splitlines():
        assert not line.lstrip().startswith("::")
        assert ("##[" in line, "##vso[" in line) == (False, False)
    say_command("::notice::x")
    assert capsys.readouterr().out == "::notice::x\n"


def test_whatever_is_said_is_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL)
    tell(EVIL)
    say_json({"reason": EVIL})
    fail(SyncdError(EVIL, hint=EVIL))
    path = RecordPath(EVIL)
    say_waiting(
        [Conflict(path, CID, CID, None, EVIL)],
        [Problem(EVIL, EVIL, EVIL)],
        [Held(path, Side.LOCAL, EVIL)],
    )
    say_report(Report(pushed=(path,), pulled=(path,), merged=(path,), remarks=(EVIL,)))
    printed = capsys.readouterr()
    assert steers((printed.out + printed.err).replace("\n", "")) == []
    assert "\\x1b]0;owned" in printed.out


@contextmanager
def stream_to(file: str | int, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    stream = open(file, "w", encoding="utf-8", buffering=1)  # noqa: PTH123, SIM115
    monkeypatch.setattr(f"sys.{name}", stream)
    try:
        yield
    finally:
        with suppress(OSError):
            stream.close()


def test_output_that_cannot_be_written_is_a_sentence_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for write in (partial(say, "x"), partial(say_json, {"x": 1})):
        with (
            stream_to("/dev/full", monkeypatch, "stdout"),
            pytest.raises(FileProblem, match=r"^the output cannot be written: "),
        ):
            write()
    with stream_to("/dev/full", monkeypatch, "stderr"):
        tell("there is nobody to hear it")


def test_a_closed_pipe_is_no_trouble_of_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with stream_to(writing, monkeypatch, "stdout"), pytest.raises(BrokenPipeError):
        say("x")


def test_a_stream_that_was_closed_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", None)
    take_any_text()
    streams = (sys.stdin, sys.stdout, sys.stderr)
    assert not any(stream.isatty() for stream in streams)
    say("nobody reads it")
    for stream in streams:
        stream.close()


def test_no_file_gets_the_number_of_a_stream_that_was_closed() -> None:
    """A library that writes to its stderr would write into that file."""
    script = (
        "import os; os.close(1); os.close(2)\n"
        "from syncd.cli.screen.output import take_any_text\n"
        "take_any_text()\n"
        "assert os.open(os.devnull, os.O_RDONLY) > 2 or os._exit(1)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_daemon_outlives_the_disk_of_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    for form in ("text", "json", "auto"):
        with stream_to("/dev/full", monkeypatch, "stdout"):
            _voice(form, is_one=True)(LogEntry("watching", "watching a folder"))


def test_only_one_module_prints() -> None:
    files = sorted((ROOT / "cli").rglob("*.py"))
    printing = {"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write"}
    found = [file.name for file in files if printing & set(Module.read(file).calls())]
    assert found == ["output.py"]


def report_text(capsys: pytest.CaptureFixture[str], report: Report) -> list[str]:
    say_report(report)
    return capsys.readouterr().out.splitlines()


def paths(count: int) -> tuple[RecordPath, ...]:
    return tuple(RecordPath(f"com.example.note/n{n:03}") for n in range(count))


def test_a_deletion_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    here, there, edited = paths(3)
    report = Report(pulled=(here,), pushed=(there, edited), deleted=(here, there))
    assert report_text(capsys, report) == [
        f"deleted   {here} in the folder",
        f"pushed    {edited}",
        f"deleted   {there} in the repo",
        "1 pushed, 2 deleted; head unknown",
    ]


def test_more_than_a_screen_of_one_kind_is_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    many_paths = paths(300)
    held = tuple(Held(path, Side.LOCAL, "why") for path in many_paths)
    lines = report_text(capsys, Report(pushed=many_paths, deleted=many_paths, held=held))
    assert len(lines) == LINES + 1 + 1 + 2
    assert lines[LINES] == "deleted   280 more"
    assert lines[LINES + 1] == "held      300 records of com.example.note: why"
    assert lines[-1] == "300 deleted; 300 held changes need your attention; head unknown"


def test_a_list_of_held_changes_says_a_common_reason_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    many_paths = paths(300)
    say_waiting([], [], [Held(path, Side.LOCAL, "why") for path in many_paths], lines=None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "held      300 records of com.example.note: why"
    assert [line.strip() for line in lines[1:301]] == list(many_paths)


def test_held_changes_whose_reasons_alternate_say_each_reason_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = [Held(path, Side.LOCAL, f"why {at % 2}") for at, path in enumerate(paths(300))]
    say_waiting([], [], held)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("held")] == [
        "held      150 records of com.example.note: why 0",
        "held      150 records of com.example.note: why 1",
    ]


@pytest.mark.parametrize("columns", [30, 50, 200])
def test_the_time_in_the_head_of_a_diff_goes_below_a_name_that_leaves_it_no_room(
    columns: int,
) -> None:
    head = Line("-", (("-- repo/com.example.note/one\t2030-01-02T03:04:05Z", False),), True)
    lines = head.shown(is_painted=False, columns=columns).split("\n")
    assert len(lines) == (2 if columns < 60 else 1)
    assert all(len(line) <= columns for line in lines)
    assert "".join(lines).split() == head.shown(is_painted=False).split()


def test_held_changes_with_a_reason_of_their_own_are_lines_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = tuple(Held(path, Side.LOCAL, f"why {path}") for path in paths(300))
    lines = report_text(capsys, Report(held=held))
    assert len(lines) == LINES + 1 + 2
    assert lines[LINES] == "held      280 more; syncd status --json names them all"


CONFLICT, PROBLEM = Conflict(NOTE, CID, CID, None, "why"), Problem(NOTE, "why")


@pytest.mark.parametrize(
    ("report", "last"),
    [
        (Report(), "nothing to do"),
        (Report(conflicts=(CONFLICT,)), "nothing done; 1 conflict needs your attention"),
        (Report(conflicts=(CONFLICT,) * 2), "nothing done; 2 conflicts need your attention"),
        (
            Report(pulled=(NOTE,), problems=(PROBLEM,), held=(Held(NOTE, Side.LOCAL, ""),)),
            "1 pulled; 1 problem, 1 held change need your attention",
        ),
        (Report(adopted=(NOTE,), merged=(NOTE,)), "1 adopted, 1 merged"),
    ],
    ids=["nothing", "conflict", "conflicts", "mixed", "quiet"],
)
def test_the_last_line_sums_up(
    capsys: pytest.CaptureFixture[str], report: Report, last: str
) -> None:
    assert report_text(capsys, report)[-1] == f"{last}; head unknown"


@pytest.mark.parametrize(("count", "words"), [(0, "0 records"), (1, "1 record"), (2, "2 records")])
def test_a_noun_fits_its_number(count: int, words: str) -> None:
    assert many(count, "record") == words


@given(
    st.lists(st.text("ab-é.", min_size=1, max_size=50), min_size=1, max_size=30),
    st.sampled_from([20, 40, 80, 200]),
    st.sampled_from([None, 0, 9, 27]),
    st.integers(0, 12),
)
def test_a_sentence_is_broken_between_words_and_only_a_long_word_is_wider(
    words: list[str], room: int, indent: int | None, lead: int
) -> None:
    lines = broken(" " * lead + " ".join(words), room, indent)
    assert " ".join(lines).split() == words
    for line in lines:
        assert len(line) <= room or len(line.split()) == 1
        assert line == line.rstrip()


def test_a_pipe_gets_each_sentence_as_one_line() -> None:
    assert broken("word " * 100, 0) == ["word " * 100]


def test_no_sentence_has_the_end_of_a_line_in_it() -> None:
    """It would come out as an escape: each sentence is a call of its own."""
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("say", "tell"):
                texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                assert not any("\n" in text for text in texts if isinstance(text, str)), file
