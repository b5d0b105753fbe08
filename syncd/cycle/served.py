"""Ask a PDS whether it still serves every block of the repo that a mirror knows. Changes nothing.

A PDS can lose blocks that its tree still names, and nobody notices until a client needs them. One
download of the repo shows it. Its blocks are hashed and then dropped: only their CIDs are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.atproto.mst import walk
from syncd.cycle.observe.fetch import Fetched
from syncd.errors import SyncdError
from syncd.model import Head, Problem
from syncd.pds import Pds
from syncd.state import State
from syncd.values import dataclass

_OPERATOR = "tell the operator of the PDS"
_RECORD_HINT = f"{_OPERATOR}; editing its file writes the record again"


@dataclass(frozen=True, slots=True)
class Served:
    """How many blocks of the repo the PDS serves, and which it does not serve."""

    blocks: int
    findings: tuple[Problem, ...]


@dataclass(slots=True)
class _Names:
    """A store that keeps the names of blocks alone."""

    size: int = 0
    cids: set[Cid] = field(default_factory=set)

    @property
    def count(self) -> int:
        return len(self.cids)

    def add(self, blocks: Iterable[tuple[Cid, bytes]]) -> None:
        for cid, block in blocks:
            if cid not in self.cids:
                self.size += len(cid) + len(block)
                self.cids.add(cid)

    def get(self, _cid: Cid) -> bytes | None:
        return None


async def verify_served(state: State, pds: Pds) -> Served:
    """Download the repo once and look for every block of the kept head, tree and records.

    Raises as `Pds.fetch_repo`, and BadCar.
    """
    head, names = state.head(), _Names()
    root = await Fetched(blocks=names).add(pds, None)
    try:
        with state.at_once():
            # A daemon may have recorded another commit during the download.
            if head is None or root != head.commit or head != state.head():
                return _uncompared(names, "the repo has changed since the last sync")
            nodes, records = _known(state, head)
    except SyncdError:
        return _uncompared(names, "the kept tree is damaged")
    lost = [
        Problem(key, "the repo's tree has this record, but the PDS does not serve it", _RECORD_HINT)
        for key, cid in sorted(records.items())
        if cid not in names.cids
    ]
    gone = len(nodes - names.cids)
    if gone:
        reason = f"the PDS does not serve {gone} of the {len(nodes)} blocks of commit and tree"
        lost.insert(0, Problem("tree", reason, f"{_OPERATOR}; your files and history are whole"))
    return Served(names.count, tuple(lost))


def _uncompared(names: _Names, why: str) -> Served:
    reason = f"{why}, so the blocks of the PDS were not compared"
    return Served(names.count, (Problem("repo", reason, "syncd sync, then verify again"),))


def _known(state: State, head: Head) -> tuple[set[Cid], Mapping[str, Cid]]:
    """Return the blocks of the kept tree, with the commit, and its records.

    Raises SyncdError as `walk` does.
    """
    nodes = {head.commit}

    def get(cid: Cid) -> bytes | None:
        nodes.add(cid)
        return state.node(cid)

    records = dict(walk(head.data, get))
    return nodes, records
