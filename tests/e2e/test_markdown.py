"""Posts as Markdown files against a real PDS: written on both sides, in conflict, renamed."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from syncd.atproto.data import cid_of
from tests.rigs.home import Home
from tests.rigs.machine import Machine, wait_until

BLOG = "com.whtwnd.blog.entry"
ONE = f"{BLOG}/one"


def with_posts(home: Home, machine: Machine) -> Path:
    """A clone whose posts are Markdown files."""
    folder = home.clone(machine)
    with (folder / "syncd.toml").open("a") as settings:
        settings.write(f'\n[files]\nmarkdown = {{ "{BLOG}" = "content" }}\n')
    machine.ok("sync", at=folder)
    return folder


def cid(**fields: str) -> str:
    return str(cid_of({"$type": BLOG, **fields}))


def test_a_post_is_edited_on_both_sides_and_a_conflict_is_merged_by_line(home: Home) -> None:
    home.write(ONE, title="A", content="one\n\ntwo")
    laptop = home.machine()
    folder = with_posts(home, laptop)
    file = folder / f"{ONE}.md"
    assert file.read_text() == "---\ntitle: A\n---\n\none\n\ntwo\n"
    rev = home.rev()
    file.write_bytes(b"---\r\ntitle: 'A' # mine\r\n---\r\none\r\n\r\ntwo\r\n")
    laptop.ok("sync", at=folder)
    assert home.rev() == rev
    home.write(ONE, title="B", content="one\n\ntwo, by the other")
    file.write_bytes(file.read_bytes().replace(b"one\r\n", b"one, mine\r\n"))
    assert laptop.run("sync", at=folder).code == 3
    assert home.cid(ONE) == cid(title="B", content="one\n\ntwo, by the other")
    assert [copy.suffix for copy in (folder / ".syncd" / "conflicts" / BLOG).iterdir()] == [".md"]
    laptop.ok("resolve", ONE, "--merge", at=folder)
    laptop.ok("sync", at=folder)
    assert home.cid(ONE) == cid(title="B", content="one, mine\n\ntwo, by the other")
    assert file.read_bytes().startswith(b"---\r\ntitle: 'B' # mine\r\n---\r\none, mine\r\n")
    assert laptop.ok("verify", "--json", at=folder).json["findings"] == []


def test_a_daemon_takes_a_renamed_post_for_the_same_and_holds_a_draft(home: Home) -> None:
    home.write(ONE, title="A", content="Hi")
    laptop = home.machine()
    folder = with_posts(home, laptop)
    with laptop.daemon(folder) as daemon:
        daemon.wait_for("watching")
        (folder / f"{ONE}.md").rename(folder / BLOG / "two.md")
        wait_until(
            lambda: home.records() == {f"{BLOG}/two": cid(title="A", content="Hi")}, "a move"
        )
        (folder / BLOG / "new.md").write_text("---\ntitle: N\ndraft: true\n---\n\nNot ready\n")
        (folder / BLOG / "more.md").write_text("---\ntitle: M\n---\n\nReady\n")
        daemon.wait_for(f"pushed    {BLOG}/more")
    laptop.run("sync", at=folder)
    assert home.records().keys() == {f"{BLOG}/two", f"{BLOG}/more"}


MANY = 200
SETTING = f'\n[files]\nmarkdown = {{ "{BLOG}" = "content" }}\n'


@pytest.mark.parametrize("by", ["daemon", "sync"])
def test_a_change_of_the_setting_that_is_killed_beside_a_pull_loses_nothing(
    home: Home, by: str
) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    settings = folder / "syncd.toml"
    plain = settings.read_text()
    (folder / BLOG).mkdir()
    for number in range(MANY):
        fields = {"$type": BLOG, "title": f"T {number}", "content": f"# {number}\n\nHi"}
        (folder / BLOG / f"p{number}.json").write_text(json.dumps(fields))
    laptop.ok("sync", at=folder)
    for turn, (ending, text) in enumerate((("md", plain + SETTING), ("json", plain))):
        before = home.records()
        change_and_kill(laptop, folder, text, ending, by, partial(edit, home, turn))
        wanted = {**before, f"{BLOG}/p7": cid(title=f"Edited {turn}", content="By another")}
        # A kill that came first may have let the edit come here already; nothing else was sent.
        assert home.records() == wanted
        laptop.ok("sync", at=folder)
        names = {file.name for file in (folder / BLOG).iterdir()}
        assert names == {f"p{number}.{ending}" for number in range(MANY)}
        assert home.records() == wanted
        assert laptop.ok("verify", "--json", at=folder).json["findings"] == []


def edit(home: Home, turn: int) -> None:
    home.write(f"{BLOG}/p7", title=f"Edited {turn}", content="By another")


def change_and_kill(
    laptop: Machine, folder: Path, text: str, ending: str, by: str, meanwhile: Callable[[], None]
) -> None:
    """Change the settings, and kill -9 what takes them while the files are rewritten."""

    def is_begun() -> bool:
        return sum(file.suffix == f".{ending}" for file in (folder / BLOG).iterdir()) > MANY // 4

    if by == "daemon":
        with laptop.daemon(folder, code=-signal.SIGKILL) as daemon:
            daemon.wait_for("watching")
            meanwhile()
            (folder / "syncd.toml").write_text(text)
            wait_until(is_begun, "a file with another ending")
            daemon.end(signal.SIGKILL)
        return
    meanwhile()
    (folder / "syncd.toml").write_text(text)
    environ = laptop.environment()
    with subprocess.Popen(laptop.command("sync"), cwd=folder, env=environ) as process:
        wait_until(is_begun, "a file with another ending")
        process.kill()
