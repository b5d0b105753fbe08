"""Write whole collections aside, make them durable together, rename them into the folder.

Only for collections that the folder does not have: it never reads or replaces a file there. Files
aside are worth nothing until they are placed, and are thrown away if they are not.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import ExitStack, suppress
from functools import cache
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeAlias

from syncd.atproto.cid import Cid
from syncd.atproto.nsid import is_nsid
from syncd.atproto.syntax import Rkey
from syncd.errors import BadData
from syncd.folder.disk import Disk
from syncd.folder.names import file_name
from syncd.folder.read import RACY_NS
from syncd.folder.root import OWN, Folder, open_directory, opened
from syncd.folder.spelling import names_in
from syncd.forms import Forms


class Batch(NamedTuple):
    """Records of one collection to write: their keys, CIDs and blocks, in the same order."""

    collection: str
    rkeys: list[str]
    cids: list[Cid]
    blocks: list[bytes]


Made: TypeAlias = "tuple[int, int, int, int, bytes]"
"""Of a new file: inode, size, time of change and of its inode in nanoseconds, and SHA-256."""

NAME: Final = "staging"
"""The directory aside, in `.syncd`."""
_PROBE = "probe"
_TICK_SECONDS = 0.01


def has_collections(folder: Folder) -> bool:
    """Return whether any entry of the folder has the name of a collection. Raises FolderWrong."""
    with folder.open() as root:
        return any(map(is_nsid, names_in(root)))


class Staging:
    """The directory aside: empty at first, removed when the `with` ends.

    Entering raises FolderWrong, or OSError if the disk refuses.
    """

    def __init__(self, folder: Folder) -> None:
        self.portable, self.forms = folder.portable, folder.forms
        self.path = folder.root / OWN / NAME
        self._folder = folder
        self._disk = folder.disk
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._root = stack.enter_context(self._folder.open())
            self._clear()
            parts = (OWN, NAME)
            self._aside = stack.enter_context(
                opened(self._root, parts, make=self._disk, mode=0o700)
            )
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clear()
        self._open.close()

    def _clear(self) -> None:
        _clear(self._root)

    def write(self, batch: Batch) -> list[Made | None]:
        """Write files aside as `write_files` does."""
        return write_files(self._disk, self._aside, batch, portable=self.portable, forms=self.forms)

    def place(self, newest_ns: int) -> None:
        """Make all files durable, then move every collection into the folder.

        `newest_ns` is the newest time among the new files, in nanoseconds. No later change of a
        file will have this time.

        Raises:
            OSError: The disk refused, or a collection exists by now. Some may be in the folder.
            FolderWrong: The folder was replaced meanwhile.
        """
        self._disk.sync_all(self._aside)
        # Before a person can reach the files: an edit within the same tick of the clock would
        # leave the stat unchanged, and a scan would not see it.
        self._outlast(newest_ns)
        for name in filter(is_nsid, sorted(names_in(self._aside))):
            # A collection that a person made meanwhile is never replaced: this raises.
            self._disk.move_new(self._aside, name, self._root, name)
        self._disk.sync_directory(self._root)
        self._folder.check_still(self._root)

    def _outlast(self, newest_ns: int) -> None:
        """Wait until the clock of the file system is later than `newest_ns`.

        If the clock was set back, the wait ends after RACY_NS.
        """
        deadline = time.monotonic_ns() + RACY_NS
        probe = os.open(_PROBE, os.O_RDWR | os.O_CREAT, 0o600, dir_fd=self._aside)
        try:
            while os.fstat(probe).st_ctime_ns <= newest_ns and time.monotonic_ns() < deadline:
                time.sleep(_TICK_SECONDS)
                os.utime(probe)
        finally:
            os.close(probe)


def clear_staging(folder: Folder) -> None:
    """Remove the files that an interrupted clone left aside. Raises FolderWrong, OSError."""
    with folder.open() as root:
        _clear(root)


def _clear(root: int) -> None:
    with suppress(FileNotFoundError), opened(root, (OWN,)) as own:
        shutil.rmtree(NAME, dir_fd=own)


def write_files(
    disk: Disk, aside: int, batch: Batch, *, portable: bool, forms: Forms
) -> list[Made | None]:
    """Write the file of each record below the directory `aside`; return what each is.

    None stands for a record that no file can hold. Raises OSError.
    """
    form = forms.of(batch.collection)
    with ExitStack() as stack:

        @cache
        def directory_of(inside: str) -> int:
            parts = (batch.collection, *filter(None, inside.split("/")))
            found = open_directory(aside, parts, make=disk)
            stack.callback(os.close, found)
            return found

        made: list[Made | None] = []
        for rkey, block in zip(batch.rkeys, batch.blocks, strict=True):
            try:
                content = form.file_of(block)
            except BadData:
                made.append(None)
                continue
            relative = file_name(
                Rkey(rkey), portable=portable, form=form, ending=form.ending_of(content)
            )
            inside, _, name = relative.rpartition("/")
            made.append(_write(disk, directory_of(inside), name, content))
        return made


def _write(disk: Disk, directory: int, name: str, content: bytes) -> Made:
    now = disk.write(directory, name, content, None)
    digest = hashlib.sha256(content).digest()
    return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns, digest
