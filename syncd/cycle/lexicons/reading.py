"""Read the files of records one after the other. Never follows a link, and never writes."""

from __future__ import annotations

from dataclasses import field
from typing import Self

from syncd.folder.read import FileStat, read_file
from syncd.folder.root import Directories, Folder
from syncd.folder.write import file_below
from syncd.model import RecordPath
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """The files of `folder`, whose directory is open as `root`, read in the order of the paths."""

    folder: Folder
    root: int
    _directories: Directories = field(init=False)

    def __post_init__(self) -> None:
        """Begin with no directory open."""
        object.__setattr__(self, "_directories", Directories(self.root))

    def read(self, path: RecordPath) -> tuple[bytes, FileStat]:
        """Read the file of a record. Its digest shows whether it is the file that was seen.

        Raises OSError, FileProblem.
        """
        *parts, name = file_below(self.folder, self.root, path).split("/")
        return read_file(self._directories.open(parts), name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._directories.close()
