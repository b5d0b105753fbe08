"""One cycle in a process of its own: `python -m tests.folder.pull_once DIRECTORY`.

DIRECTORY holds a sandbox's data and a device, as `Stage` makes them. To be watched, and to be
killed, from outside.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from syncd.sandbox import Login, Sandbox
from tests.rigs.device import Device, World

MARK = "the-cycle-begins-now"
"""A file that is looked for, in vain, right before the cycle: a trace shows where it begins."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A sandbox that keeps its data, and a device beside it that other processes can open."""

    directory: Path
    world: World

    @classmethod
    def make(cls, directory: Path) -> Stage:
        directory.mkdir()
        sandbox = Sandbox(data=directory / "sandbox")
        return cls(directory, World(directory, sandbox, sandbox.create_account("alice")))

    @classmethod
    def load(cls, directory: Path) -> Stage:
        sandbox = Sandbox(data=directory / "sandbox")
        (account,) = sandbox.accounts
        return cls(directory, World(directory, sandbox, Login(account.did, account.handle, "")))

    def device(self) -> Device:
        return Device.open(self.directory / "laptop", self.world.account(), self.world.pds())


def main(directory: Path) -> None:
    device = Stage.load(directory).device()
    (directory / MARK).exists()
    asyncio.run(device.mirror.cycle())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
