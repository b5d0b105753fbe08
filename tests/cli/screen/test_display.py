"""`status` for eyes: what is drawn says the same as what is printed, also without colour."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from syncd.atproto.cid import cid_of_blob
from syncd.cli.commands.status import say_plain
from syncd.cli.screen.board import draw, show
from syncd.cli.screen.output import LINES
from syncd.cli.screen.seen import Waits
from syncd.model import Conflict, Held, Problem, RecordPath, Side
from tests.mirror.test_delegate import save, wait_until
from tests.rigs import warm
from tests.rigs.terminal import HANDLE, Terminal, open_terminal

NOTE = RecordPath("com.example.note/one")
FOUND: dict[str, Any] = {
    "account": {"did": "did:plc:x", "handle": "alice.test", "pds": "https://pds.test"},
    "folder": "/home/alice/[bold]notes",
    "daemon": {
        "pid": 7,
        "phase": "halted",
        "trouble": {"message": "the session has ended", "hint": "syncd login alice.test"},
    },
    "head": {"cid": "bafyx", "rev": "3jzf"},
    "records": 12,
    "drafts": 4,
    "no_records": 2,
    "pictures": 5,
    "uploads": {"left": 7, "limit": 1000, "resets_at": "2026-01-02T00:00:00Z"},
    "blobs": {
        "named": 3,
        "here": 1,
        "due": 0,
        "beyond": 1,
        "not_given": 1,
        "not_asked": 0,
        "next": "syncd blob get --all",
    },
    "lexicons": {"known": {"mirror": 3, "bundle": 0}, "unknown": 9, "broken": 1},
    "guards": False,
    "watch": None,
    "pending": {"push": 3, "pull": 0},
    "budget": {
        "hour": {"left": 10, "resets_at": ""},
        "day": {"left": 20, "resets_at": ""},
        "counted": True,
        "push_done_at": "2026-01-01T00:00:00Z",
    },
    "disk": None,
    "doubted_rev": None,
    "doubt": None,
    "waiting": [{"path": "com.example.note/two", "kind": "edit", "reason": "waits [on] you"}],
    "shared": [],
    "last_cycle": {"at": "2026-01-01T00:00:00Z", "seconds": 1.25, "pushed": 2, "pulled": 0},
}
WAITING = (
    [Conflict(NOTE, None, None, None, "edited [on] both sides")],
    [Problem(NOTE, "no JSON", "put it right", line=3, column=4)],
    [Held(NOTE, Side.LOCAL, "many deletions")],
)


def drawn(*, colour: bool) -> str:
    out = io.StringIO()
    system: Any = "truecolor" if colour else None
    Console(file=out, width=100, force_terminal=colour, color_system=system).print(
        draw((FOUND, WAITING))
    )
    return out.getvalue()


def test_everything_is_in_words_and_names_are_not_markup() -> None:
    text = drawn(colour=False)
    assert "\x1b" not in text
    for words in ("alice.test on https://pds.test", "/home/alice/[bold]notes", "halted (pid 7)",
                  "the session has ended", "next: syncd login alice.test",
                  "12, 3 to push", "10 write points are left for this hour",
                  "this PDS ignores them",
                  "2 pushed in 1.2 s", "edited [on] both sides", "line 3, column 4: no JSON",
                  "next: syncd diff PATH", "next: put it right", "syncd approve PATH",
                  "many deletions"):  # fmt: skip
        assert words in text, words


def test_what_is_printed_without_a_terminal_is_drawn_on_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = {"reason": "why", "hint": "do it"}
    found = {
        **FOUND,
        "watch": {"problem": "no watches are left", "hint": "raise the limits"},
        "doubted_rev": said,
        "doubt": said,
        "disk": {"message": "full", "hint": "free some space"},
        "shared": [said],
    }
    found["last_cycle"] = {**FOUND["last_cycle"], "refused": {"message": "no", "hint": "log in"}}
    say_plain(({**found, "waiting": []}, ((), (), ())))
    lines = capsys.readouterr().out.splitlines()
    out = io.StringIO()
    Console(file=out, width=100).print(draw((found, WAITING)))
    names = {line.split()[0] for line in lines if not line.startswith(" ")}
    assert {"disk", "watch", "repo", "doubt", "shared", "refused"} <= names
    assert names <= {line.split()[0] for line in out.getvalue().splitlines() if line}
    for line in lines:
        if line.startswith(" ") and "next: " in line:
            assert line.strip().removeprefix("next: ") in out.getvalue()


@pytest.mark.parametrize(
    ("waiting", "pending", "words"),
    [
        (((), (), ()), [], "nothing to do"),
        (WAITING, [], "nothing done"),
        (((), (), ()), FOUND["waiting"], "nothing done"),
    ],
)
def test_there_is_nothing_to_do_only_where_nothing_waits(
    waiting: Waits, pending: list[dict[str, str]], words: str
) -> None:
    last = {"at": "2026-01-01T00:00:00Z", "seconds": 1.25}
    out = io.StringIO()
    found = {**FOUND, "waiting": pending, "last_cycle": last}
    Console(file=out, width=100).print(draw((found, waiting)))
    assert f"{words} in 1.2 s" in out.getvalue()


@pytest.mark.parametrize("kind", ["conflict", "problem", "held", "waiting"])
def test_a_terminal_shows_a_screen_of_each_kind_and_the_number_of_the_others(kind: str) -> None:
    paths = [RecordPath(f"com.example.note/{number}") for number in range(300)]
    conflicts = [Conflict(path, None, None, None, "why") for path in paths]
    problems = [Problem(path, "why", f"do {path}") for path in paths]
    held = [Held(path, Side.LOCAL, f"why {path}") for path in paths]
    later = [{"path": path, "kind": "edit", "reason": "why"} for path in paths]
    waiting: Waits = (
        conflicts if kind == "conflict" else [],
        problems if kind == "problem" else [],
        held if kind == "held" else [],
    )
    out = io.StringIO()
    found = {**FOUND, "waiting": later if kind == "waiting" else []}
    Console(file=out, width=100).print(draw((found, waiting)))
    lines = out.getvalue().splitlines()
    assert len(lines) < 100
    assert sum("com.example.note/" in line for line in lines) >= LINES
    assert any("280 more" in line for line in lines)


def test_many_held_changes_with_one_reason_are_one_line_on_a_terminal_too() -> None:
    held = [Held(RecordPath(f"com.example.note/{at}"), Side.LOCAL, "why") for at in range(300)]
    out = io.StringIO()
    Console(file=out, width=100).print(draw((FOUND, ([], [], held))))
    assert "300 records of com.example.note" in out.getvalue()
    assert "com.example.note/7" not in out.getvalue()


@pytest.mark.parametrize("width", [40, 80])
def test_no_record_key_is_broken_at_the_widths_of_terminals(width: int) -> None:
    path = RecordPath("com.example.note/3mabcdefghij2")
    reason = "edited in the folder, edited in the repo"
    waiting: Waits = ([Conflict(path, None, None, None, reason)], [], [])
    out = io.StringIO()
    Console(file=out, width=width).print(draw((FOUND, waiting)))
    assert path in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= width


@pytest.mark.parametrize("width", [30, 40, 80])
def test_what_people_copy_is_whole_at_any_width_and_all_else_fits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    cid, path = str(cid_of_blob(b"")), RecordPath("com.example.note/" + "a-long-key-" * 8)
    reason = "日本語の理由です。これは四十桁の端末よりもずっと長いので、折り返す必要があります。"
    folder = "/home/alice/" + "a/" * 50
    found = {**FOUND, "head": {"cid": cid, "rev": "3jzf"}, "folder": folder}
    show((found, ([], [Problem(path, reason, reason)], [])), is_painted=False)
    lines = capsys.readouterr().out.splitlines()
    assert {cid, path, folder} <= {word for line in lines for word in line.split()}
    assert "".join(lines).replace(" ", "").count(reason) == 2
    for line in lines:
        columns = sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in line)
        assert columns <= width or len(line.split()) == 1, line


def test_what_is_drawn_again_fits_the_lines_that_it_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The terminal goes up as many lines as were drawn: none may take two."""
    found = {**FOUND, "folder": "/home/alice/" + "a/" * 50}
    out = io.StringIO()
    Console(file=out, width=40).print(draw((found, WAITING)))
    assert max(map(len, out.getvalue().splitlines())) <= 40


