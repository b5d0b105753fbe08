"""Read one whole file. Never follows a link, never waits on a FIFO, never writes.

A file counts as a record if it is a regular file, did not change during the read, and its text is
a record. Anything else is a Problem of the path: the file exists, but is inert.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import field

from syncd.atproto.blob import may_misspell
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.data import MAX_TEXT_BYTES, Record, cid_of
from syncd.errors import BadData, BadJson, FileProblem
from syncd.folder import linux
from syncd.folder.problems import explain
from syncd.forms import USUAL, Form, cid_of_text, meaning_at_once
from syncd.model import Problem, RecordPath, Seen, split_record_path
from syncd.values import dataclass

MAX_FILE_BYTES = MAX_TEXT_BYTES
"""What a form writes at most: a file that syncd writes can be read again."""
RACY_NS = 2_000_000_000
"""If the last change is this recent, a second change may have left the same time stamps."""
IDLE_NS = 60_000_000_000
"""If a file was not written to for this long, its save is finished, even if it is still open."""

FIX_HINT = "fix the file and save it; until then syncd neither pushes nor overwrites it"
TEXT_BYTES = 8_000_000
"""How many bytes of texts a look keeps for whoever asks next: those of 20,000 usual records."""
_WRITING_HINT = "syncd reads it once the writer is done"
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
    """The stat of a file that was read, and the SHA-256 of its bytes."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    digest: bytes

    def seen(self, path: RecordPath, cid: Cid, *, seen_ns: int) -> Seen:
        """Return the row of the scan cache for the record `cid`, read at `seen_ns`."""
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


@dataclass(slots=True)
class Texts:
    """What one look knows of the texts of the files that it read, beside what they say.

    Attributes:
        plain: The files whose text misspells no key of a blob.
        room: How many more bytes of texts are kept.
    """

    plain: set[RecordPath] = field(default_factory=set)
    room: int = field(default_factory=lambda: TEXT_BYTES)
    _kept: dict[bytes, bytes] = field(default_factory=dict)

    def meet(self, path: RecordPath, text: bytes, digest: bytes) -> None:
        """Note the text of a file, whose SHA-256 is `digest`; keep it while there is room."""
        if not may_misspell(text):
            self.plain.add(path)
        if len(text) <= self.room:
            self.room -= len(text)
            self._kept[digest] = text

    def get(self, digest: bytes) -> bytes | None:
        """Return the text with this digest; None if it was not read or not kept."""
        return self._kept.get(digest)

    def joined(self, other: Texts) -> Texts:
        """Return what both know."""
        kept = {**self._kept, **other._kept}
        return Texts(self.plain | other.plain, min(self.room, other.room), kept)


def is_current(seen: Seen, now: os.stat_result) -> bool:
    """Return whether the file with stat `now` certainly still has the content of `seen`.

    The stat must be equal, and `seen` must be well after the last change: two changes within one
    tick of the file system's clock have the same time.
    """
    return (seen.inode, seen.size, seen.mtime_ns, seen.ctime_ns) == (
        now.st_ino,
        now.st_size,
        now.st_mtime_ns,
        now.st_ctime_ns,
    ) and max(seen.mtime_ns, seen.ctime_ns) + RACY_NS <= seen.seen_ns


def read_file(directory: int, name: str) -> tuple[bytes, FileStat]:
    """Read the bytes of a regular file.

    Raises:
        OSError: The file cannot be opened or read.
        FileProblem: It is not a regular file, is too large, or changes during the read.
    """
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        return _read_open(descriptor)
    finally:
        os.close(descriptor)


