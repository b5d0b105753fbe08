"""A person at work in a mirror that a daemon keeps: real files, real events, a sandbox for a PDS.

What the daemon pushed is told by the sandbox's own commits, in order: a save that was torn in two
or taken for a deletion shows there, whatever the end looks like.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from syncd.atproto.data import cid_of, from_json
from syncd.config import Config
from syncd.daemon import Daemon, Phase
from syncd.errors import SyncdError
from syncd.folder.names import record_path_of
from syncd.model import RecordPath, Report
from syncd.sandbox.repo.commits import CommitOp, NewCommit
from syncd.watch import Watcher

from .device import Device, World

PATIENCE_SECONDS = 120.0
NOTE = RecordPath("com.example.note/one")


def text_of(path: str, **fields: Any) -> str:  # noqa: ANN401
    """The text of a record's file, one field a line."""
    return json.dumps({"$type": path.partition("/")[0], **fields}, indent=2) + "\n"


class Names(FileSystemEventHandler):
    """Every name that was there for a moment, so that a test knows that an editor did its worst."""

    def __init__(self) -> None:
        self.met: set[str] = set()

    def on_any_event(self, event: FileSystemEvent) -> None:
        for name in (event.src_path, event.dest_path):
            self.met.add(str(name).rpartition("/")[2])


@dataclass(slots=True)
class Desk:
    """A daemon at work on a device, and what it did."""

    world: World
    device: Device
    watcher: Watcher
    ops: list[CommitOp] = field(default_factory=list)
    errors: list[SyncdError] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    phase: Phase | None = None
    names: Names = field(default_factory=Names)
    daemon: Daemon = field(init=False)

    def __post_init__(self) -> None:
        self.daemon = Daemon(self.device.mirror, self.watcher, self.told)
        repo = self.world.sandbox.repo(self.world.login.did)
        before = repo._on_commit

        def on_commit(commit: NewCommit) -> None:
            self.ops += commit.ops
            before(commit)

        repo._on_commit = on_commit

    def told(self, phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        self.phase = phase
        self.reports += [report] if report is not None else []
        self.errors += [error] if error is not None else []

    @property
    def root(self) -> Path:
        return self.device.root

    def file(self, path: str = NOTE) -> Path:
        return self.device.file(path)

    def actions(self, path: str = NOTE) -> list[str]:
        """What became of one record in the repo, commit by commit."""
        return [op.action for op in self.ops if op.path == path]

    def is_pushed(self, fields: Mapping[str, object], path: str = NOTE) -> bool:
        record = {"$type": path.partition("/")[0], **fields}
        return self.world.records().get(RecordPath(path)) == cid_of(from_json(record))

    async def until(self, is_true: Callable[[], bool], what: str) -> None:
        """Wait for something that the daemon does."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not is_true():
            late = asyncio.get_running_loop().time() > deadline
            assert not late, f"{what} did not happen; {self.ops[-5:]} {self.errors[-3:]}"
            await asyncio.sleep(0.01)

    async def until_pushed(self, fields: Mapping[str, object], path: str = NOTE) -> None:
        await self.until(lambda: self.is_pushed(fields, path), f"the push of {path}")
        await self.rest()

    async def rest(self) -> None:
        """Let the daemon look everywhere once more and come to rest: nothing follows any more."""
        for _ in range(2):
            seen = len(self.reports)
            self.daemon._bell.ring(None)
            await self.until(lambda seen=seen: len(self.reports) > seen, "one more look")  # type: ignore[misc]
        await self.until(lambda: self.phase is Phase.IDLE, "rest")

    async def run(self, *command: str | Path, stdin: str = "") -> None:
        """Run a program in the folder while the daemon goes on."""
        done = await asyncio.to_thread(
            subprocess.run,
            [str(word) for word in command],
            cwd=self.root,
            input=stdin.encode(),
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)


@asynccontextmanager
async def at_work(
    world: World, *, config: Config | None = None, device: Device | None = None
) -> AsyncIterator[Desk]:
    """A desk whose daemon runs until the end of the `with`."""
    device = device or world.device(config=config)
    forms = device.mirror.folder.forms
    record_of = partial(record_path_of, forms=forms)
    watcher = Watcher(device.root, device.mirror.config.covers, record_of, forms=forms)
    watcher.start()
    desk = Desk(world, device, watcher)
    observer = Observer()
    (device.root / NOTE).parent.mkdir(exist_ok=True)
    observer.schedule(desk.names, str((device.root / NOTE).parent))
    observer.start()
    running = asyncio.create_task(desk.daemon.run())
    try:
        yield desk
        assert not running.done(), running
    finally:
        desk.daemon.stop()
        observer.stop()
        await asyncio.to_thread(observer.join)
        watcher.stop()
        await running
        device.mirror.state.close()


async def in_a_thread(act: Callable[[], object]) -> None:
    """Do something that sleeps, beside the daemon."""
    await asyncio.to_thread(act)
