"""The desktop: a conflict is shown there as plain text, or what is in the way is named."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from syncd import desktop
from tests.mirror.test_delegate import daemon, notes, save, terminal, wait_until, write
from tests.rigs.terminal import Terminal

__all__ = ["notes", "terminal"]

BUS = "unix:path=/nonexistent"


def install(
    directory: Path, script: str = 'printf "%s\\n" "$@" > "$0.shown~"; mv "$0.shown~" "$0.shown"'
) -> Path:
    """A desktop's notify-send; what it was called with will be in the file that is returned."""
    program = directory / desktop.PROGRAM
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program.with_name(f"{desktop.PROGRAM}.shown")


async def test_a_conflict_is_shown_where_that_is_wanted(terminal: Terminal, notes: Path) -> None:
    shown = install(terminal.home / "bin")
    with (notes / "syncd.toml").open("a") as toml:
        toml.write("\n[run]\ndesktop = true\n")
    with daemon(terminal, notes, DBUS_SESSION_BUS_ADDRESS=BUS):
        save(notes, text="before")
        terminal.ok("syncd now", "syncd pause", at=notes)
        assert not shown.exists()
        save(notes, text="mine")
        await write(terminal, text="theirs")
        assert terminal.run("syncd now", at=notes).code == 3
        wait_until(shown.exists, "the notification")
    *_, end, title, path, words = shown.read_text().splitlines()
    assert (end, title, path) == ("--", "1 conflict in notes", "com.example.note/one")
    assert "syncd resolve" in words


def test_held_deletions_are_one_notice_without_a_word_of_a_record(
    terminal: Terminal, notes: Path
) -> None:
    directory = notes / "com.example.note"
    directory.mkdir(exist_ok=True)
    for number in range(30):
        text = f'{{"$type": "com.example.note", "text": "private {number}"}}'
        (directory / f"n{number}.json").write_text(text)
    terminal.ok("syncd sync", at=notes)
    count = install(terminal.home / "bin", script='printf "%s\n" "$@" "" >> "$0.shown"')
    with (notes / "syncd.toml").open("a") as toml:
        toml.write("\n[run]\ndesktop = true\n")
    with daemon(terminal, notes, DBUS_SESSION_BUS_ADDRESS=BUS):
        for file in directory.glob("n*.json"):
            file.unlink()
        assert terminal.run("syncd now", at=notes).code == 3
        wait_until(count.exists, "the notification")
        assert terminal.run("syncd now", at=notes).code == 3
    shown = count.read_text()
    assert shown.count("--app-name") == 1
    assert "30 held changes in notes" in shown
    assert "private" not in shown


@pytest.mark.parametrize("wanted", ["true", "false"])
def test_where_there_is_no_desktop_that_is_said_if_one_was_wanted(
    terminal: Terminal, notes: Path, wanted: str
) -> None:
    install(terminal.home / "bin")
    with (notes / "syncd.toml").open("a") as toml:
        toml.write(f"\n[run]\ndesktop = {wanted}\n")
    with daemon(terminal, notes):
        pass
    said = (terminal.home / "run.log").read_text()
    assert ("desktop notifications do not work: syncd does not run in" in said) == (
        wanted == "true"
    )


def test_what_a_desktop_needs_is_named(tmp_path: Path) -> None:
    here = {"PATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert "libnotify-bin" in (desktop.find_obstacle(here) or "")
    install(tmp_path)
    assert "session bus" in (desktop.find_obstacle(here) or "")
    assert desktop.find_obstacle({**here, "DBUS_SESSION_BUS_ADDRESS": BUS}) is None
    (tmp_path / "bus").touch()
    assert desktop.find_obstacle(here) is None
    assert "CI" in (desktop.find_obstacle({**here, "CI": "true"}) or "")


@pytest.mark.parametrize("script", [None, "exit 1", "exec sleep 60"])
def test_a_desktop_that_fails_or_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
    monkeypatch.setattr(desktop, "PATIENCE_SECONDS", 0.2)
    if script:
        install(tmp_path, script)
    before = set(threading.enumerate())
    desktop.show("a title", "a text")
    wait_until(lambda: set(threading.enumerate()) <= before, "the end of the attempt")


def test_what_a_server_named_is_no_markup_and_no_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = install(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    desktop.show("--help", '<a href="https://x.example">look</a>')
    wait_until(shown.exists, "the notification")
    assert shown.read_text().splitlines()[-3:-1] == ["--", "--help"]
    assert "<a" not in shown.read_text()
