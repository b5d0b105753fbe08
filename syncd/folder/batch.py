"""Bring many files to their places: all written first, one wait for the disk, then each renamed.

Each file succeeds or fails by itself. Never holds more than two directories open.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import field
from typing import NamedTuple

from syncd.atproto.cid import Cid
from syncd.errors import FileChanged, FileProblem
from syncd.folder.names import file_name, relative_paths
from syncd.folder.problems import translated
from syncd.folder.read import FileStat
from syncd.folder.replace import place_new, replace, unfinished_name
from syncd.folder.root import Folder, opened
from syncd.folder.spelling import check_spelt, find_there
from syncd.model import RecordPath, Seen, split_record_path
from syncd.values import dataclass

FEW = 8
"""Up to this many files are made durable one by one; more wait once for the whole file system."""


class Replacement(NamedTuple):
    """One file to write: what it replaces (None: nothing may be there) and its record's CID."""

    path: RecordPath
    content: bytes
    expect: Seen | None
    cid: Cid


@dataclass(slots=True)
class Batch:
    """Files to be written together. After `place`, `results` has an answer for each of them."""

    folder: Folder
    items: Sequence[Replacement]
    results: dict[RecordPath, Seen | FileChanged | FileProblem] = field(default_factory=dict)
    _temps: dict[RecordPath, str] = field(default_factory=dict)
    _names: dict[RecordPath, tuple[str, str]] = field(default_factory=dict)

    def prepare(self, root: int) -> None:
        """Write every file under a temporary name, and wait until all are durable."""
        self._find_names(root)
        device = os.fstat(root).st_dev
        for directories, group in self._groups():
            with (
                self._answering(root, group),
                opened(root, directories, make=self.folder.disk) as directory,
            ):
                for item, name in group:
                    with self._answering(root, [(item, name)]):
                        self._write(directory, item, name)
                if os.fstat(directory).st_dev != device:
                    self._sync(directory)
        with self._answering(root, [(item, "") for item in self.items]):
            self._sync(root)

    def place(self, root: int) -> None:
        """Rename every prepared file to its name, if the file there is the expected one."""
        disk = self.folder.disk
        for directories, group in self._groups():
            with self._answering(root, group), opened(root, directories) as directory:
                placed = {
                    item.path: seen
                    for item, name in group
                    if (seen := self._place(directory, item, name)) is not None
                }
                disk.sync_directory(directory)
                self.results.update(placed)

    def _find_names(self, root: int) -> None:
        """Find the file that each item replaces, and the name of the new file."""
        for item in self.items:
            collection, rkey = split_record_path(item.path)
            form, portable = self.folder.forms.of(collection), self.folder.portable
            ending = form.ending_of(item.content)
            name = file_name(rkey, portable=portable, form=form, ending=ending)
            files = relative_paths(item.path, portable=portable, forms=self.folder.forms)
            there = find_there(root, files) if len(files) > 1 else None
            self._names[item.path] = there or f"{collection}/{name}", f"{collection}/{name}"

    def _groups(self) -> list[tuple[tuple[str, ...], list[tuple[Replacement, str]]]]:
        """Return the files by directory, each with its name there."""
        groups: defaultdict[tuple[str, ...], list[tuple[Replacement, str]]] = defaultdict(list)
        for item in self.items:
            if item.path not in self.results:
                *directories, name = self._names[item.path][0].split("/")
                groups[tuple(directories)].append((item, name))
        return list(groups.items())

    def _write(self, directory: int, item: Replacement, name: str) -> None:
        mode = None if item.expect is None else _mode(directory, name)
        temp = unfinished_name()
        try:
            self.folder.disk.write(directory, temp, item.content, mode)
            if len(self.items) <= FEW:
                self.folder.disk.sync_file(directory, temp)
        except OSError:
            self._discard(directory, temp)
            raise
        self._temps[item.path] = temp

    def _sync(self, directory: int) -> None:
        if len(self.items) > FEW:
            self.folder.disk.sync_all(directory)

    def _place(self, directory: int, item: Replacement, name: str) -> Seen | None:
        """Place one file. Return None if that fails, and note the error as its result."""
        temp, new = self._temps[item.path], hashlib.sha256(item.content).digest()
        with self._answering(directory, [(item, name)]):
            try:
                check_spelt(directory, name)
                seen = _seen(os.stat(temp, dir_fd=directory, follow_symlinks=False), new, item)
                if item.expect is None:
                    place_new(self.folder.disk, directory, temp, name)
                else:
                    old = item.expect.digest
                    replace(self.folder.disk, directory, temp, name, old=old, new=new)
                    self._rename(directory, item, name)
            except (OSError, FileChanged, FileProblem):
                self._discard(directory, temp)
                raise
            return seen
        return None

    def _rename(self, directory: int, item: Replacement, name: str) -> None:
        """Give a file the ending of its new form; its meaning does not depend on it."""
        right = self._names[item.path][1].rpartition("/")[2]
        if right != name:
            # Taken by now: then there are two files, which the next look reports.
            with suppress(FileChanged):
                place_new(self.folder.disk, directory, name, right)

    def _discard(self, directory: int, temp: str) -> None:
        with suppress(OSError):
            self.folder.disk.unlink(directory, temp)

    @contextmanager
    def _answering(self, place: int, group: Sequence[tuple[Replacement, str]]) -> Iterator[None]:
        """Note an error in the block as the result of each file of the group without one."""
        try:
            yield
        except (OSError, FileChanged, FileProblem) as error:
            for item, _ in group:
                self.results.setdefault(item.path, translated(error, item.path, "written", place))


def _mode(directory: int, name: str) -> int | None:
    """Return the permissions of the present file, for its successor."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode & 0o777
    except FileNotFoundError:
        return None


def _seen(now: os.stat_result, digest: bytes, item: Replacement) -> Seen:
    """Return the file as it is after its rename, which changes its stat.

    So a scan reads it once more. It must: in the tick of a rename a person can save and leave no
    trace in the times.
    """
    return FileStat(now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns, digest).seen(
        item.path, item.cid, seen_ns=now.st_ctime_ns
    )
