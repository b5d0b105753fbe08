"""Nothing publishes itself, `publish` makes one record of a draft, and no crash loses either."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.syntax import Nsid, make_tid, parse_rkey, parse_tid, tid_microseconds
from syncd.config import Config
from syncd.errors import FileChanged, FolderWrong, SyncdError
from syncd.folder.disk import Disk
from syncd.mirror.names import read_names
from syncd.mirror.publishing import (
    choose,
    drafts_of,
    make_draft,
    prepare,
    publish,
    unpublish,
)
from syncd.model import RecordPath
from tests.cycle.test_mirror import agreed
from tests.folder.disks import Crash, SimpleDisk, StagedDisk
from tests.rigs.device import Device, World, rework

COLLECTION = "com.example.note"
NOW_NS = 1_800_000_000_000_000_000
NOTE = RecordPath(f"{COLLECTION}/note")


def drop(device: Device, name: str, text: str = '{"text": "draft"}') -> str:
    """Put a file into the collection as a person would."""
    file = device.root / COLLECTION / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return f"{COLLECTION}/{name}"


def put_out(device: Device, draft: str, key: str | None = None) -> RecordPath:
    """Publish as the command does, without the sync."""
    rkey = None if key is None else parse_rkey(key)
    publication = prepare(device.mirror.workspace, draft, rkey)
    publish(device.mirror.workspace, publication)
    return publication.path


def names(device: Device) -> list[str]:
    return sorted(entry.name for entry in (device.root / COLLECTION).iterdir())


def texts(device: Device) -> list[str]:
    return sorted(device.read(str(path))["text"] for path in device.base())


DRAFTS = ["+x.json", "x.draft.json", "my post.draft.json", "+x.draft.json"]


@pytest.mark.parametrize("name", DRAFTS)
async def test_a_draft_stays_in_the_folder_and_is_no_problem(world: World, name: str) -> None:
    laptop = world.device()
    drop(laptop, name)
    drop(laptop, f"bad{name}" if name.startswith("x") else name, "{")
    for dirty in (None, [RecordPath(f"{COLLECTION}/x")]):
        report = await laptop.mirror.cycle(dirty)
        assert (report.pushed, report.is_settled) == ((), True)
    assert world.records() == {}
    assert name in names(laptop)


async def test_publishing_gives_the_name_as_the_key(world: World) -> None:
    laptop = world.device()
    draft = drop(laptop, "first.draft.json", '\n{ "text": "draft" }')
    assert put_out(laptop, draft) == f"{COLLECTION}/first"
    assert names(laptop) == ["first.json"]
    assert laptop.file(f"{COLLECTION}/first").read_text() == '\n{ "text": "draft" }', "its form"
    await agreed(world, laptop, world.device("fresh"))
    assert list(world.records()) == [f"{COLLECTION}/first"]


@pytest.mark.parametrize("name", ["+x.json", "+my first note.draft.json"])
async def test_a_name_that_begins_with_a_plus_gets_a_fresh_key(world: World, name: str) -> None:
    laptop = world.device()
    rework(laptop.mirror, clock_ns=lambda: NOW_NS)
    path = put_out(laptop, drop(laptop, name))
    assert tid_microseconds(parse_tid(path.partition("/")[2])) == NOW_NS // 1000
    await agreed(world, laptop)
    assert texts(laptop) == ["draft"]


async def test_a_key_that_is_given_counts_before_the_name(world: World) -> None:
    laptop = world.device()
    assert put_out(laptop, drop(laptop, "+x.json"), "chosen") == f"{COLLECTION}/chosen"
    assert put_out(laptop, drop(laptop, "my post.draft.json"), "post") == f"{COLLECTION}/post"


async def test_a_name_that_is_no_key_asks_for_one(world: World) -> None:
    laptop = world.device()
    draft = drop(laptop, "my post.draft.json")
    with pytest.raises(SyncdError) as caught:
        put_out(laptop, draft)
    assert "--key" in caught.value.hint
    assert names(laptop) == ["my post.draft.json"]


async def test_a_key_that_is_taken_is_not_given_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one of a record nor one of a file, not even of a file that is no record."""
    monkeypatch.setattr(secrets, "randbelow", lambda _: 7)
    taken = [f"{COLLECTION}/{make_tid(NOW_NS // 1000 + number, 7)}" for number in range(3)]
    laptop = world.device()
    rework(laptop.mirror, clock_ns=lambda: NOW_NS)
    await world.write(taken[0], text="remote")
    await laptop.sync()
    laptop.save(taken[1], text="local")
    laptop.save_text(taken[2], "oops")
    path = put_out(laptop, drop(laptop, "+x.json"))
    await laptop.sync()
    assert path == f"{COLLECTION}/{make_tid(NOW_NS // 1000 + 3, 7)}"
    assert texts(laptop) == ["draft", "local", "remote"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1, column 1"),
        ('{"text": "dra', "line 1, column 10"),
        ('{\n  "text": 1.5}', "line 2, column 11"),
        ('{"$type": "com.example.other"}', "line 1, column 11"),
        ("[]", "line 1, column 1"),
    ],
)
async def test_a_draft_that_is_no_record_is_refused_and_stays(
    world: World, text: str, place: str
) -> None:
    laptop = world.device()
    draft = drop(laptop, "bad.draft.json", text)
    with pytest.raises(SyncdError) as caught:
        put_out(laptop, draft)
    assert caught.value.message.startswith(f"{draft}, {place}: ")
    assert (laptop.root / draft).read_text() == text
    await agreed(world, laptop)
    assert world.records() == {}


