"""One file on its way into `blobs/`: written aside, hashed as it comes, and named once it is whole.

The bytes under a name are that name's. No file is replaced but the pointer that Git LFS leaves in
the place of these very bytes. Never asks a PDS, and never decides which blobs belong here.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import field
from typing import Final

from syncd.atproto.cid import Cid
from syncd.blobs.pointers import MOST_BYTES, digest_of
from syncd.folder.linux import UNSUPPORTED
from syncd.folder.root import Folder
from syncd.state.attachments import Stamp
from syncd.values import dataclass

MODE: Final = 0o444
PIECE: Final = 1 << 18
"""How many bytes of a file memory has at once."""


@dataclass(slots=True)
class Incoming:
    """A file on its way into `blobs/`, hashed while it arrives.

    Attributes:
        name: Its name while it has none in `blobs/`: no other process writes to it.
    """

    folder: Folder
    aside: int
    directory: int
    cid: Cid
    size: int = 0
    is_left: bool = False
    name: str = field(init=False)
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.name = f"{self.cid}.{os.getpid()}"

    def begin(self) -> None:
        """Make the file, empty. Raises OSError."""
        disk = self.folder.disk
        with suppress(FileNotFoundError):
            disk.unlink(self.aside, self.name)
        disk.write(self.aside, self.name, b"", 0o600)

    def write(self, piece: bytes) -> None:
        """Add the next bytes. Raises OSError."""
        self._digest.update(piece)
        self.size += len(piece)
        self.folder.disk.append(self.aside, self.name, piece)

    @property
    def is_right(self) -> bool:
        """Return whether the bytes written are those of the CID."""
        return bytes(self.cid).endswith(self._digest.digest())

    def place(self, extension: str) -> Stamp:
        """Name the file in `blobs/`, once it is durable; return its stamp.

        Raises ValueError if the bytes are not those of the CID, OSError if the disk refuses.
        """
        self._end()
        return self.named(extension)

    def leave(self) -> None:
        """Leave the file aside at the end, durable, for `Store.place`. Raises as `place`."""
        self._end()
        self.is_left = True

    def _end(self) -> None:
        if not self.is_right:
            raise ValueError(f"the bytes do not match {self.cid}")
        self.folder.disk.set_mode(self.aside, self.name, MODE)
        self.folder.disk.sync_file(self.aside, self.name)

    def named(self, extension: str) -> Stamp:
        """Name the file, once it is durable. Raises OSError."""
        name = f"{self.cid}{extension}"
        try:
            move_new(self.folder, self.aside, self.name, self.directory, name)
        except FileExistsError:
            # Another process put it there meanwhile: it is the true one, or in the way of it.
            if (found := hashed(self.directory, name, self.cid)) is not None:
                return found
            if not is_pointer_to(self.directory, name, self.cid):
                raise
            # git has the pointer, and takes it for these bytes.
            self.folder.disk.move(self.aside, self.name, self.directory, name)
        return stamp_of(self.directory, name)

    def drop(self) -> None:
        """Remove the file if it has no name in `blobs/`."""
        with suppress(OSError):
            self.folder.disk.unlink(self.aside, self.name)


def move_new(folder: Folder, source: int, old: str, target: int, new: str) -> None:
    """Move a file to a free name. Raises FileExistsError if it is taken."""
    try:
        folder.disk.move_new(source, old, target, new)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        # This file system knows no such step. A name in `blobs/` is taken by its own bytes only.
        with suppress(FileNotFoundError):
            os.stat(new, dir_fd=target, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
        folder.disk.move(source, old, target, new)


def is_pointer_to(directory: int, name: str, cid: Cid) -> bool:
    """Return whether a file is what Git LFS leaves in the place of the bytes of `cid`."""
    start = next(pieces_of(directory, name), b"")
    found = digest_of(start) if len(start) <= MOST_BYTES else None
    return found is not None and bytes(cid).endswith(found)


def stamp_of(directory: int, name: str) -> Stamp:
    """Return what a file in a directory is now. Raises OSError."""
    now = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return Stamp(name, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


def hashed(directory: int, name: str, cid: Cid) -> Stamp | None:
    """Return the stamp of a file that has the bytes of `cid`; None for other bytes.

    The stat is from before the read: an edit meanwhile gives the file another one.
    """
    stamp, digest = stamp_of(directory, name), hashlib.sha256()
    for piece in pieces_of(directory, name):
        digest.update(piece)
    return stamp if bytes(cid).endswith(digest.digest()) else None


def pieces_of(directory: int, name: str) -> Iterator[bytes]:
    """Yield the bytes of a regular file, some at a time. Raises OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        while piece := os.read(descriptor, PIECE):
            yield piece
    finally:
        os.close(descriptor)
