"""Keep what came in, went out or was refused: one line of JSON a record, or one for many new ones.

Nothing is decided by it, only shown. So it costs no wait for the disk, what cannot be kept is not,
and a line that is not as it was written is left out. It holds names, CIDs and what a PDS said,
never a record. It stays within its bound: at half of it the file becomes the older one of two.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from io import FileIO
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.syntax import Tid
from syncd.errors import BadSyntax
from syncd.model import RecordPath
from syncd.values import dataclass

ACTIVITY_FILE: Final = "activity.jsonl"
OLDER_FILE: Final = "activity.older.jsonl"
"""The names of the two files, beside the state file."""
MOST_BYTES: Final = 16_000_000
"""The bytes of both together: about 50,000 records that were replaced, or 800,000 new ones."""
_ALIKE: Final = 10
"""More new records of one collection than this get one line together."""
_KEYS_OF_A_LINE: Final = 1_000
_VERSION: Final = 1
_MOST_REASON: Final = 500
"""The most characters that are kept of what a PDS said."""
_CLOCK_SECONDS: Final = 86_400
"""So far a clock may have been set back without an activity that `read` misses."""
_READ_BYTES: Final = 256 * 1024
_MODE: Final = 0o600


class How(StrEnum):
    """The way of a record: cloned, pulled, merged, pushed, adopted or refused."""

    CLONED = "cloned"
    PULLED = "pulled"
    MERGED = "merged"
    PUSHED = "pushed"
    ADOPTED = "adopted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Activity:
    """A change, at the unix second `at`, of a record, or of `count` records of a collection.

    Attributes:
        path: The path of the record, or the name of the collection where there are many.
        before, after: The version that it had and has; None for none, and for many.
        keys: The record keys of many, if they are kept.
        rev, commit: The commit of the repo that it came from, or that it became part of.
        pds: The URL of the server.
        reason: Why it was refused.
    """

    at: int
    how: How
    path: str
    before: Cid | None = None
    after: Cid | None = None
    count: int = 1
    keys: tuple[str, ...] = ()
    rev: Tid | None = None
    commit: Cid | None = None
    pds: str = ""
    reason: str = ""

    @property
    def is_of_many(self) -> bool:
        """Return whether the activity is about a collection."""
        return "/" not in self.path

    @property
    def paths(self) -> Sequence[RecordPath]:
        """Return the records that the activity names."""
        if self.is_of_many:
            return [RecordPath(f"{self.path}/{key}") for key in self.keys]
        return [RecordPath(self.path)]


@dataclass(frozen=True, slots=True)
class Activities:
    """The activities that were read, newest first, and the number of unreadable lines."""

    found: Sequence[Activity]
    unread: int


@dataclass(frozen=True, slots=True)
class ActivityLog:
    """The two files in `own`, the mirror's `.syncd`. Only the process that syncs adds to them."""

    own: Path
    most_bytes: int = MOST_BYTES

    def keep(self, activities: Iterable[Activity]) -> None:
        """Add `activities` in order; drop those that the disk refuses."""
        lines = b"".join(map(_line, _grouped(activities)))
        if not lines:
            return
        half = self.most_bytes // 2
        if len(lines) > half:
            lines = lines[-half:].partition(b"\n")[2]
        with suppress(OSError):
            file = self.own / ACTIVITY_FILE
            with suppress(FileNotFoundError):
                if 0 < file.lstat().st_size > half - len(lines):
                    file.replace(self.own / OLDER_FILE)
            _add(file, lines)

    def read(
        self, most: int | None = None, *, about: Collection[str] = (), since: int | None = None
    ) -> Activities:
        """Return the newest `most` activities (None: all); if `about`, of lines with one of these.

        Those before the unix second `since` may be left out. Raises OSError where a file is there
        and cannot be read.
        """
        found: list[Activity] = []
        unread, words = 0, [word.encode() for word in about]
        for line in self._lines_backwards():
            if words and not any(word in line for word in words):
                continue
            activity = _parsed(line)
            if activity is None:
                unread += 1
            else:
                found.append(activity)
            if len(found) == most:
                break
            # Lines stand in the order of time but where the clock was set meanwhile.
            if since is not None and activity is not None and activity.at < since - _CLOCK_SECONDS:
                break
        return Activities(found, unread)

    def oldest(self) -> Activity | None:
        """Return the oldest readable activity; None if there is none.

        Raises OSError where a file is there and cannot be read.
        """
        for name in (OLDER_FILE, ACTIVITY_FILE):
            with suppress(FileNotFoundError), _open(self.own / name, os.O_RDONLY) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    continue
                lines = os.pread(file.fileno(), _READ_BYTES, 0).split(b"\n")
                found = next(filter(None, map(_parsed, lines)), None)
                if found is not None:
                    return found
        return None

    def _lines_backwards(self) -> Iterator[bytes]:
        # The newer one first: one that becomes the older meanwhile is read twice, not left out.
        read: set[int] = set()
        for name in (ACTIVITY_FILE, OLDER_FILE):
            with suppress(FileNotFoundError), _open(self.own / name, os.O_RDONLY) as file:
                found = os.fstat(file.fileno())
                if stat.S_ISREG(found.st_mode) and found.st_ino not in read:
                    read.add(found.st_ino)
                    yield from _backwards(file.fileno(), found.st_size, self.most_bytes)


