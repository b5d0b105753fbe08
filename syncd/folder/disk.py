"""Change the folder on disk, one method for each lasting effect. Never reads, never decides.

All changes go through a `Disk`, so a test can stop the program after any of them and look at the
files that a crash would leave behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from syncd.folder import linux

T = TypeVar("T")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """The real disk.

    Names are relative to `directory`, the descriptor of an open directory. Every method raises
    OSError.
    """

    async def beside(self, work: Callable[[], T]) -> T:
        """Run a long wait for the disk in a thread, so that other tasks continue."""
        import asyncio  # noqa: PLC0415 (slow, and most commands look at a folder without a loop)

        doing = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            await asyncio.wait([doing])
        finally:
            # Whoever is cancelled closes descriptors: not before the thread is done with them.
            await asyncio.wait([doing])
        return doing.result()

    def write(self, directory: int, name: str, content: bytes, mode: int | None) -> os.stat_result:
        """Create `name` with `content` and return its stat.

        With `mode` None, the mode is 0666 less the umask.

        The content is durable only after `sync_file` or `sync_all`.
        """
        descriptor = os.open(name, _NEW_FILE, 0o666, dir_fd=directory)
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            written = os.write(descriptor, content)
            # A disk takes all of it at once, or says later why it cannot take the rest.
            while written < len(content):
                written += os.write(descriptor, memoryview(content)[written:])
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def append(self, directory: int, name: str, content: bytes) -> None:
        """Add `content` to the end of `name`; durable only after `sync_file`."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=directory)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)

    def set_mode(self, directory: int, name: str, mode: int) -> None:
        """Give the file `name` its mode."""
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    def sync_file(self, directory: int, name: str) -> None:
        """Make the content of `name` durable (fsync(2))."""
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_directory(self, directory: int) -> None:
        """Make the names in `directory` durable: after a crash, each leads to the same file."""
        os.fsync(directory)

    def sync_all(self, directory: int) -> None:
        """Make the whole file system of `directory` durable: one wait for many files."""
        linux.sync_file_system(directory)

    def make_directory(self, directory: int, name: str, mode: int) -> None:
        """Make the directory `name`. Raises FileExistsError if the name is taken."""
        os.mkdir(name, mode, dir_fd=directory)

    def rename(self, directory: int, old: str, new: str) -> None:
        """Rename `old` to `new`, and replace the file at `new` if there is one."""
        os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)

    def rename_new(self, directory: int, old: str, new: str) -> None:
        """Rename `old` to `new` in one step. Raises FileExistsError if `new` is taken."""
        linux.rename_new(directory, old, new)

    def exchange(self, directory: int, one: str, other: str) -> None:
        """Swap the files of two names in one step. Raises FileNotFoundError if one is missing."""
        linux.exchange(directory, one, other)

    def link(self, directory: int, old: str, new: str) -> None:
        """Give the file `old` the second name `new`. Raises FileExistsError if it is taken."""
        os.link(old, new, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)

    def move(self, source: int, old: str, target: int, new: str) -> None:
        """Rename `old` into the directory `target` of the same file system, replacing `new`."""
        os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)

    def move_new(self, source: int, old: str, target: int, new: str) -> None:
        """Move `old` as `move` does, in one step. Raises FileExistsError if `new` is taken."""
        linux.move_new(source, old, target, new)

    def unlink(self, directory: int, name: str) -> None:
        """Remove the name `name`. Raises FileNotFoundError if there is none."""
        os.unlink(name, dir_fd=directory)
