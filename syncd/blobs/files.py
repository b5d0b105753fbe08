"""The files that records name to be uploaded: read below the folder, hashed, and told by kind.

No name leads out of the folder, through a link, or to anything hidden. A file counts
if it is a regular one that does not change while it is read. Never writes, and sends nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from syncd.atproto.blob import FILE, BlobRef
from syncd.atproto.cid import cid_of_digest
from syncd.atproto.dagcbor import utf8
from syncd.atproto.data import Record
from syncd.blobs.kinds import ENOUGH_BYTES, mime_of
from syncd.blobs.location import tells_place
from syncd.errors import BadData, FolderWrong
from syncd.folder.root import opened
from syncd.forms import Form
from syncd.trouble import explain

_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PIECE: Final = 1 << 18
_NAME_HINT: Final = (
    'name a file in this folder, from its top and with "/": "$file": "pictures/cover.jpg"'
)
_PLACE_HINT: Final = (
    "take the place out of it, with exiftool or mat2 for example; to publish it with its place, "
    'set location = "keep" under [blobs] in syncd.toml'
)
MARK: Final = FILE.encode()
"""What a text has in it that names a file, unless its letters are escaped."""


OpenRoot: TypeAlias = Callable[[], AbstractContextManager[int]]
"""Opens a folder: gives the descriptor of its top."""


class _Described(NamedTuple):
    ref: BlobRef
    tells_place: bool


@dataclass(slots=True)
class Files:
    """The files of the folder that `open_root` opens. One that is named twice is read once.

    Attributes:
        may_tell_place: Whether a file whose metadata says where it was made can be uploaded.
    """

    open_root: OpenRoot
    may_tell_place: bool = False
    _known: dict[str, BlobRef] = field(default_factory=dict)

    def refer(self, name: str) -> BlobRef:
        """Return the reference that a file will have. Raises BadData if it cannot be uploaded.

        A file is read again only if its stat is another one than before.
        """
        if name not in self._known:
            with self.opened(name) as (file, size):
                known = _described_once(name, file, size)
            if known.tells_place and not self.may_tell_place:
                raise BadData(f"{shown(name)} says where it was made", hint=_PLACE_HINT)
            self._known[name] = known.ref
        return self._known[name]

    @contextmanager
    def opened(self, name: str) -> Iterator[tuple[BinaryIO, int]]:
        """Open a file and say its size. Raises BadData if it cannot be uploaded."""
        descriptor = self._open(name)
        try:
            now = os.fstat(descriptor)
            _check(shown(name), now)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                yield file, now.st_size
            if _stamp(os.fstat(descriptor)) != _stamp(now):
                raise _changing(name)
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        *directories, last = parts_of(name)
        try:
            with self.open_root() as root, opened(root, directories) as directory:
                return os.open(last, _OPEN, dir_fd=directory)
        except FolderWrong as error:
            raise BadData(error.message, hint=error.hint) from error
        except (OSError, ValueError) as error:
            raise _unopened(name, error) from error


_MOST_KEPT: Final = 1_000
_RESTS_NS: Final = 2_000_000_000
_kept: dict[tuple[int, ...], _Described] = {}
"""What files were that this process has read, by their stat: a record that waits is looked at
again and again, and a film takes long to hash."""


def forget() -> None:
    """Read every file anew from now on: one was found to be another than its stat says."""
    _kept.clear()


def _described_once(name: str, file: BinaryIO, size: int) -> _Described:
    now = os.fstat(file.fileno())
    key = (now.st_dev, now.st_ino, *_stamp(now))
    found = _kept.get(key)
    if found is None:
        ref = described(name, file, size)
        found = _Described(ref, tells_place(file, ref.mime_type))
    # A file that was changed a moment ago may change again within one tick of its clock.
    if now.st_ctime_ns + _RESTS_NS < time.time_ns():
        while len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = found
    return found


def parts_of(name: str) -> list[str]:
    """Return the parts of a name from the top of the folder. Raises BadData for any other."""
    utf8(name)
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        raise BadData(f'"$file" cannot be {name!r}: it leads out of the folder', hint=_NAME_HINT)
    if not all(parts) or "." in parts or "\0" in name:
        raise BadData(f'"$file" cannot be {name!r}', hint=_NAME_HINT)
    # Where secrets lie (.env, .ssh), and where syncd and git keep their own.
    if any(part.startswith(".") for part in parts):
        raise BadData(
            f'"$file" cannot be {name!r}: no hidden file is uploaded',
            hint="name a file of which no part of the name begins with a dot",
        )
    return parts


def shown(name: str) -> str:
    """Return a name as it can be printed."""
    return name if name.isprintable() else ascii(name)


def described(name: str, file: BinaryIO, size: int) -> BlobRef:
    """Read a file to its end and return its reference. Raises BadData if it is not `size` long."""
    start = file.read(ENOUGH_BYTES)
    digest, count = hashlib.sha256(start), len(start)
    while piece := file.read(_PIECE):
        digest.update(piece)
        count += len(piece)
    if count != size:
        raise _changing(name)
    return BlobRef(cid_of_digest(digest.digest()), mime_of(start), size)


def record_in(
    form: Form, text: bytes, collection: str, open_root: OpenRoot, *, may_tell_place: bool
) -> Record:
    """Read a text as the record that it will be once the files that it names are uploaded.

    Raises BadJson, with a place, for all other texts and where a file cannot be uploaded.
    """
    files = Files(open_root, may_tell_place)
    return form.parse(text, collection, files.refer if MARK in text else None)


def _check(words: str, now: os.stat_result) -> None:
    if stat.S_ISDIR(now.st_mode):
        raise BadData(f"{words} is a directory, not a file", hint=_NAME_HINT)
    if not stat.S_ISREG(now.st_mode):
        raise BadData(f"{words} is not a regular file", hint=_NAME_HINT)
    if now.st_size == 0:
        raise BadData(f"{words} is empty", hint="save the file with its content, or name another")


def _unopened(name: str, error: OSError | ValueError) -> BadData:
    code, words = error.errno if isinstance(error, OSError) else None, shown(name)
    if code == errno.ENOENT:
        hint = "put it there, then: syncd sync; its name begins at the top of the folder"
        return BadData(f"there is no file {words} in this folder", hint=hint)
    if code in (errno.ELOOP, errno.ENOTDIR):
        return BadData(
            f"{words} is a symbolic link, or a part of its name is one, or is no directory",
            hint="put the file itself into the folder; syncd follows no links",
        )
    if not isinstance(error, OSError):
        return BadData(f'"$file" cannot be {name!r}', hint=_NAME_HINT)
    cause, hint = explain(error)
    return BadData(f"{words} cannot be read: {cause}", hint=hint)


def _changing(name: str) -> BadData:
    hint = "syncd reads it again when the writing has ended"
    return BadData(f"{shown(name)} is being written", hint=hint)


def _stamp(now: os.stat_result) -> tuple[int, int, int]:
    return now.st_size, now.st_mtime_ns, now.st_ctime_ns
