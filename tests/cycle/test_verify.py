"""Verify: whatever does not agree is found by its name, and what agrees is left in peace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.atproto.keys import make_key
from syncd.atproto.mst import build
from syncd.cycle.served import verify_served
from syncd.cycle.verify import Verified, verify_mirror
from syncd.model import Head, Memory, RecordPath
from tests.atproto.inexact import block
from tests.cycle.observe.hostile import Repo, account_of, rev_of, serving
from tests.rigs.device import Device, World, rework

ONE, TWO = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
ELSEWHERE = RecordPath("com.other.thing/one")
OTHER_KEY = make_key("p256", b"\x02" * 32).public.did_key


def verified(device: Device) -> Verified:
    mirror = device.mirror
    return verify_mirror(mirror.workspace, mirror.account)


def findings(device: Device) -> list[str]:
    return [finding.path for finding in verified(device).findings]


@pytest.fixture
async def laptop(world: World) -> Device:
    for number, path in enumerate((ONE, TWO, ELSEWHERE)):
        await world.write(path, v=number)
    device = world.device()
    await device.sync()
    return device


async def test_a_mirror_that_is_in_sync_agrees(laptop: Device) -> None:
    assert verified(laptop) == Verified(3, (), 3)


def edit(laptop: Device) -> None:
    laptop.save(ONE, v="edited")


def remove(laptop: Device) -> None:
    laptop.delete(ONE)


def spoil(laptop: Device) -> None:
    laptop.save_text(ONE, "{")


def misremember(laptop: Device) -> None:
    laptop.mirror.state.record(Memory(base={ONE: laptop.base()[TWO], TWO: None}))


def damage(laptop: Device) -> None:
    """A bit of a tree node flips in the state file."""
    head = laptop.mirror.state.head()
    assert head is not None
    block = laptop.mirror.state.node(head.data)
    assert block is not None
    laptop.mirror.state.record(Memory(added_nodes={head.data: block[:-1] + b"\x00"}))


def lose_the_commit(laptop: Device) -> None:
    head = laptop.mirror.state.head()
    assert head is not None
    laptop.mirror.state.record(Memory(dropped_nodes=frozenset({head.commit})))


def forge_the_key(laptop: Device) -> None:
    home = laptop.mirror.home
    laptop.mirror.home = replace(home, account=replace(home.account, key=OTHER_KEY))


def move_the_head(laptop: Device) -> None:
    """The state file names another tree than the commit that it keeps."""
    head = laptop.mirror.state.head()
    assert head is not None
    data, nodes = build({str(path): cid for path, cid in laptop.base().items() if path != TWO})
    laptop.mirror.state.record(Memory(head=replace(head, data=data), added_nodes=nodes))


def forget_everything(laptop: Device) -> None:
    lost = Head(cid_of_block(b"no commit"), rev_of(1), cid_of_block(b"no tree"))
    laptop.mirror.state.record(Memory(head=lost))


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        (edit, {ONE}),
        (remove, {ONE}),
        (spoil, {ONE}),
        (misremember, {ONE, TWO}),
        (damage, {"tree", ONE, TWO, ELSEWHERE}),
        (lose_the_commit, {"commit"}),
        (forge_the_key, {"commit"}),
        (move_the_head, {"commit", TWO}),
        (forget_everything, {"commit", "tree", ONE, TWO, ELSEWHERE}),
    ],
)
async def test_what_does_not_agree_is_named(
    laptop: Device, harm: Callable[[Device], None], found: set[str]
) -> None:
    harm(laptop)
    assert set(findings(laptop)) == found
    assert all(finding.hint for finding in verified(laptop).findings if finding.path != ONE)


async def test_a_file_that_no_sync_would_take_is_named_though_its_last_word_is_right(
    laptop: Device,
) -> None:
    text = laptop.file(ONE).read_text()
    laptop.save_text(ONE, text.replace("{", '{\n  "v": 5,', 1))
    assert findings(laptop) == [ONE]


async def test_a_tree_is_proven_that_has_more_than_the_mirror(laptop: Device) -> None:
    mirror = laptop.mirror
    mirror.workspace = replace(
        mirror.workspace, config=replace(mirror.workspace.config, exclude=("com.other.*",))
    )
    mirror.state.record(Memory(base={ELSEWHERE: None}))
    assert verified(laptop) == Verified(2, (), 2)


async def test_a_conflict_is_known_and_no_finding(world: World, laptop: Device) -> None:
    laptop.save(ONE, v="mine")
    await world.write(ONE, v="theirs")
    await laptop.sync()
    assert findings(laptop) == []
    found = verified(laptop)
    assert (found.records, found.agree, [item.path for item in found.waiting]) == (3, 2, [ONE])
    assert not found.is_sound


async def test_what_waits_is_counted_with_its_reason(laptop: Device) -> None:
    laptop.save_text(ONE, "{")
    laptop.save_text(f"{ONE}2", "{")
    await laptop.sync()
    found = verified(laptop)
    assert (found.records, found.agree, found.findings) == (3, 2, ())
    assert {item.path for item in found.waiting} == {ONE, f"{ONE}2"}


async def test_what_was_settled_since_the_last_sync_waits_no_more(laptop: Device) -> None:
    text = laptop.file(ONE).read_text()
    laptop.save_text(ONE, "{")
    await laptop.sync()
    laptop.save_text(ONE, text)
    assert verified(laptop) == Verified(3, (), 3)


async def test_what_a_pds_serves_of_the_repo_is_all_of_it(laptop: Device) -> None:
    found = await verify_served(laptop.mirror.state, laptop.mirror.pds)
    assert found.findings == ()
    assert found.blocks >= 5


@pytest.mark.parametrize(("lost", "named"), [(0, ["tree"]), (1, ["tree"]), (2, [TWO])])
async def test_a_block_that_the_pds_lost_is_named(
    tmp_path: Path, lost: int, named: list[str]
) -> None:
    repo = Repo({ONE: block(v=1), TWO: block(v=2)})
    pds = serving(repo)
    laptop = Device.make(tmp_path / "laptop", account_of(), pds)
    await laptop.sync()
    head = laptop.mirror.state.head()
    assert head is not None
    gone = (head.commit, head.data, laptop.base()[TWO])[lost]
    pds.serve = lambda _: repo.car([item for item in repo.blocks.items() if item[0] != gone])
    found = await verify_served(laptop.mirror.state, pds)
    assert [finding.path for finding in found.findings] == named
    assert all(finding.hint for finding in found.findings)


async def test_with_a_damaged_tree_nothing_is_compared(laptop: Device) -> None:
    damage(laptop)
    found = await verify_served(laptop.mirror.state, laptop.mirror.pds)
    assert [finding.path for finding in found.findings] == ["repo"]


async def test_a_repo_that_changed_since_is_not_compared(world: World, laptop: Device) -> None:
    await world.write(ONE, v="new")
    found = await verify_served(laptop.mirror.state, laptop.mirror.pds)
    assert [finding.path for finding in found.findings] == ["repo"]


async def test_what_is_out_of_scope_is_neither_counted_nor_missed(laptop: Device) -> None:
    rework(laptop.mirror, config=replace(laptop.mirror.config, exclude=("com.other.*",)))
    await laptop.sync()
    assert verified(laptop) == Verified(2, (), 2)
    laptop.delete(ELSEWHERE)
    assert verified(laptop) == Verified(2, (), 2)


async def test_it_changes_nothing(laptop: Device) -> None:
    edit(laptop)
    files, base = laptop.files(), laptop.base()
    verified(laptop)
    assert (laptop.files(), laptop.base()) == (files, base)