async def test_a_draft_is_not_taken_while_it_is_written(world: World) -> None:
    laptop = world.device()
    draft = drop(laptop, "x.draft.json", "")
    with (laptop.root / draft).open("w") as writer:
        writer.write('{"text": "whole"}')
        writer.flush()
        with pytest.raises(SyncdError, match="still writing"):
            put_out(laptop, draft)
    put_out(laptop, draft)
    await agreed(world, laptop)
    assert texts(laptop) == ["whole"]


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link", "directory"])
async def test_what_is_no_file_is_no_draft(world: World, kind: str) -> None:
    laptop = world.device()
    drop(laptop, "other")
    place = laptop.root / COLLECTION / "x.draft.json"
    if kind == "FIFO":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        place.symlink_to("other")
    assert (await laptop.sync()).is_settled
    assert drafts_of(laptop.mirror.workspace) == []
    with pytest.raises(SyncdError):
        put_out(laptop, f"{COLLECTION}/x.draft.json")
    assert world.records() == {}


@pytest.mark.parametrize("key", [".hidden", "a" * 246, "a" * 512, "x.draft", "A:b", "."])
@pytest.mark.parametrize("names_are", ["plain", "portable"])
async def test_a_record_becomes_a_draft_and_the_same_record_again(
    world: World, key: str, names_are: str
) -> None:
    if key == ".":
        key = ".draft"
    path = RecordPath(f"{COLLECTION}/{key}")
    await world.write(path, text="there")
    laptop = world.device(config=Config(world.login.did, filenames=names_are))
    await laptop.sync()
    before = laptop.file(path).read_bytes()
    draft = unpublish(laptop.mirror.workspace, path)
    assert drafts_of(laptop.mirror.workspace) == [draft]
    await agreed(world, laptop)
    assert (world.records(), (laptop.root / draft).read_bytes()) == ({}, before)
    assert put_out(laptop, draft) == path
    await agreed(world, laptop)
    assert laptop.file(path).read_bytes() == before
    assert list(world.records()) == [path]


async def test_the_last_record_of_a_collection_is_unpublished_whatever_the_brake_says(
    world: World,
) -> None:
    laptop = world.device(config=Config(world.login.did, brake_records=0))
    for key in "abc":
        await world.write(f"{COLLECTION}/{key}", text=key)
    await laptop.sync()
    for key in "abc":
        unpublish(laptop.mirror.workspace, RecordPath(f"{COLLECTION}/{key}"))
    assert (await laptop.sync()).is_settled
    assert world.records() == {}
    kept = {version.path for version in laptop.mirror.history.events()}
    assert kept == {f"{COLLECTION}/{key}" for key in "abc"}


async def test_an_edit_elsewhere_beats_the_deletion_of_an_unpublished_record(world: World) -> None:
    laptop = world.device()
    await world.write(NOTE, text="old")
    await laptop.sync()
    draft = unpublish(laptop.mirror.workspace, NOTE)
    newer = await world.write(NOTE, text="newer")
    await agreed(world, laptop)
    assert world.records() == {NOTE: newer}
    assert '"old"' in (laptop.root / draft).read_text()


