"""Write and remove files, each only if it is still the one that was planned for.

A file is whole or not there: it is written under another name, made durable, and only then takes
its name. Nothing is written that the caller did not name together with what it replaces.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.data import cid_of
from syncd.errors import BadJson, BadSyntax, FileChanged, FileProblem
from syncd.folder.batch import Batch, Replacement
from syncd.folder.names import conflict_name, relative_paths
from syncd.folder.problems import printable, raise_as
from syncd.folder.read import FileStat, read_file
from syncd.folder.replace import unfinished_name, withdraw
from syncd.folder.root import OWN, Directories, Folder, opened
from syncd.folder.spelling import check_spelt, find_there, is_spelt
from syncd.forms import USUAL, Form, Forms
from syncd.model import RecordPath, Seen, parse_record_path, split_record_path

__all__ = (
    "CONFLICTS",
    "Replacement",
    "conflict_file",
    "drop_conflicts",
    "file_below",
    "file_of",
    "is_edited_copy",
    "keep_conflict",
    "kept_conflict",
    "read_below",
    "read_bytes",
    "read_in",
    "read_named",
    "remove",
    "write",
    "write_many",
)

CONFLICTS = "conflicts"
_ANY_CID = "*" * 59


def read_bytes(folder: Folder, path: RecordPath) -> tuple[bytes, FileStat]:
    """Read the record's file. Raises FileChanged if there is none, FileProblem if unreadable."""
    with folder.open() as root:
        return read_below(folder, root, path)


def read_below(folder: Folder, root: int, path: RecordPath) -> tuple[bytes, FileStat]:
    """Read as `read_bytes` does, where the folder is open already, as `root`."""
    return _read(root, path, *_place_of(folder, root, path))


def read_in(folder: Folder, directories: Directories, path: RecordPath) -> tuple[bytes, FileStat]:
    """Read as `read_bytes` does, where the folder is open already: one of many files."""
    parts, name = _place_of(folder, directories.root, path)
    with raise_as(path, "read"), suppress(FileNotFoundError):
        directory = directories.open(parts)
        if directories.is_spelt(name):
            return read_file(directory, name)
    # Another directory may have taken the place of the one that is open.
    return _read(directories.root, path, parts, name)


def read_named(folder: Folder, relative: str) -> tuple[bytes, FileStat]:
    """Read the file `relative` of a collection, whatever its name says. Raises as `read_bytes`."""
    *directories, name = relative.split("/")
    with folder.open() as root:
        return _read(root, printable(relative), directories, name)


def _read(root: int, path: str, directories: Sequence[str], name: str) -> tuple[bytes, FileStat]:
    with raise_as(path, "read"), opened(root, directories) as directory:
        if not is_spelt(directory, name):
            raise FileChanged("there is no such file")
        return read_file(directory, name)


def write(
    folder: Folder, path: RecordPath, content: bytes, *, expect: Seen | None, cid: Cid
) -> Seen:
    """Write one file, durably, if the file there is what `expect` says (None: none may be there).

    Raises:
        FileChanged: The file is not, or no longer, what was expected. It was left as it is.
        FileProblem: The disk refused. The file is as it was, or it is the new one as a whole.
        FolderWrong: The folder is not there or not ours.
    """
    result = write_many(folder, [Replacement(path, content, expect, cid)])[0]
    if isinstance(result, Seen):
        return result
    raise result


def write_many(
    folder: Folder, replacements: Sequence[Replacement]
) -> list[Seen | FileChanged | FileProblem]:
    """Write many files with one wait for the disk; return the answers in the same order.

    Each file succeeds or fails by itself, as in `write`; no path may occur twice. The files are on
    disk when this returns, but no Seen is trusted by a scan, which reads them once more.
    """
    batch = Batch(folder, replacements)
    with folder.open() as root:
        batch.prepare(root)
        batch.place(root)
    return [batch.results[item.path] for item in replacements]


def remove(folder: Folder, path: RecordPath, *, expect: Seen) -> None:
    """Remove one file, durably, if it is what `expect` says. Raises as `write` does."""
    with folder.open() as root, raise_as(path, "removed", root):
        directories, name = _place_of(folder, root, path)
        with opened(root, directories) as directory:
            check_spelt(directory, name)
            withdraw(folder.disk, directory, name, old=expect.digest)
            folder.disk.sync_directory(directory)


