"""A daemon where the kernel gives few watches.

    python -m tests.watch.few_watches DIRECTORY WATCHES

Run in a user namespace, which has a limit of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from syncd.cli.host.journal import say_text
from syncd.cli.host.process import watched
from syncd.config import Config
from syncd.daemon import Daemon
from syncd.sandbox import Sandbox
from syncd.state.notes import Unwatched
from syncd.watch import watcher as watch
from tests.rigs.device import Device, World

COLLECTIONS = 4


def allow(watches: int) -> None:
    Path("/proc/sys/user/max_inotify_watches").write_text(str(watches))


async def until(is_true: Callable[[], bool], running: asyncio.Task[None]) -> None:
    while True:
        assert not running.done(), running
        if is_true():
            return
        await asyncio.sleep(0.05)


async def main(directory: Path, watches: int) -> None:
    """Save files in collections that are there, and in ones that come later, until all are sent.

    Then allow more watches, until the folder is watched again.
    """
    watch.BLIND_SECONDS = 0.2
    sandbox = Sandbox()
    world = World(directory, sandbox, sandbox.create_account("alice"))
    config = Config(world.login.did, poll_seconds=0.2, full_look_seconds=86_400.0, doorbell="poll")
    device = world.device(config=config)
    device.save("com.example.c0/early", n=0)
    allow(watches)
    with watched(device.mirror, say_text) as watcher:
        daemon = Daemon(device.mirror, watcher, lambda *_: None)
        running = asyncio.create_task(daemon.run())
        await push_all(world, device, running)
        daemon.stop()
        await running


async def push_all(world: World, device: Device, running: asyncio.Task[None]) -> None:
    paths = {"com.example.c0/early"}
    for number in range(COLLECTIONS):
        path = f"com.example.c{number}/late"
        device.save(path, n=number)
        paths.add(path)
        await until(lambda: set(world.records()) == paths, running)
    print("all pushed", device.mirror.state.note(Unwatched))  # noqa: T201
    allow(1000)
    await until(lambda: device.mirror.state.note(Unwatched) is None, running)
    device.save("com.example.c0/seen", n=0)
    await until(lambda: len(world.records()) > len(paths), running)
    print("and watched again")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
