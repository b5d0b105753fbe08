"""A power cut takes from the staged disk what was never made durable, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.model.disks import Power, StagedDisk
from tests.model.points import Gate

ON_DISK = "/var/tmp"
"""Usually a disk that gives the inode of a removed file to the next one; memory does not."""


def test_a_file_with_the_inode_of_one_that_is_gone_loses_nothing() -> None:
    with TemporaryDirectory(prefix="syncd-model-", dir=ON_DISK) as name:
        root, disk = Path(name), StagedDisk(Gate())
        directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            disk.write(directory, "unfinished", b"never made durable", None)
            disk.unlink(directory, "unfinished")
            mine = root / "mine"
            mine.write_bytes(b"durable long ago")
            disk.write(directory, "other", b"never made durable", None)
            disk.cut(root, Power.LOSES_CONTENTS)
            assert mine.read_bytes() == b"durable long ago"
            assert (root / "other").read_bytes() == b""
        finally:
            os.close(directory)
