"""Real file systems of other kinds than that of the tests, made, mounted and mounted anew.

Some fold case, refuse characters, keep no permissions, make no sockets, or number each file anew
with every mount. They need root, and `/dev/fuse`; `make disks` installs their programs.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

MEGABYTES = 400
"""The size of an image: xfs takes no less than 300."""
_SFTP = "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a file system is made, and mounted at `$AT`: lines of a shell, with `$IMAGE` a file."""

    mount: str
    make: str = ""
    end: str = ""
    is_portable: bool = False


_LOOP = 'mount -o loop "$IMAGE" "$AT"'
_NTFS = 'mkntfs --force --quick --quiet "$IMAGE"'
KINDS = {
    "exfat": Kind(
        'mount.exfat-fuse "$(losetup --find --show "$IMAGE")" "$AT"',
        'mkfs.exfat "$IMAGE"',
        'losetup --noheadings --output NAME --associated "$IMAGE" | xargs -r losetup --detach',
        is_portable=True,
    ),
    "ntfs": Kind('ntfs-3g "$IMAGE" "$AT"', _NTFS),
    "ntfs that folds case": Kind(
        'lowntfs-3g -o ignore_case,windows_names "$IMAGE" "$AT"', _NTFS, is_portable=True
    ),
    "btrfs": Kind(_LOOP, 'mkfs.btrfs --quiet "$IMAGE"'),
    "xfs": Kind(_LOOP, 'mkfs.xfs -q "$IMAGE"'),
    "overlay": Kind(
        'mount -t overlay o -o "lowerdir=$A,upperdir=$B/upper,workdir=$B/work" "$AT"',
        'mkdir "$B/upper" "$B/work"',
    ),
    "sshfs": Kind('sshfs -o "ssh_command=$SFTP" there:"$A" "$AT"'),
    "mergerfs": Kind('mergerfs "$A:$B" "$AT"'),
    "gocryptfs": Kind(
        'echo secret | gocryptfs -quiet "$A" "$AT"', 'echo secret | gocryptfs -quiet -init "$A"'
    ),
    "bindfs": Kind('bindfs "$A" "$AT"'),
}


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system that is mounted at `at`."""

    kind: Kind
    place: Path

    @property
    def at(self) -> Path:
        return self.place / "at"

    def mount(self) -> None:
        self._run(self.kind.mount)

    def unmount(self) -> None:
        # A program in user space may still be closing what the last process had open.
        self._run('for n in 1 2 3 4 5 6 7 8 9; do umount "$AT" && exit; sleep 1; done; exit 1')
        self._run(self.kind.end)

    def _run(self, script: str) -> None:
        names = {"AT": "at", "IMAGE": "image", "A": "a", "B": "b", "SFTP": "sftp"}
        environ = {name: str(self.place / value) for name, value in names.items()}
        path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        done = subprocess.run(
            ["/bin/sh", "-c", script],
            env=environ | path,
            # A file system in user space keeps what it inherits for as long as it is mounted.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, script

    def make(self) -> None:
        for name in ("at", "a", "b"):
            (self.place / name).mkdir(parents=True)
        (self.place / "sftp").write_text(_SFTP)
        (self.place / "sftp").chmod(0o700)
        with (self.place / "image").open("wb") as image:
            image.truncate(MEGABYTES * 2**20)
        self._run(self.kind.make)


@contextmanager
def mounted(name: str, place: Path) -> Iterator[Disk]:
    """A new file system of a kind, until the `with` ends."""
    if not Path("/dev/fuse").exists():
        pytest.fail("these tests mount file systems: they need root and /dev/fuse")
    disk = Disk(KINDS[name], place)
    disk.make()
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()
