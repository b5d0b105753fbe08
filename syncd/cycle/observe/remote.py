"""Fetch what is new in the repo and prove it. Never concludes anything from what did not arrive.

`getRepo` is not a snapshot: a repo that is written to while it is sent arrives with holes. Holes
are filled by asking for what is newer than the moment before the fetch, until the tree is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from syncd.atproto.cid import Cid
from syncd.atproto.commit import parse_did_key
from syncd.atproto.mst import Get
from syncd.atproto.syntax import Tid
from syncd.cycle.home import Home
from syncd.cycle.observe.fetch import Fetched, OnFetch
from syncd.errors import BadCar, BadTree, MissingBlocks, NotFound, Unverified
from syncd.model import Head
from syncd.pds import Pds
from syncd.replica import View, advance, check_grown, first_of, read_head

REPAIRS = 8
"""How many small fetches may follow a full one before the clone is given up for now."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A proven view of the repo and the blocks that came with it."""

    view: View
    get: Get
    """Blocks by CID: what was fetched, and where that was a difference, the kept tree."""

    async def records(self, pds: Pds, cids: Iterable[Cid]) -> dict[Cid, bytes]:
        """The record blocks of `cids`; those that did not come with the view are asked for.

        One that the PDS does not have (any more) is left out, and does not hide the others.
        """
        wanted = sorted(set(cids))
        found = {cid: block for cid in wanted if (block := self.get(cid)) is not None}
        return found | await _obtainable(pds, [cid for cid in wanted if cid not in found])


async def _obtainable(pds: Pds, cids: Sequence[Cid]) -> dict[Cid, bytes]:
    """Those of `cids` that the PDS has. It answers for all of them or for none."""
    if not cids:
        return {}
    try:
        return await pds.fetch_blocks(cids)
    except NotFound:
        half = len(cids) // 2
    first, second = cids[:half], cids[half:]
    return await _obtainable(pds, first) | await _obtainable(pds, second) if half else {}


@dataclass(frozen=True, slots=True)
class Watermark:
    """What we know before looking: the kept head and tree, and the newest rev we ever saw."""

    head: Head | None
    node: Get
    newest: Tid | None


async def look(home: Home, known: Watermark, on_fetch: OnFetch | None = None) -> Sight:
    """Fetch and prove the repo as it is now. `on_fetch` hears of each chunk that came.

    Raises:
        Unverified, BadCar, BadTree: What the PDS sends does not add up, even after a full fetch
            and its repairs.
        BadCommit: The commit is not one of this repo. WrongKey: It has another signature.
        RolledBack: It is older than what was known, or another one of the same rev.
    """
    if known.head is not None:
        try:
            return await _look_since(home, known, known.head, on_fetch)
        except (BadCar, BadTree, MissingBlocks):
            pass  # the small answer does not add up: the whole repo is the next thing to ask for
    return await _look_whole(home, known, on_fetch)


async def _look_since(home: Home, known: Watermark, head: Head, on_fetch: OnFetch | None) -> Sight:
    fetched = Fetched(on_fetch)
    root = await fetched.add(home.pds, head.rev)
    get = first_of(fetched.blocks.get, known.node)
    if root == head.commit:
        if known.newest is not None and known.newest > head.rev:
            raise _stale(known.newest)
        return Sight(View(head), get)
    new = _read_head(home, root, get, known.newest)
    check_grown(head, new)
    return Sight(advance(head, new, get), get)


async def _look_whole(home: Home, known: Watermark, on_fetch: OnFetch | None) -> Sight:
    """The whole repo from nothing: the kept tree is not used, so damage to it is mended too.

    A record that its own PDS has lost stays missing for ever. So where only records are missing
    after all repairs, the tree is believed, and each such record is a problem of its own.
    """
    _, before = await home.pds.fetch_latest()
    fetched = Fetched(on_fetch)
    get = fetched.blocks.get
    since: Tid | None = None
    for _ in range(1 + REPAIRS):
        view = None
        root = await fetched.add(home.pds, since)
        try:
            head = _read_head(home, root, get, known.newest)
            check_grown(known.head, head)
            view = advance(None, head, get)
            _check_records(view, get)
            return Sight(view, get)
        except MissingBlocks as error:
            since, missing = before, error.message
    if view is not None:
        return Sight(view, get)
    raise never_whole(missing)


def _read_head(home: Home, root: Cid, get: Get, newest: Tid | None) -> Head:
    account = home.account
    key = parse_did_key(account.key)
    return read_head(root, get, did=account.did, key=key, newest=newest)


def never_whole(missing: str) -> Unverified:
    """What to raise about a repo of which something is missing after all repairs."""
    return Unverified(
        f"the PDS does not send the whole repo: {missing}",
        hint="nothing was changed; try again later, as `syncd run` does by itself",
    )


def _check_records(view: View, get: Get) -> None:
    missing = sum(1 for _, cid in view.after() if get(cid) is None)
    if missing:
        raise MissingBlocks(f"{missing} records of the repo did not arrive", count=missing)


def _stale(newest: Tid) -> Unverified:
    return Unverified(
        f"the PDS does not show rev {newest} yet, which it gave us before",
        hint="nothing was changed; the next sync looks again",
    )
