"""What a look costs: a start reads no unchanged file, and an event costs as much in any folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.atproto.commit import sign_commit
from syncd.atproto.data import encode
from syncd.atproto.mst import build
from syncd.atproto.syntax import make_tid
from syncd.folder.read import RACY_NS
from syncd.model import Head, Memory, RecordPath, Seen
from syncd.sandbox.repo.commits import Block, RepoState
from tests.chance import IS_STRESS
from tests.rigs.device import Device, World, rework

FILES, SMALL, LARGE = 400, 1_000, 100_000 if IS_STRESS else 40_000
CALLS = ("open", "stat", "listdir", "scandir", "read", "fstat")


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """How often each call to the file system is made, and under "content" how often a file's."""
    counts: Counter[str] = Counter()

    def counting(name: str) -> object:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            counts[name] += 1
            is_content = name == "open" and str(args[0]).endswith(".json")
            counts["content"] += is_content
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, counting(name))
        yield counts


def age(device: Device, seconds: int) -> None:
    """Let the device's clock be ahead, as if its files had been written so long ago."""
    clock = device.mirror.workspace.clock_ns
    rework(device.mirror, clock_ns=lambda: clock() + seconds * 1_000_000_000)


async def test_a_start_on_an_unchanged_folder_reads_no_file(world: World) -> None:
    laptop = world.device()
    for n in range(FILES):
        laptop.save(f"com.example.note/n{n}", n=n)
    age(laptop, 10)
    await laptop.sync()
    again = world.restart(laptop)
    age(again, 10)
    with counted() as counts:
        report = await again.sync()
    assert report.plan is not None
    assert (counts["content"], report.plan.steps) == (0, ())
    again.save("com.example.note/n7", n="edited")
    with counted() as counts:
        report = await again.sync()
    assert report.pushed == ("com.example.note/n7",)
    assert 0 < counts["content"] <= 4, "the look, the proof before the push, and history"
    again.mirror.state.close()


async def test_a_start_reads_once_what_was_seen_too_soon_after_it_was_written(
    world: World,
) -> None:
    """The racy-clean rule: within the same tick a second change leaves no trace in the stat."""
    laptop = world.device()
    for n in range(FILES):
        laptop.save(f"com.example.note/n{n}", n=n)
    await laptop.sync()
    for expected in (FILES, 0):
        laptop = world.restart(laptop)
        age(laptop, 2 * RACY_NS // 1_000_000_000)
        with counted() as counts:
            await laptop.sync()
        assert counts["content"] == expected
    laptop.mirror.state.close()


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one cycle: calls to the file system, and steps of SQLite's virtual machine."""

    calls: Counter[str]
    steps: int = 0


def paths(records: int) -> list[RecordPath]:
    return [RecordPath(f"com.example.note/n{n:06}") for n in range(records)]


def path_at(records: int) -> RecordPath:
    """The one that the event is about."""
    return paths(records)[records // 2]


def populate(world: World, device: Device, records: int) -> None:
    """Let repo, tree and state hold so many records, without the time that it takes to sync them.

    None of them has a file yet: an event is about one file, and the others are not to be looked at.
    """
    block = encode({"$type": "com.example.note", "v": "old"})
    cid, repo = cid_of_block(block), world.sandbox.repo(world.login.did)
    base = dict.fromkeys(paths(records), cid)
    root, nodes = build({str(path): value for path, value in base.items()})
    rev = make_tid(world.sandbox.microseconds(), 0)
    commit = sign_commit(world.login.did, rev, root, repo._key)
    head = Head(cid_of_block(commit), rev, root)
    blocks = {**nodes, cid: block, head.commit: commit}
    repo._states.append(RepoState(head, base, {c: Block(data, rev) for c, data in blocks.items()}))
    seen = {path: Seen(path, 1, len(block), 1, 1, 1, b"digest", cid) for path in base}
    device.mirror.state.record(
        Memory(
            base=base, blocks={path_at(records): block}, seen=seen, head=head, newest=rev,
            is_whole_tree=True, added_nodes=nodes,
        )
    )  # fmt: skip


async def cost_of_an_event(world: World, name: str, records: int) -> Cost:
    device = world.device(name)
    populate(world, device, records)
    path = path_at(records)
    device.save(path, v="old")
    await device.mirror.cycle([path])  # settles what is only written once: scope, home, guards
    device.save("com.example.note/first", v="new")
    await device.mirror.cycle([RecordPath("com.example.note/first")])
    device.save(path, v="new")
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    device.mirror.state._sql.set_progress_handler(step, 1)
    with counted() as calls:
        report = await device.mirror.cycle([path])
    device.mirror.state._sql.set_progress_handler(None, 0)
    assert report.pushed == (path,)
    device.mirror.state.close()
    return Cost(calls, steps)


async def test_an_event_costs_the_same_in_a_small_folder_and_in_a_large_one(
    tmp_path: Path, world: World
) -> None:
    small = await cost_of_an_event(world, "small", SMALL)
    large = await cost_of_an_event(world, "large", LARGE)
    assert small.calls["open"] > 0
    assert large.calls == small.calls
    assert large.steps <= 1.5 * small.steps, "SQLite looks at more rows in a large state"
