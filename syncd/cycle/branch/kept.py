"""Keep versions of the repo as files that a CI job can store. Writes nothing in a collection.

What a publication overwrites, and what it left alone in a conflict, is in no commit of git: it lies
in a directory of the checkout that git ignores, under names that every file system and every store
of artifacts takes. No link is followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Final

from syncd.atproto.cid import Cid
from syncd.errors import BadData, FileProblem
from syncd.folder.disk import Disk
from syncd.folder.names import OURS, conflict_name
from syncd.folder.root import opened
from syncd.forms import Forms
from syncd.model import RecordPath, split_record_path
from syncd.state import Provenance, Superseded
from syncd.trouble import explain
from syncd.values import dataclass

KEPT: Final = "syncd-kept"
REPLACED: Final = "replaced"
CONFLICTS: Final = "conflicts"
_UNFINISHED: Final = f"{OURS}new"
_RAW: Final = ".dagcbor"
"""The ending of a version that no text can say: its block as it is."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The directory KEPT in the folder at `root`."""

    root: Path
    forms: Forms
    disk: Disk = field(default_factory=Disk, repr=False, compare=False)

    def keep_foreign(self, versions: Sequence[Superseded]) -> None:
        """Save those of `versions` that git does not have, before they are replaced.

        Raises FileProblem: then nothing may be replaced.
        """
        # What only the files had is in git, or is what git has with a reference put in.
        only_there = [v for v in versions if v.origin is Provenance.REPO]
        for version in only_there:
            self.keep(REPLACED, version.path, version.cid, version.content)

    def keep(self, kind: str, path: RecordPath, cid: Cid, block: bytes) -> None:
        """Save the version `cid` of a record in the directory `kind`, durably.

        Raises FileProblem.
        """
        form = self.forms.of(split_record_path(path)[0])
        try:
            self.keep_text(kind, path, cid, form.file_of(block))
        except BadData:
            self.keep_text(kind, path, cid, block, ending=_RAW)

    def keep_text(
        self, kind: str, path: RecordPath, cid: Cid, content: bytes, *, ending: str = ""
    ) -> None:
        """Save the file of the version `cid` as `keep` does. Raises FileProblem."""
        collection, rkey = split_record_path(path)
        form = self.forms.of(collection)
        name = conflict_name(rkey, str(cid), portable=True, form=form)
        name = name.removesuffix(form.ending) + (ending or form.ending_of(content))
        *inside, last = (collection, *name.split("/"))
        try:
            self._put((KEPT, kind, *inside), last, content)
        except OSError as error:
            reason = f"{KEPT}/{kind} cannot keep it: {explain(error)[0]}"
            raise FileProblem(
                reason, hint=f"check what {self.root / KEPT} is: ls -ld {self.root / KEPT}"
            ) from error

    def _put(self, parts: Sequence[str], name: str, content: bytes) -> None:
        top = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with opened(top, parts[:1], make=self.disk) as shelf:
                self._write(shelf, ".gitignore", b"*\n")
            with opened(top, parts, make=self.disk) as directory:
                self._write(directory, name, content)
        finally:
            os.close(top)

    def _write(self, directory: int, name: str, content: bytes) -> None:
        """Write a file that is named by its content, unless it exists."""
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=directory, follow_symlinks=False)
            return
        with suppress(FileNotFoundError):
            self.disk.unlink(directory, _UNFINISHED)
        self.disk.write(directory, _UNFINISHED, content, 0o644)
        self.disk.sync_file(directory, _UNFINISHED)
        self.disk.rename(directory, _UNFINISHED, name)
        self.disk.sync_directory(directory)


def kept_files(root: Path) -> Iterable[str]:
    """Return the kept versions in the folder at `root`, relative to it, in order."""
    found = (file for file in (root / KEPT).rglob("*") if file.is_file())
    return sorted(f.relative_to(root).as_posix() for f in found if f.name != ".gitignore")
