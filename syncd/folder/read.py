"""Read one file, whole and as it stands. Never follows a link, never waits on a FIFO, never writes.

A file is a record's only if it is a regular file that did not change while it was read and whose
JSON stands for a record. Everything else is a problem of that path: there, but inert.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.errors import BadData, BadJson, FileProblem
from syncd.folder import linux
from syncd.folder.problems import explain
from syncd.model import Problem, RecordPath, Seen, split_record_path

MAX_FILE_BYTES = 16_000_000
"""A record has at most 1 MB of CBOR; JSON text with escapes and white space may be longer."""
RACY_NS = 2_000_000_000
"""A change this soon before the file was looked at may hide behind the same time stamps."""
IDLE_NS = 60_000_000_000
"""A program that has a file open, but has not written for so long, is not in the middle of it."""

MEND_HINT = "mend the file and save it; until then nothing pushes it and nothing overwrites it"
_WRITING_HINT = "syncd reads it when the writing ends"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_TRIES = 3
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class FileStat:
    """Which file was read and what was in it: its stat and the SHA-256 of its bytes."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    digest: bytes

    def seen(self, path: RecordPath, cid: Cid, *, seen_ns: int) -> Seen:
        return Seen(
            path=path,
            inode=self.inode,
            size=self.size,
            mtime_ns=self.mtime_ns,
            ctime_ns=self.ctime_ns,
            seen_ns=seen_ns,
            digest=self.digest,
            cid=cid,
        )


def is_current(seen: Seen, now: os.stat_result) -> bool:
    """True if the file with stat `now` surely still has the content that was seen.

    The stat must be equal, and must have been taken well after the last change: a second change
    within one tick of the file system's clock leaves no trace in it.
    """
    return (seen.inode, seen.size, seen.mtime_ns, seen.ctime_ns) == (
        now.st_ino,
        now.st_size,
        now.st_mtime_ns,
        now.st_ctime_ns,
    ) and max(seen.mtime_ns, seen.ctime_ns) + RACY_NS <= seen.seen_ns


def read_file(directory: int, name: str) -> tuple[bytes, FileStat]:
    """The bytes of a regular file. Raises OSError, or FileProblem if it cannot be read as one."""
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        return _read_open(descriptor)
    finally:
        os.close(descriptor)


def read_record(
    directory: int, name: str, path: RecordPath, known: Seen | None, *, seen_ns: int
) -> Seen | Problem:
    """What the record file `name` holds now. Raises OSError, also where it is gone.

    The content is not parsed again if it has the digest of `known`. A new content does not count
    while a program has the file open for writing: it may be half of a save, and still be a record.
    """
    try:
        content, now, is_open = _read_watched(directory, name)
        if known is not None and known.digest == now.digest:
            return now.seen(path, known.cid, seen_ns=seen_ns)
        if is_open and seen_ns < max(now.mtime_ns, now.ctime_ns) + IDLE_NS:
            return Problem(path, "another program has it open for writing", _WRITING_HINT)
        record = parse_record(content, split_record_path(path)[0])
        return now.seen(path, cid_of(record), seen_ns=seen_ns)
    except BadJson as error:
        return Problem(path, error.message, error.hint or MEND_HINT, error.line, error.column)
    except (BadData, FileProblem) as error:
        return Problem(path, error.message, error.hint or MEND_HINT)


def _read_watched(directory: int, name: str) -> tuple[bytes, FileStat, bool]:
    """As `read_file`, and whether some program had the file open for writing meanwhile."""
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        lease = linux.take_lease(descriptor)
        content, now = _read_open(descriptor)
        return content, now, not lease.holds()
    finally:
        os.close(descriptor)


def is_at_rest(directory: int, name: str, digest: bytes) -> bool:
    """True if `name` is a file with this content that no program is writing to or about to.

    The content alone does not tell: a program that opened the file earlier may write to it later,
    whatever its name is by then. While we hold a lease, none has it open for writing.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
    except OSError:
        return False
    try:
        lease = linux.take_lease(descriptor)
        _, now = _read_open(descriptor)
        return now.digest == digest and lease.holds()
    except (OSError, FileProblem):
        return False
    finally:
        os.close(descriptor)


def kind_problem(path: str, mode: int, wanted: str = "a file") -> Problem:
    """The problem of something that is not what its name promises."""
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    hint = f"replace it by {wanted}, or move it elsewhere; syncd follows no links"
    return Problem(path, f"it is {kind}, not {wanted}", hint)


def os_problem(path: str, error: OSError) -> Problem:
    cause, hint = explain(error)
    return Problem(path, f"it cannot be read: {cause}", hint)


def _read_open(descriptor: int) -> tuple[bytes, FileStat]:
    for _ in range(_TRIES):
        before = os.fstat(descriptor)
        _check_readable(before)
        content = _bytes(descriptor, before.st_size + 1)
        after = os.fstat(descriptor)
        if _stamp(before) == _stamp(after) and len(content) == after.st_size:
            return content, FileStat(*_stamp(after), hashlib.sha256(content).digest())
    raise FileProblem("it is being written", hint=_WRITING_HINT)


def _check_readable(now: os.stat_result) -> None:
    if not stat.S_ISREG(now.st_mode):
        problem = kind_problem("", now.st_mode)
        raise FileProblem(problem.reason, hint=problem.hint)
    if now.st_size > MAX_FILE_BYTES:
        hint = f"keep files below {MAX_FILE_BYTES} bytes; no PDS takes a record that large"
        raise FileProblem(f"it has {now.st_size} bytes, more than any record", hint=hint)


def _bytes(descriptor: int, most: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while most > 0 and (part := os.read(descriptor, most)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _stamp(now: os.stat_result) -> tuple[int, int, int, int]:
    return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
