"""Every command beside what another version of syncd left: a state file, or a daemon that runs.

Each ends with a code of docs/errors.md, and says what is wrong in a sentence.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from syncd.atproto.cid import cid_of_block
from syncd.cli import COMMANDS, cli
from syncd.control import NAME, PROTOCOL
from syncd.errors import SyncdError
from syncd.lock import FolderLock
from syncd.model import Choice, Conflict, Decision, Held, Memory, Problem, RecordPath, Side
from syncd.state import SCHEMA_VERSION, State, open_state
from syncd.state.notes import NOTES, DaemonState
from syncd.state.recording import NOTE, put
from tests.rigs.mirrors import make_mirror

ONE, GONE = RecordPath("com.example.note/one"), RecordPath("com.example.note/gone")
A, B = cid_of_block(b"a"), cid_of_block(b"b")

ARGUMENTS: dict[str, list[list[str]]] = {
    "clone": [["did:plc:ewvi7nxzyoun6zhxrhs64oiz", ".", "--read-only"]],
    "sync": [[], ["--json"], ["--dry-run"]],
    "now": [[], ["--json"]],
    "pause": [[]],
    "resume": [[]],
    "reload": [["--json"]],
    "status": [[], ["--json"]],
    "diff": [[], [ONE]],
    "conflicts": [[], ["--json"]],
    "resolve": [[ONE, "--local"], [ONE, "--remote"]],
    "held": [[], ["--json"]],
    "approve": [["--all"], [GONE]],
    "reject": [["--all"]],
    "log": [[], [ONE], ["--json"]],
    "restore": [[ONE], ["--undo"], [ONE, "--back", "1"]],
    "new": [["com.example.note"]],
    "publish": [[ONE], ["--drafts", "--yes"]],
    "unpublish": [[ONE, "--yes"]],
    "blob": [["ls"], ["ls", ONE, "--json"], ["get", "--all"]],
    "git": [["install"], ["uninstall"]],
    "editor": [["install", "--vscode"], ["uninstall"]],
    "hooks": [[], ["allow"], ["forbid"]],
    "verify": [[]],
    "doctor": [["--json"]],
    "metrics": [[]],
    "service": [["status"]],
    "stop": [[]],
}
"""Each command that opens a mirror, as people type it."""
APART = {"login", "logout", "lexicon", "sandbox", "demo", "completion", "man", "help"}
"""Those that open none."""
LASTING = {"run"}
"""It ends when it is told to; test_delegate.py and the tests of systemd run it."""
CODES = {0, 1, 2, 3, 69, 75, 77, 78}
"""Those of docs/errors.md, but for Ctrl-C."""
EVERY = [(name, *arguments) for name, lists in ARGUMENTS.items() for arguments in lists]


def named(arguments: tuple[str, ...]) -> str:
    return "-".join(arguments)


def test_every_command_is_tried() -> None:
    assert ARGUMENTS.keys() | APART | LASTING == COMMANDS.keys()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A mirror with a record, a conflict, a held deletion and decisions; its PDS is away."""
    root = make_mirror(tmp_path / "notes")
    (root / "com.example.note").mkdir()
    (root / f"{ONE}.json").write_text('{"$type": "com.example.note", "v": 1}', encoding="utf-8")
    conflict, held = Conflict(ONE, A, B, A, "both"), Held(GONE, Side.LOCAL, "many")
    with open_state(root / ".syncd" / "state.db") as state:
        state.record(Memory(base={ONE: A, GONE: A}, waiting={ONE: (conflict,), GONE: (held,)}))
        state.decide([Decision(GONE, Choice.APPROVE, None, A)])
    return root


def run(root: Path, *arguments: str) -> tuple[int, str, str]:
    """The code, what was printed, and the error; anything but an error of ours is raised."""
    where = [*arguments[:2], str(root), *arguments[3:]] if arguments[0] == "clone" else arguments
    environ = {"SYNCD_PLC_URL": "http://127.0.0.1:1", "HOME": str(root.parent)}
    done = CliRunner().invoke(cli, ["-C", str(root), *where], env=environ)
    error = done.exception
    if isinstance(error, SyncdError):
        assert error.message
        assert "\n" not in error.message
        return error.exit_code, done.output, f"{error.message}\n{error.hint}"
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return done.exit_code, done.output, ""


