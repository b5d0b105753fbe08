"""Small files that only their owner may read. Never leaves half of one, never opens one up."""

from __future__ import annotations

import os
import shlex
import stat
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from syncd.errors import CredentialsRefused, FileProblem
from syncd.private import make_private
from syncd.trouble import in_trouble

MAX_BYTES: Final = 64 * 1024
"""No password and no pair of tokens is longer."""

STALE_SECONDS: Final = 60.0
"""A half-written file that is older is nobody's any more."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_secret(path: Path, *, is_ours: bool = True) -> str | None:
    """Return the text of a file, or None if there is none.

    `is_ours` False: others guard who reads it.

    Raises CredentialsRefused: other users may read it, or it is not a short text file.
    """
    try:
        # Not blocking, so that a FIFO in its place cannot hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check(path, os.fstat(descriptor), is_ours=is_ours)
            content = os.read(descriptor, MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise in_trouble(error, path, "read") or CredentialsRefused(
            f"{path} cannot be read: {error.strerror}", hint=f"check who may read it: ls -l {path}"
        ) from None
    return _text(path, content)


def write_secret(path: Path, text: str) -> None:
    """Replace a file atomically and durably, readable only by its owner from the first byte.

    Its directory and the one above are made, and closed to other users. Raises FileProblem.
    """
    temporary = path.with_name(f".{token_hex(8)}.tmp")
    try:
        make_private(path.parent, path.parent.parent)
        sweep(path.parent)
        try:
            _write_new(temporary, text.encode())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as error:
        raise _problem(path, "written", error) from None


def remove_secret(path: Path) -> None:
    """Remove a file if it is there. Raises FileProblem."""
    try:
        path.unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise _problem(path, "removed", error) from None


def sweep(directory: Path) -> None:
    """Remove the unfinished secrets that killed processes have left."""
    for left in directory.glob(".*.tmp"):
        with suppress(OSError):
            if left.lstat().st_mtime < time.time() - STALE_SECONDS:
                left.unlink()


def _check(path: Path, status: os.stat_result, *, is_ours: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise CredentialsRefused(f"{path} is not a file", hint="name a regular file")
    if is_ours:
        check_mode(path, status.st_mode)


def check_mode(path: Path, mode: int) -> None:
    """Raise CredentialsRefused if a file of this mode is for other users as well."""
    if mode & _OTHERS:
        raise CredentialsRefused(
            f"{path} can be read or changed by other users of this machine",
            hint=f"chmod 600 {shlex.quote(str(path))}",
        )


def _text(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CredentialsRefused(f"{path} does not hold text in UTF-8") from None
    if len(content) > MAX_BYTES:
        raise CredentialsRefused(f"{path} holds more than {MAX_BYTES} bytes")
    return text


def _write_new(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some file systems cannot sync a directory; the file itself is whole either way.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _problem(path: Path, done: str, error: OSError) -> FileProblem:
    return FileProblem(
        f"{path} cannot be {done}: {error.strerror}",
        hint=f"check its directory: ls -ld {path.parent}",
    )
