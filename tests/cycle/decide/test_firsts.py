"""A collection that nobody may have meant waits for a word; any other goes, and is named once."""

from __future__ import annotations

import pytest

from syncd.config import Config
from syncd.mirror.held import (
    approve_collections,
    decide_held,
    end_adoption,
    held_changes,
    held_creations,
)
from syncd.mirror.names import read_names
from syncd.mirror.selection import collections_named, matching
from syncd.model import Choice, Decision, Kind, RecordPath, Report
from syncd.state.consent import Adoption
from tests.rigs.device import Device, World, rework

NOTE, NOTES = "com.example.note", "com.example.notes"
ONE = RecordPath(f"{NOTE}/one")


async def mirrored(world: World) -> Device:
    await world.write(ONE, v=1)
    device = world.device()
    await device.sync()
    return device


def held(report: Report) -> dict[str, Kind]:
    return {item.path: item.kind for item in report.held}


def approve(device: Device, *patterns: str, choice: Choice = Choice.APPROVE) -> None:
    """What the command does."""
    workspace = device.mirror.workspace
    names = read_names(workspace, patterns, [device.root])
    chosen = matching(held_changes(workspace), names)
    assert chosen
    decide_held(workspace, chosen, choice)
    if choice is Choice.APPROVE:
        approve_collections(workspace, collections_named(chosen, names))


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        (NOTES, NOTE),
        ("com.exmaple.note", NOTE),
        ("com.example.Note", NOTE),
        ("app.bsky.feed.posts", "app.bsky.feed.post"),
        ("app.bsky.feed.poat", "app.bsky.feed.post"),
        ("app.bksy.actor.profile", "app.bsky.actor.profile"),
    ],
)
async def test_a_misspelt_collection_waits_with_a_suggestion(
    world: World, slip: str, meant: str
) -> None:
    device = await mirrored(world)
    device.save(f"{slip}/new", v=1)
    for dirty in (None, None, [RecordPath(f"{slip}/new")]):
        report = await device.mirror.sync(dirty)
        assert held(report) == {f"{slip}/new": Kind.CREATION}
        assert meant in report.held[0].reason
        assert report.pushed == ()
    assert world.records().keys() == {ONE}
    assert device.has(f"{slip}/new")


@pytest.mark.parametrize(
    "name", ["com.example.page", "org.other.thing", "sh.tangled.repo", "com.example.note.v2"]
)
async def test_any_other_new_collection_goes_at_once_and_its_first_record_is_named(
    world: World, name: str
) -> None:
    device = await mirrored(world)
    device.save(f"{name}/a", v=1)
    device.save(f"{name}/b", v=1)
    report = await device.sync()
    assert (set(report.pushed), report.is_settled) == ({f"{name}/a", f"{name}/b"}, True)
    (remark,) = report.remarks
    assert remark.startswith(f"{name}/a: ")
    assert name in remark
    device.save(f"{name}/c", v=1)
    assert (await device.sync()).remarks == ()


@pytest.mark.parametrize("name", [f"{NOTE}.bak", f"{NOTE}Old2", f"{NOTE}.more", f"{NOTE}book"])
@pytest.mark.parametrize("text", ['{"v": 1}', '{"$type": "TYPE", "v": 1}'])
async def test_a_copy_of_a_collection_waits_and_goes_once_it_is_approved(
    world: World, name: str, text: str
) -> None:
    device = await mirrored(world)
    for dirty in (None, [RecordPath(f"{name}/one")]):
        device.save_text(f"{name}/one", text.replace("TYPE", name))
        report = await device.mirror.sync(dirty)
        assert held(report) == {f"{name}/one": Kind.CREATION}
        assert f"{NOTE}-" in report.held[0].reason
    assert world.records().keys() == {ONE}
    approve(device, name)
    assert (await device.sync()).pushed == (f"{name}/one",)


