"""A daemon where the kernel gives few watches: `python -m tests.few_watches DIRECTORY WATCHES`.

Run in a user namespace, which has a limit of its own.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from syncd import watch
from syncd.cli.run import Daemons, run_mirror
from syncd.config import Config
from syncd.sandbox import Sandbox
from tests.cycle.device import World

COLLECTIONS = 4


def allow(watches: int) -> None:
    Path("/proc/sys/user/max_inotify_watches").write_text(str(watches))


async def main(directory: Path, watches: int) -> None:
    """Save files in collections that are there, and in ones that come later, until all are sent."""
    watch.BLIND_SECONDS = 0.2
    sandbox = Sandbox()
    world = World(directory, sandbox, sandbox.create_account("alice"))
    config = Config(world.login.did, poll_seconds=0.2, full_look_seconds=86_400.0, doorbell="poll")
    device = world.device(config=config)
    device.save("com.example.c0/early", n=0)
    allow(watches)
    daemons = Daemons()
    running = asyncio.create_task(run_mirror(device.mirror, daemons))
    paths = {"com.example.c0/early"}
    for number in range(COLLECTIONS):
        path = f"com.example.c{number}/late"
        device.save(path, n=number)
        paths.add(path)
        while set(world.records()) != paths:
            assert not running.done(), running
            await asyncio.sleep(0.05)
    print("all pushed", device.mirror.state.note("watch"))  # noqa: T201
    daemons.stop()
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
