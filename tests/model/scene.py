"""People, their machines and another client around one repo; everything they write is in a journal.

The machines run the real syncd on real folders, state files and a PDS in memory.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

from syncd.atproto.cid import Cid
from syncd.atproto.data import from_json
from syncd.atproto.xrpc import WriteOp
from syncd.config import Config
from syncd.model import Policy, RecordPath, split_record_path
from syncd.sandbox import Sandbox
from syncd.sandbox.faults import Habits
from syncd.sandbox.repo.engine import Repo
from tests.rigs.device import Device, World
from tests.rigs.papers import body_of, pages
from tests.rigs.pictures import FIELD, TYPE, Bytes, picture, reference
from tests.rigs.staged import Desk, did_something

from .journal import Journal
from .laws import Laws
from .points import Gate

PAUSE_SECONDS = 1.1
"""The PDS asks for a second at least; no clock is turned here."""
ROUNDS = 12
"""How often everybody may sync until all agree."""


def settings(did: Any, **others: Any) -> Config:  # noqa: ANN401
    """One policy for each of some collections, and a brake that lets the stories alone.

    `markdown`: collections whose files are pages.
    """
    wanted: dict[str, Any] = {
        "brake_records": 1000,
        "conflicts_merge": ("com.example.merged", "com.example.page"),
        "conflicts_text": ("com.example.page",),
        "conflicts_local": ("com.example.mine",),
        "conflicts_remote": ("com.example.theirs",),
    }
    chosen = pages(others.pop("markdown", ()))
    return Config(did, markdown=chosen, **(wanted | others))


class Scene:
    """A repo, a journal, and the desks of those who mirror it.

    `markdown` has the collections whose files are pages, where no desk has others.
    """

    def __init__(
        self, root: Path, *, honours_swaps: bool = True, markdown: Collection[str] = ()
    ) -> None:
        self.gate = Gate()
        self.markdown = markdown
        self.is_guarded = honours_swaps
        habits = Habits(honours_swaps=honours_swaps)
        sandbox = Sandbox(rng=random.Random(7), habits=habits)
        self.world = World(root, sandbox, sandbox.create_account("alice"))
        self.journal = Journal()
        self.blobs = Bytes(self.world, lambda: [desk.root for desk in self.desks.values()])
        self.laws = Laws(self)
        self.desks: dict[str, Desk] = {}
        self.versions = itertools.count()

    @property
    def laptop(self) -> Desk:
        return self.desks["laptop"]

    def sit_down(self, name: str = "laptop", **others: Any) -> Desk:  # noqa: ANN401
        """A new, empty mirror."""
        root = self.world.tmp_path / name
        config = settings(self.world.login.did, **{"markdown": self.markdown, **others})
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
        v = next(self.versions)
        return {"$type": path.partition("/")[0], "v": v, **body_of(v)}

    def put(self, path: str, **fields: Any) -> Cid:  # noqa: ANN401
        """Another client writes a record, new content if nothing is said, over anything."""
        given = {"$type": path.partition("/")[0], **body_of(fields.get("v")), **fields}
        return self.put_record(RecordPath(path), given if fields else self.fresh(path))

    def put_record(self, path: RecordPath, record: dict[str, Any]) -> Cid:
        repo = self.repo
        self.journal.replaced(path, repo.current(path))
        cid = repo.put(path, record)
        self._brought(path, cid)
        self.blobs.excuse()
        return cid

    def put_picture(self, path: str, word: str) -> Cid:
        """Another client uploads a picture and writes a record that names it."""
        self.world.sandbox.blobs(self.world.login.did).upload(picture(word), TYPE)
        named = {**self.fresh(path), FIELD: reference(word)}
        return self.put_record(RecordPath(path), from_json(named))

    def write_at_once(self, puts: Collection[str], drops: Collection[str]) -> None:
        """Another client writes and deletes several records in one commit."""
        there = self.repo.state.records
        ops = []
        for path in map(RecordPath, sorted({*puts, *drops})):
            old = there.get(path)
            self.journal.replaced(path, old)
            if path in puts:
                record = self.fresh(path)
                ops.append(WriteOp("update" if old else "create", *split_record_path(path), record))
            elif old:
                self.overtaken(path)
                ops.append(WriteOp("delete", *split_record_path(path)))
        if ops:
            self.repo.apply(ops)
        for path in map(RecordPath, puts):
            self._brought(path, self.repo.state.records[path])
        self.blobs.excuse()

    def overtaken(self, path: RecordPath, by: Desk | None = None) -> None:
        """A record was written or deleted; machines that win by a setting may write it again."""
        for desk in self.desks.values():
            if desk is not by and desk.config.policy(path) is Policy.LOCAL:
                desk.diary.acts += 1

    def _brought(self, path: RecordPath, cid: Cid) -> None:
        self.journal.wrote(path, cid, "the other client")
        self.laws.published.add((path, cid))
        self.overtaken(path)

    def drop(self, path: str) -> None:
        """Another client deletes a record, if there is one."""
        name = RecordPath(path)
        if self.repo.current(name) is not None:
            self.journal.replaced(name, self.repo.current(name))
            self.repo.delete(name)
            self.overtaken(name)
            self.blobs.excuse()

    @property
    def repo(self) -> Repo:
        return self.world.sandbox.repo(self.world.login.did)

    # --- The end ---------------------------------------------------------------------------------

    async def converge(self) -> None:
        """Everybody syncs until nobody has anything to do. Fails if that does not come."""
        self.world.sandbox.faults.clear()
        for _ in range(ROUNDS):
            reports = [await desk.sync() for desk in self.desks.values()]
            if not any(map(did_something, reports)):
                return
            if any(report.needs_a_pause for report in reports):
                await asyncio.sleep(PAUSE_SECONDS)
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
        local = {name: desk.local() for name, desk in self.desks.items()}
        for name, desk in self.desks.items():
            found |= local[name].items() | desk.versions()
            self.journal.shows(name, local[name])
        lost = self.journal.lost(found)
        assert not lost, lost
        self.laws.check(local)

    def end(self) -> dict[str, Any]:
        """What a story ends in, without whatever differs from run to run."""
        return {
            "repo": {path: str(cid) for path, cid in self.world.records().items()},
            **{name: desk.end() for name, desk in self.desks.items()},
        }
