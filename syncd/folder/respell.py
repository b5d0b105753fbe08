"""Rename record files after the setting `filenames` was changed. Never reads or replaces a file.

Each rename is one step, and only to a free name. So a stop halfway leaves every file with one of
the two spellings, and the next run renames the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress

from syncd.atproto.nsid import is_nsid
from syncd.errors import BadSyntax, FileChanged
from syncd.folder.names import CONTINUED, file_name, parse_file_name
from syncd.folder.replace import place_new
from syncd.folder.root import OWN, Folder, opened
from syncd.forms import Form


def respell(
    folder: Folder, in_scope: Callable[[str], bool], aside: Collection[tuple[str, str]] = ()
) -> int:
    """Rename every file in the spelling of the other setting to that of `folder.portable`.

    A file whose new name is taken keeps its name; a scan reports it as a problem.

    Args:
        in_scope: Whether a collection belongs to the mirror.
        aside: Files below `.syncd` to rename too: (old, new), relative to the folder.

    Returns:
        The number of record files that were renamed.

    Raises:
        FolderWrong: The folder is missing or belongs to another mirror.
        OSError: The disk refuses; files renamed so far keep their new names.
    """
    renamed = 0
    with folder.open() as root:
        for collection in filter(in_scope, list(_collections(root))):
            with opened(root, (collection,)) as directory:
                form = folder.forms.of(collection)
                for old, new in list(_moves(folder, directory, form)):
                    renamed += _rename(folder, directory, old, new)
                folder.disk.sync_directory(directory)
        with opened(root, (OWN,)) as own:
            for old, new in aside:
                _rename(folder, own, old.removeprefix(f"{OWN}/"), new.removeprefix(f"{OWN}/"))
    return renamed


def _moves(folder: Folder, directory: int, form: Form) -> Iterator[tuple[str, str]]:
    """Yield (old, new) for each file of a collection in the other spelling."""
    for name in files_in(directory):
        try:
            rkey = parse_file_name(name, portable=not folder.portable, form=form)
        except BadSyntax:
            continue
        right = file_name(rkey, portable=folder.portable, form=form)
        if right != name:
            yield name, right


def _collections(root: int) -> Iterator[str]:
    with os.scandir(root) as entries:
        for entry in entries:
            if is_nsid(entry.name) and entry.is_dir(follow_symlinks=False):
                yield entry.name


def files_in(directory: int, inside: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the files of a collection, relative to it, with those in continued directories."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield "/".join((*inside, entry.name))
            elif entry.name.endswith(CONTINUED) and entry.is_dir(follow_symlinks=False):
                with opened(directory, (entry.name,)) as inner:
                    yield from files_in(inner, (*inside, entry.name))


def _rename(folder: Folder, directory: int, old: str, new: str) -> bool:
    """Rename one file durably. Return False if there is no such file, or `new` is taken."""
    *inside, _ = new.split("/")
    with suppress(FileChanged, FileNotFoundError):
        os.stat(old, dir_fd=directory, follow_symlinks=False)
        with opened(directory, inside, make=folder.disk) as target:
            place_new(folder.disk, directory, old, new)
            folder.disk.sync_directory(target)
        return True
    return False