def test_without_another_version_the_commands_do_what_they_do(root: Path) -> None:
    """So that what follows is not passed by commands that fail anyway."""
    assert run(root, "status")[0] == 3
    assert ONE in run(root, "conflicts")[1]
    assert GONE in run(root, "held")[1]
    assert run(root, "sync")[0] == 69


# --- State files ---------------------------------------------------------------------------------


def in_other_words(state: State) -> None:
    """Each fact, each row of what waits and each decision has a form that this version lacks."""
    newer = json.dumps({"of": {"another": ["version"]}})
    put(state._sql, "meta", [(NOTE + kind.kept_as, newer) for kind in NOTES])
    put(state._sql, "waiting", [(ONE, "conflict", newer), (ONE, "a new kind", newer)])
    put(state._sql, "waiting", [(GONE, "held", newer), ("(more)", "problem", newer)])
    put(state._sql, "decision", [(GONE, "a new choice", None, None)])


def with_other_types(state: State) -> None:
    """As an older version might have had it: lists, numbers, nothing, and no JSON at all."""
    for number, kind in enumerate(NOTES):
        text = ("[1, [2]]", "7.5", '"text"', "{", "{}", "true")[number % 6]
        put(state._sql, "meta", [(NOTE + kind.kept_as, text)])
    put(state._sql, "waiting", [(ONE, "conflict", "[]"), (GONE, "held", "no json")])


def with_more_fields(state: State) -> None:
    """What is there can all be read, and more is there."""
    rows = [
        (path, kind, json.dumps({**json.loads(detail), "new": [{"deep": None}]}))
        for path, kind, detail, _ in state._sql.execute("SELECT * FROM waiting")
    ]
    put(state._sql, "waiting", rows)
    daemon = {"pid": 7, "phase": "a new phase", "trouble": {"message": "m", "hint": "h", "x": 1}}
    put(state._sql, "meta", [(f"{NOTE}daemon", json.dumps({**daemon, "new": 1}))])
    put(state._sql, "meta", [(f"{NOTE}last_cycle", json.dumps({"at": "noon", "new": 1}))])


STATES: list[Callable[[State], None]] = [in_other_words, with_other_types, with_more_fields]


