"""What a cycle leaves for the state file: a memory of its effects. Frozen data; never any I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Final

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.model.paths import RecordPath
from syncd.model.plan import Head, Waiting
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """A file at its last read: its stat, the SHA-256 of its bytes, the CID of its record.

    `digest` shows that a file is unchanged even if JSON cannot express its record exactly.
    `seen_ns` is the time of the stat: a file changed at that very time must be read again.
    """

    path: RecordPath
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    seen_ns: int
    digest: bytes
    cid: Cid


@dataclass(frozen=True, slots=True)
class Memory:
    """The changes to the state file after the effects of a cycle, for one transaction.

    Attributes:
        base: New CIDs of base; None forgets the path.
        blocks: The DAG-CBOR of the records base moves to.
        seen: New entries of the scan cache; None forgets the path.
        waiting: The reasons why a path is not settled; they replace all earlier ones of the path.
        head: The new head; None keeps head and tree.
        newest: The newest rev received from the PDS.
        is_whole_tree: `added_nodes` replace the whole tree.
        added_nodes, dropped_nodes: Changes to the tree.
        decided: Paths whose decision is no longer needed.
        settled: See cycle/observe/local.py.
    """

    base: Mapping[RecordPath, Cid | None] = field(default_factory=dict)
    blocks: Mapping[RecordPath, bytes] = field(default_factory=dict)
    seen: Mapping[RecordPath, Seen | None] = field(default_factory=dict)
    waiting: Mapping[str, tuple[Waiting, ...]] = field(default_factory=dict)
    head: Head | None = None
    newest: Tid | None = None
    is_whole_tree: bool = False
    added_nodes: Mapping[Cid, bytes] = field(default_factory=dict)
    dropped_nodes: Collection[Cid] = ()
    decided: Collection[RecordPath] = ()
    settled: Mapping[str, bytes] = field(default_factory=dict)

    def and_then(self, later: Memory) -> Memory:
        """Return one memory that leaves what recording this one and then `later` leaves.

        Where both say something of a path, `later` is right. A fingerprint in `settled` may be
        forgotten that would have stayed: what it settles is then looked at once more. Where base
        moves on and back again, the block of its version may stay that would have been forgotten.
        """
        revs = [memory.newest for memory in (self, later) if memory.newest is not None]
        gone = set(later.dropped_nodes)
        # A whole tree replaces all nodes, those that were added just before among them.
        added = {} if later.is_whole_tree else self.added_nodes
        # A block belongs to the version that base moved to; it goes when base moves on to another.
        blocks = {
            path: block
            for path, block in self.blocks.items()
            if path not in later.base or later.base[path] == self.base.get(path)
        }
        # Where base forgets a path, what its file was is forgotten with it: see record().
        seen: dict[RecordPath, Seen | None] = {
            **{path: None for path, cid in self.base.items() if cid is None and path in later.base},
            **self.seen,
            **{path: None for path, cid in later.base.items() if cid is None and path in self.seen},
            **later.seen,
        }
        return Memory(
            base={**self.base, **later.base},
            blocks={**blocks, **later.blocks},
            seen=seen,
            waiting={**self.waiting, **later.waiting},
            head=later.head or self.head,
            newest=max(revs, default=None),
            is_whole_tree=self.is_whole_tree or later.is_whole_tree,
            added_nodes={c: n for c, n in added.items() if c not in gone} | dict(later.added_nodes),
            dropped_nodes=(*self.dropped_nodes, *later.dropped_nodes),
            decided=(*self.decided, *later.decided),
            settled={**self.settled, **later.settled},
        )


NOTHING: Final = Memory()
"""What leaves the state file as it is."""