# --- A draft of a record that exists --------------------------------------------------------------


async def drafted(world: World, device: Device) -> str:
    """A record both sides have, and a draft of its next version."""
    await world.write(NOTE, text="old")
    await device.sync()
    return drop(device, "note.draft.json", '{"text": "next"}')


async def test_a_draft_of_a_record_becomes_its_new_version(world: World) -> None:
    laptop = world.device()
    draft = await drafted(world, laptop)
    await laptop.sync()
    assert put_out(laptop, draft) == NOTE
    assert names(laptop) == ["note.json"]
    await agreed(world, laptop)
    assert texts(laptop) == ["next"]
    assert {v.path for v in laptop.mirror.history.events()} == {NOTE}


async def _elsewhere(world: World, laptop: Device) -> None:
    await world.write(NOTE, text="theirs")
    await laptop.sync()


async def _here(world: World, laptop: Device) -> None:
    laptop.save(NOTE, text="mine")


async def _here_and_synced(world: World, laptop: Device) -> None:
    await _here(world, laptop)
    await laptop.sync()


async def _by_name(world: World, laptop: Device) -> None:
    await world.write(NOTE, text="theirs")
    await laptop.mirror.cycle([])


@pytest.mark.parametrize("change", [_elsewhere, _here, _here_and_synced, _by_name])
async def test_a_draft_of_a_record_that_changed_since_is_a_conflict(
    world: World, change: Callable[[World, Device], object]
) -> None:
    laptop = world.device()
    draft = await drafted(world, laptop)
    await change(world, laptop)  # type: ignore[misc]
    before = laptop.file(NOTE).read_bytes()
    for _ in range(2):
        with pytest.raises(SyncdError, match="conflict") as caught:
            put_out(laptop, draft)
        await laptop.sync()
        laptop = world.restart(laptop)
    assert "--key note" in caught.value.hint
    assert laptop.file(NOTE).read_bytes() == before
    assert put_out(laptop, draft, "note") == NOTE, "a person has compared the two"
    await agreed(world, laptop)
    assert texts(laptop) == ["next"]
    assert [v.path for v in laptop.mirror.history.events()].count(NOTE) >= 1


async def test_a_record_that_changed_in_the_repo_alone_is_an_ordinary_conflict(
    world: World,
) -> None:
    laptop = world.device()
    draft = await drafted(world, laptop)
    await world.write(NOTE, text="theirs")
    put_out(laptop, draft)
    report = await laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [NOTE]
    with pytest.raises(SyncdError, match="conflict"):
        put_out(laptop, drop(laptop, "note.draft.json"), "note")


async def test_a_later_draft_is_of_the_later_version(world: World) -> None:
    laptop = world.device()
    draft = await drafted(world, laptop)
    await _elsewhere(world, laptop)
    (laptop.root / draft).unlink()
    await laptop.sync()
    drop(laptop, "note.draft.json", '{"text": "later"}')
    put_out(laptop, draft)
    await agreed(world, laptop)
    assert texts(laptop) == ["later"]


async def test_a_file_that_holds_no_record_is_not_replaced(world: World) -> None:
    laptop = world.device()
    draft = await drafted(world, laptop)
    laptop.save_text(NOTE, "oops")
    for key in (None, "note"):
        with pytest.raises(SyncdError):
            put_out(laptop, draft, key)
    assert laptop.file(NOTE).read_text() == "oops"


# --- At any moment --------------------------------------------------------------------------------


def shaky(device: Device, disk: Disk) -> None:
    rework(device.mirror, folder=replace(device.mirror.folder, disk=disk))


@pytest.mark.parametrize("name", ["+x.json", "x.draft.json"])
@pytest.mark.parametrize("kind", [StagedDisk, SimpleDisk])
async def test_a_crash_at_any_step_makes_one_record_of_a_draft(
    world: World, kind: type[StagedDisk], name: str
) -> None:
    for crash_at in range(20):
        laptop = world.device(f"laptop-{crash_at}")
        await laptop.sync()
        before = world.records()
        draft = drop(laptop, name, f'{{"text": "draft {crash_at}"}}')
        laptop.delete(f"{COLLECTION}/x") if laptop.has(f"{COLLECTION}/x") else None
        await laptop.sync()
        before = world.records()
        shaky(laptop, kind(crash_at=crash_at))
        try:
            put_out(laptop, draft)
        except Crash:
            is_over = False
        else:
            is_over = True
        laptop = world.restart(laptop)
        await agreed(world, laptop)
        assert len(world.records()) - len(before) in (0, 1)
        if (laptop.root / draft).exists():
            put_out(laptop, draft)
            await agreed(world, laptop)
        assert len(world.records()) == len(before) + 1
        assert texts(laptop).count(f"draft {crash_at}") == 1
        assert name not in names(laptop)
        if is_over:
            assert crash_at > 1
            return
    pytest.fail("publishing a draft takes more steps than this test allows for")


