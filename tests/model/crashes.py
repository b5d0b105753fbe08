"""Run a story, end the program at a point, start it again, and see whether anything is missing.

A program that ends before an effect leaves what the effects before it have made. Where the last of
these changed nothing that lasts, as a read or the begin of a transaction, it leaves the same as one
that ended a point earlier: only `make stress` plays that again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryDirectory
from typing import Any

from syncd.errors import SyncdError
from tests.chance import IS_STRESS, SEED
from tests.place import PLACE
from tests.rigs.papers import COLLECTIONS

from .disks import Power
from .points import Act, Crash, Points, staged_databases
from .scene import Scene

Tell = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Left:
    """What a program that ends at a point leaves: all that lasts, and what a power cut takes."""

    lasting: object
    at_stake: Mapping[Power, object]

    def after(self, power: Power) -> object:
        """What is left once the power did that, or None if it can do it to nothing."""
        lost = self.at_stake.get(power)
        return (self.lasting, lost) if lost or power is Power.STAYS else None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended: what is there, what was sent to the repo, and the points passed."""

    end: dict[str, Any]
    sent: Counter[Any]
    points: tuple[str, ...]
    left: tuple[Left, ...]

    def ways(self, point: int) -> tuple[Power, ...]:
        """The ways to end at a point that leave something else than at the point before."""
        now = self.left[point].after
        if point == 0 or IS_STRESS:
            return tuple(power for power in Power if now(power))
        before = self.left[point - 1].after
        return tuple(power for power in Power if now(power) not in (None, before(power)))


def pages_of(name: str) -> Collection[str]:
    """The collections that have pages in a story: others on another day."""
    chance = random.Random(f"{SEED} {name}")
    return [each for each in COLLECTIONS if chance.random() < 0.5]


async def play(
    tell: Tell,
    *,
    die_at: int | None = None,
    power: Power = Power.STAYS,
    acts: Callable[[Scene], dict[int, Act]] = lambda _: {},
    meanwhile: Callable[[Scene], object] = lambda _: None,
    honours_swaps: bool = True,
    markdown: Collection[str] = (),
) -> Ending:
    """Play a story to its end. The laptop's sync dies at `die_at`; `meanwhile` it does nothing."""
    with TemporaryDirectory(prefix="syncd-model-", dir=PLACE) as root:
        scene = Scene(Path(root), honours_swaps=honours_swaps, markdown=markdown)
        with staged_databases(scene.gate):
            try:
                return await _play(scene, tell, die_at, power, acts, meanwhile)
            finally:
                scene.close()


async def _play(
    scene: Scene,
    tell: Tell,
    die_at: int | None,
    power: Power,
    acts: Callable[[Scene], dict[int, Act]],
    meanwhile: Callable[[Scene], object],
) -> Ending:
    await tell(scene)
    laptop = scene.laptop
    laptop.disk.forget()
    points = Points(die_at, acts(scene), lambda: _left(scene) if die_at is None else None)
    try:
        with scene.gate.counting(points):
            await laptop.sync()
    except Crash:
        laptop.stop()
        laptop.disk.cut(laptop.root, power)
        laptop.start()
        scene.check_nothing_lost()
        meanwhile(scene)
    except SyncdError:
        pass
    await scene.converge()
    await scene.check()
    sent = Counter(each for desk in scene.desks.values() for each in desk.sent)
    left = tuple(each for each in points.seen if isinstance(each, Left))
    return Ending(scene.end(), sent, tuple(points.passed), left)


def _left(scene: Scene) -> Left:
    """Look at every file, what the databases wrote included, and at the PDS."""
    root, disk = scene.world.tmp_path, scene.laptop.disk
    files = {path: _look_at(path) for path in root.rglob("*") if not path.name.endswith("-shm")}
    faults = repr(scene.world.sandbox.faults.waiting)
    return Left((files, scene.repo.head, len(scene.laptop.sent), faults), disk.at_stake())


def _look_at(path: Path) -> object:
    found = path.lstat()
    content = path.read_bytes() if S_ISREG(found.st_mode) else b""
    return found.st_ino, found.st_mode, found.st_mtime_ns, content
