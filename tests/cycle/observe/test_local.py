"""A look everywhere does not look into what is surely as it was, and misses nothing.

The clock of these devices is an hour ahead of the disk's, so that no file is too young to trust.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.cycle.observe.local import MOST_BESIDE, look_everywhere
from syncd.folder import share
from syncd.folder.drafts import list_drafts
from syncd.folder.ignore.inventory import Inventory
from syncd.folder.ignore.rules import read_rules
from syncd.folder.listing import fingerprints_of
from syncd.folder.scan import scan
from syncd.model import Memory, RecordPath
from syncd.plan import touched
from syncd.sandbox import Sandbox
from syncd.state.notes import LastLook
from tests.rigs.device import Device, World, close_all, rework

NOTE, POST = "com.example.note", "com.example.post"
ONE, TWO, THREE = RecordPath(f"{NOTE}/one"), RecordPath(f"{NOTE}/two"), RecordPath(f"{POST}/three")
HOUR_NS = 3_600_000_000_000


def later() -> int:
    return time.time_ns() + HOUR_NS


async def settled_device(world: World, name: str = "laptop") -> Device:
    """A device whose collections are all known to be as base says."""
    await world.write(ONE, v=1)
    await world.write(TWO, v=2)
    await world.write(THREE, v=3)
    device = world.device(name)
    rework(device.mirror, clock_ns=later)
    await device.sync()
    await device.sync()
    assert device.mirror.state.settled().keys() == {NOTE, POST}
    return device


def looked(device: Device, concerned: tuple[RecordPath, ...] = ()) -> tuple[set[str], set[str]]:
    """The paths that a look everywhere looked at, and those that differ from base for it."""
    mirror = device.mirror
    found = look_everywhere(mirror.workspace, concerned, later())
    local = {path: seen.cid for path, seen in found.look.seen.items()}
    inert = found.look.problems
    return {*local, *inert}, {*touched(found.base, local, inert, found.look.absent)}


def differing(device: Device) -> set[str]:
    """The slow twin: the same by a scan of every file, with nothing known."""
    mirror = device.mirror
    base = mirror.state.base()
    look = scan(mirror.folder, known={}, expected=base, now_ns=later())
    local = {path: seen.cid for path, seen in look.seen.items()}
    return {*touched(base, local, look.problems, look.absent)}


async def test_what_is_as_it_was_is_not_looked_into(world: World) -> None:
    device = await settled_device(world)
    assert looked(device) == (set(), set())


async def test_a_collection_with_an_edit_is_looked_into_and_no_other(world: World) -> None:
    device = await settled_device(world)
    device.save(ONE, v="edited")
    assert looked(device) == ({ONE, TWO}, {ONE})


def listed(device: Device, beside: Mapping[str, tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """The drafts, and what is no record, each found with the help of `beside`."""
    state, folder = device.mirror.state, device.mirror.folder
    with folder.open() as root:
        rules, sizes = read_rules(root), state.collection_sizes()
        others = Inventory(
            rules, bool, sizes, lambda paths: state.base_of(paths).keys(), beside=beside
        ).take(root)
    return list_drafts(folder, bool, beside), [f"{item.path}: {item.reason}" for item in others]


async def test_all_that_lies_beside_records_is_known_where_nothing_changed(world: World) -> None:
    device = world.device()
    rework(device.mirror, clock_ns=later)
    (device.root / ".syncdignore").write_text("private.json\nsecret.json\n", encoding="utf-8")
    await world.write(RecordPath(f"{NOTE}/secret"), v=0)
    device.save(ONE, v=1)
    note = device.root / NOTE
    for name in ("+new.json", "two.draft.json", "private.json", "list.txt", "\udcff.txt"):
        (note / name).write_text("{", encoding="utf-8")
    (note / "+link.json").symlink_to("one.json")
    (note / "pictures").mkdir()
    (note / "long%").mkdir()
    (note / "long%" / "+deep.json").write_text("{}", encoding="utf-8")
    for _ in range(2):
        await device.sync()
    # A collection where a long name continues is never taken for unchanged.
    assert NOTE not in look_everywhere(device.mirror.workspace, (), later()).beside
    (note / "long%" / "+deep.json").unlink()
    (note / "long%").rmdir()
    await device.sync()
    beside = look_everywhere(device.mirror.workspace, (), later()).beside
    drafts, others = listed(device, beside)
    assert (drafts, others) == listed(device, {})
    assert drafts == [f"{NOTE}/+new.json", f"{NOTE}/two.draft.json"]
    found = {line.partition(":")[0].rpartition("/")[2] or "pictures" for line in others}
    assert found == {"list.txt", "\\xff.txt", "pictures", "private.json"}
    # The repo has the other ignored name as a record.
    assert {*beside[NOTE]} >= {"+link.json", "pictures/", "private.json"}
    assert "secret.json" not in beside[NOTE]


async def test_very_many_names_beside_records_are_not_kept(world: World) -> None:
    device = await settled_device(world)
    for number in range(MOST_BESIDE + 1):
        (device.root / NOTE / f"{number}.txt").touch()
    await device.sync()
    assert looked(device) == (set(), set())
    beside = look_everywhere(device.mirror.workspace, (), later()).beside
    assert dict(beside) == {POST: ()}
    assert len(listed(device, beside)[1]) == MOST_BESIDE + 1


async def test_a_fingerprint_of_an_older_version_is_not_believed(world: World) -> None:
    device = await settled_device(world)
    state = device.mirror.state
    fingerprint, rules = 32, 8
    state.record(Memory(settled={NOTE: state.settled()[NOTE][: fingerprint + rules]}))
    assert looked(device) == ({ONE, TWO}, set())
    await device.sync()
    assert looked(device) == (set(), set())


async def test_a_path_that_matters_is_looked_at_all_the_same(world: World) -> None:
    device = await settled_device(world)
    assert looked(device, (TWO,)) == ({TWO}, set())


async def test_where_base_moves_nothing_is_believed_any_more(world: World) -> None:
    device = await settled_device(world)
    await world.write(ONE, v="other")
    await device.sync()
    assert device.mirror.state.settled().keys() == {POST}
    await device.sync()
    assert device.mirror.state.settled().keys() == {NOTE, POST}


async def test_a_look_that_finds_nothing_new_writes_nothing(world: World) -> None:
    device = await settled_device(world)
    before = (device.root / ".syncd" / "state.db-wal").stat()
    await device.mirror.cycle()
    after = (device.root / ".syncd" / "state.db-wal").stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)


async def test_young_files_are_not_believed_to_stay_as_they_are(world: World) -> None:
    await world.write(ONE, v=1)
    device = world.device()
    for _ in range(2):
        await device.sync()
    assert device.mirror.state.settled() == {}


def same_size_and_time(device: Device) -> None:
    """As an editor that puts the old time back."""
    before = device.file(ONE).stat()
    device.file(ONE).write_bytes(device.file(ONE).read_bytes().replace(b"1", b"7"))
    os.utime(device.file(ONE), ns=(before.st_atime_ns, before.st_mtime_ns))


def swap(device: Device) -> None:
    one, two, aside = device.file(ONE), device.file(TWO), device.root / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)


def whole_collection(device: Device) -> None:
    (device.root / NOTE).rename(device.root / "elsewhere")


def no_directory(device: Device) -> None:
    whole_collection(device)
    (device.root / NOTE).write_text("a file", encoding="utf-8")


def other_kind(device: Device) -> None:
    device.delete(ONE)
    os.mkfifo(device.file(ONE))


CHANGES: list[tuple[Callable[[Device], object], set[str]]] = [
    (same_size_and_time, {ONE}),
    (swap, {ONE, TWO}),
    (lambda device: device.delete(ONE), {ONE}),
    (lambda device: device.save(f"{NOTE}/new", v=1), {f"{NOTE}/new"}),
    (lambda device: device.save("com.example.fresh/new", v=1), {"com.example.fresh/new"}),
    (lambda device: device.save_text(ONE, "{"), {ONE}),
    (whole_collection, {ONE, TWO}),
    (other_kind, {ONE}),
    (no_directory, set()),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
async def test_every_change_is_found(
    world: World, change: Callable[[Device], object], expected: set[str]
) -> None:
    device = await settled_device(world)
    change(device)
    assert looked(device)[1] == expected == differing(device)


async def test_a_file_that_no_record_can_have_keeps_its_collection_from_being_settled(
    world: World,
) -> None:
    device = await settled_device(world)
    stray = device.root / NOTE / "no record key!.json"
    stray.write_text("{}", encoding="utf-8")
    for _ in range(2):
        assert looked(device)[0] == {ONE, TWO}
        report = await device.sync()
        assert [problem.path for problem in report.problems] == [f"{NOTE}/{stray.name}"]
    stray.unlink()
    assert (await device.sync()).is_settled
    assert looked(device) == (set(), set())


async def test_a_collection_with_drafts_is_settled_all_the_same(world: World) -> None:
    device = await settled_device(world)
    for name in ("+draft.json", "one.draft.json"):
        (device.root / NOTE / name).write_text("{}", encoding="utf-8")
    await device.sync()
    assert looked(device) == (set(), set())


async def test_a_deletion_by_another_client_reaches_a_settled_collection(world: World) -> None:
    device = await settled_device(world)
    await world.delete(ONE)
    assert (await device.sync()).deleted == (ONE,)
    assert not device.has(ONE)


async def test_a_conflict_in_a_settled_collection_is_found(world: World) -> None:
    device = await settled_device(world)
    device.save(ONE, v="here")
    await world.write(ONE, v="there")
    assert [conflict.path for conflict in (await device.sync()).conflicts] == [ONE]


PATHS = st.sampled_from([ONE, TWO, THREE, RecordPath(f"{POST}/four")])
ACTS = st.sampled_from(["save", "spoil", "delete", "touch", "rename", "sync", "remote"])


async def act(world: World, device: Device, act: str, path: RecordPath, number: int) -> None:
    match act:
        case "save":
            device.save(path, v=number)
        case "spoil":
            device.save_text(path, "{")
        case "touch" if device.has(path):
            device.file(path).touch()
        case "rename" if device.has(path):
            device.file(path).rename(device.file(f"{NOTE}/renamed{number}"))
        case "delete" if device.has(path):
            device.delete(path)
        case "remote":
            await world.write(path, v=number)
        case "sync":
            await device.sync()


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(st.tuples(ACTS, PATHS), max_size=14))
def test_it_finds_what_a_scan_of_every_file_finds(
    acts: list[tuple[str, RecordPath]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def run() -> None:
        sandbox = Sandbox()
        world = World(tmp_path_factory.mktemp("world"), sandbox, sandbox.create_account("alice"))
        device = await settled_device(world)
        for number, (name, path) in enumerate(acts):
            await act(world, device, name, path, number)
            assert looked(device)[1] == differing(device)

    asyncio.run(run())
    close_all()


async def test_a_second_process_finds_the_same_fingerprints(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = await settled_device(world)
    alone = fingerprints_of(device.mirror.folder, [NOTE, POST])
    monkeypatch.setattr(share, "SHARE_BYTES", 0)
    assert fingerprints_of(device.mirror.folder, [NOTE, POST]) == alone
    assert looked(device) == (set(), set())
    device.save(THREE, v="edited")
    assert looked(device) == ({THREE}, {THREE})


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere"])
async def test_without_a_second_process_the_files_are_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    device = await settled_device(world)
    monkeypatch.setattr(share, "SHARE_BYTES", 0)
    monkeypatch.setattr(sys, "executable", program)
    assert looked(device)[1] == set()
    device.save(ONE, v="edited")
    device.save(THREE, v="edited")
    assert looked(device)[1] == {ONE, THREE}


async def test_what_moved_after_an_early_listing_is_found_by_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing is older than the look that takes it, and so is what the look has seen."""
    device = await settled_device(world)
    monkeypatch.setattr(share, "SHARE_BYTES", 0)
    rework(device.mirror, clock_ns=lambda: time.time_ns() + 3_600_000_000_000)
    begun_ns = time.time_ns()
    share.begin(device.root)
    for process in itertools.chain(*share._begun.values()):
        process.wait()
    (device.root / "old").mkdir()
    (device.root / f"{ONE}.json").rename(device.root / "old" / "one.json")
    moved_ns = time.time_ns()
    assert (await device.sync()).problems == ()
    known = device.mirror.state.note(LastLook)
    assert known is not None
    assert begun_ns <= known.at_ns <= moved_ns
    share.end()
    (problem,) = (await device.sync()).problems
    assert problem.path == ONE
    assert set(device.base()) == {ONE, TWO, THREE}
    assert ONE in world.records()


@pytest.mark.parametrize("year", [1902, 2300, 2400])
async def test_a_file_whose_time_is_far_away_is_synced_like_any_other(
    world: World, year: int
) -> None:
    """After 2262 its nanoseconds need more than the 63 bits of a column."""
    device = await settled_device(world)
    at = (year - 1970) * 365 * 86_400 * 1_000_000_000
    device.save(ONE, v=4)
    os.utime(device.root / f"{ONE}.json", ns=(at, at))
    assert (await device.sync()).pushed == (ONE,)
    assert (await device.sync()).pushed == ()
    device.save(ONE, v=5)
    os.utime(device.root / f"{ONE}.json", ns=(at, at))
    assert (await device.sync()).pushed == (ONE,)
    (device.root / f"{ONE}.json").unlink()
    assert (await device.sync()).pushed == (ONE,)
    assert world.records().keys() == {TWO, THREE}