@pytest.mark.parametrize("change", STATES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("arguments", EVERY, ids=named)
def test_no_command_trips_over_a_state_file_of_another_version(
    root: Path, change: Callable[[State], None], arguments: tuple[str, ...]
) -> None:
    with open_state(root / ".syncd" / "state.db") as state:
        change(state)
    assert run(root, *arguments)[0] in CODES


NEEDS_STATE = set(ARGUMENTS) - {
    *("now", "pause", "resume", "reload", "stop", "clone", "new", "git", "service"),
    *("editor", "hooks"),
}


@pytest.mark.parametrize("arguments", EVERY, ids=named)
def test_a_newer_schema_is_a_sentence_with_the_way_on(
    root: Path, arguments: tuple[str, ...]
) -> None:
    path = root / ".syncd" / "state.db"
    with open_state(path) as state:
        state._sql.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        put(state._sql, "meta", [("schema", str(SCHEMA_VERSION + 1))])
    before = path.read_bytes()
    code, out, error = run(root, *arguments)
    assert code in CODES
    if arguments[0] in NEEDS_STATE - {"doctor"}:
        assert (code, "newer syncd" in error, "upgrade syncd" in error) == (78, True, True)
    if arguments[0] == "doctor":
        assert "newer syncd" in out
    assert path.read_bytes() == before, "it is left to the syncd that wrote it"


# --- Daemons -------------------------------------------------------------------------------------

TALLY = dict.fromkeys(
    ("cycles", "failures", "pushed", "pulled", "merged", "adopted", "requests"), 0
) | {"seconds": 0.0, "last_success": 0.0}
REPORT: dict[str, Any] = {
    **{done: [ONE] for done in ("pushed", "pulled", "adopted", "merged", "deleted")},
    "conflicts": [{"path": ONE, "base": None, "local": str(A), "remote": str(B), "reason": "r"}],
    "problems": [{"path": "x", "reason": "r", "hint": "", "line": 1, "column": 2}],
    "held": [{"path": ONE, "side": "local", "reason": "r"}],
    "remarks": ["a remark"],
    "requests": 7,
    "head": {"commit": str(A), "rev": "3jzfcijpj2z2a", "data": str(B)},
    "halted": {"message": "m", "hint": "h", "exit_code": 69},
}
WHOLE: dict[str, Any] = {
    "protocol": PROTOCOL,
    "pid": 7,
    "phase": "idle",
    "trouble": {"message": "m", "hint": "h"},
    "tally": TALLY,
    "report": REPORT,
}
"""The fields of every answer, as a daemon of our version sends them."""
Speak = Callable[[dict[str, Any]], object]


def of_before_versions(question: dict[str, Any]) -> object:
    """The daemon from before there were versions: it knows `do`, and answers without a number."""
    if question.get("do") in ("status", "pause", "resume", "sync", "stop", "reload"):
        return {name: WHOLE[name] for name in WHOLE if name != "protocol"}
    error = {"message": "the running syncd does not know None", "hint": "", "exit_code": 1}
    return {"error": error}


def of_a_newer_version(question: dict[str, Any]) -> object:
    """It answers in forms of its own, even where it fails; but it stops."""
    if question["ask"] == "stop":
        return {"protocol": PROTOCOL + 1, "pid": 7, "phase": None, "more": [1]}
    return {"protocol": PROTOCOL + 1, "error": {"code": "other-version"}, "reports": [{}]}


@contextmanager
def a_daemon(root: Path, speak: Speak) -> Iterator[list[dict[str, Any]]]:
    """Something that has the folder's lock and answers on its socket; what it was asked."""
    own, heard = root / ".syncd", list[dict[str, Any]]()

    def serve(listening: socket.socket) -> None:
        while True:
            connected, _ = listening.accept()
            with connected, connected.makefile("rb") as asking:
                line = asking.readline()
                if not line:
                    return
                heard.append(json.loads(line))
                connected.sendall(json.dumps(speak(heard[-1])).encode() + b"\n")

    with open_state(own / "state.db") as state:
        state.keep(DaemonState(os.getpid(), "idle"))
    short = Path(f"/proc/self/fd/{os.open(own, os.O_RDONLY)}")
    with FolderLock(root), socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(short / NAME))
        listening.listen()
        server = Thread(target=serve, args=(listening,))
        server.start()
        try:
            yield heard
        finally:
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(str(short / NAME))
            server.join()
            os.close(int(short.name))


BY_DAEMON = {"sync", "now", "pause", "resume", "reload", "metrics"}
"""Commands of which a daemon does all or a part, whatever waits."""


@pytest.mark.parametrize("speak", [of_before_versions, of_a_newer_version])
@pytest.mark.parametrize("arguments", EVERY, ids=named)
def test_beside_a_daemon_of_another_version_each_command_says_how_to_go_on(
    root: Path, speak: Speak, arguments: tuple[str, ...]
) -> None:
    with a_daemon(root, speak) as heard:
        code, out, error = run(root, *arguments)
    assert code in CODES
    if arguments[0] in BY_DAEMON and arguments[1:] != ("--dry-run",):
        assert (code, "different versions" in error) == (1, True), (code, out, error)
        assert f"syncd -C {root} stop" in error
    if arguments[0] == "status":
        assert f"syncd -C {root} stop" in out
    if arguments[0] == "stop":
        assert (code, error) == (0, "")
    assert all(("do" in asked) == (asked["ask"] == "stop") for asked in heard), "it does nothing"


DECIDING = [each for each in EVERY if each[0] in ("resolve", "approve", "reject")]


@pytest.mark.parametrize("speak", [of_before_versions, of_a_newer_version])
@pytest.mark.parametrize("arguments", DECIDING, ids=named)
def test_a_decision_beside_a_daemon_of_another_version_is_noted_and_said_to_be(
    root: Path, speak: Speak, arguments: tuple[str, ...]
) -> None:
    """That daemon finds it with its next poll: that nothing was done would not be true."""
    path = RecordPath(ONE if arguments[0] == "resolve" else GONE)
    with open_state(root / ".syncd" / "state.db") as state:
        state._sql.execute("DELETE FROM decision")
    with a_daemon(root, speak):
        code, out, error = run(root, *arguments)
        with open_state(root / ".syncd" / "state.db") as state:
            assert path in state.decisions()
    assert (code, error) == (0, "")
    assert "noted" in out
    assert "nothing was done" not in out
    assert f"syncd -C {root} stop" in out


