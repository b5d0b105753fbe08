"""Every lasting effect on the folder, one method each. Never reads, never decides.

All changes go through a `Disk`, so a test can stop the program after any one of them and see what
a crash would leave behind.
"""

from __future__ import annotations

import os

from syncd.folder import linux

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """The real disk. Names are relative to the directory that `directory` is open on."""

    def write(self, directory: int, name: str, content: bytes, mode: int | None) -> None:
        """Create `name` with `content`; `mode` None takes what the umask leaves of 0666.

        The content is not durable before `sync_file` or `sync_all`.
        """
        descriptor = os.open(name, _NEW_FILE, 0o666, dir_fd=directory)
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)

    def sync_file(self, directory: int, name: str) -> None:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_directory(self, directory: int) -> None:
        os.fsync(directory)

    def sync_all(self, directory: int) -> None:
        """Make everything on the file system of `directory` durable: one wait for many files."""
        linux.sync_file_system(directory)

    def make_directory(self, directory: int, name: str, mode: int) -> None:
        os.mkdir(name, mode, dir_fd=directory)

    def rename(self, directory: int, old: str, new: str) -> None:
        """Rename over whatever `new` is."""
        os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)

    def rename_new(self, directory: int, old: str, new: str) -> None:
        linux.rename_new(directory, old, new)

    def exchange(self, directory: int, one: str, other: str) -> None:
        linux.exchange(directory, one, other)

    def link(self, directory: int, old: str, new: str) -> None:
        os.link(old, new, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)

    def move(self, source: int, old: str, target: int, new: str) -> None:
        """Rename into another directory of the same file system."""
        os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)

    def move_new(self, source: int, old: str, target: int, new: str) -> None:
        """As `move`. FileExistsError if `new` is there, in one step."""
        linux.move_new(source, old, target, new)

    def unlink(self, directory: int, name: str) -> None:
        os.unlink(name, dir_fd=directory)
