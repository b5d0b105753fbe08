"""Rewrite and rename record files and drafts after `[files] markdown` was changed.

Each file is a step of its own: the new text takes the place of the old one, then the file gets its
new ending. What a text means does not depend on its ending, so a stop in between leaves every
record readable, and the next run ends it. Never changes a record, and leaves alone what it cannot
read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from contextlib import suppress

from syncd.atproto.data import Record, encode
from syncd.errors import BadData, BadJson, FileChanged, FileProblem
from syncd.folder.names import COMPONENT_BYTES, OURS, is_draft, is_record_like
from syncd.folder.read import read_file
from syncd.folder.replace import place_new, replace, unfinished_name
from syncd.folder.respell import files_in
from syncd.folder.root import OWN, Folder, opened
from syncd.forms import ENDINGS, Form, Forms
from syncd.values import dataclass

REWRITTEN = "rewritten"
"""Where below `.syncd` a file lies whose new form has no place for a person's comments."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """How many files were rewritten, and which could not be."""

    count: int
    left: tuple[str, ...]


def rewrite(
    folder: Folder,
    before: Forms,
    collections: Collection[str],
    aside: Collection[tuple[str, str]] = (),
) -> Rewritten:
    """Give the files of `collections` the form that `folder.forms` has for them.

    A file that is no record, is being written, or whose new name is taken stays as it is.

    Args:
        before: The forms that the files have had.
        aside: Copies below `.syncd` to rewrite too: (old, new), relative to the folder.

    Raises:
        FolderWrong: The folder is missing or belongs to another mirror.
        OSError: The disk refuses; files rewritten so far stay so.
    """
    count, left = 0, list[str]()
    with folder.open() as root:
        for collection in sorted(collections):
            one = _One(folder, root, collection, before.of(collection), folder.forms.of(collection))
            with (
                suppress(FileNotFoundError, NotADirectoryError),
                opened(root, (collection,)) as top,
            ):
                for name in sorted(filter(one.is_meant, files_in(top))):
                    done = one.change(top, name)
                    count += done is True
                    left += [f"{collection}/{name}"] * (done is None)
        for old, new in aside:
            collection = old.split("/")[2]
            one = _One(folder, root, collection, before.of(collection), folder.forms.of(collection))
            with suppress(OSError), opened(root, (OWN,)) as own:
                one.copy(own, old.removeprefix(f"{OWN}/"), new.removeprefix(f"{OWN}/"))
    return Rewritten(count, tuple(left))


@dataclass(frozen=True, slots=True)
class _One:
    """The change of one collection."""

    folder: Folder
    root: int
    collection: str
    before: Form
    after: Form

    def is_meant(self, name: str) -> bool:
        """Return whether a file has the name of a record or a draft in either of the two forms."""
        last = name.rpartition("/")[2]
        return not last.startswith(OURS) and any(
            is_record_like(last, form) or is_draft(last, form) for form in (self.before, self.after)
        )

    def change(self, top: int, relative: str) -> bool | None:
        """Rewrite one file. Return False if nothing is to be done, None if it cannot be done."""
        *inside, name = relative.split("/")
        with opened(top, inside) as directory:
            try:
                text, now = read_file(directory, name)
                new = self._text(text)
                right = _with_ending(name, self.after.ending_of(new))
                if (new, right) == (text, name):
                    return False
                if right != name and _exists(directory, right):
                    return None
                if new != text:
                    self._keep(relative, text)
                    self._replace(directory, name, new, now.digest)
                if right != name:
                    place_new(self.folder.disk, directory, name, right)
                self.folder.disk.sync_directory(directory)
            except (BadData, BadJson, FileChanged, FileProblem, FileNotFoundError):
                return None
        return True

    def copy(self, own: int, old: str, new: str) -> None:
        """Write the copy of a conflict under its new name, then remove the old one."""
        *inside, name = old.split("/")
        disk = self.folder.disk
        with suppress(BadData, BadJson, FileProblem), opened(own, inside) as directory:
            text = self._text(read_file(directory, name)[0])
            right = _with_ending(new.rpartition("/")[2], self.after.ending_of(text))
            temp = unfinished_name()
            disk.write(directory, temp, text, 0o600)
            disk.sync_file(directory, temp)
            disk.rename(directory, temp, right)
            if right != name:
                disk.unlink(directory, name)
            disk.sync_directory(directory)

    def _keep(self, relative: str, text: bytes) -> None:
        """Save, below `.syncd`, a text whose comments have no place in the new form."""
        has_comments = self.before.ending_of(text) != self.before.endings[-1]
        if self.after.bodies or not self.before.bodies or not has_comments:
            return
        if self.before.file_of(encode(self._record(text))) == text:
            return
        disk, temp = self.folder.disk, unfinished_name()
        inside = (OWN, REWRITTEN, self.collection)
        with opened(self.root, inside, make=disk, mode=0o700) as aside:
            disk.write(aside, temp, text, 0o600)
            disk.sync_file(aside, temp)
            # By its content: what was kept of this name before, and of a name alike, stays.
            mark, name = hashlib.sha256(text).hexdigest()[:16], relative.replace("/", "")
            disk.rename(aside, temp, f"{mark}.{name[-(COMPONENT_BYTES - 17) :]}")
            disk.sync_directory(aside)

    def _text(self, text: bytes) -> bytes:
        """Return the same record in the new form. Raises BadJson and BadData."""
        block = encode(self._record(text))
        new = self.after.restyled(text, block, self.collection)
        if encode(self.after.parse(new, self.collection)) != block:
            raise BadData("the new form cannot express it")
        return new

    def _record(self, text: bytes) -> Record:
        try:
            return self.before.parse(text, self.collection)
        except BadJson:
            # A stop after the text was replaced, or files of another machine with these settings.
            return self.after.parse(text, self.collection)

    def _replace(self, directory: int, name: str, text: bytes, old: bytes) -> None:
        disk, temp = self.folder.disk, unfinished_name()
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode & 0o777
        disk.write(directory, temp, text, mode)
        try:
            disk.sync_file(directory, temp)
            new = hashlib.sha256(text).digest()
            replace(disk, directory, temp, name, old=old, new=new)
        except (OSError, FileChanged, FileProblem):
            with suppress(OSError):
                disk.unlink(directory, temp)
            raise


def _with_ending(name: str, ending: str) -> str:
    old = next((each for each in ENDINGS if name.endswith(each)), "")
    return name.removesuffix(old) + ending


def _exists(directory: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    return False


def changed_collections(
    before: Forms, after: Forms, covers: Callable[[str], bool]
) -> frozenset[str]:
    """Return the mirrored collections whose files have another form than before."""
    names = {name for forms in (before, after) for name, _ in forms.chosen}
    return frozenset(n for n in names if covers(n) and before.of(n) != after.of(n))
