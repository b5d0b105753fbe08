"""A small file system in a file, which fills up, loses its inodes, turns read-only or dies.

Takes root, as mounting does. A dead one answers EIO to everything, as a disk that was pulled out.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.programs import program

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN (fs/ext4/ext4.h): from then on, the file system answers EIO."""
_WITHOUT_A_LOG = struct.pack("I", 2)


@dataclass(frozen=True, slots=True)
class BadDisk:
    """An ext4 file system in the file `image`, mounted at `at`."""

    image: Path
    at: Path

    @classmethod
    @contextmanager
    def mounted(
        cls, directory: Path, *, megabytes: int = 8, inodes: int = 400
    ) -> Iterator[BadDisk]:
        """Make one, and take it away in the end."""
        disk = cls(directory / "disk.img", directory / "disk")
        with disk.image.open("wb") as image:
            image.truncate(megabytes * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-N", str(inodes), "-m", "0", str(disk.image))
        disk.at.mkdir(exist_ok=True)
        disk.mount()
        try:
            yield disk
        finally:
            _run("umount", "--lazy", str(disk.at))

    def mount(self) -> None:
        _run("mount", "-o", "loop", str(self.image), str(self.at))

    def fill(self) -> None:
        """Take all its room, to the last byte."""
        size = 65_536
        with (self.at / "ballast").open("wb", buffering=0) as file:
            while size:
                try:
                    file.write(b"\0" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def use_up_inodes(self) -> None:
        (self.at / "ballast.d").mkdir()
        with suppress(OSError):
            for number in range(100_000):
                (self.at / "ballast.d" / str(number)).touch()

    def turn_read_only(self) -> None:
        _run("mount", "-o", "remount,ro", str(self.at))

    def die(self) -> None:
        descriptor = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_A_LOG)
        finally:
            os.close(descriptor)

    def heal(self) -> None:
        """Have it as a person has it again who made room, or put in a disk that works."""
        with suppress(OSError):
            (self.at / "ballast").unlink(missing_ok=True)
            for file in list((self.at / "ballast.d").glob("*")):
                file.unlink()
        _run("umount", "--lazy", str(self.at))
        self.mount()


TROUBLES: dict[str, Callable[[BadDisk], None]] = {
    "full": BadDisk.fill,
    "no inodes": BadDisk.use_up_inodes,
    "read-only": BadDisk.turn_read_only,
    "dead": BadDisk.die,
}


def _run(name: str, *arguments: str) -> None:
    subprocess.run([program(name), *arguments], check=True, capture_output=True)
