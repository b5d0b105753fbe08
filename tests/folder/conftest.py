"""A marked folder, and ways to disturb it that are as real as a test allows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest

from syncd.folder.root import Folder, initialise

MARKER = "5f2b7c"
NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Folder]:
    """A mirror's folder that every user may enter and that holds nothing yet."""
    root = Path(tempfile.mkdtemp(prefix="syncd-test-"))
    root.chmod(0o755)
    initialise(root, MARKER)
    yield Folder(root, MARKER)
    root.chmod(0o755)
    for directory, names, _ in os.walk(root):
        for name in names:
            if not (path := Path(directory, name)).is_symlink():
                path.chmod(0o755)
    rmtree(root)


@contextmanager
def as_nobody(folder: Folder) -> Iterator[None]:
    """Without the privileges of root, to whom no permission is denied; the folder changes hands."""
    if os.geteuid() != 0:
        yield
        return
    for directory, _, files in os.walk(folder.root):
        for path in (Path(directory), *(Path(directory, file) for file in files)):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
