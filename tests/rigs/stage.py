"""Who acts in a story: devices, the repo's other client, and what befalls them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from syncd.atproto.cid import Cid
from syncd.atproto.data import from_json
from syncd.cli import cli
from syncd.config import Config, render_config
from syncd.errors import SyncdError
from syncd.lock import FolderLock
from syncd.model import RecordPath, Report
from syncd.state import open_or_renew
from tests.rigs.device import Device, World, rework

from .journal import Journal, cid_of_file, lost
from .pictures import Bytes


@dataclass(slots=True)
class Actor:
    """A device, what its last sync came to, and where its folder is when it is not in its place."""

    device: Device
    report: Report = field(default_factory=Report)
    error: SyncdError | None = None
    away: Path | None = None

    @property
    def is_there(self) -> bool:
        return self.away is None and (self.device.root / ".syncd" / "marker").exists()


async def no_time(_: float) -> None:
    """Waiting costs nothing in a story."""


def impatient(device: Device) -> Device:
    """The device, without the pauses that it makes after lost answers and lost swaps."""
    device.mirror.sleep = no_time
    return device


@dataclass(slots=True)
class Stage:
    """One world, its devices by name (made when first named), and the journal of all versions."""

    world: World
    journal: Journal = field(default_factory=Journal)
    actors: dict[str, Actor] = field(default_factory=dict)
    blobs: Bytes = field(init=False)

    def __post_init__(self) -> None:
        self.blobs = Bytes(self.world, self.roots)

    def __getitem__(self, who: str) -> Actor:
        if who not in self.actors:
            device = self.world.device(who, Config(self.world.login.did))
            self.actors[who] = Actor(impatient(device))
            self.configure(who)
        return self.actors[who]

    def roots(self) -> list[Path]:
        """Every folder, wherever it is."""
        return [actor.away or actor.device.root for actor in self.actors.values()]

    # --- the repo's other client ----------------------------------------------------------------

    async def write(self, path: RecordPath, fields: dict[str, Any]) -> None:
        self.journal.gave_up(path, self.world.records().get(path))
        record: Any = from_json(fields)
        self.journal.wrote(path, await self.world.write(path, **record), "another client")
        self.blobs.excuse()

    async def delete(self, path: RecordPath, *, on_purpose: bool) -> None:
        if on_purpose:
            self.journal.gave_up(path, self.world.records().get(path))
        await self.world.delete(path)
        self.blobs.excuse()

    # --- a person at a device -------------------------------------------------------------------

    def content(self, who: str, path: RecordPath) -> Cid | None:
        """What the file is now."""
        file = self[who].device.file(path)
        return cid_of_file(path, file.read_bytes()) if file.exists() else None

    def save(self, who: str, path: RecordPath, text: str) -> None:
        self.journal.gave_up(path, self.content(who, path))
        self[who].device.save_text(path, text)
        self.journal.wrote(path, cid_of_file(path, text.encode()), who)

    def remove(self, who: str, path: RecordPath, *, on_purpose: bool) -> None:
        if on_purpose:
            self.journal.gave_up(path, self.content(who, path))
        self[who].device.delete(path)

    async def sync(self, who: str) -> None:
        """One sync. What it refuses to do is kept for the story to ask about."""
        actor = self[who]
        actor.report, actor.error = Report(), None
        try:
            actor.report = await actor.device.sync()
        except SyncdError as error:
            actor.error = error

    async def ask(self, who: str, *arguments: str) -> str:
        """Run a command as beside a daemon: it notes what was decided, for the next sync."""
        root = self[who].device.root
        with FolderLock(root):
            return await self.command(root, *arguments)

    async def command(self, root: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """What a command of syncd prints. Any error but an expected exit code fails the story."""

        def run() -> tuple[int, str, BaseException | None]:
            done = CliRunner().invoke(cli, ["-C", str(root), *arguments])
            return done.exit_code, done.stdout, done.exception

        code, out, error = await asyncio.to_thread(run)
        assert code in codes, (arguments, code, out, error)
        return out

    def configure(self, who: str, **settings: Any) -> None:  # noqa: ANN401
        device = self[who].device
        rework(device.mirror, config=replace(device.mirror.config, **settings))
        text = render_config(device.mirror.config)
        (device.root / "syncd.toml").write_text(text, encoding="utf-8")

    # --- what befalls a device ------------------------------------------------------------------

    def restart(self, who: str, root: Path | None = None) -> None:
        """End syncd on the device and start it again, as its commands do."""
        actor = self[who]
        mirror = actor.device.mirror
        if root is None and not actor.is_there:
            return
        mirror.state.close()
        root = root or actor.device.root
        marker = (root / ".syncd" / "marker").read_text().strip()
        path = root / ".syncd" / "state.db"
        open_or_renew(path, did=self.world.login.did, marker=marker).close()
        account, pds = self.world.account(), self.world.pds()
        actor.device = impatient(Device.open(root, account, pds, mirror.config))

    def harm(self, who: str, name: str, change: Callable[[bytes], bytes | None]) -> None:
        """Change the bytes of a file of `.syncd` (None removes it) while syncd is down."""
        device = self[who].device
        device.mirror.state.close()
        file = device.root / ".syncd" / name
        harmed = change(file.read_bytes())
        for part in ("-wal", "-shm", ""):
            file.with_name(name + part).unlink(missing_ok=True)
        if harmed is not None:
            file.write_bytes(harmed)
        self.restart(who)

    def back_up(self, who: str) -> None:
        device = self[who].device
        device.mirror.state.close()
        shutil.copytree(device.root, self._backup(who))
        self.restart(who)

    def go_back(self, who: str, what: str) -> None:
        """Put a backup in the place of what is there, which its owner thereby gives up."""
        device = self[who].device
        device.mirror.state.close()
        for old in _parts(device.root, what):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        for kept in _parts(self._backup(who), what):
            place = device.root / kept.relative_to(self._backup(who))
            shutil.copytree(kept, place) if kept.is_dir() else shutil.copy2(kept, place)
        self.journal.given_up.update(lost(self))
        self.blobs.excuse()
        self.restart(who)

    def _backup(self, who: str) -> Path:
        return self.world.tmp_path / f"{who}.backup"

    def unmount(self, who: str) -> None:
        """The folder's disk goes away: what is left is the empty directory it was mounted on."""
        actor = self[who]
        actor.away = actor.device.root.rename(actor.device.root.with_name(f"{who}.disk"))
        actor.device.root.mkdir()

    def mount(self, who: str) -> None:
        actor = self[who]
        assert actor.away is not None
        actor.device.root.rmdir()
        actor.away.rename(actor.device.root)
        actor.away = None
        self.restart(who)

    def move(self, who: str) -> None:
        """The folder gets another name, under a syncd that has it open."""
        actor = self[who]
        actor.away = actor.device.root.rename(actor.device.root.with_name(f"{who}.moved"))

    def follow(self, who: str) -> None:
        """Start syncd where the folder is now."""
        actor = self[who]
        root, actor.away = actor.away, None
        self.restart(who, root)

    # --- in the end -----------------------------------------------------------------------------

    async def settle(self) -> None:
        """Sync every device until none has more to do than to wait."""
        for _ in range(3):
            for who, actor in self.actors.items():
                if actor.is_there:
                    await self.sync(who)

    def standing(self) -> object:
        """Everything that must not change where nothing happens."""
        beside = [sorted((root / ".syncd" / "conflicts").rglob("*.json")) for root in self.roots()]
        files = {who: actor.device.files() for who, actor in self.actors.items()}
        return self.world.rev(), files, beside


def _parts(root: Path, what: str) -> Iterator[Path]:
    """What a backup of `everything`, `the files` or one file of `.syncd` is made of."""
    if what not in ("everything", "the files"):
        for part in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                yield (root / ".syncd" / (what + part)).resolve(strict=True)
        return
    yield from (p for p in root.iterdir() if what == "everything" or p.name != ".syncd")