@pytest.mark.parametrize("kind", [StagedDisk, SimpleDisk])
async def test_a_crash_at_any_step_keeps_the_record_or_its_new_version(
    world: World, kind: type[StagedDisk]
) -> None:
    for crash_at in range(30):
        laptop = world.device(f"laptop-{crash_at}")
        draft = await drafted(world, laptop)
        await laptop.sync()
        shaky(laptop, kind(crash_at=crash_at))
        try:
            put_out(laptop, draft)
        except Crash:
            is_over = False
        else:
            is_over = True
        laptop = world.restart(laptop)
        await agreed(world, laptop)
        assert texts(laptop) in (["old"], ["next"])
        if (laptop.root / draft).exists():
            assert '"next"' in (laptop.root / draft).read_text()
            put_out(laptop, draft, "note")
            await agreed(world, laptop)
        assert (texts(laptop), names(laptop)) == (["next"], ["note.json"])
        if is_over:
            assert crash_at > 1
            return
    pytest.fail("it takes more steps than this test allows for")


@pytest.mark.parametrize("kind", [StagedDisk, SimpleDisk])
async def test_a_crash_at_any_step_leaves_the_record_or_its_draft(
    world: World, kind: type[StagedDisk]
) -> None:
    for crash_at in range(20):
        laptop = world.device(f"laptop-{crash_at}")
        await world.write(NOTE, text="there")
        await laptop.sync()
        shaky(laptop, kind(crash_at=crash_at))
        try:
            unpublish(laptop.mirror.workspace, NOTE)
        except Crash:
            is_over = False
        else:
            is_over = True
        laptop = world.restart(laptop)
        await laptop.sync()
        held = [f for f in names(laptop) if "there" in (laptop.root / COLLECTION / f).read_text()]
        assert held
        if NOTE in world.records():
            unpublish(laptop.mirror.workspace, NOTE)
            await agreed(world, laptop)
        assert (world.records(), names(laptop)) == ({}, ["note.draft.json"])
        if is_over:
            assert crash_at > 1
            return
    pytest.fail("it takes more steps than this test allows for")


async def test_two_names_of_one_file_that_are_no_crash_are_two_records(world: World) -> None:
    laptop = world.device()
    laptop.save(f"{COLLECTION}/mine", text="twice")
    os.link(laptop.file(f"{COLLECTION}/mine"), laptop.root / COLLECTION / "+copy.json")
    put_out(laptop, f"{COLLECTION}/+copy.json")
    await agreed(world, laptop)
    assert len(world.records()) == 2


class EditingDisk(Disk):
    """Somebody saves the file again just before it is renamed."""

    def __init__(self, device: Device, name: str) -> None:
        self.device = device
        self.name = name

    def sync_file(self, directory: int, name: str) -> None:
        super().sync_file(directory, name)
        drop(self.device, self.name, '{"text": "later"}')


async def test_a_draft_that_is_saved_again_meanwhile_stays_a_draft(world: World) -> None:
    laptop = world.device()
    draft = drop(laptop, "x.draft.json")
    shaky(laptop, EditingDisk(laptop, "x.draft.json"))
    with pytest.raises(FileChanged):
        put_out(laptop, draft)
    assert names(laptop) == ["x.draft.json"]


async def test_a_record_that_is_saved_again_meanwhile_stays_a_record(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, text="first")
    shaky(laptop, EditingDisk(laptop, "note.json"))
    with pytest.raises(FileChanged):
        unpublish(laptop.mirror.workspace, NOTE)
    assert names(laptop) == ["note.json"]


async def test_no_draft_is_written_over_another(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, text="mine")
    drop(laptop, "note.draft.json")
    with pytest.raises(FileChanged):
        unpublish(laptop.mirror.workspace, NOTE)
    assert names(laptop) == ["note.draft.json", "note.json"]


