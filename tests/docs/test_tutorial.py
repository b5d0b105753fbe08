"""docs/tutorial.md and docs/cookbook.md as a reader follows them, on an account with a profile."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest

from syncd.atproto.data import Value, cid_of
from syncd.model import Change, RecordPath
from syncd.sandbox import MemoryPds
from tests.rigs.terminal import HANDLE, Terminal

from .markdown import read
from .recipes import File, Lines, chapters

TUTORIAL = chapters(read("docs/tutorial.md"))
RECIPES = chapters(read("docs/cookbook.md"))
PROFILE = "app.bsky.actor.profile/self"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def write_account(terminal: Terminal) -> None:
    """Give alice what any account has: a profile with a picture, and a post."""
    pds = MemoryPds(terminal.host, terminal.login.did)
    avatar = (await pds.upload_blob(BytesIO(PICTURE), len(PICTURE), "image/png")).value
    records: dict[str, dict[str, Value]] = {
        PROFILE: {"displayName": "Alice", "description": "Walks, mostly.", "avatar": avatar},
        "app.bsky.feed.post/3l4a2bcdefg2a": {
            "text": "Look at this hill",
            "createdAt": "2026-01-01T10:00:00.000Z",
        },
    }
    for path, fields in records.items():
        record: dict[str, Value] = {"$type": path.partition("/")[0], **fields}
        await pds.put(Change(RecordPath(path), None, cid_of(record), record), validate=False)


def published(terminal: Terminal) -> set[str]:
    """Return the record paths that the PDS has."""
    return {str(path) for path in terminal.host.repo(terminal.login.did).state.records}


def lines_of(title: str) -> list[str]:
    return [line for step in TUTORIAL[title] if isinstance(step, Lines) for line in step.commands]


async def test_the_tutorial_can_be_followed_as_it_stands(terminal: Terminal) -> None:
    await write_account(terminal)
    me = terminal.home / "me"
    out = terminal.ok(*lines_of("3. Get your repo as files"))
    assert {"app.bsky.actor.profile", "app.bsky.feed.post", "blobs", "syncd.toml"} <= {*out.split()}
    assert f"pushed    {PROFILE}" in terminal.ok(*lines_of("4. Change your profile"), at=me)
    terminal.ok(*lines_of("5. Write a post"), at=me)
    assert len(published(terminal)) == 3
    wrong, first, right, second = lines_of("6. Make a mistake")
    assert terminal.run(wrong, first, at=me).code == 3
    terminal.ok(right, second, at=me)
    assert "avatar" not in (me / f"{PROFILE}.json").read_text()
    terminal.ok(*lines_of("7. Undo"), at=me)
    profile = json.loads((me / f"{PROFILE}.json").read_text())
    assert profile["description"] == "Walks and hills."
    assert "avatar" in profile
    assert lines_of("8. Leave it running") == ["syncd run"]


def test_each_chapter_of_the_tutorial_is_tried() -> None:
    # The first needs a network, the second a browser, and `syncd run` is tried for the README.
    tried = {"3", "4", "5", "6", "7", "8"}
    assert {title[0] for title, steps in TUTORIAL.items() if steps} - {"1"} == tried


@pytest.fixture
def folder(terminal: Terminal) -> Path:
    """A mirror of alice's account, with the picture that a recipe takes, at ~/me."""
    terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} ~/me")
    (terminal.home / "me" / "pictures").mkdir()
    (terminal.home / "me" / "pictures" / "hill.png").write_bytes(PICTURE)
    return terminal.home / "me"


def follow(title: str, terminal: Terminal, folder: Path) -> None:
    for step in RECIPES[title]:
        if isinstance(step, File):
            step.save(folder)
        else:
            terminal.ok(*step.commands, at=folder)


def test_each_recipe_can_be_followed_as_it_stands(terminal: Terminal, folder: Path) -> None:
    """One after the other in one mirror: each publishes what it says and leaves nothing undone."""
    for title in RECIPES:
        follow(title, terminal, folder)
    paths = published(terminal)
    assert {
        PROFILE,
        "com.atproto.lexicon.schema/com.example.recipe",
        "com.example.recipe/soup",
        "app.bsky.feed.generator/walks",
        "app.bsky.graph.list/3m2k7tz4x2c2a",
    } <= paths
    assert {path.partition("/")[0] for path in paths} >= {
        "com.whtwnd.blog.entry",
        "app.bsky.graph.listitem",
    }
    assert '"$link"' in (folder / f"{PROFILE}.json").read_text()
    assert len(RECIPES) == 7
