"""Fetch and prove the changes of the repo. Never draws a conclusion from a missing block.

`getRepo` is not a snapshot: if the repo is written to during the download, blocks are missing. They
are newer than the rev from before the download, so syncd asks for newer blocks until the tree is
whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.atproto.commit import parse_did_key
from syncd.atproto.mst import Get
from syncd.atproto.syntax import Tid
from syncd.cycle.home import Home
from syncd.cycle.observe.fetch import Blocks, Fetched, InMemory, OnFetch
from syncd.cycle.observe.lost import Lost
from syncd.errors import BadCar, BadTree, MissingBlocks, Unverified
from syncd.model import Head, RecordPath
from syncd.pds import Pds
from syncd.replica import View, advance, check_grown, first_of, read_head
from syncd.values import dataclass

REPAIRS = 8
"""The most small fetches after a full one; then the cycle ends with an error."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A proven view of the repo, and the fetched blocks.

    Attributes:
        get: Returns a block by its CID: fetched, or after a small fetch also from the kept tree.
        lost: Asks for records that did not come with the view.
        store: Takes what is fetched for it later.
    """

    view: View
    get: Get
    lost: Lost = field(default_factory=Lost)
    store: Blocks = field(default_factory=InMemory)

    def known(self, cids: Mapping[RecordPath, Cid | None]) -> dict[RecordPath, bytes]:
        """Return the records of `cids` that came with the view."""
        named = ((path, cid) for path, cid in cids.items() if cid is not None and cid.is_block)
        found = ((path, self.get(cid)) for path, cid in named)
        return {path: block for path, block in found if block is not None}

    async def records(self, pds: Pds, cids: Iterable[Cid]) -> dict[Cid, bytes]:
        """Return the record blocks of `cids`; fetch those that did not come with the view.

        Blocks that the PDS does not have are left out of the result, and so is what the tree names
        by a CID that is not that of a record.
        """
        wanted = sorted({cid for cid in cids if cid.is_block})
        get = await self.bring(pds, wanted)
        return {cid: block for cid in wanted if (block := get(cid)) is not None}

    async def bring(self, pds: Pds, cids: Iterable[Cid]) -> Get:
        """Fetch the record blocks of `cids` that did not come with the view.

        Return a function from CID to block; it returns None for what `records` would leave out.
        The blocks stay in the store, however many they are, and not in memory.
        """
        missing = {cid for cid in cids if cid.is_block and self.get(cid) is None}
        await self.lost.fetch(pds, missing, self.store)
        get = first_of(self.get, self.store.get)
        return lambda cid: get(cid) if cid.is_block else None


@dataclass(frozen=True, slots=True)
class Watermark:
    """The knowledge before a look: the kept head and tree, and the newest rev ever seen.

    `store` makes what the fetched blocks are kept in. `latest` returns the latest rev to be
    believed by our clock and the time of the server, which it takes in unix seconds or as None.
    `lost` asks for records that do not come with the tree.
    """

    head: Head | None
    node: Get
    newest: Tid | None
    store: Callable[[], Blocks] = InMemory
    latest: Callable[[float | None], Tid] | None = None
    lost: Lost = field(default_factory=Lost)


async def look(home: Home, known: Watermark, on_fetch: OnFetch | None = None) -> Sight:
    """Fetch and prove the repo as it is now; call `on_fetch` after each chunk.

    Raises:
        Unverified, BadCar, BadTree: The answers of the PDS are inconsistent, even after a full
            fetch and its repairs.
        BadCommit: The commit is of another repo. WrongKey: Another key signed it.
        RolledBack: The commit is older than the kept head, or a different one with the same rev.
    """
    if known.head is not None:
        try:
            return await _look_since(home, known, known.head, on_fetch)
        except (BadCar, BadTree, MissingBlocks):
            pass  # the small answer is inconsistent, or the kept tree is damaged: fetch the whole
    return await _look_whole(home, known, on_fetch)


async def _look_since(home: Home, known: Watermark, head: Head, on_fetch: OnFetch | None) -> Sight:
    """Fetch the blocks since the kept head, and prove the new tree together with the kept one."""
    fetched = Fetched(on_fetch, known.store())
    root = await fetched.add(home.pds, head.rev)
    get = first_of(fetched.blocks.get, known.node)
    if root == head.commit:
        if known.newest is not None and known.newest > head.rev:
            # This PDS has answered with a newer rev before: it is serving an old copy.
            raise _stale(known.newest, head.rev)
        return Sight(View(head), get, known.lost, fetched.blocks)
    new = _read_head(home, root, get, known)
    check_grown(head, new)
    return Sight(advance(head, new, get), get, known.lost, fetched.blocks)


async def _look_whole(home: Home, known: Watermark, on_fetch: OnFetch | None) -> Sight:
    """Fetch the whole repo without the kept tree, which also repairs a damaged one.

    A record that the PDS itself has lost stays missing forever. So if only records are missing
    after all repairs, the tree is accepted, and each missing record becomes a problem of its own.
    """
    _, before = await home.pds.fetch_latest()
    fetched = Fetched(on_fetch, known.store())
    get = fetched.blocks.get
    since: Tid | None = None
    for _ in range(1 + REPAIRS):
        view = None
        root = await fetched.add(home.pds, since)
        try:
            head = _read_head(home, root, get, known)
            check_grown(known.head, head)
            view = advance(None, head, get)
            _check_records(view, get)
            return Sight(view, get, known.lost, fetched.blocks)
        except MissingBlocks as error:
            since, missing = before, error.message
    if view is not None:
        return Sight(view, get, known.lost, fetched.blocks)
    raise never_whole(missing)


def _read_head(home: Home, root: Cid, get: Get, known: Watermark) -> Head:
    did, key = home.account.did, parse_did_key(home.account.key)
    latest = None if known.latest is None else known.latest(home.pds.server_time)
    return read_head(root, get, did=did, key=key, newest=known.newest, latest=latest)


def never_whole(missing: str) -> Unverified:
    """Make the error for a repo with missing blocks after all repairs."""
    return Unverified(
        f"the PDS does not send the whole repo: {missing}",
        hint="nothing was changed; try again later, as `syncd run` does on its own",
    )


def _check_records(view: View, get: Get) -> None:
    missing = sum(1 for _, cid in view.after() if cid.is_block and get(cid) is None)
    if missing:
        raise MissingBlocks(f"the PDS did not send {missing} records of the repo", count=missing)


def _stale(newest: Tid, shown: Tid) -> Unverified:
    return Unverified(
        f"the PDS does not show rev {newest} yet, which it named in an answer before",
        hint="nothing was changed; the next sync looks again; if that rev never appears: syncd "
        f"sync --accept-rev {shown}",
    )
