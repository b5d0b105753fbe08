"""Read the files of records one after the other. Never follows a link, and never writes."""

from __future__ import annotations

import os
from dataclasses import field
from typing import Self

from syncd.folder.read import FileStat, read_file
from syncd.folder.root import Folder, open_directory
from syncd.folder.write import file_below
from syncd.model import RecordPath
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """The files of `folder`, whose directory is open as `root`, read in the order of the paths."""

    folder: Folder
    root: int
    _open: dict[str, int] = field(default_factory=dict)

    def read(self, path: RecordPath) -> tuple[bytes, FileStat]:
        """Read the file of a record. Its digest shows whether it is the file that was seen.

        Raises OSError, FileProblem.
        """
        relative = file_below(self.folder, self.root, path)
        directory, _, name = relative.rpartition("/")
        if directory not in self._open:
            # Files come by collection: one directory after the other.
            self._close()
            self._open[directory] = open_directory(self.root, directory.split("/"))
        return read_file(self._open[directory], name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
