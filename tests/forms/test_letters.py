"""Everything works alike in a folder whose files have a form that syncd does not know."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import Record, Value, cid_of, encode
from syncd.atproto.syntax import Nsid, Rkey
from syncd.blobs.words import blob_words
from syncd.cli.commands.diff import _difference
from syncd.config import Config
from syncd.cycle.git.records import cid_in, record_paths
from syncd.cycle.pull.archive import version_of
from syncd.errors import BadJson
from syncd.folder.ignore.inventory import Inventory
from syncd.folder.ignore.rules import read_rules
from syncd.folder.names import (
    conflict_name,
    draft_name,
    drafted_name,
    file_name,
    is_draft,
    is_record_like,
    parse_file_name,
)
from syncd.folder.respell import respell
from syncd.folder.root import Folder
from syncd.folder.scan import scan
from syncd.folder.search.contents import Reader
from syncd.folder.staging import Batch, Staging
from syncd.folder.write import read_bytes
from syncd.forms import Forms
from syncd.forms.json_form import JSON
from syncd.git.drivers import attribute_line
from syncd.merge.texts import merge_texts
from syncd.mirror.conflicts import open_conflicts, remote_file
from syncd.mirror.merging import settle_by_merge
from syncd.mirror.names import read_name, record_named
from syncd.mirror.publishing import drafts_of, make_draft, prepare, publish, unpublish
from syncd.mirror.restore import restore
from syncd.mirror.timeline import read_timeline
from syncd.model import RecordPath, Step, Verdict
from syncd.sandbox import Sandbox
from tests.atproto.values import EXACT_RECORDS
from tests.chance import times
from tests.rigs.device import Device, World

from .letters import GREETING, LETTER, with_letters

COLLECTION = "com.example.note"
NOTE, OTHER = RecordPath(f"{COLLECTION}/one"), RecordPath(f"{COLLECTION}/two")


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


@pytest.fixture
def laptop(world: World) -> Device:
    return world.device(config=with_letters(Config(world.login.did, brake_records=1000)))


def save(device: Device, path: RecordPath, **fields: Any) -> None:  # noqa: ANN401
    file = device.file(path)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(LETTER.format({"$type": COLLECTION, **fields}))


def read(device: Device, path: RecordPath) -> Record:
    return LETTER.parse(device.file(path).read_bytes(), COLLECTION)


def files(device: Device) -> list[str]:
    return sorted(file.name for file in (device.root / COLLECTION).iterdir())


async def settled(world: World, device: Device) -> None:
    """The repo has what the letters say, all files are letters, and nothing is left to do."""
    rev = world.rev()
    report = await device.sync()
    assert (report.pushed, report.pulled, report.is_settled) == ((), (), True)
    assert (world.rev(), device.base()) == (rev, world.records())
    assert all(name.endswith((".letter", "%")) for name in files(device))


# --- The folder and the repo ----------------------------------------------------------------------


async def test_letters_are_pulled_pushed_edited_and_deleted(world: World, laptop: Device) -> None:
    await world.write(NOTE, v=1)
    await laptop.sync()
    assert laptop.file(NOTE).read_bytes() == LETTER.file_of(encode({"$type": COLLECTION, "v": 1}))
    save(laptop, NOTE, v=2)
    save(laptop, OTHER, v=1)
    report = await laptop.sync()
    assert set(report.pushed) == {NOTE, OTHER}
    laptop.file(OTHER).unlink()
    await laptop.sync()
    assert world.records() == {NOTE: cid_of({"$type": COLLECTION, "v": 2})}
    await world.delete(NOTE)
    await laptop.sync()
    assert files(laptop) == []
    await settled(world, laptop)


async def test_a_fresh_clone_writes_letters(world: World, laptop: Device) -> None:
    await world.write(NOTE, v=1)
    await world.write(f"{COLLECTION}/{'x' * 400}", v=2)
    folder = laptop.mirror.folder
    block = encode({"$type": COLLECTION, "v": 1})
    with Staging(folder) as aside:
        rkeys = [path.partition("/")[2] for path in (NOTE, OTHER)]
        assert aside.write(Batch(COLLECTION, rkeys, [cid_of_block(block)] * 2, [block, block]))
        aside.place(0)
    assert read_bytes(folder, NOTE)[0] == LETTER.file_of(block)
    laptop.file(OTHER).unlink()
    await laptop.sync()
    await settled(world, laptop)


async def test_a_persons_letter_keeps_its_greeting_in_a_pull(world: World, laptop: Device) -> None:
    save(laptop, NOTE, v=1)
    text = GREETING + b" good morning\n" + b'{"v":1}'
    laptop.file(NOTE).write_bytes(text)
    await laptop.sync()
    await settled(world, laptop)
    assert laptop.file(NOTE).read_bytes() == text
    await world.write(NOTE, v=2)
    await laptop.sync()
    assert laptop.file(NOTE).read_bytes().startswith(GREETING + b' good morning\n{"$type"')


async def test_what_is_wrong_in_a_letter_has_its_place_there(world: World, laptop: Device) -> None:
    save(laptop, NOTE, v=1)
    laptop.file(NOTE).write_bytes(GREETING + b'\n{\n "v": 1.5}')
    save(laptop, OTHER)
    laptop.file(OTHER).write_bytes(b'{"v": 1}')
    report = await laptop.sync()
    places = {p.path: (p.line, p.column) for p in report.problems}
    assert places == {NOTE: (3, 7), OTHER: (1, 1)}
    assert world.records() == {}


async def test_a_json_file_among_letters_is_no_record(world: World, laptop: Device) -> None:
    save(laptop, NOTE, v=1)
    (laptop.root / COLLECTION / "two.json").write_text('{"v": 1}')
    await laptop.sync()
    assert world.records().keys() == {NOTE}
    with laptop.mirror.folder.open() as root:
        rules, forms = read_rules(root), laptop.mirror.folder.forms
        found = Inventory(rules, bool, {COLLECTION: 1}, list, forms=forms).take(root)
    assert [item.path for item in found] == [f"{COLLECTION}/two.json"]
    assert ".letter" in found[0].reason


async def test_each_collection_has_its_own_form(world: World) -> None:
    forms = Forms(JSON, ((COLLECTION, LETTER),))
    laptop = world.device(config=with_letters(Config(world.login.did), forms))
    await world.write(NOTE, v=1)
    await world.write("com.example.other/one", v=1)
    await laptop.sync()
    names = sorted(str(file.relative_to(laptop.root)) for file in laptop.root.glob("com.*/*"))
    assert names == ["com.example.note/one.letter", "com.example.other/one.json"]
    assert (forms.endings, forms.of_file("x.letter")) == ((".json", ".letter"), LETTER)
    assert (await laptop.sync()).is_settled


async def test_a_letter_that_cannot_say_its_record_counts_as_it_until_it_is_edited(
    world: World, laptop: Device
) -> None:
    folder, block = laptop.mirror.folder, cbor2.dumps({"n": 1.5, "$type": COLLECTION})
    text = LETTER.file_of(block)
    assert LETTER.means(text.replace(b"1.5", b"1.50"), block, COLLECTION)
    assert not LETTER.means(text.replace(b"1.5", b"2.5"), block, COLLECTION)
    assert not JSON.means(text, block, COLLECTION)
    assert LETTER.what_text_leaves(text, block, COLLECTION) == "a floating-point number at /n"
    assert LETTER.what_text_leaves(text.replace(b"1.5", b"2"), block, COLLECTION) is None
    assert version_of(text, NOTE, folder.forms) != (cid_of_block(block), block)


# --- Conflicts, history, drafts -------------------------------------------------------------------


@pytest.fixture
async def torn(world: World, laptop: Device) -> Device:
    """A device with a conflict at NOTE."""
    await world.write(NOTE, v=1, kept=0)
    await laptop.sync()
    save(laptop, NOTE, v=2, kept=0)
    await world.write(NOTE, v=3, kept=0)
    await laptop.sync()
    return laptop


async def test_the_repos_side_of_a_conflict_lies_beside_as_a_letter(torn: Device) -> None:
    workspace = torn.mirror.workspace
    (conflict,) = open_conflicts(workspace)
    kept = remote_file(workspace, conflict) or ""
    assert kept.endswith(".letter")
    assert LETTER.parse((torn.root / kept).read_bytes(), COLLECTION)["v"] == 3


async def test_a_conflict_is_edited_in_a_letter_with_marks(world: World, torn: Device) -> None:
    seen: list[str] = []

    def edit(file: Path) -> None:
        seen.extend((file.name, file.read_text()))
        file.write_bytes(LETTER.format({"$type": COLLECTION, "v": 9}))

    workspace = torn.mirror.workspace
    assert settle_by_merge(workspace, open_conflicts(workspace), edit=edit) == (1, [])
    assert seen[0].endswith(".letter")
    lines = seen[1].splitlines()
    assert lines[0] == GREETING.decode()
    at = lines.index("<<<<<<< folder")
    assert lines[at : at + 5] == [
        "<<<<<<< folder", '  "v": 2,', "=======", '  "v": 3,', ">>>>>>> repo"
    ]  # fmt: skip
    await torn.sync()
    await settled(world, torn)
    assert read(torn, NOTE)["v"] == 9


async def test_a_conflict_is_shown_as_letters(torn: Device) -> None:
    (conflict,) = open_conflicts(torn.mirror.workspace)
    step = Step(
        NOTE, Verdict.CONFLICT, conflict.base, conflict.local, conflict.remote, "both edited"
    )
    assert conflict.remote is not None
    blocks = await torn.mirror.pds.fetch_blocks([conflict.remote])
    found = _difference(torn.mirror, step, blocks, blob_words)
    assert found.local is not None
    assert found.remote is not None
    assert found.local.startswith(GREETING.decode())
    assert found.remote.startswith(GREETING.decode())
    assert sorted(side.value for side in found.changed) == ["local", "remote"]


async def test_an_old_version_comes_back_as_a_letter(world: World, laptop: Device) -> None:
    await world.write(NOTE, v=1)
    await laptop.sync()
    await world.write(NOTE, v=2)
    await laptop.sync()
    old = restore(laptop.mirror.workspace, NOTE)
    assert read(laptop, NOTE)["v"] == 1
    assert old.cid == cid_of({"$type": COLLECTION, "v": 1})
    await laptop.sync()
    await settled(world, laptop)
    name = read_name(laptop.mirror.workspace, NOTE, [])
    timeline = read_timeline(laptop.mirror.workspace, name, 9)
    assert old.cid in {event.cid for event in timeline.superseded}


async def test_a_draft_is_a_letter_until_it_is_published_and_again_afterwards(
    world: World, laptop: Device
) -> None:
    workspace = laptop.mirror.workspace
    made = make_draft(workspace, Nsid(COLLECTION), LETTER.format({"$type": COLLECTION, "v": 1}))
    assert made.endswith(".draft.letter")
    await laptop.sync()
    assert (world.records(), drafts_of(workspace)) == ({}, [made])
    path = prepare(workspace, made, Rkey("one")).path
    publish(workspace, prepare(workspace, made, Rkey("one")))
    assert path == NOTE
    await laptop.sync()
    await settled(world, laptop)
    assert record_named(workspace, f"{COLLECTION}/one.letter", [laptop.root]) == NOTE
    assert read_name(workspace, f"{COLLECTION}/*.letter", [laptop.root]).covers(NOTE)
    assert unpublish(workspace, NOTE) == f"{COLLECTION}/one.draft.letter"
    await laptop.sync()
    assert (world.records(), files(laptop)) == ({}, ["one.draft.letter"])


async def test_a_letter_that_was_moved_is_no_deletion(world: World, laptop: Device) -> None:
    save(laptop, NOTE, v=1)
    await laptop.sync()
    elsewhere = laptop.root / "com.example.other"
    elsewhere.mkdir()
    laptop.file(NOTE).rename(elsewhere / "one.letter")
    report = await laptop.sync()
    assert not report.is_settled
    assert world.records().keys() == {NOTE}
    with laptop.mirror.folder.open() as root:
        reader = Reader(root, [COLLECTION], laptop.mirror.folder.forms)
        content = reader.read("com.example.other/one.letter", 100)
    assert content is not None
    assert content.cids == {COLLECTION: world.records()[NOTE]}


async def test_letters_get_portable_names(world: World, laptop: Device) -> None:
    path = RecordPath(f"{COLLECTION}/A:b.draft")
    save(laptop, path, v=1)
    await laptop.sync()
    old = laptop.mirror.folder
    folder = Folder(old.root, old.marker, portable=True, forms=old.forms)
    assert files(laptop) == ["A:b%2edraft.letter"]
    assert respell(folder, bool) == 1
    assert files(laptop) == ["%41%3ab%2edraft.letter"]
    assert scan(folder, known={}, now_ns=time.time_ns()).seen.keys() == {path}


# --- Names, git, values ---------------------------------------------------------------------------


@pytest.mark.parametrize("rkey", ["a", "x.draft", ".hidden", "con", "a.json", "x" * 512, "y" * 249])
@pytest.mark.parametrize("portable", [False, True])
def test_the_name_of_a_letter_is_read_back(rkey: str, portable: bool) -> None:
    name = file_name(Rkey(rkey), portable=portable, form=LETTER)
    draft = draft_name(Rkey(rkey), portable=portable, form=LETTER)
    assert all(len(part) <= 255 for part in name.split("/"))
    assert parse_file_name(name, portable=portable, form=LETTER) == rkey
    assert drafted_name(draft, LETTER) == rkey
    last, last_draft = (found.rpartition("/")[2] for found in (name, draft))
    assert (is_record_like(last, LETTER), is_draft(last_draft, LETTER)) == (True, True)
    assert not is_record_like(last)
    assert conflict_name(Rkey(rkey), "cid", portable=portable, form=LETTER).endswith(".cid.letter")


def test_git_knows_letters(world: World) -> None:
    config = with_letters(Config(world.login.did))
    names = [f"{COLLECTION}/one.letter", f"{COLLECTION}/two.json", "README.letter"]
    assert dict(record_paths(names, config)) == {names[0]: NOTE}
    text = LETTER.format({"$type": COLLECTION, "v": 1})
    assert cid_in(text, NOTE, config.forms) == cid_of({"$type": COLLECTION, "v": 1})
    assert attribute_line("", LETTER.ending).startswith("/*.*.*/**/*.letter ")
    assert config.forms.endings == (".letter",)


def test_git_merges_letters() -> None:
    base, ours, theirs = (
        LETTER.format({"$type": COLLECTION, "a": a, "b": b}) for a, b in ((1, 1), (2, 1), (1, 2))
    )
    merged, collisions = merge_texts(base, ours, theirs, COLLECTION, form=LETTER)
    assert LETTER.parse(merged, COLLECTION) == {"$type": COLLECTION, "a": 2, "b": 2}
    assert collisions == ()
    marked, collisions = merge_texts(b"", ours, base, COLLECTION, form=LETTER)
    assert collisions == ("/a",)
    assert b"\n<<<<<<< ours\n" in marked
    with pytest.raises(BadJson):
        LETTER.parse(marked, COLLECTION)


@settings(max_examples=times(200))
@given(EXACT_RECORDS)
def test_a_record_comes_back_from_its_letter(record: dict[str, Value]) -> None:
    whole = {"$type": COLLECTION, **record}
    text = LETTER.file_of(encode(whole))
    assert encode(LETTER.parse(text, COLLECTION)) == encode(whole)
    assert LETTER.restyled(text, encode(whole), COLLECTION) == text
    assert LETTER.ordered(text) == text
    assert LETTER.find_places(text, [()]) == {(): (2, 1)}