def test_colour_only_repeats_what_is_said_and_nobody_must_tell_red_from_green() -> None:
    text = drawn(colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == drawn(colour=False)
    codes = {code for run in re.findall(r"\x1b\[([0-9;]*)m", text) for code in run.split(";")}
    assert codes & {"31", "32", "91", "92"} == set()


@pytest.mark.parametrize("phase", ["idle", "syncing", "offline", "paused", "halted", "new", None])
def test_every_phase_is_drawn_with_its_word(phase: str | None) -> None:
    out = io.StringIO()
    daemon = {"pid": 7 if phase else None, "phase": phase, "trouble": None}
    Console(file=out, width=100).print(draw(({**FOUND, "daemon": daemon}, ((), (), ()))))
    assert (f"{phase} (pid 7)" if phase else "not running") in out.getvalue()
    assert "needs you" not in out.getvalue()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as found:
        found.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} ~/notes")
        yield found


def on_a_terminal(
    terminal: Terminal,
    *words: str,
    codes: tuple[int, ...] = (0,),
    has_errors: bool = False,
    **more: str,
) -> str:
    """What `syncd status`, or another command, writes where a person sees it."""
    ours, theirs = pty.openpty()
    process = warm.Process[bytes](
        [*warm.SYNCD, *(words or ("status",))],
        cwd=terminal.home / "notes",
        env={**terminal.environment(), "TERM": "xterm-256color", "COLUMNS": "120", **more},
        stdin=theirs, stdout=theirs, stderr=theirs if has_errors else None,
    )  # fmt: skip
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 4096):
            text += chunk
    except OSError:
        pass
    os.close(ours)
    assert process.wait(60) in codes
    return text.decode()


