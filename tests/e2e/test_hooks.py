"""Hooks by the command line and by a daemon: allowed once, and in nobody's way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.mirror.test_delegate import daemon, notes, save, terminal, wait_until
from tests.rigs.terminal import Terminal

__all__ = ["notes", "terminal"]

SCRIPT = '#!/bin/sh\ncat >>"$HOME/heard"\nenv >"$HOME/environment"\nexit 3\n'


def install(notes: Path, **events: str) -> None:
    hook = notes / "hook"
    hook.write_text(SCRIPT, encoding="utf-8")
    hook.chmod(0o755)
    with (notes / "syncd.toml").open("a", encoding="utf-8") as toml:
        lines = (f'{event} = ["{command}"]\n' for event, command in events.items())
        toml.write("\n[hooks]\n" + "".join(lines))


def heard(terminal: Terminal) -> list[dict[str, Any]]:
    file = terminal.home / "heard"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_hook_of_the_command_line_waits_for_a_word_and_changes_nothing(
    terminal: Terminal, notes: Path
) -> None:
    install(notes, after_push="./hook", on_problem="./missing")
    save(notes, text="one")
    out = terminal.ok("syncd sync", at=notes)
    assert "not allowed on this machine" in out
    assert heard(terminal) == []
    shown = terminal.ok("syncd hooks allow --yes", at=notes)
    assert f"program: {notes / './hook'}" in shown
    assert "program: there is no program" in shown
    assert terminal.ok("syncd hooks", at=notes).endswith("allowed here\n")
    save(notes, text="two")
    out = terminal.ok("export SYNCD_PASSWORD=not-for-hooks", "syncd sync", at=notes)
    assert "the hook after_push failed" in out
    (given,) = heard(terminal)
    assert (given["event"], given["folder"]) == ("after_push", str(notes))
    assert given["records"] == [{"path": "com.example.note/one", "deed": "changed"}]
    assert "not-for-hooks" not in (terminal.home / "environment").read_text()
    (notes / "com.example.note/one.json").write_text("{", encoding="utf-8")
    ran = terminal.run("syncd sync", at=notes)
    assert (ran.code, "there is no program ./missing" in ran.out) == (3, True)
    assert "failed" not in terminal.run("syncd sync", at=notes).out  # nothing new waits
    (notes / "hook").write_text(SCRIPT.replace("exit 3", "exit 0"), encoding="utf-8")
    save(notes, text="three")
    assert "not allowed on this machine" in terminal.ok("syncd sync", at=notes)
    save(notes, text="four")
    assert "hook" not in terminal.ok("syncd sync --allow-hooks", at=notes)
    assert [given["event"] for given in heard(terminal)] == ["after_push"] * 2


def test_a_daemon_runs_hooks_beside_its_syncs_and_kills_one_that_runs_when_it_ends(
    terminal: Terminal, notes: Path
) -> None:
    install(notes, after_push="./hook")
    (notes / "hook").write_text('#!/bin/sh\necho $$ >"$HOME/pid"\nexec sleep 3600\n')
    terminal.ok("syncd hooks allow --yes", at=notes)
    pid = terminal.home / "pid"
    with daemon(terminal, notes) as process:
        save(notes, text="one")
        wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"), "the hook")
        save(notes, text="two")
        terminal.ok("syncd now", at=notes)  # it does not wait for the hook
        assert process.poll() is None
    process_of_the_hook = Path("/proc", pid.read_text().strip())
    wait_until(lambda: not (process_of_the_hook / "exe").exists(), "the end of the hook")
    assert "the hook after_push failed: syncd ends" in (terminal.home / "run.log").read_text()
