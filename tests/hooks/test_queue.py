"""Hooks run only as a person allowed them, one at a time, and syncd reports what fails."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from syncd.hooks.program import INSIDE
from syncd.hooks.queue import LINE_CHARACTERS, LINES, Hooks, HookWords
from syncd.hooks.table import AFTER_PULL, AFTER_PUSH, Command, Table, permission_of


@dataclass
class Heard:
    """What the hooks told."""

    told: list[HookWords] = field(default_factory=list)

    def failures(self) -> list[str]:
        return [each.message for each in self.told if each.is_failure]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    root = tmp_path / "folder"
    root.mkdir()
    return root


def script(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(f"#!{sys.executable}\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return f"./{name}"


def table_of(folder: Path, **commands: Command) -> Table:
    return Table(folder, folder, commands, 3600.0)


def allowed(table: Table) -> Table:
    permission_of(table.root).allow(table.digest())
    return table


NOTE = "import sys; open('ran', 'a').write(sys.stdin.read())"


def ran(folder: Path) -> str:
    file = folder / "ran"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def test_nothing_runs_before_a_person_allowed_it_and_that_is_told_once(folder: Path) -> None:
    heard = Heard()
    table = table_of(folder, after_pull=(script(folder, "hook", NOTE),))
    hooks = Hooks(table, heard.told.append)
    hooks.run(AFTER_PULL, b"a")
    hooks.run(AFTER_PULL, b"b")
    assert (ran(folder), len(heard.failures())) == ("", 1)
    allowed(table)
    hooks.run(AFTER_PULL, b"c")
    hooks.run(AFTER_PUSH, b"d")  # there is none
    assert (ran(folder), len(heard.told)) == ("c", 1)


@pytest.mark.parametrize(
    "change",
    ["a word", "another event", "the time", "the script", "an argument's file", "a link", "place"],
)
def test_any_change_of_what_would_run_asks_again(folder: Path, change: str) -> None:
    hook, more = script(folder, "hook", NOTE), script(folder, "more", "")
    before = allowed(table_of(folder, after_pull=(hook, more)))
    after = before
    if change == "a word":
        after = table_of(folder, after_pull=(hook, more, "--more"))
    elif change == "another event":
        after = table_of(folder, after_pull=(hook, more), after_push=(hook,))
    elif change == "the time":
        after = replace(before, seconds=3599.0)
    elif change == "a link":
        elsewhere = folder.parent / "elsewhere"
        elsewhere.write_bytes((folder / "hook").read_bytes())
        elsewhere.chmod(0o755)
        (folder / "hook").unlink()
        (folder / "hook").symlink_to(elsewhere)
    elif change == "place":
        other = folder.parent / "other"
        folder.rename(other)
        after = Table(other, other, before.commands, before.seconds)
    else:
        script(folder, "hook" if change == "the script" else "more", f"{NOTE}; print()")
    heard = Heard()
    Hooks(after, heard.told.append).run(AFTER_PULL, b"x")
    assert (ran(after.root), len(heard.failures())) == ("", 1)
    allowed(after)
    Hooks(after, heard.told.append).run(AFTER_PULL, b"x")
    assert ran(after.root) == "x"


@pytest.mark.parametrize("word", ["./Makefile", "--file=Makefile", "-f=sub/../Makefile", "tool"])
def test_a_file_of_the_repository_is_watched_however_a_command_comes_to_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """`tool` is a program that PATH leads to."""
    monkeypatch.setenv("PATH", f"{folder / 'programs'}:/usr/bin:/bin")
    for name in ("Makefile", "programs/tool"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    table = table_of(folder, after_pull=(word,) if word == "tool" else ("true", word))
    name = "programs/tool" if word == "tool" else "Makefile"
    assert list(table.files(table.commands[AFTER_PULL])) == [folder / name]
    before = table.digest()
    (folder / name).write_text("#!/bin/sh\nother\n", encoding="utf-8")
    assert table.digest() != before


def test_the_command_line_may_allow_them_for_once(folder: Path) -> None:
    table = table_of(folder, after_pull=(script(folder, "hook", NOTE),))
    heard = Heard()
    Hooks(table, heard.told.append, is_allowed=True).run(AFTER_PULL, b"x")
    assert (ran(folder), heard.told) == ("x", [])


@pytest.mark.parametrize(
    "kind", ["missing", "not executable", "fails", "a directory", "no program"]
)
def test_a_hook_that_fails_is_told_with_its_event(folder: Path, kind: str) -> None:
    name = script(folder, "hook", "import sys; print('why'); sys.exit(3)")
    if kind == "missing":
        name = "./nowhere"
    elif kind == "not executable":
        (folder / "hook").chmod(0o644)
    elif kind == "a directory":
        name = "./"
    elif kind == "no program":
        (folder / "hook").write_bytes(b"\x00\x01")
    heard = Heard()
    Hooks(allowed(table_of(folder, after_pull=(name,))), heard.told.append).run(AFTER_PULL, b"")
    (failure,) = heard.failures()
    assert failure.startswith("the hook after_pull failed: ")
    if kind == "not executable":
        assert f"chmod +x {name}" in failure
    if kind == "fails":
        assert heard.told[0].message == "after_pull: why"


def test_a_few_lines_of_its_output_are_told(folder: Path) -> None:
    name = script(folder, "hook", "for n in range(1000): print(n)")
    heard = Heard()
    Hooks(allowed(table_of(folder, after_pull=(name,))), heard.told.append).run(AFTER_PULL, b"")
    assert len(heard.told) == LINES + 1


def test_a_long_line_of_its_output_is_cut(folder: Path) -> None:
    name = script(folder, "hook", "print('x' * 60_000); print('y' * 1_000)")
    heard = Heard()
    Hooks(allowed(table_of(folder, after_pull=(name,))), heard.told.append).run(AFTER_PULL, b"")
    long, whole = (told.message for told in heard.told)
    assert len(long) < LINE_CHARACTERS + len("after_pull: ") + 5
    assert whole == f"after_pull: {'y' * LINE_CHARACTERS}"


def test_a_syncd_within_a_hook_runs_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = allowed(table_of(folder, after_pull=(script(folder, "hook", NOTE),)))
    monkeypatch.setenv(INSIDE, AFTER_PUSH)
    Hooks(table, lambda _: None).run(AFTER_PULL, b"x")
    assert ran(folder) == ""


def test_queued_hooks_run_one_at_a_time_in_order(folder: Path) -> None:
    text = (
        "import os, sys\n"
        "os.mkdir('one at a time')\n"
        "open('ran', 'a').write(sys.stdin.read())\n"
        "os.rmdir('one at a time')\n"
    )
    table = allowed(table_of(folder, after_pull=(script(folder, "hook", text),)))
    heard, over = Heard(), threading.Event()

    def hear(told: HookWords) -> None:
        heard.told.append(told)
        if told.is_failure:
            over.set()

    hooks = Hooks(
        replace(table, commands={**table.commands, AFTER_PUSH: ("./last",)}),
        hear,
    )
    permission_of(folder).allow(hooks.table.digest())
    for n in range(5):
        hooks.queue(AFTER_PULL, f"{n}".encode())
    hooks.queue(AFTER_PUSH, b"")  # it is missing, which is reported
    assert over.wait(300)
    hooks.close()
    assert ran(folder) == "01234"
    assert [message.partition(" failed")[0] for message in heard.failures()] == [
        "the hook after_push"
    ]


def test_a_hook_that_causes_its_own_next_run_has_a_rest_and_then_gets_all_that_is_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.hooks.queue.RUNS", 3)
    monkeypatch.setattr("syncd.hooks.queue.PERIOD_SECONDS", 5.0)
    hook = script(folder, "hook", f"{NOTE}; print('over')")
    table = allowed(table_of(folder, after_push=(hook,)))
    heard = Heard()
    hooks = Hooks(table, heard.told.append)
    for n in range(7):
        hooks.queue(AFTER_PUSH, b'{"rev": %d, "records": [{"path": "%d"}]}\n' % (n, n % 6))
    while [each.message for each in heard.told].count("after_push: over") < 4:
        threading.Event().wait(0.05)  # `close` kills a program that still runs, and says so
    hooks.close()
    given = [json.loads(line) for line in ran(folder).splitlines()]
    assert [each["rev"] for each in given] == [0, 1, 2, 6]
    assert [item["path"] for item in given[-1]["records"]] == ["3", "4", "5", "0"]
    (told,) = heard.failures()
    assert "3 times within 5 seconds" in told


def test_a_rest_of_one_event_holds_up_no_other_and_no_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.hooks.queue.RUNS", 1)
    hook = script(folder, "hook", "import os; open('ran', 'a').write(os.environ['SYNCD_HOOK'])")
    table = allowed(table_of(folder, after_push=(hook,), after_pull=(hook,)))
    hooks = Hooks(table, lambda _: None)
    for event in (AFTER_PUSH, AFTER_PUSH, AFTER_PULL):
        hooks.queue(event, b"{}")
    while not ran(folder).endswith(AFTER_PULL):
        threading.Event().wait(0.05)
    hooks.close()
    assert ran(folder) == AFTER_PUSH + AFTER_PULL


def test_the_end_kills_the_one_that_runs_and_drops_the_others(folder: Path) -> None:
    text = "import time; open('ran', 'a').write('x'); print(flush=True); time.sleep(3600)"
    table = allowed(table_of(folder, after_pull=(script(folder, "hook", text),)))
    heard = Heard()
    hooks = Hooks(table, heard.told.append)
    for _ in range(3):
        hooks.queue(AFTER_PULL, b"")
    while not ran(folder):
        threading.Event().wait(0.01)
    hooks.close()
    assert (ran(folder), heard.failures()) == ("x", ["the hook after_pull failed: syncd ends"])
    hooks.queue(AFTER_PULL, b"")
    assert ran(folder) == "x"