def conflict_file(
    path: RecordPath,
    cid: Cid,
    *,
    portable: bool = False,
    forms: Forms = USUAL,
    ending: str = "",
) -> str:
    """Return where the remote side of a conflict lies, relative to the folder.

    `ending`: the one that its text is to have, if not the usual one.
    """
    collection, rkey = split_record_path(parse_record_path(path))
    form = forms.of(collection)
    name = conflict_name(rkey, str(cid), portable=portable, form=form, ending=ending)
    return f"{OWN}/{CONFLICTS}/{collection}/{name}"


def kept_conflict(folder: Folder, path: RecordPath, cid: Cid) -> str | None:
    """Return the file that `keep_conflict` wrote, relative to the folder; None without one."""
    portable, forms = folder.portable, folder.forms
    endings = forms.of(split_record_path(path)[0]).endings
    names = (
        conflict_file(path, cid, portable=portable, forms=forms, ending=ending)
        for ending in endings
    )
    return next((name for name in names if (folder.root / name).exists()), None)


def keep_conflict(folder: Folder, path: RecordPath, cid: Cid, content: bytes) -> str:
    """Write the remote side of a conflict, and return its `conflict_file`.

    Its name has the CID of the content, so it may be there already.
    Raises FileProblem, FolderWrong.
    """
    ending = folder.forms.of(split_record_path(path)[0]).ending_of(content)
    relative = conflict_file(path, cid, portable=folder.portable, forms=folder.forms, ending=ending)
    *directories, name = relative.split("/")
    disk = folder.disk
    with (
        folder.open() as root,
        raise_as(path, "kept beside the folder", root),
        opened(root, directories, make=disk, mode=0o700) as directory,
    ):
        temp = unfinished_name()
        disk.write(directory, temp, content, 0o600)
        disk.sync_file(directory, temp)
        disk.rename(directory, temp, name)
        disk.sync_directory(directory)
    return relative


def drop_conflicts(folder: Folder, path: RecordPath, keep: Collection[Cid] = ()) -> None:
    """Remove the files of `keep_conflict` for `path`, but not `keep` or an edited one.

    Raises FileProblem, FolderWrong.
    """
    for ending in folder.forms.of(split_record_path(path)[0]).endings:
        _drop_conflicts(folder, path, keep, ending)


def _drop_conflicts(folder: Folder, path: RecordPath, keep: Collection[Cid], ending: str) -> None:
    collection, rkey = split_record_path(parse_record_path(path))
    form = folder.forms.of(collection)
    pattern = conflict_name(rkey, _ANY_CID, portable=folder.portable, form=form, ending=ending)
    *inside, last = pattern.split("/")
    stem = last.removesuffix(_ANY_CID + ending)
    with (
        folder.open() as root,
        suppress(FileChanged),
        raise_as(path, "tidied up"),
        opened(root, (OWN, CONFLICTS, collection, *inside)) as directory,
        os.scandir(directory) as entries,
    ):
        for name in [entry.name for entry in entries if entry.name.startswith(stem)]:
            cid = _cid_or_none(name.removeprefix(stem).removesuffix(ending))
            if cid in keep or cid is None:
                continue
            if not is_edited_copy(directory, name, collection, form, cid):
                folder.disk.unlink(directory, name)


def is_edited_copy(directory: int, name: str, collection: str, form: Form, cid: Cid) -> bool:
    """Return whether a person has edited the copy of `cid` into another record."""
    try:
        content, _ = read_file(directory, name)
        return cid_of(form.parse(content, collection)) != cid
    except (OSError, FileProblem, BadJson):
        return False


def file_of(folder: Folder, path: RecordPath) -> str:
    """Return the record's file, relative to the folder: the one that is there, else the usual one.

    Looks at the folder only where a record may have several. Raises FolderWrong then.
    """
    names = relative_paths(path, portable=folder.portable, forms=folder.forms)
    if len(names) == 1:
        return names[0]
    with folder.open() as root:
        return find_there(root, names) or names[0]


def file_below(folder: Folder, root: int, path: RecordPath) -> str:
    """Return the record's file as `file_of` does, in the open folder `root`."""
    names = relative_paths(path, portable=folder.portable, forms=folder.forms)
    return names[0] if len(names) == 1 else find_there(root, names) or names[0]


def _place_of(folder: Folder, root: int, path: RecordPath) -> tuple[list[str], str]:
    *directories, name = file_below(folder, root, path).split("/")
    return directories, name


def _cid_or_none(text: str) -> Cid | None:
    try:
        return parse_cid(text)
    except BadSyntax:
        return None
