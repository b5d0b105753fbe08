"""A person at a text editor: saves and deletes record files, and knows what each save replaced.

Saves either as careful editors do (a new file takes the name of the old one in one step) or as
plain ones do (the file is opened, emptied and written). Both take hold of the old content first, so
the journal never has to guess what the file held at that moment.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.folder.linux import exchange, rename_new

from .journal import Journal, Version


@dataclass(slots=True)
class Editor:
    """Works in one folder, one save after the other."""

    name: str
    folder: Path
    journal: Journal
    _numbers: Iterator[int] = field(default_factory=count)

    def save_carefully(self, path: str) -> None:
        """Write a new file beside the old one, then let the two change names."""
        version, file = self._begin(path)
        draft = file.with_name(f"{file.name}~")
        draft.write_bytes(text_of(version))
        with directory_of(file) as directory:
            while not _is_placed(directory, draft.name, file.name):
                pass
        self.journal.wrote(version)
        with suppress(FileNotFoundError):  # the name was free: there is nothing that came out
            self._replaced(path, draft.read_bytes(), f"{version.author}-{version.number}")
            draft.unlink()

    def save_plainly(self, path: str, pause_seconds: float) -> None:
        """Open the file, empty it, and write it in two goes."""
        version, file = self._begin(path)
        text = text_of(version)
        try:
            descriptor = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            self.save_carefully(path)
            return
        with os.fdopen(descriptor, "r+b", buffering=0) as opened:
            before = opened.read()
            opened.seek(0)
            opened.truncate()
            opened.write(text[:20])
            time.sleep(pause_seconds)
            opened.write(text[20:])
            self.journal.wrote(version)
            self._replaced(path, before, f"{version.author}-{version.number}")

    def delete(self, path: str) -> None:
        """Move the file away, to see what is deleted. Does nothing if there is none."""
        gone = self.folder.with_name(f"{self.folder.name}-gone")
        with suppress(FileNotFoundError):
            (self.folder / f"{path}.json").rename(gone)
            self._replaced(path, gone.read_bytes(), f"a deletion by {self.name}")

    def give_in(self, path: str) -> None:
        """If the file is in conflict, delete it: the other side's version then takes its place."""
        collection, _, rkey = path.partition("/")
        if any((self.folder / ".syncd" / "conflicts" / collection).glob(f"{rkey}.*")):
            self.delete(path)

    def _begin(self, path: str) -> tuple[Version, Path]:
        file = self.folder / f"{path}.json"
        file.parent.mkdir(exist_ok=True)
        return Version(path, self.name, next(self._numbers)), file

    def _replaced(self, path: str, before: bytes, by: str) -> None:
        record = parse_record(before, path.partition("/")[0])
        self.journal.replaced(str(cid_of(record)), by)


def text_of(version: Version) -> bytes:
    """A form of its own, unlike syncd's."""
    return json.dumps(version.record).encode()


@contextmanager
def directory_of(file: Path) -> Iterator[int]:
    descriptor = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_placed(directory: int, draft: str, name: str) -> bool:
    """Exchange the two names, or take the name if it is free; False if that changed meanwhile."""
    with suppress(FileNotFoundError):
        exchange(directory, draft, name)
        return True
    with suppress(FileExistsError):
        rename_new(directory, draft, name)
        return True
    return False
