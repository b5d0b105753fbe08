"""Fetch, block by block, what a cut download left out of a tree, where that is little enough.

A download of a repo has no ranges, and the order of its blocks means nothing. But a tree says which
blocks it has, so those that came are not fetched again. Never concludes anything from a block that
the PDS does not have.
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
"""Blocks that are asked for by name: 1,000 requests. More are cheaper in one new download."""

_AT_ONCE = 1_000


class _TooMany(Exception):
    """More blocks are missing than are worth asking for one by one."""


async def fill(pds: Pds, spool: Spool, root: Cid, at_most: int = AT_MOST) -> bool:
    """Have every block of the repo at commit `root` in `spool`; False if that is not to be had so.

    Nothing in it is verified but the hashes. What was fetched stays in `spool` either way.
    Raises BadTree if what is linked as a node is none, and what `Pds.fetch_blocks` raises, but for
    NotFound.
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
        """From the root down: what was under a node that is missing is known when it is there."""
        places, records = [Link(data)], list[Cid]()
        while places:
            await self.have(place.cid for place in places)
            places = self._absent_below(places, records)
        await self.have(records)

    def _absent_below(self, places: list[Link], records: list[Cid]) -> list[Link]:
        """The nodes that are missing as far as they can be known; `records` gets the records."""
        absent: list[Link] = []
        while places:
            place = places.pop()
            for item in contents(place, load(place, self._spool.get)):
                if isinstance(item, Entry):
                    if item.value not in self._spool:
                        records.append(item.value)
                elif item.cid in self._spool:
                    places.append(item)
                else:
                    absent.append(item)
            self._check(len(records) + len(absent))
        return absent

    async def have(self, cids: Iterable[Cid]) -> None:
        absent = [cid for cid in dict.fromkeys(cids) if cid not in self._spool]
        self._check(len(absent))
        self._left -= len(absent)
        for start in range(0, len(absent), _AT_ONCE):
            found = await self._pds.fetch_blocks(absent[start : start + _AT_ONCE])
            self._spool.add(found.items())

    def _check(self, count: int) -> None:
        if count > self._left:
            raise _TooMany