async def test_a_collection_that_was_put_aside_takes_no_record_out_of_the_repo(
    world: World,
) -> None:
    device = await mirrored(world)
    device.file(ONE).write_text('{"v": 1}')
    (device.root / NOTE).rename(device.root / f"{NOTE}.old")
    report = await device.sync()
    assert held(report) == {f"{NOTE}.old/one": Kind.CREATION}
    assert [item.path for item in report.problems] == [ONE]
    assert world.records().keys() == {ONE}
    (device.root / f"{NOTE}.old").rename(device.root / NOTE)
    assert (await device.sync()).is_settled


async def test_a_collection_that_continues_the_name_of_another_goes_if_it_is_no_copy(
    world: World,
) -> None:
    device = await mirrored(world)
    device.save(f"{NOTE}.more/one", v=2)
    assert (await device.sync()).pushed == (f"{NOTE}.more/one",)
    device.file(ONE).write_text('{"v": 1}')
    (device.root / NOTE).rename(device.root / f"{NOTE}book")
    report = await device.sync()
    assert (set(report.pushed), report.held) == ({f"{NOTE}book/one", ONE}, ())
    assert ONE not in world.records()


@pytest.mark.parametrize(
    "copy",
    ["one-backup", "one_copy2", "one.bak", "one-old", "Copy-of-one", "oneKopie", "one-2026-11-30"],
)
async def test_a_copy_of_a_record_waits_under_a_name_that_says_so_until_it_is_approved(
    world: World, copy: str
) -> None:
    device = await mirrored(world)
    path = RecordPath(f"{NOTE}/{copy}")
    device.save(path, v=1)
    for dirty in (None, [path]):
        report = await device.mirror.sync(dirty)
        assert held(report) == {path: Kind.CREATION}
        assert f"{NOTE}/{copy}.draft.json" in report.held[0].reason
    assert world.records().keys() == {ONE}
    approve(device, path)
    report = await device.sync()
    assert (report.pushed, report.is_settled) == ((path,), True)


async def test_a_copy_that_was_made_before_an_edit_waits_too(world: World) -> None:
    device = await mirrored(world)
    copy, later = RecordPath(f"{NOTE}/one-backup"), RecordPath(f"{NOTE}/one-old")
    device.save(copy, v=1)
    device.save(ONE, v=2)
    report = await device.sync()
    assert (held(report), report.pushed) == ({copy: Kind.CREATION}, (ONE,))
    device.save(later, v=1)
    for _ in range(2):
        assert held(await device.sync()).keys() == {copy, later}
    device.file(copy).rename(device.root / NOTE / "one-backup.draft.json")
    device.delete(later)
    assert (await device.sync()).is_settled


async def test_the_copy_of_a_record_that_is_new_itself_waits_alone(world: World) -> None:
    device = await mirrored(world)
    device.save(f"{NOTE}/two", v=2)
    device.save(f"{NOTE}/two-copy", v=2)
    device.save(f"{NOTE}/two-copy-copy", v=2)
    report = await device.sync()
    assert held(report).keys() == {f"{NOTE}/two-copy", f"{NOTE}/two-copy-copy"}
    assert report.pushed == (f"{NOTE}/two",)


async def test_no_name_waits_for_its_form_alone_and_no_copy_for_its_content_alone(
    world: World,
) -> None:
    device = await mirrored(world)
    device.save(f"{NOTE}/one-backup", v="another")
    device.save(f"{NOTE}/one-2", v=1)
    device.save(f"{NOTE}/page", v=1)
    device.save(f"{NOTE}/older-copy", v=1)
    report = await device.sync()
    assert (len(report.pushed), report.held) == (4, ())


async def test_a_copy_waits_no_more_once_it_says_something_else(world: World) -> None:
    device = await mirrored(world)
    copy = RecordPath(f"{NOTE}/one-copy")
    device.save(copy, v=1)
    assert held(await device.sync()).keys() == {copy}
    device.save(copy, v="written from it")
    assert (await device.sync()).pushed == (copy,)


async def test_a_record_that_was_renamed_is_no_copy(world: World) -> None:
    device = await mirrored(world)
    device.file(ONE).rename(device.file(f"{NOTE}/one-old"))
    report = await device.sync()
    assert (set(report.pushed), report.held) == ({ONE, f"{NOTE}/one-old"}, ())


