"""Fill an empty base from a whole repo, in bounded memory. Never replaces or removes a file.

The repo is downloaded into a spool on the disk and proven there, from the signed root to the last
record. The proof notes where each record lies (leaves.py), so that the tree is read once. Only then
the records become files: all together if the folder has none (fresh.py), else a few thousand at a
time, written, durable, then in base. So a clone that was killed continues from the disk. Files that
exist already are left to the next ordinary cycle.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from syncd.atproto.cid import Cid
from syncd.atproto.commit import parse_did_key
from syncd.atproto.mst import walk
from syncd.atproto.nsid import is_nsid
from syncd.atproto.syntax import Tid, is_rkey
from syncd.cycle.clone.fresh import WholeRepo, created, write_aside
from syncd.cycle.clone.leaves import Leaf, Leaves, Part, by_part
from syncd.cycle.clone.refill import fill
from syncd.cycle.home import Home
from syncd.cycle.observe.fetch import Fetched, OnFetch, Writing
from syncd.cycle.observe.horizon import latest_rev
from syncd.cycle.observe.remote import REPAIRS, never_whole
from syncd.cycle.observe.scope import known_after
from syncd.cycle.pull.apply import pull
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.workspace import Workspace
from syncd.errors import (
    BadCommit,
    BadData,
    BadTree,
    FileProblem,
    MissingBlocks,
    Unverified,
)
from syncd.folder.staging import clear_staging
from syncd.forms import Forms
from syncd.model import (
    Head,
    Memory,
    Problem,
    RecordPath,
    Retry,
    Seen,
    Step,
    Waiting,
    split_record_path,
)
from syncd.replica import View, read_head
from syncd.spool import NOWHERE, Spool, has_blocks
from syncd.state import Activity, How, State
from syncd.state.notes import UnfinishedClone
from syncd.values import dataclass

SPOOL = "clone.car"
"""The name of the spool in `.syncd`; it exists until the clone is finished."""

_MANY = 100
CHUNK_RECORDS = 5_000
CHUNK_BYTES = 8_000_000
"""The limits of a chunk of files. Memory holds one chunk, and a kill costs one."""

_LAST = "\x7f"
_CHANGED = "changed in the repo while it was cloned"


def is_unfinished(state: State) -> bool:
    """Return whether a clone was begun and not finished."""
    return state.note(UnfinishedClone) is not None


def goes_on(workspace: Workspace) -> bool:
    """Return whether an interrupted clone can continue from the blocks that it has fetched."""
    return is_unfinished(workspace.state) and has_blocks(workspace.own / SPOOL)


@dataclass(frozen=True, slots=True)
class Proven:
    """A repo that is whole in the spool.

    Attributes:
        nodes: The CIDs of all nodes of its tree.
        lost: The number of records whose blocks the PDS does not have.
        unnamed: The keys of its tree that are no record path, with their CIDs.
    """

    head: Head
    nodes: tuple[Cid, ...]
    lost: int
    unnamed: Mapping[str, Cid | None]


@dataclass(slots=True)
class Clone:
    """One unfinished clone.

    Attributes:
        keeper: Makes the keeper of superseded versions that `pull` needs; a clone supersedes none.
        on_fetch: Called after each chunk that was fetched or written.
        on_remark: Called with a sentence for a person about what stops nothing.
        written: The number of files written so far.
    """

    workspace: Workspace
    home: Home
    keeper: Callable[[Head], Keeper]
    on_fetch: OnFetch | None = None
    on_remark: Callable[[str], object] = str
    written: int = 0
    _done: int = 0

    async def finish(self) -> int:
        """Do the rest of the clone; return the number of files written.

        Raises:
            Unverified, BadCar, BadTree, BadCommit: The answers of the PDS are inconsistent.
            FileProblem: The disk refuses. Finished files stay, and the next call continues.
        """
        own = self.workspace.own
        with Spool(own / SPOOL) as spool, Leaves(own) as leaves:
            # The head is recorded last. If it is there, an earlier run was stopped after all files
            # were written, and only the spool and the note are left to remove.
            if self.workspace.state.head() is None:
                proven = await self._prove(spool, leaves)
                await self._write(spool, leaves, proven)
                self._log(leaves, proven.head)
                self._remember(spool, proven)
            spool.remove()
        with suppress(OSError):
            clear_staging(self.workspace.folder)
        self.workspace.state.forget(UnfinishedClone)
        return self.written

    # --- the repo, into the spool ---------------------------------------------------------------

    async def _prove(self, spool: Spool, leaves: Leaves) -> Proven:
        try:
            return await self._fetch_whole(spool, leaves)
        except (BadCommit, BadTree, Unverified):
            # The blocks form no whole repo of this account, and a repetition would not help: a
            # later run starts anew. After any other error it can continue from the blocks.
            spool.clear()
            raise

    async def _fetch_whole(self, spool: Spool, leaves: Leaves) -> Proven:
        """Fetch until the tree is whole, as `look` does; use the blocks of an earlier run too."""
        fetched = Fetched(self.on_fetch, spool)
        since, root = await self._fetch(fetched, spool)
        for _ in range(REPAIRS):
            try:
                proven, missing = await self._walk(spool, leaves, root), ""
            except MissingBlocks as error:
                proven, missing = None, error.message
            if proven is not None and not proven.lost:
                return proven
            # The repo was written to during the download, so blocks are missing. All of them are
            # newer than the rev from before the download.
            root = await fetched.add(self.home.pds, since)
        if proven is None:
            raise never_whole(missing)
        # Only records are missing, after every repair: the PDS itself has lost them. The tree
        # proves their absence, so the clone need not wait; each becomes a problem of its own.
        return proven

    async def _fetch(self, fetched: Fetched, spool: Spool) -> tuple[Tid, Cid]:
        """Download the repo into the spool, or continue an earlier download.

        Changes during the download may still be missing. Return the rev from before the download,
        and the last root that the PDS named.
        """
        since = self._since(spool)
        if since is None:
            # Nothing is in the spool, or it came from another home: its blocks prove nothing here.
            spool.clear()
            _, since = await self.home.pds.fetch_latest()
            # Recorded before the first block: after a kill, `since` still precedes all of them.
            self.workspace.state.keep(UnfinishedClone(self._origin, since))
            return since, await fetched.add(self.home.pds, None)
        root = await fetched.add(self.home.pds, since)
        if not await fill(self.home.pds, spool, root):
            # So much is missing that one new download is cheaper than single blocks.
            root = await fetched.add(self.home.pds, None)
        return since, root

    def _since(self, spool: Spool) -> Tid | None:
        """Return the rev from before the download in the spool; None if the spool is useless.

        It is useless if it is empty, or from another PDS or signing key.
        """
        known = self.workspace.state.note(UnfinishedClone)
        is_ours = known is not None and known.home == self._origin
        return known.since if known is not None and spool.count and is_ours else None

    @property
    def _origin(self) -> tuple[str, str]:
        return self.home.account.pds, self.home.account.key

    async def _walk(self, spool: Spool, leaves: Leaves, root: Cid) -> Proven:
        """Verify the repo at `root`: signature, tree and records; leave its records in `leaves`.

        Raises MissingBlocks if a node is missing; a missing record only counts as lost.
        """
        key = parse_did_key(self.home.account.key)
        did, newest = self.home.account.did, self.workspace.state.newest()
        latest = latest_rev(self.workspace, self.home.pds.server_time)
        head = read_head(root, spool.get, did=did, key=key, newest=newest, latest=latest)
        nodes, unnamed, lost = list[Cid](), dict[str, Cid | None](), 0
        leaves.clear()

        def noting(cid: Cid) -> bytes | None:
            nodes.append(cid)
            return spool.get(cid)

        for collection, found in by_part(walk(head.data, noting), spool.place_of):
            lost += sum(cid.is_block and place == NOWHERE for _, cid, place in found)
            # No file has the name of such a key, and so none of what base and folder know.
            named = [leaf for leaf in found if is_rkey(leaf[0])] if is_nsid(collection) else []
            others = set(found).difference(named) if len(named) < len(found) else ()
            unnamed |= {f"{collection}/{rkey}": cid for rkey, cid, _ in others}
            if named and self.workspace.config.covers(collection):
                leaves.add(collection, named)
            await asyncio.sleep(0)
        return Proven(head, tuple(sorted(nodes)), lost, unnamed)

    # --- the spool, into the folder ---------------------------------------------------------------

    async def _write(self, spool: Spool, leaves: Leaves, proven: Proven) -> None:
        """Write the records that base lacks: together into an empty folder, else in chunks."""
        total = sum(part.count for part in leaves.parts)

        def read(part: Part) -> list[Leaf]:
            self._done += part.count
            self._tell(Writing(self._done, total))
            return leaves.read(part)

        workspace = self.workspace
        whole = WholeRepo(leaves.parts, read, spool.get_at)
        done = await write_aside(workspace.folder, workspace.state, whole)
        if done is None:
            # The folder has collections, base has records, or the disk refused. In the last case
            # some files may be in the folder already; `_write_beside` finds them equal.
            await self._write_beside(whole, proven)
        else:
            self.written += done.written
            keeper = self.keeper(proven.head)
            # No file can hold these records, or their blocks are lost. Without blocks, `pull`
            # writes none of them and returns what waits for each.
            rest = pull(workspace.folder, done.left, blocks={}, expect=_nothing, keeper=keeper)
            self._record(rest, ())

    async def _write_beside(self, whole: WholeRepo, proven: Proven) -> None:
        """Write chunk by chunk in the order of the tree, beside the files that exist."""
        keeper, last = self.keeper(proven.head), RecordPath("")
        self._done = 0
        for parts in _chunks(whole.parts):
            found = [(part.collection, leaf) for part in parts for leaf in whole.read(part)]
            steps = [created(collection, leaf) for collection, leaf in found]
            blocks = {
                cid: block
                for _, (_, cid, place) in found
                if (block := whole.get_at(place, cid)) is not None
            }
            known = self.workspace.state.base_between(last, steps[-1].path)
            last = steps[-1].path
            # A path in base was written by an earlier run of this clone.
            fresh = [step for step in steps if step.path not in known]
            done = pull(self.workspace.folder, fresh, blocks=blocks, expect=_nothing, keeper=keeper)
            _stop_if_the_disk_refuses(self.workspace.folder.forms, fresh, blocks, done)
            # The repo has changed since that run. The clone replaces no file, so the next ordinary
            # cycle pulls these paths.
            moved = {s.path for s in steps if known.get(s.path) not in (None, s.remote)}
            gone = known.keys() - {step.path for step in steps}
            self._record(done, moved | gone)
            await asyncio.sleep(0)
        self._record(Memory(), self.workspace.state.base_between(last, RecordPath(_LAST)))

    def _record(self, done: Memory, stale: Iterable[RecordPath]) -> None:
        """Record a chunk; `stale` are files of an earlier run whose record has changed since."""
        retries: dict[str, tuple[Waiting, ...]] = {path: (Retry(path, _CHANGED),) for path in stale}
        self.workspace.state.record(done.and_then(Memory(waiting=retries)))
        self.written += len(done.base)

    def _remember(self, spool: Spool, proven: Proven) -> None:
        """Record the tree, then the head: later cycles fetch only changes since that head."""
        head = proven.head
        blocks = ((cid, spool.get(cid)) for cid in (*proven.nodes, head.commit))
        self.workspace.state.replace_nodes(
            (cid, block) for cid, block in blocks if block is not None
        )
        view = View(head, unnamed=proven.unnamed, is_whole=True)
        waiting, notes = known_after(self.workspace, view, self.home.account)
        self.workspace.state.record(Memory(head=head, newest=head.rev, waiting=waiting), notes)

    def _log(self, leaves: Leaves, head: Head) -> None:
        """Add the clone to the activity log, with one line for each collection."""
        counts = Counter[str]()
        for part in leaves.parts:
            counts[part.collection] += part.count
        at, pds = self.workspace.now(), self.home.account.pds
        refused = self.workspace.activity.keep(
            Activity(at, How.CLONED, name, count=n, rev=head.rev, commit=head.commit, pds=pds)
            for name, n in counts.items()
        )
        if refused:
            self.on_remark(refused)

    def _tell(self, writing: Writing) -> None:
        if self.on_fetch is not None:
            self.on_fetch(writing)


def _chunks(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Put parts together to chunks within CHUNK_RECORDS and CHUNK_BYTES, if each part is."""
    chunk: list[Part] = []
    for part in parts:
        more = [*chunk, part]
        is_large = sum(p.size for p in more) > CHUNK_BYTES
        if chunk and (is_large or sum(p.count for p in more) > CHUNK_RECORDS):
            yield chunk
            more = [part]
        chunk = more
    if chunk:
        yield chunk


def _nothing(_: RecordPath) -> Seen | None:
    """Return None: expect no file at any path, so `pull` leaves every existing file alone."""
    return None


def _stop_if_the_disk_refuses(
    forms: Forms, steps: Sequence[Step], blocks: Mapping[Cid, bytes], done: Memory
) -> None:
    """Raise FileProblem if every one of many files could not be written.

    A single file may have its own problem. If all of at least _MANY files have one, the problem is
    the disk's, and the remaining files would fail too.
    """
    if done.base:
        return
    tried = [s for s in steps if s.remote and _has_text(s.path, blocks.get(s.remote), forms)]
    items = [item for step in tried for item in done.waiting.get(step.path, ())]
    problems = [item for item in items if isinstance(item, Problem)]
    if len(tried) >= _MANY and problems == items:
        raise FileProblem(
            problems[0].reason,
            hint="fix the cause, then run the command again: syncd continues from there",
        )


def _has_text(path: RecordPath, block: bytes | None, forms: Forms) -> bool:
    form = forms.of(split_record_path(path)[0])
    try:
        return block is not None and bool(form.file_of(block))
    except BadData:
        return False
