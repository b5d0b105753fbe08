"""What passes between syncd and a PDS, as values: bounds, answers, sessions. Sends nothing."""

from __future__ import annotations

from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Did, Tid
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one request to a PDS (lexicon com.atproto.repo.applyWrites; sync spec)."""

    writes: int = 200
    json_bytes: int = 1_000_000
    block_bytes: int = 2_000_000
    record_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a guarded write; `cids` and `validation` follow the order of the writes.

    None stands for an omission of the PDS, the CID of a deletion, and the commit of a write
    without effect.
    """

    cids: tuple[Cid | None, ...]
    commit: Cid | None
    rev: Tid | None
    validation: tuple[str | None, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Session:
    """An authenticated session on a PDS. The repr hides the tokens.

    `origin` is that of the PDS that made the session, and only that server gets its tokens. None
    means that nobody knows which one it was: no server gets them.
    """

    did: Did
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    origin: str | None = None
