"""Fetch the blocks that an interrupted download did not bring, if they are few enough.

A repo cannot be downloaded in ranges, and its blocks have no order. But its tree names all its
blocks, so only missing blocks are fetched. Never draws a conclusion from a block that the PDS does
not have.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.atproto.cid import Cid
from syncd.atproto.commit import parse_commit
from syncd.atproto.mst import Entry
from syncd.atproto.mst.bounds import Link, contents, load
from syncd.errors import BadCommit, NotFound
from syncd.pds import Pds
from syncd.spool import Spool

AT_MOST = 100_000
"""The most blocks to ask for by CID. More than these are cheaper in one new download."""

_AT_ONCE = 100
"""How many blocks one request asks for, which is what memory has at a time."""


class _TooMany(Exception):
    """More blocks are missing than are worth single requests."""


async def fill(pds: Pds, spool: Spool, root: Cid, at_most: int = AT_MOST) -> bool:
    """Fetch every missing block of the repo at commit `root` into `spool`.

    Only hashes are verified. Fetched blocks stay in `spool` in every case.

    Returns:
        False if too many blocks are missing, or the PDS does not have one of them.

    Raises:
        BadTree: A block that is linked as a node is no node.
        SyncdError: As `Pds.fetch_blocks`, except NotFound.
    """
    wanting = _Wanting(pds, spool, at_most)
    try:
        await wanting.have([root])
        commit = spool.get(root)
        if commit is None:
            return False
        await wanting.have_tree(parse_commit(commit).data)
    except (NotFound, BadCommit, _TooMany):
        return False
    return True


class _Wanting:
    def __init__(self, pds: Pds, spool: Spool, left: int) -> None:
        self._pds = pds
        self._spool = spool
        self._left = left

    async def have_tree(self, data: Cid) -> None:
        """Fetch the tree from the root down: a node must be there before its children are known."""
        places, records = [Link(data)], list[Cid]()
        while places:
            await self.have(place.cid for place in places)
            places = self._absent_below(places, records)
        await self.have(records)

    def _absent_below(self, places: list[Link], records: list[Cid]) -> list[Link]:
        """Return the missing nodes just below known ones; add missing records to `records`."""
        absent: list[Link] = []
        while places:
            place = places.pop()
            for item in contents(place, load(place, self._spool.get)):
                if isinstance(item, Entry):
                    if item.value.is_block and item.value not in self._spool:
                        records.append(item.value)
                elif item.cid in self._spool:
                    places.append(item)
                else:
                    absent.append(item)
            self._check(len(records) + len(absent))
        return absent

    async def have(self, cids: Iterable[Cid]) -> None:
        """Fetch the blocks of `cids` that the spool lacks. Raises _TooMany, NotFound."""
        absent = [cid for cid in dict.fromkeys(cids) if cid not in self._spool]
        self._check(len(absent))
        self._left -= len(absent)
        for start in range(0, len(absent), _AT_ONCE):
            found = await self._pds.fetch_blocks(absent[start : start + _AT_ONCE])
            self._spool.add(found.items())

    def _check(self, count: int) -> None:
        if count > self._left:
            raise _TooMany