def parts(value: object, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of everything in a value, at whatever depth."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*place, key)
            yield from parts(value[key], (*place, key))


def changed(value: Any, place: tuple[Any, ...], new: object) -> Any:  # noqa: ANN401
    """A copy in which `new` stands at `place`, or nothing does (for ...)."""
    copy = value.copy()
    if len(place) > 1:
        copy[place[0]] = changed(value[place[0]], place[1:], new)
    elif new is ...:
        del copy[place[0]]
    else:
        copy[place[0]] = new
    return copy


READ_BY = {
    **dict.fromkeys(("trouble", "tally"), ("metrics", "status")),
    "report": ("now",),
    **dict.fromkeys(("protocol", "pid", "phase"), ("now", "metrics", "status", "pause", "stop")),
}
"""The commands that read a field of an answer."""


def test_an_answer_of_our_version_is_understood_and_unknown_fields_are_ignored(
    root: Path,
) -> None:
    newer = changed(changed(WHOLE, ("report", "head", "new"), 1), ("report", "held", 0, "new"), [])
    with a_daemon(root, lambda _: {**newer, "new": 1}):
        assert run(root, "now")[0] == 69
        assert f"merged    {ONE}" in run(root, "sync")[1]
        assert run(root, "pause")[:2] == (0, "paused (pid 7)\n")
        assert "syncd_up" in run(root, "metrics")[1]


@pytest.mark.parametrize("place", list(parts(WHOLE)), ids=lambda place: ".".join(map(str, place)))
def test_a_field_that_is_missing_or_wrong_is_a_sentence_at_any_depth(
    root: Path, place: tuple[Any, ...]
) -> None:
    spoken: list[object] = []
    with a_daemon(root, lambda _: spoken[-1]):
        for new in (..., None, [7], {"a": 7}, "", -1, True):
            spoken.append(changed(WHOLE, place, new))
            for command in READ_BY[place[0]]:
                code, out, error = run(root, command)
                assert code in CODES, (new, command)
                if code == 1:
                    assert "restart it" in error, (new, command, out, error)


@pytest.mark.parametrize(
    "error",
    [7, [], {}, {"message": "m"}, {"message": "m", "hint": None, "exit_code": 1},
     {"message": "m", "hint": "h", "exit_code": "1"}, {"message": "m", "hint": "h", "exit_code": 0},
     {"message": "m", "hint": "h", "exit_code": 10**30}],
)  # fmt: skip
def test_an_error_that_cannot_be_read_is_a_sentence_of_our_own(root: Path, error: object) -> None:
    with a_daemon(root, lambda _: {"protocol": PROTOCOL, "error": error}):
        for command in ("now", "metrics", "pause", "stop"):
            code, _, said = run(root, command)
            assert (code, "cannot be read" in said, "restart it" in said) == (1, True, True)


def test_an_error_of_the_daemon_is_told_as_it_is(root: Path) -> None:
    error = {"message": "the disk is full", "hint": "free some", "exit_code": 78, "new": 1}
    with a_daemon(root, lambda _: {"protocol": PROTOCOL, "error": error}):
        assert run(root, "now") == (78, "", "the disk is full\nfree some")


def test_a_daemon_whose_note_cannot_be_read_is_asked(root: Path) -> None:
    with a_daemon(root, lambda _: WHOLE):
        with open_state(root / ".syncd" / "state.db") as state:
            put(state._sql, "meta", [(f"{NOTE}daemon", "[]")])
        daemon = json.loads(run(root, "status", "--json")[1])["daemon"]
    assert daemon == {"pid": 7, "phase": "idle", "trouble": {"message": "m", "hint": "h"}}


def test_what_waits_at_no_record_is_left_out_where_it_cannot_be_read(root: Path) -> None:
    problem = Problem("(more)", "many", "delete them")
    with open_state(root / ".syncd" / "state.db") as state:
        state.record(Memory(waiting={problem.path: (problem,)}))
        assert problem in state.waiting()
        put(state._sql, "waiting", [(problem.path, "problem", "{}")])
        assert problem.path not in {item.path for item in state.waiting()}
