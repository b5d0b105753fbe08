"""Put a file in the place of another, or take one away, only if it is the one that was planned for.

Architecture Invariant: a version that another program wrote is never overwritten and never unlinked
here. Between a check and a rename there is always a moment in which an editor can save. So the
check comes last: `replace` exchanges the two names in one step, then checks the file that came
out. If that is not the expected file, it goes back. During the check its name says what was
expected of it (`ExchangeName`). After a crash, recover.py reads that name and finishes.

One moment is left: a program may have looked the name up and not yet opened the file when the check
is made. If the file system cannot exchange names, the moment between check and rename is left too.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from typing import Self

from syncd.errors import BadSyntax, FileChanged
from syncd.folder.disk import Disk
from syncd.folder.linux import UNSUPPORTED
from syncd.folder.names import COMPONENT_BYTES, OURS
from syncd.folder.read import is_at_rest, read_file
from syncd.values import dataclass

_UNFINISHED = f"{OURS}w-"
_HELD = f"{OURS}x-"
_DIGITS = 32
_NOTHING = "0" * _DIGITS
_ROUNDS = 32

_APPEARED = "a file has appeared there since syncd looked"
_EDITED = "it was changed after syncd read it"
_OPEN = "another program has it open for writing"
_REMOVED = "it was removed after syncd read it"
_SAVED = "another program saved it at the same moment"


@dataclass(frozen=True, slots=True)
class ExchangeName:
    """The name of a file that is being exchanged, with the facts in it.

    Attributes:
        expected: Digest of the file that was to be replaced or removed, shortened and in hex.
        placed: Digest of what was put in its place; all zeros if it was to be removed.
        salt: Random, so that no two exchanges use one name.
        name: The file's own name in the directory; empty if it is too long to be part of this one.
    """

    expected: str
    placed: str
    salt: str
    name: str

    @property
    def is_removal(self) -> bool:
        return self.placed == _NOTHING

    def __str__(self) -> str:
        return f"{_HELD}{self.expected}-{self.placed}-{self.salt}-{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read such a name. Raises BadSyntax if `text` is not one."""
        expected, placed, salt, name = (text.removeprefix(_HELD).split("-", 3) + [""] * 4)[:4]
        held = cls(expected, placed, salt, name)
        if str(held) != text or {len(expected), len(placed)} != {_DIGITS}:
            raise BadSyntax(f"{text!r} is not a name that syncd gives to a file it exchanges")
        return held


def shortened(digest: bytes) -> str:
    return digest.hex()[:_DIGITS]


def make_held(name: str, *, expected: bytes, placed: bytes | None) -> ExchangeName:
    """Make a fresh name for the exchange of `name`; `placed` None is a removal."""
    short = _NOTHING if placed is None else shortened(placed)
    held = ExchangeName(shortened(expected), short, secrets.token_hex(4), name)
    if len(os.fsencode(str(held))) > COMPONENT_BYTES:
        return ExchangeName(held.expected, held.placed, held.salt, "")
    return held


def unfinished_name() -> str:
    """Make a fresh name for a file that is still being written: worthless after a crash."""
    return f"{_UNFINISHED}{secrets.token_hex(8)}"


def is_unfinished(name: str) -> bool:
    return name.startswith(_UNFINISHED)


def is_leftover(name: str) -> bool:
    """Return whether this module made the name: its file then comes from an interrupted write."""
    return name.startswith((_UNFINISHED, _HELD))


def place_new(disk: Disk, directory: int, temp: str, name: str) -> None:
    """Rename `temp` to `name`, which must not exist. Raises FileChanged if it does; OSError."""
    try:
        _rename_new(disk, directory, temp, name)
    except FileExistsError:
        raise FileChanged(_APPEARED) from None


