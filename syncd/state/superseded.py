"""One superseded version, as history keeps it. A value; no I/O."""

from __future__ import annotations

from enum import StrEnum

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.model import RecordPath, Side
from syncd.values import dataclass


class Provenance(StrEnum):
    """Where a version was when it was superseded: in one place only, or synchronized to both."""

    FOLDER = "folder"
    REPO = "repo"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Superseded:
    """A version that is about to be replaced or deleted on one side, and why.

    `content` is the record's DAG-CBOR block; or, where `cid` is a raw one, the bytes of a file that
    does not express its record. `after` is what takes its place, None for a deletion. `at` is unix
    seconds, `rev` the repo's newest rev then.
    """

    path: RecordPath
    side: Side
    cid: Cid
    content: bytes
    after: Cid | None
    at: int
    reason: str
    rev: Tid | None
    origin: Provenance
