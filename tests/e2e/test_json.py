"""What each command prints with --json, held against the schemas that syncd ships."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.lock import FolderLock
from tests.rigs.schema import check, faults
from tests.rigs.terminal import HANDLE, Terminal, open_terminal

NOTE = "com.example.note/hello"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as found:
        yield found


def printed(terminal: Terminal, schema: str, line: str, at: Path, *codes: int) -> None:
    ran = terminal.run(f"{line} 2>/dev/null", at=at)
    assert ran.code in (codes or (0,)), (line, ran)
    check(schema, json.loads(ran.out))


def test_what_each_command_prints_keeps_to_its_schema(terminal: Terminal) -> None:
    terminal.ok(f"syncd login {HANDLE}")
    printed(terminal, "clone", f"syncd clone {HANDLE} site --json", terminal.home)
    folder = terminal.home / "site"
    (folder / "com.example.note").mkdir()
    file = folder / f"{NOTE}.json"
    for n in range(2):
        file.write_text(json.dumps({"n": n}), encoding="utf-8")
        if n == 0:
            printed(terminal, "sync", "syncd sync --dry-run --json", folder)
        printed(terminal, "sync", "syncd sync --json", folder)
    printed(terminal, "new", "syncd new com.example.note --json", folder)
    printed(terminal, "publish", "syncd publish --all --json", folder)
    printed(terminal, "unpublish", f"syncd unpublish {NOTE} --yes --json", folder)
    file.write_text("{", encoding="utf-8")
    printed(terminal, "sync", "syncd sync --json", folder, 3)
    for schema, line in (
        ("status", "syncd status --json"),
        ("status", "syncd status --ignored --json"),
        ("diff", "syncd diff --json"),
        ("conflicts", "syncd conflicts --json"),
        ("held", "syncd held --json"),
        ("log", "syncd log --json -n 1"),
        ("verify", "syncd verify --json"),
        ("doctor", "syncd doctor --json"),
        ("lexicon ls", "syncd lexicon ls --json"),
        ("lexicon check", "syncd lexicon check --json"),
        ("restore", "syncd restore 'com.example.*/*' --deleted --dry-run --json"),
        ("restore", "syncd restore 'com.example.*/*' --deleted --json"),
        ("restore", f"syncd restore {NOTE} --json"),
        ("restore", "syncd restore --undo --dry-run --json"),
        ("restore", "syncd restore --undo --json"),
    ):
        printed(terminal, schema, line, folder, 0, 1, 3)


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("syncd -C nowhere status --json", 78, "FolderWrong"),
        ("syncd -C nowhere diff --json", 78, "FolderWrong"),
        ("syncd sync --json --format=markdown", 2, "BadUsage"),
        ("syncd status --json --no-such-option", 2, "BadUsage"),
        ("syncd pause --json", 78, "FolderWrong"),
        ("syncd lexicon ls --json --nonsense", 2, "BadUsage"),
        (f"syncd clone {HANDLE} site --json", 77, "CredentialsRefused"),
    ],
)
def test_an_error_is_an_object_on_stdout_and_a_sentence_on_stderr(
    terminal: Terminal, line: str, code: int, error: str
) -> None:
    ran = terminal.run(f"{line} 2>sentence")
    found = json.loads(ran.out)
    check("failure", found)
    assert (ran.code, found["error"]["code"], found["error"]["exit"]) == (code, error, code), found
    assert found["error"]["message"] in (terminal.home / "sentence").read_text(encoding="utf-8")
    plain = terminal.run(f"{line.replace('--json', '')} 2>/dev/null")
    assert (plain.code, plain.out) == (code, "")


@pytest.mark.parametrize("command", ["sync", "verify --remote", "status", "diff", "log", "held"])
def test_a_command_beside_another_syncd_has_one_object_too(
    terminal: Terminal, command: str
) -> None:
    terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} site")
    folder = terminal.home / "site"
    with FolderLock(folder):
        ran = terminal.run(f"syncd {command} --json 2>/dev/null", at=folder)
    found = json.loads(ran.out) if ran.out.strip() else {}
    assert ran.code in (0, 75)
    if ran.code:
        check("failure", found)
        assert (found["error"]["code"], found["error"]["exit"]) == ("Locked", 75)
    assert ran.code == (75 if command == "sync" else 0)


def test_a_push_that_was_refused_has_its_error_in_the_one_object(terminal: Terminal) -> None:
    terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} site", f"syncd logout {HANDLE}")
    folder = terminal.home / "site"
    (folder / "com.example.note").mkdir()
    (folder / f"{NOTE}.json").write_text("{}", encoding="utf-8")
    ran = terminal.run("syncd sync --json 2>/dev/null", at=folder)
    found = json.loads(ran.out)
    check("sync", found)
    assert (ran.code, found["error"]["code"], found["pushed"]) == (77, "CredentialsRefused", 0)


def test_a_server_that_is_away_is_one_object_with_69(terminal: Terminal) -> None:
    terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} site")
    settings = terminal.home / "site" / "syncd.toml"
    text, count = re.subn(r"(?m)^plc = .*$", 'plc = "http://127.0.0.1:9"', settings.read_text())
    assert count == 1
    settings.write_text(text)
    ran = terminal.run("syncd sync --json 2>/dev/null", at=settings.parent)
    found = json.loads(ran.out)
    check("failure", found)
    assert (ran.code, found["error"]["code"], found["error"]["exit"]) == (69, "Unreachable", 69)


def test_a_schema_refuses_what_is_not_as_it_says() -> None:
    held = {"path": "a/b", "kind": "edit", "side": "local", "reason": ""}
    schema = {"$ref": "#/$defs/held"}
    good = {"version": 1, "held": [held], "more": 1}
    assert list(faults(schema, good, "held")) == []
    worse: tuple[object, ...] = (
        {**good, "version": 2},
        {"version": 1},
        {**good, "held": [{**held, "kind": "move"}]},
        {**good, "held": [{**held, "reason": None}]},
        {**good, "held": {}},
        [],
    )
    for bad in worse:
        assert list(faults(schema, bad, "held"))
