"""Machines and accounts at which one folder may turn up: each has an id and a state directory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.cycle import witness
from syncd.cycle.witness import leave_place, take_place
from syncd.mirror.offline import workspace_of
from tests.rigs.device import OPEN, Device, World, rework


@dataclass(frozen=True, slots=True)
class Seat:
    """An account of a machine, at which syncd is started in some folder."""

    world: World
    monkeypatch: pytest.MonkeyPatch
    name: str = "machine"
    account: str = "alice"

    def sit_down(self) -> None:
        """Be this account, for whatever is started next."""
        place = self.world.tmp_path / "seats" / self.name
        place.mkdir(parents=True, exist_ok=True)
        (place / "machine-id").write_text(f"{self.name}\n")
        self.monkeypatch.setattr(witness, "MACHINE", place / "machine-id")
        self.monkeypatch.setenv("XDG_STATE_HOME", str(place / self.account))

    def make(self, root: Path, **settings: object) -> Device:
        """A new mirror, with a brake that stops nothing."""
        self.sit_down()
        device = self.world.device(root.name, config(self.world, **settings))
        close(device)
        return self.start(root, **settings)

    def start(self, root: Path, **settings: object) -> Device:
        """Start syncd in a folder, as `syncd sync` does. The test stops it with `close`."""
        self.sit_down()
        world = self.world
        device = Device.open(root, world.account(), world.pds(), config(world, **settings))
        mirror = device.mirror
        take_place(root, mirror.state, mirror.history)
        rework(mirror, folder=workspace_of(root, mirror.config, mirror.state).folder)
        return device

    @contextmanager
    def at(self, root: Path, **settings: object) -> Iterator[Device]:
        """Start syncd, and end it."""
        device = self.start(root, **settings)
        try:
            yield device
            leave_place(root, device.mirror.state)
        finally:
            close(device)


def config(world: World, **settings: object) -> Config:
    wanted: dict[str, object] = {"brake_records": 1000, **settings}
    return Config(world.login.did, **wanted)  # type: ignore[arg-type]


def close(device: Device) -> None:
    device.mirror.state.close()
    OPEN[:] = [other for other in OPEN if other is not device]


def copy(old: Path, new: Path, take: Callable[[Path], bool] = lambda _: True) -> Path:
    """Copy a folder with its times, as `cp -a` does; only the files that `take` takes."""
    for file in sorted(path for path in old.rglob("*") if path.is_file()):
        if take(file.relative_to(old)):
            target = new / file.relative_to(old)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    return new


def is_own(path: Path) -> bool:
    """Whether a file is syncd's own."""
    return path.parts[0] in (".syncd", "syncd.toml")
