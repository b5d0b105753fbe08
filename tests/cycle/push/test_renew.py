"""Posts whose words are repeated without markup: what an edit of the body sends. PDS in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.config import Config
from syncd.model import RecordPath
from syncd.sandbox import Refuse, Sandbox
from tests.rigs.device import Device, World, rework

DOCUMENT = "site.standard.document"
ONE = RecordPath(f"{DOCUMENT}/3k2aaaaaaaa2a")
FIELDS = {"title": "A", "content": {"text": "# One"}, "textContent": "One", "bskyPostRef": "kept"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


async def no_sleep(_: float) -> None:
    """Tests wait for nobody."""


@pytest.fixture
async def laptop(world: World) -> Device:
    """A device with one post of another program."""
    await world.write(ONE, **FIELDS)
    config = Config(
        *(world.login.did, None),
        markdown=((DOCUMENT, (("content", "text"),)),),
        plain_text=((DOCUMENT, ("textContent",)),),
    )
    device = world.device(config=config)
    device.mirror = replace(device.mirror, sleep=no_sleep)
    await device.sync()
    return device


def file(device: Device) -> Path:
    return device.root / f"{ONE}.md"


def edit(device: Device, old: str, new: str) -> None:
    text = file(device).read_text()
    assert old in text
    file(device).write_text(text.replace(old, new))


def expected(**changes: object) -> dict[RecordPath, object]:
    record: Record = {"$type": DOCUMENT, **FIELDS, **changes}  # type: ignore[dict-item]
    return {ONE: cid_of(record)}


async def test_an_edited_body_is_sent_with_its_words_and_the_file_has_them(
    world: World, laptop: Device
) -> None:
    edit(laptop, "# One\n", "# Two *words*\n")
    report = await laptop.sync()
    assert (report.pushed, report.is_settled) == ((ONE,), True)
    assert world.records() == expected(content={"text": "# Two *words*"}, textContent="Two words")
    assert "textContent: Two words\n" in file(laptop).read_text()
    requests = laptop.mirror.requests
    assert (await laptop.sync()).pushed == ()
    assert laptop.mirror.requests - requests == 1


async def test_any_other_edit_leaves_the_words_of_another_program(
    world: World, laptop: Device
) -> None:
    edit(laptop, "title: A", "title: B")
    await laptop.sync()
    assert world.records() == expected(title="B")
    edit(laptop, "textContent: One", "textContent: mine")
    edit(laptop, "# One\n", "# Two\n")
    await laptop.sync()
    assert world.records() == expected(title="B", content={"text": "# Two"}, textContent="mine")


async def test_what_the_person_typed_is_in_history_and_a_stop_before_the_request_loses_nothing(
    world: World, laptop: Device
) -> None:
    edit(laptop, "# One\n", "# Two\n")
    world.sandbox.faults.add(
        Refuse(500, "InternalServerError", "busy"), "com.atproto.repo.putRecord", times=99
    )
    world.sandbox.faults.add(
        Refuse(500, "InternalServerError", "busy"), "com.atproto.repo.applyWrites", times=99
    )
    await laptop.sync()
    assert world.records() == expected()
    typed = cid_of({"$type": DOCUMENT, **FIELDS, "content": {"text": "# Two"}})  # type: ignore[dict-item]
    assert typed in {event.cid for event in laptop.mirror.history.events(ONE)}
    edit(laptop, "# Two\n", "# Three\n")
    world.sandbox.faults.clear()
    await laptop.sync()
    assert world.records() == expected(content={"text": "# Three"}, textContent="Three")


async def test_without_the_setting_the_words_are_never_touched(
    world: World, laptop: Device
) -> None:
    workspace = laptop.mirror.workspace
    rework(laptop.mirror, config=replace(workspace.config, plain_text=()))
    edit(laptop, "# One\n", "# Two\n")
    await laptop.sync()
    assert world.records() == expected(content={"text": "# Two"})


async def test_a_new_post_gets_its_words_and_many_are_sent_at_once(
    world: World, laptop: Device
) -> None:
    for number in range(3):
        new = laptop.root / DOCUMENT / f"3k2aaaaaaaa2{'bcd'[number]}.md"
        new.write_text(f"---\ntitle: N\ncontent: {{}}\n---\n\n*Number* {number}\n")
    report = await laptop.sync()
    assert len(report.pushed) == 3
    texts = {
        f.read_text().partition("textContent: ")[2].partition("\n")[0]
        for f in (laptop.root / DOCUMENT).glob("3k2aaaaaaaa2[bcd].md")
    }
    assert texts == {"Number 0", "Number 1", "Number 2"}
    assert (await laptop.sync()).pushed == ()


async def test_a_conflict_keeps_both_sides_as_they_were(world: World, laptop: Device) -> None:
    edit(laptop, "# One\n", "# Two\n")
    await world.write(ONE, **{**FIELDS, "title": "theirs"})
    report = await laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [ONE]
    assert "textContent: One" in file(laptop).read_text()
