"""Commands beside a running daemon: done by whoever has the folder, told by whoever asks."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.data import cid_of
from syncd.errors import SyncdError, Unreachable
from syncd.lock import FolderLock
from syncd.mirror import delegate
from syncd.mirror.wire import DaemonAnswer, DaemonFailed, SentReport
from syncd.model import CODEC, Change, Conflict, Head, Held, Problem, RecordPath, Report, Side
from syncd.sandbox import MemoryPds, Refuse
from syncd.state import open_state
from syncd.state.notes import DaemonState
from syncd.typedjson import text_of
from tests.rigs import warm
from tests.rigs.terminal import HANDLE, Terminal, open_terminal

NOTE = RecordPath("com.example.note/one")
PATIENCE_SECONDS = 120.0


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as found:
        found.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} ~/notes")
        yield found


@pytest.fixture
def notes(terminal: Terminal) -> Path:
    return terminal.home / "notes"


def wait_until(is_true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_true():
        assert time.monotonic() < until, what
        time.sleep(0.05)


@contextmanager
def daemon(terminal: Terminal, *arguments: str | Path, **more: str) -> Iterator[Any]:
    """`syncd run`; its words are in run.log."""
    log = terminal.home / "run.log"
    with log.open("ab") as out:
        process = warm.Process[bytes](
            [*warm.SYNCD, "run", *map(str, arguments)],
            env={**terminal.environment(), **more},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "watching" in log.read_text() or process.poll() is not None, "it")
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        process.wait()
        print(log.read_text())  # noqa: T201 (shown where a test fails)


def save(notes: Path, path: RecordPath = NOTE, **fields: object) -> None:
    file = notes / f"{path}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(fields))


async def write(terminal: Terminal, **fields: object) -> None:
    """Another client writes the record."""
    pds = MemoryPds(terminal.host, terminal.login.did)
    record: Any = {"$type": "com.example.note", **fields}
    before = terminal.host.repo(terminal.login.did).current(NOTE)
    await pds.put(Change(NOTE, before, cid_of(record), record))


def test_a_sync_is_done_by_the_daemon_and_reported_by_the_command(
    terminal: Terminal, notes: Path
) -> None:
    with daemon(terminal, notes):
        terminal.ok("syncd pause", at=notes)
        save(notes, text="hello")
        assert f"pushed    {NOTE}" in terminal.ok("syncd sync", at=notes)
        again = json.loads(terminal.ok("syncd sync --json", at=notes))
        assert (again["pushed"], again["conflicts"]) == (0, [])


@pytest.mark.parametrize(("is_locked", "asked"), [(True, 3), (False, 1)])
def test_a_daemon_that_takes_other_settings_is_waited_for(
    notes: Path, monkeypatch: pytest.MonkeyPatch, is_locked: bool, asked: int
) -> None:
    here = DaemonAnswer(1, None)
    answers = [None, None, here]
    monkeypatch.setattr(delegate, "ask_daemon", lambda *_: answers.pop(0))
    with FolderLock(notes) if is_locked else nullcontext():
        if is_locked:
            assert delegate.need_daemon(notes, "now", DaemonAnswer) is here
        else:
            with pytest.raises(SyncdError):
                delegate.need_daemon(notes, "now", DaemonAnswer)
    assert len(answers) == 3 - asked


def test_a_pause_outlives_the_process_and_now_works_in_it(terminal: Terminal, notes: Path) -> None:
    with daemon(terminal, notes):
        assert "paused" in terminal.ok("syncd pause", at=notes)
    with daemon(terminal, notes):
        wait_until(lambda: "paused" in terminal.run("syncd status", at=notes).out, "the pause")
        save(notes, text="hello")
        assert f"pushed    {NOTE}" in terminal.ok("syncd now", at=notes)
        assert json.loads(terminal.ok("syncd resume --json", at=notes))["pid"]
        phase = "idle"
        wait_until(lambda: phase in terminal.run("syncd status", at=notes).out, "the end of it")


async def test_a_conflict_is_resolved_at_once_by_the_daemon(
    terminal: Terminal, notes: Path
) -> None:
    with daemon(terminal, notes):
        save(notes, text="before")
        terminal.ok("syncd now", at=notes)
        terminal.ok("syncd pause", at=notes)
        save(notes, text="mine")
        await write(terminal, text="theirs")
        assert terminal.run("syncd now", at=notes).code == 3
        done = terminal.ok(f"syncd resolve {NOTE} --remote", at=notes)
        assert f"pulled    {NOTE}" in done
        assert json.loads((notes / f"{NOTE}.json").read_text())["text"] == "theirs"
        assert terminal.run("syncd conflicts", at=notes).code == 0


def test_settings_are_read_again_and_kept_where_the_new_ones_are_wrong(
    terminal: Terminal, notes: Path
) -> None:
    log, toml = terminal.home / "run.log", notes / "syncd.toml"
    good = toml.read_text() + "\n[run]\npoll_seconds = 1\n"
    did, line = terminal.login.did, good.count("\n") + 1
    with daemon(terminal, notes):
        toml.write_text(good)
        terminal.ok("syncd reload", at=notes)
        wait_until(lambda: "[run] poll_seconds" in log.read_text(), "the new settings")
        wait_until(lambda: log.read_text().count("watching") == 2, "the mirror, opened anew")
        for wrong, words in (
            (good + "colour = 3\n", f"line {line}, column 1: there is no setting [run] colour"),
            (good.replace(did, "did:plc:" + "a" * 24), "a folder can mirror only one repo"),
        ):
            toml.write_text(wrong)
            terminal.ok("syncd reload", at=notes)
            told = f"{words}; the previous settings stay in use"
            wait_until(lambda told=told: told in log.read_text(), told)  # type: ignore[misc]
        save(notes, text="hello")
        wait_until(lambda: f"pushed    {NOTE}" in log.read_text(), "the push")


POST = "com.whtwnd.blog.entry/one"
MARKDOWN = '\n[files]\nmarkdown = { "com.whtwnd.blog.entry" = "content" }\n'


def test_the_form_of_files_changes_under_a_running_daemon_and_no_request_is_lost(
    terminal: Terminal, notes: Path
) -> None:
    toml = notes / "syncd.toml"
    save(notes, RecordPath(POST), title="A", content="Hi")
    with daemon(terminal, notes):
        terminal.ok("syncd now", at=notes)
        repo, plain = terminal.host.repo(terminal.login.did), toml.read_text()
        before = repo.current(RecordPath(POST))
        toml.write_text(plain + MARKDOWN)
        # Whether it finds the new settings or the daemon has them already, it is answered.
        terminal.ok("syncd now", at=notes)
        assert (notes / f"{POST}.md").read_text() == "---\ntitle: A\n---\n\nHi\n"
        assert not (notes / f"{POST}.json").exists()
        (notes / f"{POST}.md").rename(notes / f"{POST}.json")
        toml.write_text(plain)
        terminal.ok("syncd sync", at=notes)
        assert json.loads((notes / f"{POST}.json").read_text())["content"] == "Hi"
        assert repo.current(RecordPath(POST)) == before


def test_a_text_that_came_as_markdown_before_its_setting_is_no_deletion(
    terminal: Terminal, notes: Path
) -> None:
    """As git and file-sync programs bring them from another machine: one file, then the other."""
    log = terminal.home / "run.log"
    save(notes, RecordPath(POST), title="A", content="Hi")
    with daemon(terminal, notes):
        terminal.ok("syncd now", at=notes)
        (notes / f"{POST}.md").write_text("---\ntitle: A\n---\n\nHo\n")
        (notes / f"{POST}.json").unlink()
        assert terminal.run("syncd now", at=notes).code == 3
        assert terminal.host.repo(terminal.login.did).current(RecordPath(POST)) is not None
        with (notes / "syncd.toml").open("a") as settings:
            settings.write(MARKDOWN)
        pushed = f"pushed    {POST}"
        wait_until(lambda: log.read_text().count(pushed) == 2, "the edit in the other form")
    terminal.ok("syncd status", at=notes)
    expected = cid_of({"$type": POST.partition("/")[0], "title": "A", "content": "Ho"})
    assert terminal.host.repo(terminal.login.did).current(RecordPath(POST)) == expected


def append(file: Path, text: str) -> None:
    """Write in one go: a daemon must not meet the file while it is empty."""
    with file.open("a", encoding="utf-8") as settings:
        settings.write(text)


def test_a_daemon_that_cannot_take_other_settings_by_itself_says_so_once(
    terminal: Terminal, notes: Path
) -> None:
    log, toml = terminal.home / "run.log", notes / "syncd.toml"
    with daemon(terminal, notes):
        append(toml, "\n[run]\npoll_seconds = 4\n")
        terminal.ok("syncd now", "syncd now", at=notes)
        append(toml, "markdown = [\n")
        terminal.ok("syncd now", "syncd now", at=notes)
        assert log.read_text().count("not in use yet: [run] poll_seconds") == 1
        assert log.read_text().count("the previous settings stay in use") == 1


def test_a_daemon_that_is_halted_says_why_and_what_to_do(terminal: Terminal, notes: Path) -> None:
    faults = terminal.host.faults
    save(notes, text="before")
    with daemon(terminal, notes):
        terminal.ok("syncd now", at=notes)
        for nsid in ("repo.putRecord", "server.refreshSession", "server.createSession"):
            faults.add(Refuse(401, "ExpiredToken", "revoked"), f"com.atproto.{nsid}", times=99)
        save(notes, text="after")
        hint = f"next: syncd login {terminal.login.did}; until then your edits wait"
        assert "daemon   halted " in wait_for_status(terminal, notes, hint, code=3)
        found = json.loads(terminal.run("syncd doctor --json", at=notes).out)["findings"]
        (finding,) = [one for one in found if one["name"] == "daemon.halted"]
        assert finding["mend"].startswith("syncd login")
        faults.clear()
        terminal.ok(f"syncd login {HANDLE}", "syncd now", at=notes)
        assert "next:" not in wait_for_status(terminal, notes, "daemon   idle ", code=0)


def test_status_believes_the_daemon_before_its_note(terminal: Terminal, notes: Path) -> None:
    """On a full disk the note says what was, and nobody is to wait for a daemon that hangs."""
    with daemon(terminal, notes) as process:
        wait_for_status(terminal, notes, "daemon   idle ", code=0)
        with open_state(notes / ".syncd" / "state.db") as state:
            state.keep(DaemonState(process.pid, "paused"))
        wait_for_status(terminal, notes, "daemon   idle ", code=0)
        process.send_signal(signal.SIGSTOP)
        try:
            wait_for_status(terminal, notes, "daemon   paused ", code=0)
        finally:
            process.send_signal(signal.SIGCONT)


def wait_for_status(terminal: Terminal, notes: Path, words: str, code: int) -> str:
    """What `status` prints once it says `words`."""
    ran = [terminal.run("syncd status", at=notes)]

    def is_there() -> bool:
        ran.append(terminal.run("syncd status", at=notes))
        return words in ran[-1].out

    wait_until(is_there, words)
    assert ran[-1].code == code
    return ran[-1].out


def test_stop_ends_the_daemon(terminal: Terminal, notes: Path) -> None:
    with daemon(terminal, notes) as process:
        terminal.ok("syncd stop", at=notes)
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("command", ["now", "pause", "resume", "reload", "stop"])
def test_where_no_daemon_runs_that_is_said(terminal: Terminal, notes: Path, command: str) -> None:
    ran = terminal.run(f"syncd {command}", at=notes)
    assert ran.code == 1
    assert "no syncd is running" in ran.out
    assert f"next: syncd run {notes}" in ran.out


def test_a_syncd_that_only_syncs_is_waited_for_and_then_named(
    terminal: Terminal, notes: Path
) -> None:
    lock = os.open(notes / ".syncd" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert terminal.run("syncd sync", at=notes).code == 75
    waiting = warm.Process[bytes]([*warm.SYNCD, "sync"], cwd=notes, env=terminal.environment())
    os.close(lock)
    assert waiting.wait(PATIENCE_SECONDS) == 0


def test_the_mirrors_may_be_listed_in_a_file_which_is_read_again(
    terminal: Terminal, notes: Path
) -> None:
    terminal.ok(f"syncd clone {HANDLE} ~/more")
    listed = terminal.home / "mirrors.toml"
    listed.write_text('mirrors = ["notes"]\n')
    log = terminal.home / "run.log"
    with daemon(terminal, SYNCD_CONFIG=str(listed)) as process:
        save(notes, text="hello")
        wait_until(lambda: f"pushed    {NOTE}" in log.read_text(), "the push")
        listed.write_text('mirrors = ["~/notes", "more"]\n')
        process.send_signal(signal.SIGHUP)
        wait_until((terminal.home / "more" / f"{NOTE}.json").exists, "the pull of the new one")
        listed.write_text("mirrors = 3\n")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: "must hold a list of mirrors" in log.read_text(), "the refusal")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("mirrors = []", "must hold a list of mirrors"),
        ("mirrors = [1]", "must hold a list of mirrors"),
        ('mirrors = ["a"]\nmore = 1', "must hold a list of mirrors"),
        ("mirrors = [", "mirrors.toml: "),
    ],
)
def test_a_list_that_cannot_be_used_is_named(
    terminal: Terminal, text: str | None, words: str
) -> None:
    listed = terminal.home / "mirrors.toml"
    if text is not None:
        listed.write_text(text)
    ran = terminal.run(f"SYNCD_CONFIG={listed} syncd run")
    assert ran.code == 78
    assert words in ran.out


def test_a_report_survives_the_way_between_two_processes() -> None:
    cid = cid_of({"$type": "com.example.note"})
    head: Any = Head(cid, "3jzfcijpj2z2a", cid)  # type: ignore[arg-type]
    report = Report(
        pushed=(NOTE,),
        pulled=(NOTE,),
        adopted=(NOTE,),
        merged=(NOTE,),
        conflicts=(Conflict(NOTE, None, cid, cid, "both"),),
        problems=(Problem(NOTE, "no JSON", "mend it", 1, 2),),
        held=(Held(NOTE, Side.REMOTE, "many"),),
        requests=7,
        head=head,
        remarks=("something",),
    )
    assert on_the_way(report) == report
    halted = on_the_way(Report(halted=Unreachable("away", hint="wait"))).halted
    assert isinstance(halted, DaemonFailed)
    assert (halted.message, halted.hint, halted.exit_code) == ("away", "wait", 69)


def on_the_way(report: Report) -> Report:
    """The report as another process reads it."""
    return CODEC.parse(SentReport, text_of(SentReport.of(report))).report
