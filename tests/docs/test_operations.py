"""docs/operations.md as a reader follows it: what can be run here is run, as it stands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.rigs.terminal import HANDLE, Terminal

from .markdown import ROOT, console_lines, read, section

DOCUMENT = read("docs/operations.md")
FIRST = "The first mirror"
ELSEWHERE = ("sudo", "systemctl", "loginctl", "journalctl", "pipx", "rsync", "git pull",
             "syncd -C ~/notes service")  # fmt: skip
"""Commands that need another machine than a test has: root, systemd, or a network."""


def lines_of(title: str) -> list[str]:
    return console_lines(section(DOCUMENT, title))


def here(title: str) -> list[str]:
    return [line for line in lines_of(title) if not line.startswith(ELSEWHERE)]


@pytest.fixture
def notes(terminal: Terminal) -> Path:
    """~/notes, cloned as the document says, with a record that was synced."""
    login, clone, *_ = lines_of(FIRST)
    terminal.ok(login, clone)
    folder = terminal.home / "notes"
    (folder / "com.example.note").mkdir()
    (folder / "com.example.note" / "one.json").write_text('{"text": "hello"}')
    terminal.ok("syncd sync", at=folder)
    return folder


def test_completion_and_manual_are_where_they_are_looked_for(terminal: Terminal) -> None:
    terminal.ok(*[line for line in lines_of("Install") if line.startswith(("mkdir", "syncd"))])
    share = terminal.home / ".local" / "share"
    assert "complete" in (share / "bash-completion/completions/syncd").read_text()
    assert ".SH COMMANDS" in (share / "man/man1/syncd.1").read_text()


def test_the_first_mirror_is_made_and_verified(terminal: Terminal) -> None:
    lines = lines_of(FIRST)
    assert lines[:2] == [f"syncd login {HANDLE}", f"syncd clone {HANDLE} ~/notes"]
    out = terminal.ok(*lines[:5])
    assert "logged in as alice.example.com" in out
    assert "0 records agree" in out


def test_the_other_ways_to_begin_work(terminal: Terminal) -> None:
    read_only, some, adopt = lines_of(FIRST)[5:]
    assert terminal.run(some).code == 77
    terminal.ok(read_only)
    (terminal.home / "site" / "com.example.note").mkdir(parents=True)
    (terminal.home / "site" / "com.example.note" / "mine.json").write_text('{"text": "mine"}')
    terminal.ok(lines_of(FIRST)[0], some)
    # It shows what would become public, and there is no terminal to ask on.
    assert terminal.run(adopt).code == 3
    assert "syncd approve" in terminal.run("syncd -C ~/site held").out
    terminal.ok("syncd -C ~/site approve --all")
    terminal.ok("syncd -C ~/public sync")
    assert (terminal.home / "public" / "com.example.note" / "mine.json").exists()
    terminal.ok("syncd -C ~/posts sync")
    assert not (terminal.home / "posts" / "com.example.note").exists()


def test_health_is_told_by_exit_codes(terminal: Terminal, notes: Path) -> None:
    lines = lines_of("Is it well?")
    assert len(lines) == 6
    terminal.ok(*lines, at=notes)
    assert "syncd_records{" in (notes / "notes.prom").read_text()
    (notes / "com.example.note" / "one.json").write_text("{")
    assert terminal.run("syncd sync", at=notes).code == 3
    assert terminal.run(lines[0], at=notes).code == 3


def test_the_doctor_finds_nothing_broken(terminal: Terminal, notes: Path) -> None:
    out = terminal.ok(*lines_of("Is the machine well?"), at=notes)
    assert re.search(r"^ok +state .*\b1 records\b", out, re.MULTILINE)


def test_git_takes_the_records_and_not_what_belongs_to_syncd(
    terminal: Terminal, notes: Path
) -> None:
    terminal.ok(*lines_of("Back up, and go back"))
    tracked = terminal.ok("git ls-files", at=notes).split()
    assert tracked == ["com.example.note/one.json", "syncd.toml"]
    (notes / "com.example.note" / "one.json").write_text('{"text": "worse"}')
    terminal.ok("syncd sync", "git restore --source HEAD .", at=notes)
    assert "pushed    com.example.note/one" in terminal.ok("syncd sync", at=notes)


@pytest.mark.parametrize("lost", ["state.db", "."])
def test_what_is_lost_of_the_state_comes_back_without_a_deletion(
    terminal: Terminal, notes: Path, lost: str
) -> None:
    if lost == ".":
        terminal.ok("rm -r .syncd", at=notes)
        terminal.ok(f"syncd clone {HANDLE} ~/notes --adopt")
    else:
        terminal.ok("rm .syncd/state.db", "syncd sync", at=notes)
    assert "1 record agrees" in terminal.ok("syncd verify", at=notes)


NOTES = ("one", "two", "three", "four")
HALF = NOTES[:2]


@pytest.fixture
def four(terminal: Terminal, notes: Path) -> Path:
    """The same with four records: to lose two of them is not so many that the brake holds."""
    for name in NOTES[1:]:
        (notes / "com.example.note" / f"{name}.json").write_text(f'{{"text": "{name}"}}')
    terminal.ok("syncd sync", at=notes)
    return notes


def cut(folder: Path) -> None:
    """A copy that was stopped half way: syncd's own directory and half of the files are there."""
    for name in HALF:
        (folder / "com.example.note" / f"{name}.json").unlink()


