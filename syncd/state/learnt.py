"""The small facts that a PDS never says and that its answers show. Opens no file; see notes.py."""

from __future__ import annotations

from collections.abc import Mapping

from syncd.atproto.cid import Cid
from syncd.model import RecordPath
from syncd.state.note import Note
from syncd.values import dataclass

_LIMIT_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class KnownGuards(Note):
    """The guards that the PDS at `pds` honours, as found `at` unix seconds.

    `honoured`: those of a batch. `records`: those of single records, None while that was not tried.
    Written and read by the outbox; `status` and `doctor` show it.
    Unknown, the outbox probes the PDS before it pushes anything, as at the first push.
    """

    kept_as = "guards"
    pds: str
    honoured: bool
    records: bool | None = None
    at: int = 0


@dataclass(frozen=True, slots=True)
class KnownBody(Note):
    """The largest body that the PDS at `pds` accepts, in bytes, as found `at` unix seconds.

    `json_bytes` is what a request may have, `passed` the largest body that it took, and `refused`
    the smallest that it refused. Written and read by the outbox; `doctor` shows it.
    Unknown, the outbox sends a body of ordinary size, which the PDS refuses whole, and learns.
    """

    kept_as = "body"
    pds: str
    json_bytes: int
    at: int
    passed: int = 0
    refused: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a size that fits no write: no push would ever end."""
        if self.json_bytes < 1:
            raise ValueError("it is not the size of a body")


@dataclass(frozen=True, slots=True)
class UploadPause(Note):
    """The unix second until which the PDS at `pds` accepts no more blobs.

    Written and read by the push half. Unknown, the next upload is refused, and says it again.
    """

    kept_as = "upload_pause"
    pds: str
    until: int


@dataclass(frozen=True, slots=True)
class KnownUploads(Note):
    """How many of `limit` blobs the PDS at `pds` still accepts until `resets_at` (unix seconds).

    Written by the push half, and only shown: other programs at the same address count as well.
    Unknown, nothing is shown.
    """

    kept_as = "uploads"
    pds: str
    left: int
    limit: int
    resets_at: int


@dataclass(frozen=True, slots=True)
class KnownBlobLimit(Note):
    """The largest blob, in bytes, that the PDS at `pds` says it accepts, `at` unix seconds.

    Written by the push half, and read before a file is hashed. Unknown, the file is hashed first.
    """

    kept_as = "blob_limit"
    pds: str
    bytes: int
    at: int

    def most(self, now: int) -> int | None:
        """Return the limit for a day: the PDS may accept more later."""
        return self.bytes if 0 <= now - self.at < _LIMIT_SECONDS else None


@dataclass(frozen=True, slots=True)
class KnownKeeping(Note):
    """Whether the PDS at `pds` keeps a record whose content another path loses.

    Found with the first deletion of a content that another record has as well; `doubted` are the
    (path, CID) of such records that are still to be asked for, noted before the deletion is sent.
    `is_proof`: one of them had the content before, so that the PDS is seen to keep it. A record
    that is created in the same commit proves nothing: some PDSes keep that one alone. `again` are
    those that were written again last.
    Written and read by the push half. Unknown, it asks after each such deletion; what was doubted
    is only seen again by `syncd verify`.
    """

    kept_as = "keeping"
    pds: str
    is_kept: bool | None = None
    doubted: tuple[tuple[RecordPath, Cid], ...] = ()
    is_proof: bool = False
    again: tuple[tuple[RecordPath, Cid], ...] = ()


@dataclass(frozen=True, slots=True)
class KnownBlobs(Note):
    """The state in which no more blobs of base could be fetched into `blobs/`.

    `turn`: that of the state file. `changed_ns`: when a name in `blobs/` had changed last.
    `settings`: the settings of blobs, as text. `at`: when it was found, in unix seconds. `count`:
    how many blobs lay there. `due`: when one of those that are missing is asked for again; 0: none.
    Written and read by cycle/blobs/rounds.py. Unknown, the names in `blobs/` are compared again.
    """

    kept_as = "blobs"
    turn: int
    changed_ns: int
    settings: str
    at: int
    count: int
    due: int = 0


@dataclass(frozen=True, slots=True)
class UnnamedBlobs(Note):
    """Since when nothing names each file of `blobs/` that base does not name, in unix seconds.

    `since` is by the text of a CID; `at` is when it was looked for. Written and read by
    cycle/blobs/removal.py. Unknown, what nothing names stays for its days from now on.
    """

    kept_as = "unnamed_blobs"
    at: int
    since: Mapping[str, int]
