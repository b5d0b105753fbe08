"""Fill an empty base from a whole repo, in memory that does not grow with the repo.

The repo comes into a spool on the disk, is proven there from the signed root down to the last
record, and only then becomes files: all together where the folder has none yet (staged.py), else a
few thousand at a time, written, durable, then in base. So a clone that is killed goes on from what
is on the disk. It never writes over a file and never removes one: what is not new here is left to
the ordinary cycle that follows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from syncd.atproto.cid import Cid
from syncd.atproto.commit import parse_did_key
from syncd.atproto.mst import HIGHEST, walk
from syncd.atproto.syntax import Tid
from syncd.cycle.clone.fresh import PART_RECORDS, Source, write_aside
from syncd.cycle.clone.refill import fill
from syncd.cycle.clone.resume import stop_if_the_disk_refuses, with_what_was_there
from syncd.cycle.home import Home
from syncd.cycle.observe.fetch import Fetched, OnFetch, Writing
from syncd.cycle.observe.remote import REPAIRS, never_whole
from syncd.cycle.observe.scope import keep_known, keep_unnamed
from syncd.cycle.pull.apply import pull
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.workspace import Workspace
from syncd.errors import (
    BadCommit,
    BadSyntax,
    BadTree,
    MissingBlocks,
    Unverified,
)
from syncd.folder.staging import clear_staging
from syncd.model import (
    Head,
    Memory,
    RecordPath,
    Retry,
    Seen,
    Step,
    Verdict,
    Waiting,
    parse_record_path,
)
from syncd.replica import View, read_head
from syncd.spool import Spool
from syncd.state import State

SPOOL = "clone.car"
"""The name of the spool in `.syncd`; it is there for as long as the clone is unfinished."""

CHUNK_RECORDS = 5_000
CHUNK_BYTES = 8_000_000
"""A chunk of files ends at either; it is what a kill can cost, and what memory holds."""

_NOTE = "clone"
_LAST = "\x7f"
_CREATED = "created in the repo"
_CHANGED = "changed in the repo while it was cloned"


def begin_clone(state: State) -> None:
    """Remember that a clone is to be made here, until it is finished."""
    state.keep_note(_NOTE, {})


def is_unfinished(state: State) -> bool:
    """True if a clone was begun and not finished."""
    return state.note(_NOTE) is not None


@dataclass(frozen=True, slots=True)
class Proven:
    """A repo that is whole in the spool.

    Attributes:
        sizes: How many keys its tree has, by what is before their slash.
        lost: How many records there are whose blocks the PDS does not have.
    """

    head: Head
    nodes: tuple[Cid, ...]
    sizes: Mapping[str, int]
    lost: int

    @property
    def records(self) -> int:
        return sum(self.sizes.values())


@dataclass(slots=True)
class Clone:
    """One clone on its way.

    Attributes:
        keeper: Makes what `pull` keeps superseded versions with; a clone supersedes none.
        told: Hears how far it is.
    """

    workspace: Workspace
    home: Home
    keeper: Callable[[Head], Keeper]
    told: OnFetch | None = None
    written: int = 0
    _done: int = 0
    _unnamed: dict[str, Cid | None] = field(default_factory=dict)

    async def finish(self) -> int:
        """Do what is left to do, and return how many files were written for it.

        Raises:
            Unverified, BadCar, BadTree, BadCommit: What the PDS sent does not add up.
            FileProblem: The disk refuses. What is there is kept, and the next call goes on.
        """
        with Spool(self.workspace.own / SPOOL) as spool:
            if self.workspace.state.head() is None:
                proven = await self._prove(spool)
                await self._write(spool, proven)
                self._remember(spool, proven)
            spool.remove()
        with suppress(OSError):
            clear_staging(self.workspace.folder)
        self.workspace.state.keep_note(_NOTE, None)
        return self.written

    # --- the repo, into the spool ---------------------------------------------------------------

    async def _prove(self, spool: Spool) -> Proven:
        try:
            return await self._fetch_whole(spool)
        except (BadCommit, BadTree, Unverified):
            spool.clear()
            raise

    async def _fetch_whole(self, spool: Spool) -> Proven:
        """Fetch until the tree is whole, as `look` does; what came in an earlier run counts."""
        fetched = Fetched(self.told, spool)
        since, root = await self._fetch(fetched, spool)
        for _ in range(REPAIRS):
            try:
                proven, missing = await self._walk(spool, root), ""
            except MissingBlocks as error:
                proven, missing = None, error.message
            if proven is not None and not proven.lost:
                return proven
            root = await fetched.add(self.home.pds, since)
        if proven is None:
            raise never_whole(missing)
        return proven

    async def _fetch(self, fetched: Fetched, spool: Spool) -> tuple[Tid, Cid]:
        """Have the download in the spool, but for what changed meanwhile.

        Returns the rev of before the download, and the root that the PDS named last.
        """
        since = self._since(spool)
        if since is None:
            spool.clear()
            _, since = await self.home.pds.fetch_latest()
            self.workspace.state.keep_note(_NOTE, {"home": self._origin, "since": since})
            return since, await fetched.add(self.home.pds, None)
        root = await fetched.add(self.home.pds, since)
        if not await fill(self.home.pds, spool, root):
            root = await fetched.add(self.home.pds, None)
        return since, root

    def _since(self, spool: Spool) -> Tid | None:
        """The rev of before the download that the spool is from; None if it is of no use."""
        note = self.workspace.state.note(_NOTE)
        return note["since"] if spool.count and note.get("home") == self._origin else None

    @property
    def _origin(self) -> list[str]:
        return [self.home.account.pds, self.home.account.key]

    async def _walk(self, spool: Spool, root: Cid) -> Proven:
        """Check signature, nodes and records of the repo at `root`, and that all of it is there."""
        key = parse_did_key(self.home.account.key)
        newest = self.workspace.state.newest()
        head = read_head(root, spool.get, did=self.home.account.did, key=key, newest=newest)
        nodes: list[Cid] = []

        def noting(cid: Cid) -> bytes | None:
            nodes.append(cid)
            return spool.get(cid)

        sizes, lost = Counter[str](), 0
        for number, (path, cid) in enumerate(walk(head.data, noting)):
            sizes[path.partition("/")[0]] += 1
            lost += cid not in spool
            if not number % CHUNK_RECORDS:
                await asyncio.sleep(0)
        return Proven(head, tuple(sorted(nodes)), sizes, lost)

    # --- the spool, into the folder ---------------------------------------------------------------

    async def _write(self, spool: Spool, proven: Proven) -> None:
        """Write what base does not have yet: all of it together where the folder has nothing."""
        chunks = partial(self._chunks, spool, proven, PART_RECORDS)
        done = await write_aside(
            self.workspace.folder, self.workspace.state, Source(proven.sizes, chunks)
        )
        if done is None:
            await self._write_beside(spool, proven)
        else:
            self.written += done.written
            keeper = self.keeper(proven.head)
            rest = pull(self.workspace.folder, done.left, blocks={}, expect=_nothing, keeper=keeper)
            self._record(rest, ())

    async def _write_beside(self, spool: Spool, proven: Proven) -> None:
        """Write in the order of the tree, beside what is there already."""
        keeper, last = self.keeper(proven.head), RecordPath("")
        self._done = 0
        for steps, blocks in self._chunks(spool, proven, CHUNK_RECORDS):
            known = self.workspace.state.base_between(last, steps[-1].path)
            last = steps[-1].path
            fresh = [step for step in steps if step.path not in known]
            done = pull(self.workspace.folder, fresh, blocks=blocks, expect=_nothing, keeper=keeper)
            done = with_what_was_there(self.workspace.folder, fresh, blocks, done)
            stop_if_the_disk_refuses(fresh, blocks, done)
            moved = {s.path for s in steps if known.get(s.path) not in (None, s.remote)}
            gone = known.keys() - {step.path for step in steps}
            self._record(done, moved | gone)
            await asyncio.sleep(0)
        self._record(Memory(), self.workspace.state.base_between(last, RecordPath(_LAST)))

    def _record(self, done: Memory, stale: Iterable[RecordPath]) -> None:
        """Remember a chunk; `stale` is what an earlier run wrote and the repo has otherwise now."""
        retries: dict[str, tuple[Waiting, ...]] = {path: (Retry(path, _CHANGED),) for path in stale}
        self.workspace.state.record(replace(done, waiting={**done.waiting, **retries}))
        self.written += len(done.base)

    def _chunks(
        self, spool: Spool, proven: Proven, most: int, first: str = "", end: str = HIGHEST
    ) -> Iterator[tuple[list[Step], dict[Cid, bytes]]]:
        """The records of the mirror as steps, in the order of the tree, with their blocks.

        `most` is how many a chunk may hold; only keys from `first` on and before `end` count.
        """
        steps: list[Step] = []
        blocks: dict[Cid, bytes] = {}
        size = 0
        for key, cid in walk(proven.head.data, spool.get, first=first, end=end):
            self._done += 1
            path = self._path_of(key, cid)
            if path is None:
                continue
            steps.append(Step(path, Verdict.PULL, None, None, cid, _CREATED))
            block = spool.get(cid)
            if block is not None:
                blocks[cid] = block
                size += len(block)
            if len(steps) >= most or size >= CHUNK_BYTES:
                yield steps, blocks
                steps, blocks, size = [], {}, 0
                self._tell(Writing(self._done, proven.records))
        if steps:
            yield steps, blocks

    def _path_of(self, key: str, cid: Cid) -> RecordPath | None:
        """The record path of a key, if it is one and belongs to the mirror."""
        try:
            path = parse_record_path(key)
        except BadSyntax:
            self._unnamed[key] = cid
            return None
        return path if self.workspace.config.covers_path(path) else None

    def _remember(self, spool: Spool, proven: Proven) -> None:
        """The tree, then head: from here on the repo is known, and only its changes are fetched."""
        head = proven.head
        blocks = ((cid, spool.get(cid)) for cid in (*proven.nodes, head.commit))
        self.workspace.state.replace_nodes(
            (cid, block) for cid, block in blocks if block is not None
        )
        view = View(head, unnamed=self._unnamed, is_whole=True)
        waiting = keep_unnamed(self.workspace.state, view)
        keep_known(self.workspace, self.home.account)
        self.workspace.state.record(Memory(head=head, newest=head.rev, waiting=waiting))

    def _tell(self, writing: Writing) -> None:
        if self.told is not None:
            self.told(writing)


def _nothing(_: RecordPath) -> Seen | None:
    """A clone replaces nothing: a file that is there already stays, and is looked at afterwards."""
    return None
