"""Hooks by the command line and by a daemon: allowed once, and in nobody's way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.mirror.test_delegate import daemon, notes, save, terminal, wait_until
from tests.rigs.terminal import HANDLE, Terminal

__all__ = ["notes", "terminal"]

BUILT = """echo x >>"$HOME/runs"
echo "{\\"text\\": \\"$(date +%s%N)\\"}" >com.example.note/built.json
"""
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


def hooked(terminal: Terminal, folder: Path, script: str, *events: str) -> None:
    """Have `folder` run a script for these events, as a person allowed it."""
    install(folder, **dict.fromkeys(events, "./hook"))
    (folder / "hook").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    terminal.ok("syncd hooks allow --yes", at=folder)


def test_a_hook_that_saves_a_record_has_a_rest_after_a_few_runs(
    terminal: Terminal, notes: Path
) -> None:
    hooked(terminal, notes, BUILT, "after_push")
    log, runs = terminal.home / "run.log", terminal.home / "runs"
    with daemon(terminal, notes):
        save(notes, text="one")
        wait_until(lambda: "ran 10 times within 60 seconds" in log.read_text(), "the rest")
        save(notes, text="two")
        wait_until(lambda: log.read_text().count("pushed    com.example.note/one") == 2, "a push")
        assert len(runs.read_text().split()) == 10


def test_a_hook_that_hangs_holds_up_no_other_mirror_of_the_process(
    terminal: Terminal, notes: Path
) -> None:
    terminal.ok(f"syncd clone {HANDLE} ~/more")
    more = terminal.home / "more"
    hooked(terminal, notes, 'touch "$HOME/hangs"; exec sleep 3600', "after_push", "after_pull")
    hooked(terminal, more, 'echo "$SYNCD_HOOK" >>"$HOME/more-ran"', "after_push", "after_pull")
    listed, heard = terminal.home / "mirrors.toml", terminal.home / "more-ran"
    listed.write_text('mirrors = ["notes", "more"]\n')
    with daemon(terminal, SYNCD_CONFIG=str(listed)) as process:
        save(notes, text="one")
        wait_until(lambda: heard.exists() and "after_pull" in heard.read_text(), "the pull")
        assert (terminal.home / "hangs").exists()
        save(more, text="two")
        wait_until(lambda: "after_push" in heard.read_text(), "the push")
        wait_until(lambda: "two" in (notes / "com.example.note/one.json").read_text(), "it")
    assert process.returncode == 0


def test_settings_that_a_pull_of_git_brings_run_nothing(terminal: Terminal, notes: Path) -> None:
    hooked(terminal, notes, "true", "after_push")
    settings, log = notes / "syncd.toml", terminal.home / "run.log"
    with daemon(terminal, notes):
        pulled = settings.read_text().replace('["./hook"]', '["touch", "pwned"]')
        settings.write_text(pulled, encoding="utf-8")
        terminal.ok("syncd reload", at=notes)
        save(notes, text="one")
        wait_until(lambda: "not allowed on this machine" in log.read_text(), "the refusal")
    assert not (notes / "pwned").exists()


def test_a_hook_that_removes_the_folder_deletes_no_record(terminal: Terminal, notes: Path) -> None:
    hooked(terminal, notes, 'rm -rf "$PWD"', "after_push", "on_problem")
    with daemon(terminal, notes) as process:
        save(notes, text="one")
        wait_until(lambda: process.poll() is not None, "the end")
    assert process.returncode == 78
    assert set(terminal.host.repo(terminal.login.did).state.records) == {"com.example.note/one"}


def test_a_hook_may_run_syncd_and_leave_a_process_that_keeps_its_output_open(
    terminal: Terminal, notes: Path
) -> None:
    script = 'setsid sleep 5 & syncd sync >"$HOME/inner" 2>&1; echo "code $?" >>"$HOME/inner"'
    hooked(terminal, notes, script, "after_push")
    inner = terminal.home / "inner"
    save(notes, text="one")
    assert "hook" not in terminal.ok("syncd sync", at=notes)
    assert inner.read_text().endswith("code 0\n")
    inner.unlink()
    with daemon(terminal, notes):
        save(notes, text="two")
        wait_until(lambda: inner.exists() and "code" in inner.read_text(), "the inner sync")
    assert inner.read_text().endswith("code 0\n")


def test_a_job_that_cannot_publish_runs_the_hook_of_problems(terminal: Terminal) -> None:
    site = terminal.home / "site"
    site.mkdir()
    settings = f'[mirror]\ndid = "{terminal.login.did}"\nmode = "publish"\n'
    (site / "syncd.toml").write_text(settings, encoding="utf-8")
    install(site, on_problem="./hook", after_push="./hook")
    terminal.ok(
        "git init --quiet --initial-branch main",
        "git add --all",
        "git commit --quiet --message Begin",
        "git clone --quiet --bare . ../site.git",
        "git clone --quiet ../site.git ../job",
        at=site,
    )
    job = terminal.home / "job"
    terminal.ok("git switch --quiet --create other", at=job)
    terminal.ok(
        f"export SYNCD_PLC_URL={terminal.url}", "syncd sync --dry-run --allow-hooks", at=job
    )
    assert heard(terminal) == []
    ran = terminal.run("syncd sync --allow-hooks", at=job)
    assert ran.code != 0
    (given,) = heard(terminal)
    assert (given["event"], given["folder"]) == ("on_problem", str(job))
    assert "only main is published" in given["error"]["message"]
