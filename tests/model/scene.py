"""People, their machines and another client around one repo; everything they write is in a journal.

The machines run the real syncd on real folders, state files and a PDS in memory.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.config import Config
from syncd.errors import BadJson, SyncdError
from syncd.folder.names import record_path_of, relative_path
from syncd.model import (
    Choice,
    Conflict,
    Decision,
    Held,
    Policy,
    RecordPath,
    Report,
    Side,
    split_record_path,
)
from syncd.sandbox import Sandbox
from syncd.sandbox.engine import Repo
from syncd.state import History, open_or_renew
from tests.cycle.device import Device, World

from .disks import StagedDisk
from .journal import Journal, Version
from .points import Gate, StagedPds

ROUNDS = 12
"""How often everybody may sync until all agree."""
MINE, THEIRS = RecordPath("com.example.mine/a"), RecordPath("com.example.theirs/a")
SAME = RecordPath("com.example.same/a")
IN_HISTORY = (MINE, THEIRS, SAME)
"""Where one side wins by a setting, or where people write what was there before: a version of that
path may be in history only."""
AGED_NS = 10_000_000_000


def settings(did: Any, **others: Any) -> Config:  # noqa: ANN401
    """One policy for each of some collections, and a brake that lets the stories alone."""
    wanted: dict[str, Any] = {
        "brake_records": 1000,
        "conflicts_merge": ("com.example.merged", "com.example.page"),
        "conflicts_text": ("com.example.page",),
        "conflicts_local": ("com.example.mine",),
        "conflicts_remote": ("com.example.theirs",),
    }
    return Config(did, **(wanted | others))


class Scene:
    """A repo, a journal, and the desks of those who mirror it."""

    def __init__(self, root: Path, *, honours_swaps: bool = True) -> None:
        self.gate = Gate()
        sandbox = Sandbox(rng=random.Random(7), honours_swaps=honours_swaps)
        self.world = World(root, sandbox, sandbox.create_account("alice"))
        self.journal = Journal()
        self.desks: dict[str, Desk] = {}
        self.versions = itertools.count()

    @property
    def laptop(self) -> Desk:
        return self.desks["laptop"]

    def sit_down(self, name: str = "laptop", **others: Any) -> Desk:  # noqa: ANN401
        """A new, empty mirror."""
        root = self.world.tmp_path / name
        config = settings(self.world.login.did, **others)
        device = Device.make(root, self.world.account(), self.world.pds(), config)
        device.mirror.state.close()
        self.desks[name] = Desk(name, self, root, config)
        return self.desks[name]

    def close(self) -> None:
        for desk in self.desks.values():
            desk.stop()

    # --- The other client ------------------------------------------------------------------------

    def fresh(self, path: str) -> dict[str, Any]:
        """A record that nobody has written before."""
        return {"$type": path.partition("/")[0], "v": next(self.versions)}

    def put(self, path: str, **fields: Any) -> Cid:  # noqa: ANN401
        """Another client writes a record, new content if nothing is said, over anything."""
        record = {"$type": path.partition("/")[0], **fields} if fields else self.fresh(path)
        return self.put_record(RecordPath(path), record)

    def put_record(self, path: RecordPath, record: dict[str, Any]) -> Cid:
        repo = self.repo
        self.journal.replaced(path, repo.current(path))
        cid = repo.put(path, record)
        self.journal.wrote(path, cid, "the other client")
        return cid

    def drop(self, path: str) -> None:
        """Another client deletes a record, if there is one."""
        name = RecordPath(path)
        if self.repo.current(name) is not None:
            self.journal.replaced(name, self.repo.current(name))
            self.repo.delete(name)

    @property
    def repo(self) -> Repo:
        return self.world.sandbox.repo(self.world.login.did)

    # --- The end ---------------------------------------------------------------------------------

    async def converge(self) -> None:
        """Everybody syncs until nobody has anything to do. Fails if that does not come."""
        self.world.sandbox.faults.clear()
        for _ in range(ROUNDS):
            reports = [await desk.sync() for desk in self.desks.values()]
            if not any(map(_did_something, reports)):
                return
        raise AssertionError(f"no end in {ROUNDS} rounds: {reports}")

    async def check(self) -> None:
        """All that must hold once nobody has anything to do."""
        for desk in self.desks.values():
            desk.check_agreement()
            desk.check_order()
            await desk.check_idleness()
        self.check_nothing_lost()

    def check_nothing_lost(self) -> None:
        """At any time: what nobody superseded is in a file, in the repo or among the conflicts.

        Where a setting says which side of a conflict wins, the other side is in history.
        """
        found = set(self.world.records().items())
        for desk in self.desks.values():
            found |= desk.versions()
        lost = self.journal.lost(found)
        assert not lost, lost

    def end(self) -> dict[str, Any]:
        """What a story ends in, without whatever differs from run to run."""
        return {
            "repo": {path: str(cid) for path, cid in self.world.records().items()},
            **{name: desk.end() for name, desk in self.desks.items()},
        }


def _did_something(report: Report) -> bool:
    done = report.pushed or report.pulled or report.adopted or report.merged
    return bool(done) or report.is_unfinished


@dataclass
class Desk:
    """One machine and whoever sits before it."""

    name: str
    scene: Scene
    root: Path
    config: Config
    device: Device = field(init=False)
    disk: StagedDisk = field(init=False)
    pds: StagedPds = field(init=False)
    sent: list[tuple[RecordPath, str]] = field(default_factory=list)
    skew_ns: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """As the program comes up."""
        world = self.scene.world
        self.pds = StagedPds(world.sandbox, world.login.did, self.scene.gate)
        self.pds.sent = self.sent
        marker = (self.root / ".syncd" / "marker").read_text(encoding="ascii").strip()
        state = self.root / ".syncd" / "state.db"
        open_or_renew(state, did=world.login.did, marker=marker).close()
        self.device = Device.open(self.root, world.account(), self.pds, self.config)
        self.disk = StagedDisk(self.scene.gate)
        mirror = self.device.mirror
        mirror.folder = replace(mirror.folder, disk=self.disk)
        mirror.clock_ns = mirror.outbox.clock_ns = lambda: time.time_ns() + self.skew_ns
        mirror.sleep, mirror.jitter = _no_time, float

    def stop(self) -> None:
        self.device.mirror.state.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def lose_state(self) -> None:
        self.stop()
        for file in (self.root / ".syncd").glob("state.db*"):
            file.unlink()
        self.start()

    def replace_state(self, files: dict[str, bytes]) -> None:
        """An older state file comes back."""
        self.stop()
        for file in (self.root / ".syncd").glob("state.db*"):
            file.unlink()
        for name, content in files.items():
            (self.root / ".syncd" / name).write_bytes(content)
        self.start()

    def state_files(self) -> dict[str, bytes]:
        self.stop()
        found = {file.name: file.read_bytes() for file in (self.root / ".syncd").glob("state.db*")}
        self.start()
        return found

    # --- The person ------------------------------------------------------------------------------

    def file(self, path: str) -> Path:
        return self.root / relative_path(RecordPath(path))

    def content(self, path: str) -> Cid | None:
        """What the record's file says, if it says anything."""
        try:
            text = self.file(path).read_bytes()
        except FileNotFoundError:
            return None
        return _cid_of_text(text, path)

    def save(self, path: str, **fields: Any) -> None:  # noqa: ANN401
        """Save a record as editors do, under its name in one step; new content if none is given."""
        record = {"$type": path.partition("/")[0], **fields} if fields else self.scene.fresh(path)
        self.save_text(path, json.dumps(record).encode())

    def save_text(self, path: str, text: bytes, *, in_place: bool = False) -> None:
        file = self.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._replaced(path)
        if in_place:
            file.write_bytes(text)
        else:
            temp = file.with_name(f"{file.name}.swp")
            temp.write_bytes(text)
            temp.replace(file)
        self._wrote(path)

    def type(self, path: str) -> None:
        """Save new content into the file that is there, as simpler editors do."""
        self.save_text(path, json.dumps(self.scene.fresh(path)).encode(), in_place=True)

    def spoil(self, path: str, text: bytes = b'{"half": ') -> None:
        self.scene.journal.spoil(RecordPath(path))
        self.save_text(path, text)

    def reformat(self, path: str) -> None:
        """Lay a file out anew: nothing that anybody has to keep."""
        file = self.file(path)
        file.write_bytes(json.dumps(json.loads(file.read_bytes()), indent=7).encode() + b"\r\n")

    def delete(self, path: str) -> None:
        self._replaced(path)
        self.file(path).unlink(missing_ok=True)

    def rename(self, path: str, new: str) -> None:
        if self.file(path).exists():
            self.file(new).parent.mkdir(parents=True, exist_ok=True)
            self._replaced(new)
            self._replaced(path)
            self.file(path).rename(self.file(new))
            version = RecordPath(new), self.content(new)
            if version[1] is None:
                self.scene.journal.spoil(version[0])
            if version not in self.scene.journal.written:
                self._wrote(new)

    def decide(self, path: str, choice: Choice) -> None:
        """Answer an open conflict, as `syncd resolve` does: the other one is replaced knowingly."""
        for item in self.device.mirror.state.waiting():
            if isinstance(item, Conflict) and item.path == path:
                loser = item.remote if choice is Choice.LOCAL else item.local
                self.scene.journal.replaced(item.path, loser)
                decision = Decision(item.path, choice, item.local, item.remote)
                self.device.mirror.state.decide([decision])

    def answer_for_the_brake(self, choice: Choice) -> None:
        """Answer for every held deletion, as `syncd approve` and `syncd reject` do."""
        state = self.device.mirror.state
        base = state.base()
        for item in state.waiting():
            if isinstance(item, Held):
                path = RecordPath(item.path)
                local, remote = None, self.scene.world.records().get(path)
                if item.side is Side.REMOTE:
                    local, remote = base.get(path), None
                state.decide([Decision(path, choice, local, remote)])
                cid = local or remote
                if cid is not None and choice is Choice.REJECT:
                    self.scene.journal.spoilt.add((path, cid))

    def _replaced(self, path: str) -> None:
        self.scene.journal.replaced(RecordPath(path), self.content(path))

    def _wrote(self, path: str) -> None:
        cid = self.content(path)
        if cid is not None:
            self.scene.journal.wrote(RecordPath(path), cid, self.name)

    # --- The program -----------------------------------------------------------------------------

    async def sync(self) -> Report:
        return await self.device.mirror.sync()

    async def try_to_sync(self) -> Report | None:
        """As the daemon does: an error ends the cycle, and the next one comes."""
        with suppress(SyncdError):
            return await self.device.mirror.sync()
        return None

    async def look_when_aged(self) -> Report:
        """Sync when the files are old enough for their stat to prove something."""
        await asyncio.sleep(0.015)
        self.skew_ns = AGED_NS
        try:
            return await self.sync()
        finally:
            self.skew_ns = 0

    # --- What is there ---------------------------------------------------------------------------

    def record_files(self) -> dict[RecordPath, Path]:
        found: dict[RecordPath, Path] = {}
        for file in sorted(self.root.glob("*/**/*.json")):
            if ".syncd" not in file.parts and file.name[0] != "." and file.is_file():
                found[record_path_of(str(file.relative_to(self.root)))] = file
        return found

    def local(self) -> dict[RecordPath, Cid]:
        """What the files say; files that say nothing are left out."""
        found = {path: self.content(path) for path in self.record_files()}
        return {path: cid for path, cid in found.items() if cid is not None}

    def versions(self) -> set[Version]:
        """All that can be had back here, with or without a command of syncd."""
        found = set(self.local().items())
        kept = self.root / ".syncd"
        for file in kept.glob("recovered/**/*"):
            if file.is_file():
                found |= self._at_any_path(_cid_of_text(file.read_bytes(), f"{file.parent.name}/x"))
        for held in (file for file in self.root.rglob(".syncd-x-*") if file.is_file()):
            found |= self._at_any_path(_cid_of_text(held.read_bytes(), f"{held.parent.name}/x"))
        found |= set(self.kept_conflicts())
        return found | {version for version in self.superseded() if version[0] in IN_HISTORY}

    def superseded(self) -> set[Version]:
        """What history has."""
        found: set[Version] = set()
        for file in (self.root / ".syncd").glob("history.db*"):
            if not file.name.endswith(("-journal", "-wal", "-shm")):
                found |= _superseded(History(file))
        return found

    def _at_any_path(self, cid: Cid | None) -> set[Version]:
        return {version for version in self.scene.journal.written if version[1] == cid}

    def kept_conflicts(self) -> Iterator[Version]:
        root = self.root / ".syncd" / "conflicts"
        for file in sorted(root.rglob("*.json")):
            name = str(file.relative_to(root)).rpartition(".json")[0]
            path, _, _ = name.rpartition(".")
            cid = _cid_of_text(file.read_bytes(), path)
            if cid is not None:
                yield RecordPath(path), cid

    def waiting(self) -> list[tuple[str, str]]:
        found = self.device.mirror.state.waiting()
        return sorted((item.path, type(item).__name__) for item in found)

    def end(self) -> dict[str, Any]:
        return {
            "files": {p: file.read_bytes() for p, file in self.record_files().items()},
            "base": {path: str(cid) for path, cid in self.device.base().items()},
            "conflicts": sorted((path, str(cid)) for path, cid in self.kept_conflicts()),
            "waiting": self.waiting(),
        }

    # --- What must hold --------------------------------------------------------------------------

    def check_agreement(self) -> None:
        """Base, files and repo are equal wherever nothing waits."""
        state, records = self.device.mirror.state, self.scene.world.records()
        waiting = {path for path, _ in self.waiting()}
        base, local = state.base(), self.local()
        for path in base.keys() | local.keys() | records.keys():
            if path not in waiting and not self._is_beyond_json(path):
                views = base.get(path), local.get(path), records.get(path)
                assert len(set(views)) == 1, (self.name, path, views)
        head = state.head()
        assert head is not None
        assert head == self.scene.repo.head

    def _is_beyond_json(self, path: RecordPath) -> bool:
        """True if the file cannot express its record: only its bytes can be compared then."""
        return self.content(path) is None and self.file(path).is_file()

    def check_order(self) -> None:
        """Nothing of what syncd makes for itself is left lying about."""
        names = [file.name for file in self.root.rglob(".syncd-*")]
        assert not names, (self.name, names)
        open_conflicts = {
            (item.path, item.remote)
            for item in self.device.mirror.state.waiting()
            if isinstance(item, Conflict) and item.remote is not None
        }
        assert set(self.kept_conflicts()) == open_conflicts, self.name

    async def check_idleness(self) -> None:
        """Another look asks once, writes nothing and touches no file."""
        before, head, requests = self._stats(), self.scene.repo.head, self.pds.requests
        report = await self.sync()
        assert not _did_something(report), report
        assert self._stats() == before, self.name
        assert self.scene.repo.head == head, self.name
        is_merging = any(Policy.MERGE is self.config.policy(c.path) for c in report.conflicts)
        assert self.pds.requests <= requests + 1 + is_merging, self.name

    def _stats(self) -> dict[str, tuple[int, int]]:
        return {
            str(file): (file.stat().st_ino, file.stat().st_mtime_ns)
            for file in self.root.rglob("*")
            if not file.name.startswith(("state.db", "history.db")) and file.is_file()
        }


def _cid_of_text(text: bytes, path: str) -> Cid | None:
    try:
        return cid_of(parse_record(text, split_record_path(RecordPath(path))[0]))
    except BadJson:
        return None


def _superseded(history: History) -> set[Version]:
    there = {cid for cid, _ in history.readable_versions()}
    return {(event.path, event.cid) for event in history.readable_events() if event.cid in there}


async def _no_time(_: float) -> None:
    """Waiting costs nothing here."""