async def test_a_copy_that_is_published_by_name_goes(world: World) -> None:
    device = await mirrored(world)
    copy = RecordPath(f"{NOTE}/one-copy")
    device.save(copy, v=1)
    cid = (await device.sync()).held[0].local
    device.mirror.state.decide([Decision(copy, Choice.PUBLISH, cid, None)])
    assert (await device.sync()).pushed == (copy,)


async def test_a_numbered_family_is_no_slip_of_itself(world: World) -> None:
    device = await mirrored(world)
    for name in ("com.example.v1", "com.example.v2", "com.example.a", "com.example.b"):
        device.save(f"{name}/x", v=1)
        assert (await device.sync()).is_settled


async def test_an_approved_collection_goes_with_all_that_comes_later(world: World) -> None:
    device = await mirrored(world)
    device.save(f"{NOTES}/a", v=1)
    await device.sync()
    approve(device, NOTES)
    device.save(f"{NOTES}/b", v=1)
    # What a person approved counts for what they wrote meanwhile, too.
    device.save(f"{NOTES}/a", v="edited")
    report = await device.sync()
    assert (set(report.pushed), report.is_settled) == ({f"{NOTES}/a", f"{NOTES}/b"}, True)
    for name in ("a", "b"):
        device.delete(f"{NOTES}/{name}")
    assert len((await device.sync()).deleted) == 2
    device.save(f"{NOTES}/c", v=1)
    assert (await device.sync()).pushed == (f"{NOTES}/c",)


async def test_one_approved_record_makes_the_collection_one_of_the_repo(world: World) -> None:
    device = await mirrored(world)
    device.save(f"{NOTES}/a", v=1)
    device.save(f"{NOTES}/b", v=1)
    await device.sync()
    approve(device, f"{NOTES}/a")
    report = await device.mirror.cycle()
    assert report.pushed == (f"{NOTES}/a",)
    assert (await device.mirror.cycle()).pushed == (f"{NOTES}/b",)


async def test_a_rejected_record_leaves_the_folder_for_history(world: World) -> None:
    device = await mirrored(world)
    device.save(f"{NOTES}/a", v=1)
    await device.sync()
    approve(device, NOTES, choice=Choice.REJECT)
    report = await device.sync()
    assert (report.pushed, report.is_settled, device.has(f"{NOTES}/a")) == ((), True, False)
    assert any(item.path == f"{NOTES}/a" for item in device.mirror.history.events())


@pytest.mark.parametrize("how", ["moved", "deleted", "named in the settings", "in the repo"])
async def test_the_waiting_ends_with_its_reason(world: World, how: str) -> None:
    device = await mirrored(world)
    device.save(f"{NOTES}/a", v=1)
    await device.sync()
    if how == "moved":
        device.file(f"{NOTES}/a").unlink()
        device.save(f"{NOTE}/a", v=1)
    elif how == "deleted":
        device.delete(f"{NOTES}/a")
    elif how == "named in the settings":
        did = world.login.did
        rework(device.mirror, config=Config(did, collections=("com.example.*", NOTES)))
    else:
        await world.write(f"{NOTES}/theirs", v=1)
    report = await device.sync()
    assert (report.held, report.is_settled) == ((), True)


async def test_a_pattern_in_the_settings_names_no_collection(world: World) -> None:
    device = await mirrored(world)
    rework(device.mirror, config=Config(world.login.did, collections=("com.example.*",)))
    device.save(f"{NOTES}/a", v=1)
    assert held(await device.sync()) == {f"{NOTES}/a": Kind.CREATION}


async def test_what_the_repo_has_is_mirrored_however_it_is_spelt(world: World) -> None:
    await world.write(f"{NOTES}/theirs", v=1)
    device = await mirrored(world)
    device.save(f"{NOTES}/theirs", v=2)
    device.save(f"{NOTES}/mine", v=2)
    assert (await device.sync()).is_settled


async def test_a_preview_says_the_same(world: World) -> None:
    device = await mirrored(world)
    device.save(f"{NOTES}/a", v=1)
    device.save("com.example.page/a", v=1)
    report = await device.mirror.preview()
    assert held(report) == {f"{NOTES}/a": Kind.CREATION}