def test_there_is_colour_on_a_terminal_and_none_where_it_is_not_wanted(terminal: Terminal) -> None:
    notes = terminal.home / "notes"
    assert "\x1b[" in on_a_terminal(terminal)
    assert "\x1b[" in on_a_terminal(terminal, NO_COLOR="")
    without = on_a_terminal(terminal, NO_COLOR="1")
    assert without == re.sub(r"\x1b\[[0-9;]*m", "", on_a_terminal(terminal))
    plain = terminal.ok("syncd status", at=notes)
    assert on_a_terminal(terminal, TERM="dumb").split() == plain.split()


LEAST = 40
COMMANDS = (
    "doctor", "verify", "sync", "status", "status --ignored", "status --all", "held", "log",
    "diff", "conflicts", "blob ls", "hooks", "lexicon ls", "help topics", "help glossary",
    "restore --help", "--help",
)  # fmt: skip
SLIPS = ("stat", "psuh", "status --jsn", "new", "restore nothing.such.at.all/3m2k7tz4x2c2a")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_sentence_is_wider_than_the_terminal_and_each_is_whole(
    terminal: Terminal, width: int
) -> None:
    notes = terminal.home / "notes"
    (notes / "com.example.note").mkdir()
    (notes / "com.example.note/one.json").write_text('{"v": 1 2, "text": "and so on"}')
    terminal.run("syncd sync", at=notes)
    (notes / "a name with words that is no record of any collection at all.md").touch()
    # All of them where it is narrow; elsewhere a few, which take the same roads.
    for words in (*COMMANDS, *SLIPS) if width == LEAST else (*COMMANDS[:4], *SLIPS[:1]):
        shown = on_a_terminal(
            terminal, *words.split(), codes=(0, 1, 2, 3), has_errors=words in SLIPS,
            COLUMNS=str(width), TERM="dumb",
        ).replace("\r\n", "\n")  # fmt: skip
        for line in shown.splitlines():
            # A word and an example are not broken, and a table of options has a widest cell.
            is_whole = line.startswith("    syncd ") or len(line.split()) == 1
            assert len(line) <= width or is_whole or width < LEAST, (words, line)
        if words in ("verify", "sync", "held", "conflicts", "hooks", "lexicon ls"):
            printed = terminal.run(f"syncd {words}", at=notes).out
            assert shown.split() == printed.split()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_it_is_followed_as_it_changes(terminal: Terminal, form: tuple[str, ...]) -> None:
    notes, log = terminal.home / "notes", terminal.home / "watch.log"
    with log.open("wb") as out:
        process = warm.Process[bytes](
            [*warm.SYNCD, "status", "--watch", *form],
            cwd=notes, env=terminal.environment(), stdout=out,
        )  # fmt: skip
    wait_until(lambda: "records" in log.read_text(), "the first look")
    time.sleep(2.5)
    assert log.read_text().count("account") == 1
    save(notes, text="hello")
    wait_until(lambda: log.read_text().count("account") >= 2, "the second")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    if form:
        first, end = json.JSONDecoder().raw_decode(log.read_text())
        assert first["pending"]["push"] == 0
        assert (
            json.JSONDecoder().raw_decode(log.read_text()[end:].lstrip())[0]["pending"]["push"] == 1
        )
    else:
        assert "1 to push" in log.read_text()


def test_verbose_tells_of_requests_and_of_no_secret(terminal: Terminal) -> None:
    notes = terminal.home / "notes"
    save(notes, text="a word that is private")
    out = terminal.ok("syncd --verbose sync", at=notes)
    assert re.search(r"^request   com\.atproto\.repo\.\w+: 200, \d+ ms$", out, re.MULTILINE)
    assert terminal.login.password not in out
    assert "private" not in out
    assert "request" not in terminal.ok("syncd sync", at=notes)
