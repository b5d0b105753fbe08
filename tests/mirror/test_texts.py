"""A text that history keeps for its comments comes back as its file can have it now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.cycle.pull.supersede import WITH_COMMENTS
from syncd.cycle.workspace import Workspace
from syncd.mirror.conflicts import open_conflicts
from syncd.mirror.follow.markdown import follow_markdown
from syncd.mirror.merging import settle_by_merge
from syncd.mirror.names import read_names
from syncd.mirror.notices import ignore
from syncd.mirror.past.undo import plan_undo
from syncd.mirror.restore import (
    Wish,
    find_version,
    has_versions,
    plan_restore,
    restore,
    restore_all,
    undo_restore,
)
from syncd.mirror.timeline import read_superseded
from syncd.model import RecordPath
from syncd.state.notes import MarkdownFiles
from tests.rigs.device import Device, World, rework

LONG = RecordPath("com.example.post/a")
PAGES = (("com.example.post", (("text",),)),)
PAGE = "---\n# a remark\ntitle: A\n---\nhello\n"
NUMBERS = '{"$type": "com.example.post", "n": 1}'
"""A record that no page can say: it has no text."""


@pytest.fixture
async def laptop(world: World) -> Device:
    """A page with a remark, in whose place a JSON file came: history has text and record."""
    laptop = world.device(config=Config(world.login.did, markdown=PAGES))
    laptop.save(LONG, n=1)
    await laptop.sync()
    write(laptop, PAGE, ".md")
    await laptop.sync()
    restore(workspace_of(laptop), LONG)
    return laptop


def workspace_of(device: Device) -> Workspace:
    return device.mirror.workspace


def write(device: Device, text: str, ending: str) -> None:
    """Make `text` the one file of LONG."""
    for file in device.root.glob(f"{LONG}.*"):
        file.unlink()
    (device.root / f"{LONG}{ending}").write_text(text, encoding="utf-8")


def file_of(device: Device) -> tuple[str, str]:
    """Return the ending and the text of the one file of LONG."""
    (file,) = device.root.glob(f"{LONG}.*")
    return file.suffix, file.read_text(encoding="utf-8")


def kept(device: Device) -> str:
    """Return the CID of the text that is kept for its remark."""
    events = read_superseded(workspace_of(device), LONG, -1)
    return str(next(event.cid for event in events if event.reason == WITH_COMMENTS))


def undo(device: Device) -> int:
    """Undo the last restore; return how many files it could not undo."""
    workspace = workspace_of(device)
    return len(undo_restore(workspace, plan_undo(workspace)).failed)


def follow_to_json(device: Device) -> None:
    """Take the collection out of [files] markdown."""
    workspace = workspace_of(device)
    workspace.state.keep(MarkdownFiles(workspace.config.markdown_text))
    config = replace(workspace.config, markdown=())
    folder = replace(workspace.folder, forms=config.forms)
    rework(device.mirror, config=config, folder=folder)

    follow_markdown(workspace_of(device), ignore)


async def test_a_text_comes_back_with_its_comments_and_undo_and_redo_keep_them(
    laptop: Device,
) -> None:
    before = file_of(laptop)
    assert before[0] == ".json"
    restore(workspace_of(laptop), LONG, kept(laptop))
    assert file_of(laptop) == (".md", PAGE)
    for wanted in (before, (".md", PAGE), before):
        assert undo(laptop) == 0
        assert file_of(laptop) == wanted


@pytest.mark.parametrize("is_plan", [False, True])
async def test_after_a_change_of_form_a_kept_text_comes_back_as_its_record(
    laptop: Device, is_plan: bool
) -> None:
    workspace, cid = workspace_of(laptop), kept(laptop)
    follow_to_json(laptop)
    workspace = workspace_of(laptop)
    if is_plan:
        wish = Wish(read_names(workspace, ["com.example.post"], [laptop.root]))
        assert not restore_all(workspace, plan_restore(workspace, wish)).failed
        assert plan_restore(workspace, wish) != []
    else:
        restore(workspace, LONG, cid)
    assert file_of(laptop)[0] == ".json"
    assert laptop.read(LONG) == {"$type": "com.example.post", "title": "A", "text": "hello"}
    assert undo(laptop) == 0
    assert laptop.read(LONG)["n"] == 1


async def test_a_text_without_a_record_comes_back_as_it_was_whatever_the_form(
    laptop: Device,
) -> None:
    """Nobody but the person who wrote it knows what it means, also where it reads like a page."""
    follow_to_json(laptop)
    write(laptop, PAGE, ".json")
    workspace = workspace_of(laptop)
    restore(workspace, LONG)
    assert laptop.read(LONG)
    assert undo(laptop) == 0
    assert file_of(laptop) == (".json", PAGE)
    assert find_version(workspace, LONG, kept(laptop)).cid.is_block


async def test_versions_that_are_in_their_files_are_no_lack_of_versions(laptop: Device) -> None:
    workspace = workspace_of(laptop)
    restore(workspace, LONG, kept(laptop))
    wish = Wish(read_names(workspace, ["com.example.post"], [laptop.root]))
    other = Wish(read_names(workspace, ["com.example.other/*"], [laptop.root]))
    assert has_versions(workspace, wish)
    assert not has_versions(workspace, other)


async def test_a_merge_is_edited_in_a_file_with_the_ending_of_its_text(world: World) -> None:
    laptop = world.device(config=Config(world.login.did, markdown=PAGES))
    for path, field in ((LONG, "n"), (RecordPath("com.example.post/b"), "text")):
        laptop.save(path, **{field: "one"})
    await laptop.sync()
    for path, field in ((LONG, "n"), (RecordPath("com.example.post/b"), "text")):
        laptop.save(path, **{field: "two"})
        await world.write(path, **{field: "three"})
    await laptop.sync()
    workspace, endings = workspace_of(laptop), list[str]()

    def edit(file: Path) -> None:
        endings.append(file.suffix)
        file.write_text(NUMBERS if file.suffix == ".json" else PAGE, encoding="utf-8")

    assert settle_by_merge(workspace, open_conflicts(workspace), edit=edit) == (2, [])
    assert endings == [".json", ".md"]
    assert list((workspace.own / "edit").iterdir()) == []


@pytest.mark.parametrize(
    "present", [PAGE.replace("a remark", "another"), "---\ntitle: A\n---\nhello\n"]
)
async def test_a_text_that_differs_in_its_comments_alone_is_undone_and_done_again(
    laptop: Device, present: str
) -> None:
    cid = kept(laptop)
    write(laptop, present, ".md")
    restore(workspace_of(laptop), LONG, cid)
    assert file_of(laptop) == (".md", PAGE)
    for wanted in (present, PAGE, present):
        assert undo(laptop) == 0
        assert file_of(laptop) == (".md", wanted)


async def test_a_text_that_was_edited_in_its_comments_since_stays(laptop: Device) -> None:
    cid, present = kept(laptop), PAGE.replace("a remark", "another")
    write(laptop, present, ".md")
    restore(workspace_of(laptop), LONG, cid)
    write(laptop, PAGE.replace("a remark", "a third"), ".md")
    assert undo(laptop) == 1
    assert "a third" in file_of(laptop)[1]