async def test_a_read_only_mirror_has_no_question(world: World) -> None:
    device = await mirrored(world)
    rework(device.mirror, config=Config(world.login.did, read_only=True))
    device.save(f"{NOTES}/a", v=1)
    report = await device.sync()
    assert (report.held, len(report.problems)) == ((), 1)


# --- A folder that was there before the mirror ----------------------------------------------------


async def adopted(world: World) -> tuple[Device, Report]:
    """A folder with files of three kinds, as `clone --adopt` has it before it asks."""
    await world.write(ONE, v=1)
    device = world.device()
    device.mirror.state.keep(Adoption())
    device.save(ONE, v=1)
    device.save(f"{NOTE}/mine", v=1)
    device.save("www.example.com/index", v=1)
    return device, await device.sync()


async def test_an_adopted_folder_publishes_nothing_before_it_asked(world: World) -> None:
    device, report = await adopted(world)
    assert held_creations(report.held) == {NOTE: 1, "www.example.com": 1}
    assert report.adopted == (ONE,)
    # Whatever stops the command then, the next sync publishes nothing, and neither does a daemon.
    device = world.restart(device)
    for dirty in (None, [RecordPath(f"{NOTE}/mine")]):
        assert (await device.mirror.sync(dirty)).pushed == ()
    assert world.records().keys() == {ONE}
    assert device.has(f"{NOTE}/mine")


async def test_who_agrees_publishes_all_of_it(world: World) -> None:
    device, _ = await adopted(world)
    end_adoption(device.mirror.workspace, published=True)
    report = await device.sync()
    assert set(report.pushed) == {f"{NOTE}/mine", "www.example.com/index"}
    assert device.mirror.state.note(Adoption) is None


async def test_who_declines_may_approve_a_part_later(world: World) -> None:
    device, _ = await adopted(world)
    end_adoption(device.mirror.workspace, published=False)
    assert set(held(await device.sync())) == {f"{NOTE}/mine", "www.example.com/index"}
    approve(device, NOTE)
    report = await device.sync()
    assert report.pushed == (f"{NOTE}/mine",)
    assert set(held(report)) == {"www.example.com/index"}
    # What comes into a collection that still waits, waits too; another collection does not.
    device.save("www.example.com/about", v=1)
    device.save(f"{NOTE}/later", v=1)
    device.save("com.example.page/new", v=1)
    report = await device.sync()
    assert set(report.pushed) == {f"{NOTE}/later", "com.example.page/new"}
    # Nothing is in the way of naming it in .syncdignore instead.
    (device.root / ".syncdignore").write_text("/www.example.com/\n")
    assert (await device.sync()).is_settled
    assert device.has("www.example.com/index")


async def test_where_there_is_nothing_to_publish_nothing_waits(world: World) -> None:
    await world.write(ONE, v=1)
    device = world.device()
    device.mirror.state.keep(Adoption())
    device.save(ONE, v=1)
    await device.sync()
    end_adoption(device.mirror.workspace, published=False)
    device.save(f"{NOTE}/new", v=1)
    assert (await device.sync()).pushed == (f"{NOTE}/new",)


async def test_to_reject_a_creation_brings_back_the_record_whose_file_it_was(world: World) -> None:
    device = await mirrored(world)
    old, new = device.file(ONE), device.file(RecordPath(f"{NOTES}/one"))
    new.parent.mkdir()
    text = old.read_text().replace(f'"{NOTE}"', f'"{NOTES}"')
    old.rename(new)
    new.write_text(text)
    assert held(await device.sync()) == {f"{NOTES}/one": Kind.CREATION}
    approve(device, f"{NOTES}/one", choice=Choice.REJECT)
    for _ in range(2):
        await device.sync()
        assert world.records().keys() == {ONE}
        assert device.has(ONE)


async def test_every_reason_why_a_collection_waits_is_named(world: World) -> None:
    device = await mirrored(world)
    device.mirror.state.keep(Adoption())
    device.save(f"{NOTES}/new", v=1)
    reason = (await device.sync()).held[0].reason
    assert f"approve {NOTES}" in reason
    assert f"mean {NOTE}," in reason
