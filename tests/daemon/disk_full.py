"""A daemon on disks that fill up: `python -m tests.daemon.disk_full DIRECTORY folder|state`.

Run in a user and a mount namespace, where anybody may mount: the folder is one small disk, and
`.syncd` is another. One of them is filled while both sides change, and emptied again.
"""

from __future__ import annotations

import asyncio
import errno
import json
import subprocess
import sys
from pathlib import Path

from syncd.config import Config
from syncd.folder.root import initialise
from syncd.model import Arrival, Departure
from syncd.sandbox import Sandbox
from syncd.state import create_state
from tests.rigs.desk import Desk, at_work, text_of
from tests.rigs.device import Device, World

NOTES = 5
OURS, THEIRS, NEW = (f"com.example.note/{name}" for name in ("n0", "n1", "new"))
SIZES = {".": "200k", ".syncd": "2m"}
"""The folder's disk and that of `.syncd`, which also holds the journals of the state."""


def mount(directory: Path, size: str) -> None:
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    subprocess.run(command, check=True)


def make_device(world: World) -> Device:
    root = world.tmp_path / "laptop"
    for name, size in SIZES.items():
        mount(root / name, size)
    initialise(root, "marker")
    create_state(root / ".syncd" / "state.db", did=world.login.did, marker="marker").close()
    config = Config(world.login.did, full_look_seconds=1.0)
    return Device.open(root, world.account(), world.pds(), config)


def fill_up(ballast: Path) -> None:
    """Take all the space there is, to the last byte."""
    size = 4096
    with ballast.open("wb", buffering=0) as file:
        while size:
            try:
                file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2


def told(desk: Desk) -> list[str]:
    """What a person is told: of the cycle, and of single files."""
    waiting = desk.device.mirror.state.waiting()
    reasons = [item.reason for item in waiting if not isinstance(item, Arrival | Departure)]
    return [error.message for error in desk.errors] + reasons


def check_files(device: Device) -> None:
    """Every record still has its file, and every file is whole."""
    files = device.files()
    assert {f"com.example.note/n{n}.json" for n in range(NOTES)} <= files.keys()
    assert all(json.loads(content)["v"] for content in files.values())


async def main(directory: Path, which: str) -> None:
    """Fill, change both sides, see what is told, empty, and find both sides agreed."""
    sandbox = Sandbox()
    world = World(directory, sandbox, sandbox.create_account("alice"))
    for n in range(NOTES):
        await world.write(f"com.example.note/n{n}", v="old")
    device = make_device(world)
    async with at_work(world, device=device) as desk:
        await desk.until(lambda: len(device.files()) == NOTES, "the first pull")
        await desk.rest()
        ballast = device.root / (".syncd/ballast" if which == "state" else "ballast")
        fill_up(ballast)
        if which == "state":
            device.file(OURS).write_text(text_of(OURS, v="ours"))
        await world.write(THEIRS, v="theirs" * 500)
        await world.write(NEW, v="new" * 500)
        theirs = len(desk.ops)
        await desk.until(lambda: any("the disk is full" in words for words in told(desk)), "a word")
        await asyncio.sleep(2.0)
        assert set(desk.ops[theirs:]) <= {op for op in desk.ops if op.path == OURS}
        check_files(device)
        print(told(desk)[0])  # noqa: T201
        ballast.unlink()
        await desk.until(lambda: device.has(NEW), "the pull of what is new")
        await desk.until(lambda: device.read(THEIRS)["v"] == "theirs" * 500, "the pull of an edit")
        if which == "state":
            await desk.until(lambda: desk.is_pushed({"v": "ours"}, OURS), "the push")
        await desk.until(lambda: device.base() == world.records(), "agreement")
        await desk.until(lambda: device.mirror.state.waiting() == (), "silence")
        assert {(op.action, op.path) for op in desk.ops[theirs:]} <= {("update", OURS)}
        print("recovered")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
