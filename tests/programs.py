"""The programs that tests run: found, or asked for in a sentence. No test is skipped for one.

`python -m tests.programs` looks for all of them; with `packages` or `disks`, for those that the
target of this name runs. As root, where there is apt-get, it installs what is missing; elsewhere it
says what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

import pytest

PACKAGES = {
    "emacs": "emacs-nox",
    "fish": "fish",
    "git": "git",
    "groff": "groff-base",
    "nano": "nano",
    "openssl": "openssl",
    "rsync": "rsync",
    "script": "bsdutils",
    "sed": "sed",
    "setsid": "util-linux",
    "strace": "strace",
    "tar": "tar",
    "unshare": "util-linux",
    "vim": "vim",
    "zsh": "zsh",
}
"""Each program, and the Debian package that has it."""

OF_PACKAGES = {
    "dpkg-deb": "dpkg",
    "ip": "iproute2",
    "lintian": "lintian",
    "man": "man-db",
    "mount": "mount",
    "runuser": "util-linux",
    "systemd-analyze": "systemd",
    "tar": "tar",
    "unshare": "util-linux",
}
"""The same for those that build a Debian package and try it in a copy of this machine."""

OF_DISKS = {
    "/usr/lib/openssh/sftp-server": "openssh-sftp-server",
    "bindfs": "bindfs",
    "gocryptfs": "gocryptfs",
    "mergerfs": "mergerfs",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.exfat": "exfatprogs",
    "mkfs.xfs": "xfsprogs",
    "mkntfs": "ntfs-3g",
    "mount.exfat-fuse": "exfat-fuse",
    "sshfs": "sshfs",
}
"""The same for those that make and mount file systems of other kinds."""
_OF = {"packages": OF_PACKAGES, "disks": OF_DISKS}

_APT = ("apt-get", "-qq", "-o", "Dpkg::Use-Pty=0")


def program(name: str) -> str:
    """The path of a program. Fails the test if it is missing."""
    found = shutil.which(name)
    if found is None:
        package = {**PACKAGES, **OF_PACKAGES, **OF_DISKS}[name]
        pytest.fail(f"this test runs {name}: install it (apt-get install {package})")
    return found


def missing(wanted: Mapping[str, str] = PACKAGES) -> list[str]:
    """The Debian packages of the programs that are not here."""
    return sorted({package for name, package in wanted.items() if shutil.which(name) is None})


def install(packages: list[str]) -> None:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        subprocess.run([*_APT, *arguments], env=environ, stdin=subprocess.DEVNULL, check=True)


def main(arguments: list[str]) -> None:
    wanted = _OF[arguments[0]] if arguments else PACKAGES
    packages = missing(wanted)
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        install(packages)
        packages = missing(wanted)
    if packages:
        sys.exit(f"the tests run programs that are not here: apt-get install {' '.join(packages)}")


if __name__ == "__main__":
    main(sys.argv[1:])
