"""Records that the PDS has lost: found one by one once, and then asked for seldom."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.cycle.observe.fetch import InMemory
from syncd.cycle.observe.lost import PAUSES, REQUESTS, Lost
from syncd.sandbox import Sandbox
from tests.cycle.observe.hostile import Repo, ServedPds
from tests.rigs.device import World, rework

MANY = {f"com.example.note/{n:04}": n for n in range(1_000)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


async def test_a_thousand_lost_blocks_are_not_asked_for_one_by_one_again(world: World) -> None:
    repo = Repo(MANY)
    blocks = {cid: repo.blocks[cid] for cid in repo.cids().values()}
    pds = ServedPds(repo, lambda _: b"")
    kept = next(iter(blocks))
    repo.blocks.clear()
    repo.blocks[kept] = blocks[kept]
    device = world.device()
    workspace = device.mirror.workspace

    async def fetched() -> tuple[set[Cid], int]:
        before = pds.requests
        found = await Lost(device.mirror.workspace).fetch(pds, blocks, InMemory())
        return found, pds.requests - before

    assert (await fetched())[0] == {kept}
    assert await fetched() == ({kept}, 1)
    new = cid_of_block(b"new")
    repo.blocks[new] = b"new"
    blocks[new] = b"new"
    # Only what is new and what is there.
    assert await fetched() == ({kept, new}, 1)
    later = workspace.clock_ns() + int(PAUSES.first + 1) * 10**9
    rework(device.mirror, clock_ns=lambda: later)
    found, requests = await fetched()
    assert (found, requests <= REQUESTS + 1) == ({kept, new}, True)
    assert await fetched() == ({kept, new}, 1)
    repo.blocks.update(blocks)
    much_later = later + 2 * int(PAUSES.longest) * 10**9
    rework(device.mirror, clock_ns=lambda: much_later)
    in_a_request = 100
    assert await fetched() == (set(blocks), 11)
    assert await fetched() == (set(blocks), -(-len(blocks) // in_a_request))


async def test_nothing_is_remembered_without_a_mirror() -> None:
    repo = Repo({"com.example.note/one": 1})
    pds = ServedPds(repo, lambda _: b"")
    lost = cid_of_block(b"lost")
    for _ in range(2):
        assert await Lost().fetch(pds, [lost], InMemory()) == set()
    assert pds.requests == 2
