"""Run a story, end the program at a point, start it again, and see whether anything is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from syncd.errors import SyncdError
from tests.place import PLACE

from .disks import Power
from .points import Act, Crash, Points, staged_databases
from .scene import Scene

Tell = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a story ended: what is there, what was sent to the repo, and the points passed."""

    end: dict[str, Any]
    sent: Counter[Any]
    points: tuple[str, ...]
    volatile: frozenset[int]


async def play(
    tell: Tell,
    *,
    die_at: int | None = None,
    power: Power = Power.STAYS,
    acts: Callable[[Scene], dict[int, Act]] = lambda _: {},
    meanwhile: Callable[[Scene], object] = lambda _: None,
    honours_swaps: bool = True,
) -> Ending:
    """Play a story to its end. The laptop's sync dies at `die_at`; `meanwhile` it does nothing."""
    with TemporaryDirectory(prefix="syncd-model-", dir=PLACE) as root:
        scene = Scene(Path(root), honours_swaps=honours_swaps)
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
    points = Points(die_at, acts(scene), lambda: laptop.disk.is_volatile)
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
    return Ending(scene.end(), sent, tuple(points.passed), frozenset(points.volatile))