def read_record(
    directory: int,
    name: str,
    path: RecordPath,
    known: Seen | None,
    *,
    seen_ns: int,
    form: Form = USUAL.default,
    texts: Texts | None = None,
) -> Seen | Problem:
    """Read the record file `name`; return a Problem if it holds no record now.

    If the content has the digest of `known`, it is not parsed again. While a program has the file
    open for writing, new content does not count: half of a save can be a valid record. `texts` gets
    what was read.

    Raises OSError: the file cannot be opened, or is gone.
    """
    try:
        content, now, is_open = _read_watched(directory, name, known)
        if known is not None and known.digest == now.digest:
            # Old content can be trusted even while the file is open: it was read before.
            return now.seen(path, known.cid, seen_ns=seen_ns)
        if texts is not None:
            texts.meet(path, content, now.digest)
        if is_open and seen_ns < max(now.mtime_ns, now.ctime_ns) + IDLE_NS:
            return Problem(path, "another program has it open for writing", _WRITING_HINT)
        cid = cid_of_text(form, content, split_record_path(path)[0])
        return now.seen(path, cid, seen_ns=seen_ns)
    except BadJson as error:
        return Problem(path, error.message, error.hint or FIX_HINT, error.line, error.column)
    except (BadData, FileProblem) as error:
        return Problem(path, error.message, error.hint or FIX_HINT)


def read_meant(
    directory: int,
    name: str,
    path: RecordPath,
    cid: Cid,
    *,
    seen_ns: int,
    form: Form = USUAL.default,
) -> tuple[Seen, Record] | None:
    """Read the record file `name` and its record; return None unless it is the record `cid`.

    Nothing is asked about programs that have the file open: `cid` is no new content, and half of a
    save has no CID that was known before.
    """
    collection = split_record_path(path)[0]
    try:
        descriptor = os.open(name, _READ, dir_fd=directory)
        try:
            now = os.fstat(descriptor)
            _check_readable(now)
            content = os.read(descriptor, now.st_size + 1)
        finally:
            os.close(descriptor)
        # A write during the read makes another CID, or the content is the one that was asked for.
        meant = meaning_at_once(form, content, collection)
        record = form.parse(content, collection) if meant is None else meant[1]
        if (cid_of(record) if meant is None else cid_of_block(meant[0])) != cid:
            return None
    except (BadJson, BadData, FileProblem, OSError):
        return None
    digest = hashlib.sha256(content).digest()
    return Seen(path, *_stamp(now), seen_ns, digest, cid), record


def _read_watched(directory: int, name: str, known: Seen | None) -> tuple[bytes, FileStat, bool]:
    """Read as `read_file` does; say also whether a program had the file open for writing.

    Of the content of `known` that is not asked, if the stat says that the file has it.
    """
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        if known is not None and _stamp(os.fstat(descriptor)) == (
            known.inode,
            known.size,
            known.mtime_ns,
            known.ctime_ns,
        ):
            content, now = _read_open(descriptor)
            if now.digest == known.digest:
                return content, now, False
            os.lseek(descriptor, 0, os.SEEK_SET)
        lease = linux.take_lease(descriptor)
        content, now = _read_open(descriptor)
        return content, now, not lease.holds()
    finally:
        os.close(descriptor)


def is_at_rest(directory: int, name: str, digest: bytes) -> bool:
    """Return whether `name` has this content and no program has it open for writing.

    Equal content is not enough: a program that opened the file earlier may write to it later,
    under any name. The lease proves that no such program exists.
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
    """Make the Problem of an entry of the wrong kind, `mode`, in place of `wanted`."""
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    links = "; syncd does not follow links" if stat.S_ISLNK(mode) else ""
    hint = f"replace it with {wanted}, or move it elsewhere{links}"
    return Problem(path, f"it is {kind}, not {wanted}", hint)


def os_problem(path: str, error: OSError) -> Problem:
    """Make the Problem of a file that the operating system refused to read."""
    cause, hint = explain(error)
    return Problem(path, f"it cannot be read: {cause}", hint)


def _read_open(descriptor: int) -> tuple[bytes, FileStat]:
    for number in range(_TRIES):
        before = os.fstat(descriptor)
        _check_readable(before)
        if number:
            os.lseek(descriptor, 0, os.SEEK_SET)
        # One read is enough for nearly every file: it asks for a byte more than there are.
        content = os.read(descriptor, before.st_size + 1)
        if len(content) < before.st_size:
            content += _rest(descriptor, before.st_size + 1 - len(content))
        after = os.fstat(descriptor)
        # Equal stats, and as many bytes as the size: no write fell between the first and last byte.
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


def _rest(descriptor: int, most: int) -> bytes:
    parts = []
    while most > 0 and (part := os.read(descriptor, most)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _stamp(now: os.stat_result) -> tuple[int, int, int, int]:
    return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
