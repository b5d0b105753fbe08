"""Everything a person can get wrong: one sentence, the right exit code, nothing lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rigs.home import Home
from tests.rigs.machine import Machine, Ran

NOTE = "com.example.note/one"


def is_one_sentence(ran: Ran) -> bool:
    """`syncd: ...` and, below it, at most one line that says what to do next."""
    lines = ran.err.strip().splitlines()
    return bool(lines) and lines[0].startswith("syncd: ") and len(lines) <= 2


def test_an_unknown_handle(home: Home) -> None:
    ran = home.machine(logged_in=False).run("clone", "nobody-here.test", *home.place)
    assert ran.code == 1
    assert is_one_sentence(ran)
    assert "nobody-here.test" in ran.err


def test_a_wrong_password(home: Home) -> None:
    machine = home.machine(logged_in=False)
    login = ("login", home.account.handle, "--password-file", "-", *home.place)
    ran = machine.run(*login, stdin="wrong-pass-word-here")
    assert ran.code == 77
    assert is_one_sentence(ran)
    assert "wrong-pass-word-here" not in ran.err


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"\xff", "not UTF-8")])
def test_a_password_file_that_cannot_be_read(home: Home, content: bytes | None, words: str) -> None:
    machine = home.machine(logged_in=False)
    file = machine.home / "secret"
    if content is not None:
        file.touch(mode=0o600)
        file.write_bytes(content)
    ran = machine.run("login", home.account.handle, "--password-file", "secret", *home.place)
    assert ran.code == 1
    assert is_one_sentence(ran)
    assert words in ran.err
    assert "Errno" not in ran.err


def test_no_password_at_all(home: Home) -> None:
    ran = home.machine(logged_in=False).run("clone", home.account.handle, *home.place)
    assert ran.code == 77
    assert "syncd login" in ran.err
    assert not (home.tmp_path / "laptop" / home.account.handle).exists()


def test_a_pds_that_is_down(tmp_path: Path) -> None:
    nowhere = ("--pds", "http://127.0.0.1:9", "--plc", "http://127.0.0.1:9")
    ran = Machine(tmp_path).run(
        "clone", "did:plc:ewvi7nxzyoun6zhxrhs64oiz", *nowhere, "--read-only"
    )
    assert ran.code == 69
    assert is_one_sentence(ran)
    assert "127.0.0.1 cannot be reached: All connection attempts failed" in ran.err


def test_a_pds_over_plain_http_elsewhere(tmp_path: Path) -> None:
    ran = Machine(tmp_path).run("clone", "alice.example.com", "--pds", "http://example.com")
    assert ran.code == 78
    assert "not secure" in ran.err


def test_a_target_that_is_not_empty(home: Home) -> None:
    machine = home.machine()
    keep = machine.home / "mirror" / "precious.txt"
    keep.parent.mkdir()
    keep.write_text("precious")
    ran = machine.run("clone", home.account.handle, "mirror", *home.place)
    assert ran.code == 78
    assert "--adopt" in ran.err
    assert [file.name for file in keep.parent.iterdir()] == ["precious.txt"]


def test_a_target_that_is_a_mirror_already(home: Home) -> None:
    machine = home.machine()
    folder = home.clone(machine)
    ran = machine.run("clone", home.account.handle, folder, *home.place)
    assert ran.code == 78
    assert "sync" in ran.err


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('{"text": "a"', (1, 13), "JSON"),
        ('{\n  "n": 1.5\n}', (2, 8), "whole"),
        ('{"a": 1,\n "a": 2}', (2, 2), "'a'|\"a\""),
        ("<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> b\n", (1, 1), "unresolved git conflict"),
        ("", (1, 1), "empty"),
        ('{"$type": "com.example.other"}', (1, 11), 'must be "com.example.note"'),
        ('{"n": 9007199254740993}', (1, 7), "within"),
        ('{"l": {"$link": "nonsense"}}', (1, 7), "link"),
    ],
)
def test_an_invalid_record_file(home: Home, text: str, place: tuple[int, int], words: str) -> None:
    home.write(NOTE, text="hello")
    machine = home.machine()
    folder = home.clone(machine)
    (folder / f"{NOTE}.json").write_text(text)
    cid = home.cid(NOTE)
    ran = machine.run("sync", "--json", at=folder)
    assert ran.code == 3
    (problem,) = ran.json["problems"]
    assert problem["path"] == NOTE
    assert (problem["line"], problem["column"]) == place
    assert re.search(words, problem["reason"])
    assert home.cid(NOTE) == cid
    assert (folder / f"{NOTE}.json").read_text() == text
    shown = machine.run("sync", at=folder)
    assert f"line {place[0]}, column {place[1]}" in shown.out


def test_a_file_that_can_be_no_record(home: Home) -> None:
    machine = home.machine()
    folder = home.clone(machine)
    (folder / "com.example.note").mkdir()
    (folder / "com.example.note" / "not a record.json").write_text("{}")
    (folder / "README.md").write_text("mine")
    (folder / "notes").mkdir()
    (folder / "notes" / "x.json").write_text("{}")
    ran = machine.run("sync", "--json", at=folder)
    assert ran.code == 3
    assert [p["path"] for p in ran.json["problems"]] == ["com.example.note/not a record.json"]


def unmark(folder: Path) -> None:
    (folder / ".syncd" / "marker").unlink()


def remark(folder: Path) -> None:
    (folder / ".syncd" / "marker").write_text("another")


def unset(folder: Path) -> None:
    (folder / "syncd.toml").write_text("[mirror]\ncolour = 3\n")


@pytest.mark.parametrize("harm", [unmark, remark, unset])
def test_a_mirror_that_is_not_what_it_was(home: Home, harm: Callable[[Path], None]) -> None:
    home.write(NOTE, text="hello")
    machine = home.machine()
    folder = home.clone(machine)
    (folder / f"{NOTE}.json").unlink()
    harm(folder)
    ran = machine.run("-C", folder, "sync")
    assert ran.code == 78
    assert is_one_sentence(ran)
    assert home.cid(NOTE) is not None


def test_a_lost_state_file_is_rebuilt_without_loss(home: Home) -> None:
    home.write(NOTE, text="theirs")
    home.write("com.example.note/gone", text="theirs")
    machine = home.machine()
    folder = home.clone(machine)
    (folder / f"{NOTE}.json").write_text(json.dumps({"text": "mine"}))
    (folder / "com.example.note" / "gone.json").unlink()
    for file in (folder / ".syncd").glob("state.db*"):
        file.unlink()
    ran = machine.run("sync", "--json", at=folder)
    assert ran.code == 3
    assert [conflict["path"] for conflict in ran.json["conflicts"]] == [NOTE]
    assert (folder / "com.example.note" / "gone.json").exists()


def test_outside_of_any_mirror(tmp_path: Path) -> None:
    for command in ("sync", "status", "diff", "conflicts", "held", "verify", "run"):
        # Without a folder, `status` also shows the mirrors of daemons that other tests run.
        named = ["-C", str(tmp_path)] if command == "status" else []
        ran = Machine(tmp_path).run(*named, command)
        assert (command, ran.code) == (command, 78)
        assert is_one_sentence(ran)


def test_a_collection_that_is_none(home: Home) -> None:
    machine = home.machine()
    folder = home.clone(machine)
    ran = machine.run("new", "nonsense", at=folder)
    assert ran.code == 1
    assert is_one_sentence(ran)
    other = machine.run("clone", home.account.handle, "x", *home.place, "--collection", "nonsense")
    assert other.code == 78


TWO_SIDES = ["resolve", "com.example.note/one", "--local", "--remote"]


@pytest.mark.parametrize(
    "arguments", [["stauts"], ["sync", "--fast"], ["resolve"], ["clone"], TWO_SIDES]
)
def test_a_command_line_that_is_wrong(tmp_path: Path, arguments: list[str]) -> None:
    ran = Machine(tmp_path).run(*arguments)
    assert ran.code == 2
    assert "Error: " in ran.err


def test_an_account_that_is_deactivated_deletes_nothing(home: Home) -> None:
    home.write(NOTE, text="hello")
    machine = home.machine()
    folder = home.clone(machine)
    home.pds.deactivate(home.account)
    ran = machine.run("sync", at=folder)
    assert ran.code == 1
    assert "deactivated" in ran.err
    assert (folder / f"{NOTE}.json").exists()
    home.pds.activate(home.account)
    machine.ok("sync", at=folder)