def replace(disk: Disk, directory: int, temp: str, name: str, *, old: bytes, new: bytes) -> None:
    """Put `temp`, whose digest is `new`, in the place of `name`, whose digest must be `old`.

    Raises:
        FileChanged: `name` has other bytes, or a program is writing to it; it is unchanged.
        FileProblem, OSError: It could not be done, or not be undone; nothing is lost.
    """
    _check(directory, name, old)
    held = str(make_held(name, expected=old, placed=new))
    disk.rename(directory, temp, held)
    ours = _inode(directory, held)
    if not _exchanged(disk, directory, held, name):
        # The file system cannot exchange names: what is saved since the check is not noticed.
        disk.rename(directory, held, name)
    elif is_at_rest(directory, held, old):
        disk.unlink(directory, held)
    else:
        # Somebody saved between the check and the exchange, or still has the file open.
        put_back(disk, directory, held, name, ours=ours, new=new)
        raise FileChanged(_SAVED)


def withdraw(disk: Disk, directory: int, name: str, *, old: bytes) -> None:
    """Remove `name`, whose digest must be `old`. Raises as `replace` does."""
    _check(directory, name, old)
    held = str(make_held(name, expected=old, placed=None))
    try:
        disk.rename(directory, name, held)
    except FileNotFoundError:
        raise FileChanged(_REMOVED) from None
    if is_at_rest(directory, held, old):
        disk.unlink(directory, held)
        return
    with suppress(FileExistsError):  # saved again meanwhile: recover.py sets the older one aside
        _rename_new(disk, directory, held, name)
    raise FileChanged(_SAVED)


def put_back(disk: Disk, directory: int, held: str, name: str, *, ours: int, new: bytes) -> None:
    """Undo an exchange: `held` is another program's file, and `name` was last seen to be ours.

    If a program saved `name` meanwhile, its newer version comes out in place of our file, and goes
    back in turn. That ends when what comes out is what was put there last. It is unlinked only if
    it is ours (by its inode, with `new` as its digest); else it stays for recover.py to set aside.
    """
    placed = ours
    for _ in range(_ROUNDS):
        taken = _inode(directory, held)
        try:
            disk.exchange(directory, held, name)
        except FileNotFoundError:
            # A program removed our file, and cannot know of theirs: the name is free for it.
            with suppress(FileExistsError):
                _rename_new(disk, directory, held, name)
            return
        out = _inode(directory, held)
        # Our file came out, untouched: theirs has its name again.
        if out == ours and is_at_rest(directory, held, new):
            disk.unlink(directory, held)
            return
        # The newest version has the name again; what came out is older, and for recover.py.
        if out == placed != ours:
            return
        placed = taken


def _exchanged(disk: Disk, directory: int, held: str, name: str) -> bool:
    """Exchange the names; False where the file system cannot. On failure `held` is gone."""
    try:
        disk.exchange(directory, held, name)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return False
        disk.unlink(directory, held)
        if error.errno == errno.ENOENT:
            raise FileChanged(_REMOVED) from None
        raise
    return True


def _rename_new(disk: Disk, directory: int, old: str, new: str) -> None:
    """Rename to a name that must be free: FileExistsError if it is not."""
    try:
        disk.rename_new(directory, old, new)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        _link_new(disk, directory, old, new)


def _link_new(disk: Disk, directory: int, old: str, new: str) -> None:
    """Rename as `_rename_new` does, on a file system without that call or without hard links."""
    try:
        disk.link(directory, old, new)
        disk.unlink(directory, old)
    except OSError as error:
        if error.errno not in (*UNSUPPORTED, errno.EPERM):
            raise
        with suppress(FileNotFoundError):
            _inode(directory, new)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
        disk.rename(directory, old, new)


def _check(directory: int, name: str, old: bytes) -> None:
    """Raise FileChanged if the file changed: most changes are found here, before any effect."""
    if is_at_rest(directory, name, old):
        return
    try:
        _, now = read_file(directory, name)
    except FileNotFoundError:
        raise FileChanged(_REMOVED) from None
    raise FileChanged(_OPEN if now.digest == old else _EDITED)


def _inode(directory: int, name: str) -> int:
    return os.stat(name, dir_fd=directory, follow_symlinks=False).st_ino