async def test_a_read_only_mirror_publishes_and_deletes_nothing(world: World) -> None:
    laptop = world.device(config=Config(world.login.did, read_only=True))
    await world.write(NOTE, text="there")
    draft = drop(laptop, "+x.json")
    assert (await laptop.sync()).is_settled
    with pytest.raises(FolderWrong):
        put_out(laptop, draft)
    with pytest.raises(FolderWrong):
        unpublish(laptop.mirror.workspace, NOTE)
    assert names(laptop) == ["+x.json", "note.json"]


# --- Which drafts ---------------------------------------------------------------------------------


async def test_a_draft_is_named_by_its_file_its_record_its_directory_or_a_pattern(
    world: World,
) -> None:
    laptop = world.device()
    workspace, root = laptop.mirror.workspace, laptop.root
    one = make_draft(workspace, Nsid(COLLECTION), b"{}")
    two = make_draft(workspace, Nsid("com.example.other"), b"{}")
    key = one.removesuffix(".draft.json")

    def chosen(*given: str, here: Path = root) -> list[str]:
        return list(choose(workspace, read_names(workspace, given, [here])).drafts)

    for form in (one, f"./{one}", key, f"at://{world.login.did}/{key}", str(root / one)):
        assert chosen(form) == [one]
    assert chosen(COLLECTION) == chosen(f"{COLLECTION}/") == chosen(f"{COLLECTION}/*") == [one]
    assert chosen(one.partition("/")[2], here=root / COLLECTION) == [one]
    assert chosen(COLLECTION, two) == [one, two]
    for unknown in ("", "com.example", f"{COLLECTION}/none", "../x", "/etc", f"{key}.json"):
        with pytest.raises(SyncdError):
            chosen(one, unknown)


@pytest.mark.parametrize("left_out", ["ignored", "excluded", "not named"])
async def test_a_draft_whose_record_no_sync_would_send_stays_a_draft(
    world: World, left_out: str
) -> None:
    did = world.login.did
    settings = {
        "ignored": Config(did),
        "excluded": Config(did, exclude=(COLLECTION,)),
        "not named": Config(did, collections=("org.*",)),
    }
    laptop = world.device(config=settings[left_out])
    if left_out == "ignored":
        (laptop.root / ".syncdignore").write_text("secret*\n")
    draft = drop(laptop, "secret.draft.json")
    with pytest.raises(SyncdError) as caught:
        put_out(laptop, draft)
    assert caught.value.hint
    assert names(laptop) == ["secret.draft.json"]
    await laptop.sync()
    assert world.records() == {}


async def test_what_is_a_record_already_is_published_under_an_ignored_name(world: World) -> None:
    await world.write(f"{COLLECTION}/secret", text="before")
    laptop = world.device()
    await laptop.sync()
    (laptop.root / ".syncdignore").write_text("secret*\n")
    await laptop.sync()
    put_out(laptop, drop(laptop, "secret.draft.json"))
    await laptop.sync()
    assert texts(laptop) == ["draft"]
    await agreed(world, laptop)


WHEN: dict[str, str | tuple[tuple[str, str], ...]] = {
    "save": "save",
    "ask": "ask",
    "ask here": ((COLLECTION, "ask"),),
    "ask elsewhere": (("com.example.page", "ask"), ("*", "save")),
}


@pytest.mark.parametrize("when", WHEN)
async def test_what_is_published_is_sent_at_once_under_every_setting(
    world: World, when: str
) -> None:
    laptop = world.device(config=Config(world.login.did, push_when=WHEN[when]))
    published = put_out(laptop, drop(laptop, "first.draft.json"))
    saved = RecordPath(f"{COLLECTION}/saved")
    laptop.save(saved, v=1)
    is_asked = laptop.mirror.config.asks_before_push(saved)
    report = await laptop.sync()
    assert set(report.pushed) == ({published} if is_asked else {published, saved})
    assert [item.path for item in report.pending] == ([saved] if is_asked else [])
    # A draft of a record takes its place at once, and so does its deletion.
    drop(laptop, "first.draft.json", '{"text": "again"}')
    assert put_out(laptop, f"{COLLECTION}/first.draft.json") == published
    assert (await laptop.sync()).pushed == (published,)
    unpublish(laptop.mirror.workspace, published)
    assert (await laptop.sync()).pushed == (published,)
    assert published not in world.records()
