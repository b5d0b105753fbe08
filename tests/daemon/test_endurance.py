"""A day in the life of a daemon, in seconds: 10,000 cycles, an outage, a captive portal, a machine
that sleeps, a wall clock that is set days forth and back. Nothing grows, and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import syncd
from syncd.cli.host.journal import LogEntry
from syncd.cli.host.reporter import Teller
from syncd.config import Config
from syncd.daemon import BACKOFF_SECONDS, Daemon, Phase
from syncd.model import RecordPath
from syncd.sandbox import DropRequest, Html, Sandbox
from syncd.sandbox.faults import Effect
from syncd.sandbox.repo.engine import Repo
from tests.chance import IS_STRESS
from tests.daemon.test_loop import FakeWatcher, now, play, until
from tests.place import PLACE
from tests.rigs.device import Device, World

HOUR = 3_600.0
DAY = 24 * HOUR
STEP_SECONDS = 10.5
"""Between two writes, by turns a file that is saved and a record that another client writes."""
PART = 1.0 if IS_STRESS else 0.05
"""How much of the day is lived."""
CYCLES = int(10_000 * PART)
PATHS = tuple(RecordPath(f"com.example.note/n{number}") for number in range(10))
GROWTH_BYTES = 200 * CYCLES
"""So much more may syncd's own lines hold in the last hour than in the third. The report of each
cycle, kept by mistake, is six times that. The pages of the process are not asked: the server keeps
each commit, and the tests before this one left the allocator as they left it."""
GROWTH_VALUES = CYCLES // 4
"""So many more values of syncd may there be: a value that each cycle keeps by mistake is more."""
ROOT = Path(syncd.__file__).parents[1]
WORLD = ("syncd.sandbox", "syncd.atproto")
"""What the server of the day is made of, which keeps each commit."""


@dataclass(slots=True)
class Life:
    """A daemon with its teller, and the day around it."""

    world: World
    device: Device
    wall_jump_seconds: float = 0.0
    watcher: FakeWatcher = field(default_factory=FakeWatcher)
    said: dict[str, int] = field(default_factory=dict)
    teller: Teller = field(init=False)
    daemon: Daemon = field(init=False)

    def __post_init__(self) -> None:
        mirror = replace(
            self.device.mirror,
            workspace=replace(self.device.mirror.workspace, clock_ns=self.clock_ns),
            jitter=lambda: 0.0,
        )
        self.device.mirror = mirror
        self.teller = Teller(mirror, self.hear, lambda _: None)
        self.daemon = Daemon(mirror, self.watcher, self.teller.on_change, jitter=lambda: 0.5)

    @property
    def repo(self) -> Repo:
        return self.world.sandbox.repo(self.world.login.did)

    def clock_ns(self) -> int:
        return BEGAN_NS + int((now() + self.wall_jump_seconds) * 1e9)

    def hear(self, entry: LogEntry) -> None:
        self.said[entry.event] = self.said.get(entry.event, 0) + 1

    def is_agreed(self) -> bool:
        return self.device.base() == self.world.records()


BEGAN_NS = time.time_ns()


@pytest.fixture
def world() -> Iterator[World]:
    """In memory, where there is such a place: to wait for a disk 30,000 times proves nothing."""
    with tempfile.TemporaryDirectory(dir=PLACE) as place:
        sandbox = Sandbox()
        yield World(Path(place), sandbox, sandbox.create_account("alice"))


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds."""

    bytes: int
    values: int
    descriptors: int
    tasks: int


def held() -> Held:
    gc.collect()
    modules = [type(thing).__module__ for thing in gc.get_objects()]
    own = sum(name.startswith("syncd.") and not name.startswith(WORLD) for name in modules)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return Held(traced_bytes(), own, descriptors, len(asyncio.all_tasks()))


def traced_bytes() -> int:
    """Return how many bytes syncd allocated and still holds, without the rooms of `WORLD`."""
    mine = f"{ROOT}/syncd/"
    rooms = tuple(f"{ROOT}/{name.replace('.', '/')}/" for name in WORLD)
    # A file has one line here: a filter of the snapshot would look at the name of each allocation.
    by_file = {
        line.traceback[0].filename: line.size
        for line in tracemalloc.take_snapshot().statistics("filename")
    }
    return sum(
        size
        for name, size in by_file.items()
        if name.startswith(mine) and not name.startswith(rooms)
    )


@pytest.fixture
def traced() -> Iterator[None]:
    """Trace where memory is allocated."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def live(world: World) -> Life:
    config = Config(world.login.did, brake_records=1000)
    return Life(world, world.device(config=config))


@asynccontextmanager
async def running(life: Life) -> AsyncIterator[None]:
    task = asyncio.create_task(life.daemon.run())
    try:
        yield
    finally:
        life.daemon.stop()
        await asyncio.wait_for(task, 60)


async def pass_time(life: Life, hours: float) -> None:
    """People and programs write on both sides, each their own records."""
    for step in range(int(hours * PART * HOUR / STEP_SECONDS)):
        path = PATHS[step % len(PATHS)]
        if step % 2:
            life.repo.put(path, {"$type": "com.example.note", "at": str(now())})
        else:
            life.device.save(path, at=str(now()))
            life.watcher.tell(path)
        await asyncio.sleep(STEP_SECONDS)


@contextmanager
def broken(life: Life, effect: Effect) -> Iterator[None]:
    """Every request meets `effect`."""
    life.world.sandbox.faults.add(effect, times=1_000_000)
    yield
    life.world.sandbox.faults.clear()


@pytest.mark.usefixtures("traced")
def test_a_day_of_cycles_leaves_memory_and_descriptors_as_they_were(world: World) -> None:
    async def story() -> None:
        life = live(world)
        async with running(life):
            await pass_time(life, 3)
            early = held()
            for outage in (DropRequest(), Html()):
                with broken(life, outage):
                    await pass_time(life, 2)
                    assert life.teller.phase is Phase.OFFLINE
                await until(life.is_agreed, "the recovery", 2 * BACKOFF_SECONDS[1])
            for jump in (9 * HOUR, 3 * DAY, -5 * DAY):
                life.wall_jump_seconds += jump
                await pass_time(life, 2)
                assert life.is_agreed()
            while now() < PART * DAY:
                await pass_time(life, 1)
            late = held()
        assert life.teller.tally.cycles >= CYCLES
        assert late.bytes - early.bytes < GROWTH_BYTES
        assert late.values - early.values < GROWTH_VALUES
        assert late.descriptors <= early.descriptors  # those of tests before may be closed by now
        assert late.tasks == early.tasks
        assert life.said["error"] == life.said["recovered"] == 2
        assert not life.said.keys() & {"conflict", "problem", "held", "deleted"}

    play(story())