def count(terminal: Terminal) -> int:
    return len(terminal.host.repo(terminal.login.did).state.records)


def at_new_machine(terminal: Terminal, notes: Path) -> Terminal:
    """The folder, as it is, on a machine where nothing else is known."""
    new = terminal.home / "new-machine"
    shutil.copytree(notes, new / "notes")
    shutil.copytree(terminal.home / "bin", new / "bin")
    return Terminal(new, terminal.host, terminal.login)


def test_a_folder_is_moved_on_one_disk(terminal: Terminal, four: Path) -> None:
    move, sync, *_ = lines_of("Move or copy the folder")
    out = terminal.ok(move, sync)
    assert "was moved here" in out
    (terminal.home / "records" / "com.example.note" / "one.json").unlink()
    assert "1 deleted" in terminal.ok(sync)


def test_a_folder_can_be_taken_to_another_machine(terminal: Terminal, notes: Path) -> None:
    lines = here("Move or copy the folder")[2:]
    assert "nothing to do" in terminal.ok(*lines[:2], at=notes)
    moved = at_new_machine(terminal, notes)
    assert "nothing to do" in moved.ok(*lines[2:])
    (moved.home / "notes" / "com.example.note" / "two.json").write_text('{"text": "from there"}')
    out = moved.ok("cd ~/notes", "syncd sync", "syncd verify")
    assert "pushed    com.example.note/two" in out
    assert "2 records agree" in out


def test_a_move_to_another_machine_that_was_cut_half_way_deletes_nothing(
    terminal: Terminal, four: Path
) -> None:
    moved, lines = at_new_machine(terminal, four), here("Move or copy the folder")[4:]
    cut(moved.home / "notes")
    for _ in range(2):
        ran = moved.run(*lines)
        assert ran.code == 3
        assert "2 held" in ran.out
    assert count(terminal) == len(NOTES)
    for name in HALF:
        file = f"com.example.note/{name}.json"
        shutil.copy2(four / file, moved.home / "notes" / file)
    assert "nothing to do" in moved.ok(*lines)
    assert count(terminal) == len(NOTES)


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_backup_with_its_state_is_restored(terminal: Terminal, four: Path, is_cut: bool) -> None:
    back_up, *restore, cd, sync, diff = lines_of("Restore a backup")[:6]
    held, reject = lines_of("Restore a backup")[6:]
    terminal.ok(back_up)
    (four / "com.example.note" / "three.json").write_text('{"text": "newer"}')
    terminal.ok("syncd sync", at=four)
    terminal.ok(*restore)
    if is_cut:
        cut(four)
    ran = terminal.run(cd, sync)
    assert "was restored from a backup" in ran.out
    assert "newer" in (four / "com.example.note" / "three.json").read_text()
    assert ran.code == (3 if is_cut else 0)
    if is_cut:
        assert "deleted in the folder" in terminal.ok(diff, at=four)
        assert terminal.run(held, at=four).code == 3
        terminal.ok(reject, at=four)
    assert "4 records agree" in terminal.ok("syncd verify", at=four)
    assert count(terminal) == len(NOTES)
    (four / "com.example.note" / "one.json").unlink()
    assert "1 deleted" in terminal.ok(sync, at=four)


def test_two_machines_have_a_clone_each_and_a_shared_folder_is_named(
    terminal: Terminal, four: Path
) -> None:
    clone, doctor = lines_of("Two machines")
    second = Terminal(terminal.home / "second", terminal.host, terminal.login)
    shutil.copytree(terminal.home / "bin", second.home / "bin")
    second.ok(f"syncd login {HANDLE}", clone)
    assert "Syncthing" not in terminal.ok(doctor, at=four)
    (four / ".stfolder").mkdir()
    assert "Syncthing" in terminal.ok(doctor, at=four)


def test_after_removal_plain_files_are_left_and_the_repo_is_not_touched(
    terminal: Terminal, notes: Path
) -> None:
    rev = terminal.host.repo(terminal.login.did).head.rev
    assert "logged out" in terminal.ok(*here("Remove"))
    assert [str(file.relative_to(notes)) for file in notes.rglob("*") if file.is_file()] == [
        "com.example.note/one.json"
    ]
    assert terminal.host.repo(terminal.login.did).head.rev == rev
    kept = terminal.home / ".local" / "state" / "syncd" / "credentials"
    assert not [file for file in kept.iterdir() if file.suffix != ".lock"]


def test_the_user_of_the_service_can_log_in_and_clone(terminal: Terminal) -> None:
    prefix = "sudo -u syncd -H "
    lines = [line for line in lines_of("As a service of the system") if line.startswith(prefix)]
    place = str(terminal.home / "state-directory")
    lines = [line.removeprefix(prefix).replace("/var/lib/syncd", place) for line in lines]
    assert "account  alice.example.com" in terminal.ok(*lines)


def test_every_file_that_is_copied_or_named_is_there() -> None:
    for line in console_lines(DOCUMENT):
        for word in line.split():
            if word.startswith(("systemd/", "constraints")):
                assert (ROOT / word).is_file(), line


def test_every_command_is_run_here_or_needs_another_machine() -> None:
    own = ("syncd ", "cd ", "mkdir ", "cp ", "mv ", "rm ", "git ")
    for line in console_lines(DOCUMENT):
        assert line.startswith((*ELSEWHERE, *own)), line