def _add(path: Path, lines: bytes) -> None:
    with _open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND) as file:
        size = file.seek(0, os.SEEK_END)
        # A crash or a full disk cuts a line: what comes after it is a line of its own.
        is_cut = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        file.write(b"\n" * is_cut + lines)


def _open(path: Path, flags: int) -> FileIO:
    """Open a regular file; neither wait for a pipe nor follow a link."""
    safe = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags | safe, _MODE)
    return FileIO(descriptor, "r+" if flags & os.O_RDWR else "r")


def _backwards(file: int, size: int, most: int) -> Iterator[bytes]:
    """Yield the non-empty lines in the last `most` bytes of a file, the last one first."""
    rest, at, start = b"", size, max(0, size - most)
    while at > start:
        length = min(_READ_BYTES, at - start)
        at -= length
        first, *lines = (os.pread(file, length, at) + rest).split(b"\n")
        yield from filter(None, reversed(lines))
        rest = first
    # What begins before the bound is no whole line.
    if rest and start == 0:
        yield rest


def _grouped(activities: Iterable[Activity]) -> Iterator[Activity]:
    """Combine many new records of a collection into one; keep replacements and deletions single."""

    def kind(activity: Activity) -> tuple[Any, ...]:
        is_new = activity.before is None and activity.after is not None
        collection = activity.path.partition("/")[0]
        is_one = not (is_new and not activity.is_of_many)
        came = activity.how, activity.at, activity.rev, activity.commit, activity.reason
        return (is_one, collection, *came)

    for (is_one, collection, *_), group in groupby(activities, kind):
        found = list(group)
        if is_one or len(found) <= _ALIKE:
            yield from found
            continue
        for start in range(0, len(found), _KEYS_OF_A_LINE):
            part = found[start : start + _KEYS_OF_A_LINE]
            keys = tuple(activity.path.partition("/")[2] for activity in part)
            yield replace(
                part[0], path=collection, before=None, after=None, count=len(part), keys=keys
            )


def _line(activity: Activity) -> bytes:
    """Return an activity as one line, which ends with a checksum of the rest."""
    named: dict[str, object] = {
        "v": _VERSION,
        "at": activity.at,
        "how": activity.how.value,
        "path": activity.path,
        "before": _text(activity.before),
        "after": _text(activity.after),
        "count": activity.count,
        "keys": list(activity.keys) or None,
        "rev": activity.rev,
        "commit": _text(activity.commit),
        "pds": activity.pds,
        "reason": activity.reason[:_MOST_REASON] or None,
    }
    kept = {name: value for name, value in named.items() if value is not None}
    text = json.dumps(kept, separators=(",", ":"))[:-1].encode()
    return b'%s,"crc":%d}\n' % (text, zlib.crc32(text))


def _text(cid: Cid | None) -> str | None:
    return None if cid is None else str(cid)


def _parsed(line: bytes) -> Activity | None:
    """Return the activity in a line; None if it is damaged or from a newer syncd."""
    text, _, crc = line.rpartition(b',"crc":')
    if crc != b"%d}" % zlib.crc32(text):
        return None
    with suppress(ValueError, TypeError, BadSyntax, RecursionError):
        match json.loads(text + b"}"):
            case {"v": int(v), "at": int(at), "how": str(how), "path": str(path)} as found:
                return _activity(at, How(how), path, found) if v == _VERSION else None
    return None


def _activity(at: int, how: How, path: str, found: Mapping[Any, Any]) -> Activity:
    before, after, commit = (
        None if found.get(name) is None else parse_cid(found[name])
        for name in ("before", "after", "commit")
    )
    rev = None if found.get("rev") is None else Tid(str(found["rev"]))
    keys = tuple(str(key) for key in found.get("keys") or ())
    count, pds = int(found.get("count", 1)), str(found.get("pds", ""))
    reason = str(found.get("reason", ""))
    return Activity(at, how, path, before, after, count, keys, rev, commit, pds, reason)
