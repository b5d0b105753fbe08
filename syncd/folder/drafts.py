"""Drafts: find and read them, make records of them and drafts of records, each in one step.

A file is renamed, so at every moment it is either the draft or the record, and a crash leaves no
second copy. Never replaces a file, and never removes one whose content is not elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from types import MappingProxyType

from syncd.atproto.data import Record, encode
from syncd.atproto.nsid import is_nsid
from syncd.errors import BadData, BadJson, BadSyntax, FileChanged, FileProblem
from syncd.folder.names import (
    CONTINUED,
    draft_name,
    ending_in,
    file_name,
    former_file_name,
    is_draft,
    parse_file_name,
    relative_path,
)
from syncd.folder.problems import printable, raise_as
from syncd.folder.read import FIX_HINT, FileStat, is_at_rest, read_file
from syncd.folder.replace import place_new, replace, unfinished_name, withdraw
from syncd.folder.root import Folder, opened
from syncd.folder.spelling import find_there
from syncd.folder.write import file_of
from syncd.forms import Form
from syncd.model import Problem, RecordPath, split_record_path

_OPEN = "another program is still writing it"


def list_drafts(
    folder: Folder,
    in_scope: Callable[[str], bool],
    beside: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[str]:
    """Return the files of all drafts, sorted, relative to the folder.

    Args:
        beside: All that lies beside the records of some collections, which are not listed then;
            the names of directories end with `/`.

    A directory that cannot be read is left out. Raises FolderWrong as `Folder.open` does.
    """
    with folder.open() as root:
        with os.scandir(root) as entries:
            names = [e.name for e in entries if is_nsid(e.name) and in_scope(e.name)]
        return sorted(
            draft
            for name in names
            for draft in _drafts_in(root, (name,), folder.forms.of(name), beside.get(name))
        )


def with_drafts(folder: Folder, paths: Iterable[RecordPath]) -> frozenset[RecordPath]:
    """Return those of `paths` that the folder has a draft of. Raises FolderWrong."""
    found: set[RecordPath] = set()
    with folder.open() as root:
        for collection, some in groupby(sorted(paths), lambda path: path.partition("/")[0]):
            with suppress(OSError), opened(root, (collection,)) as directory:
                found.update(path for path in some if _has_draft(folder, directory, path))
    return frozenset(found)


def find_draft(folder: Folder, path: RecordPath) -> str | None:
    """Return the draft of `path`, relative to the folder; None if there is none."""
    with folder.open() as root:
        return find_there(root, _drafts_of(folder, path))


def read_draft(
    folder: Folder, relative: str, parse: Callable[[bytes, str], Record]
) -> tuple[bytes, FileStat] | Problem:
    """Read the draft at `relative`; return a Problem if it is no record or still being written.

    `parse` reads a text as a record of a collection, and raises BadJson.

    Raises:
        FolderWrong: The folder is missing or belongs to another mirror.
        FileChanged: The draft is gone.
    """
    *directories, name = relative.split("/")
    path = printable(relative)
    try:
        with (
            folder.open() as root,
            raise_as(path, "read"),
            opened(root, directories) as directory,
        ):
            content, now = read_file(directory, name)
            encode(parse(content, directories[0]))
            return (content, now) if _is_at_rest(directory, name, now) else Problem(path, _OPEN)
    except BadJson as error:
        return Problem(path, error.message, error.hint or FIX_HINT, error.line, error.column)
    except (BadData, FileProblem) as error:
        return Problem(path, error.message, error.hint or FIX_HINT)


def write_draft(folder: Folder, path: RecordPath, content: bytes) -> str:
    """Write a new draft of `path`, durably, and return its file relative to the folder.

    Raises:
        FileChanged: There is a draft of that name.
        FileProblem: The disk refused.
    """
    form = folder.forms.of(path.partition("/")[0])
    relative = _draft_of(folder, path, form.ending_of(content))
    *directories, name = relative.split("/")
    disk, temp = folder.disk, unfinished_name()
    if find_draft(folder, path):
        raise FileChanged(f"there is a draft of {path} already")
    with (
        folder.open() as root,
        raise_as(relative, "written", root),
        opened(root, directories, make=disk) as directory,
    ):
        disk.write(directory, temp, content, None)
        disk.sync_file(directory, temp)
        place_new(disk, directory, temp, name)
        disk.sync_directory(directory)
    return relative


def rewrite_draft(folder: Folder, relative: str, content: bytes, *, expect: FileStat) -> None:
    """Replace the content of a draft, durably, if it still is that of `expect`.

    Raises:
        FileChanged: The content is not that of `expect`, or another program is writing it.
        FileProblem: The disk refused. The draft has the one content or the other.
    """
    *directories, name = relative.split("/")
    disk, temp = folder.disk, unfinished_name()
    with (
        folder.open() as root,
        raise_as(printable(relative), "written", root),
        opened(root, directories) as directory,
    ):
        mode = stat.S_IMODE(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
        disk.write(directory, temp, content, mode)
        disk.sync_file(directory, temp)
        new = hashlib.sha256(content).digest()
        try:
            replace(disk, directory, temp, name, old=expect.digest, new=new)
        finally:
            with suppress(FileNotFoundError):
                disk.unlink(directory, temp)
        disk.sync_directory(directory)


def place_draft(folder: Folder, relative: str, path: RecordPath, *, expect: FileStat) -> None:
    """Rename the draft to the file of `path`, durably, if its content is still that of `expect`.

    Raises:
        FileChanged: The content changed, another program has the draft open for writing, or `path`
            already has a file. The draft stays.
        FileProblem: The disk refused. The whole content is in the draft or in the record's file.
    """
    _rename(folder, relative, _file_like(folder, path, relative), expect)


def shelve(folder: Folder, path: RecordPath, *, expect: FileStat) -> str:
    """Rename the file of `path` to a draft, durably; return the draft, relative to the folder.

    Raises:
        FileChanged: The content is not that of `expect`, another program has the file open for
            writing, or there is a draft of that name. The record's file stays.
        FileProblem: The disk refused. The whole content is in the draft or in the record's file.
    """
    record = file_of(folder, path)
    draft = _draft_of(folder, path, ending_in(record, folder.forms.of(path.partition("/")[0])))
    # Where the file system cannot rename in one step, a crash left one file under both names.
    if not _drop_if_same(folder, record, draft):
        _rename(folder, record, draft, expect)
    return draft


def remove_draft(folder: Folder, relative: str, *, expect: FileStat) -> None:
    """Remove a draft whose content the file of a record has now.

    Raises:
        FileChanged: The content is not that of `expect`. The draft stays.
        FileProblem: The disk refused.
    """
    *directories, name = relative.split("/")
    with (
        folder.open() as root,
        raise_as(printable(relative), "removed", root),
        opened(root, directories) as directory,
    ):
        withdraw(folder.disk, directory, name, old=expect.digest)
        folder.disk.sync_directory(directory)


def drop_twin(folder: Folder, relative: str, twin: RecordPath) -> bool:
    """Finish an interrupted `place_draft`: drop the draft's name if `twin` names the same file.

    Where the file system cannot rename in one step, a crash leaves one file under both names.
    Return False, and change nothing, if the two names lead to different files or one to none.

    Raises FileProblem: The disk refused.
    """
    kept = _file_like(folder, twin, relative)
    return _drop_if_same(folder, relative, kept)


def same_file(folder: Folder, relative: str, expect: FileStat) -> Iterator[RecordPath]:
    """Yield the records of the draft's collection whose file is the draft under a second name."""
    collection = relative.partition("/")[0]
    with folder.open() as root, opened(root, (collection,)) as directory:
        names = [e.name for e in os.scandir(directory) if e.inode() == expect.inode]
    for name in names:
        with suppress(BadSyntax):
            form = folder.forms.of(collection)
            rkey = parse_file_name(name, portable=folder.portable, form=form)
            yield RecordPath(f"{collection}/{rkey}")


def respell_former(folder: Folder, path: RecordPath) -> bool:
    """Rename the file of `path` from the name that versions before drafts gave to it.

    Return False, and change nothing, if there is no such file, or a file with the right name.
    Raises FolderWrong, FileProblem.
    """
    former = former_file(folder, path)
    if former is None:
        return False
    right = relative_path(path, portable=folder.portable, forms=folder.forms)
    try:
        _rename(folder, former, right, None)
    except FileChanged:
        return _drop_if_same(folder, former, right)
    return True


def former_file(folder: Folder, path: RecordPath) -> str | None:
    """Return the regular file that has the former name of `path`, relative to the folder."""
    collection, rkey = split_record_path(path)
    form = folder.forms.of(collection)
    old = former_file_name(rkey, portable=folder.portable, form=form)
    if old is None:
        return None
    *inside, name = old.split("/")
    with folder.open() as root, suppress(OSError), opened(root, (collection, *inside)) as directory:
        if stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            return f"{collection}/{old}"
    return None


def _draft_of(folder: Folder, path: RecordPath, ending: str) -> str:
    collection, rkey = split_record_path(path)
    form = folder.forms.of(collection)
    name = draft_name(rkey, portable=folder.portable, form=form, ending=ending)
    return f"{collection}/{name}"


def _drafts_of(folder: Folder, path: RecordPath) -> list[str]:
    endings = folder.forms.of(path.partition("/")[0]).endings
    return [_draft_of(folder, path, ending) for ending in endings]


def _file_like(folder: Folder, path: RecordPath, draft: str) -> str:
    """Return the record's file that has the ending of its draft."""
    collection, rkey = split_record_path(path)
    form = folder.forms.of(collection)
    ending = ending_in(draft, form)
    return f"{collection}/{file_name(rkey, portable=folder.portable, form=form, ending=ending)}"


def _has_draft(folder: Folder, directory: int, path: RecordPath) -> bool:
    names = [draft.partition("/")[2] for draft in _drafts_of(folder, path)]
    with suppress(OSError):
        return find_there(directory, names) is not None
    return False


def _drafts_in(
    root: int, inside: tuple[str, ...], form: Form, names: Collection[str] | None = None
) -> Iterator[str]:
    """Yield the drafts below a directory that holds `names`, or whatever is there."""
    if names is not None and not names:
        return
    with suppress(OSError), opened(root, inside) as directory:
        for name in _entries(directory) if names is None else names:
            if name.endswith(f"{CONTINUED}/"):
                yield from _drafts_in(root, (*inside, name[:-1]), form)
            elif is_draft(name, form) and _is_file(directory, name):
                yield "/".join((*inside, name))


def _entries(directory: int) -> list[str]:
    """Return the names in a directory; those of directories end with `/`."""
    with os.scandir(directory) as entries:
        return [e.name + "/" if e.is_dir(follow_symlinks=False) else e.name for e in entries]


def _is_file(directory: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        return stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    return False


def _rename(folder: Folder, old: str, new: str, expect: FileStat | None) -> None:
    """Rename a file within its collection to a free name; None expects any content at rest."""
    collection, _, name = old.partition("/")
    *inside, _ = target = new.split("/")[1:]
    disk = folder.disk
    with (
        folder.open() as root,
        raise_as(printable(old), "named", root),
        opened(root, (collection,)) as directory,
        opened(directory, name.split("/")[:-1]) as source,
        opened(directory, inside, make=disk) as place,
    ):
        disk.sync_file(source, name.rpartition("/")[2])
        # A program that has the file open would keep writing to it under the new name.
        if expect is not None and not _is_at_rest(source, name.rpartition("/")[2], expect):
            raise FileChanged(_OPEN)
        place_new(disk, directory, name, "/".join(target))
        disk.sync_directory(place)
        if inside or "/" in name:
            disk.sync_directory(source)


def _drop_if_same(folder: Folder, relative: str, kept: str) -> bool:
    """Remove the name `relative` if `kept` names the same file; return whether it did."""
    *directories, name = relative.split("/")
    *others, other = kept.split("/")
    with (
        suppress(FileChanged),
        folder.open() as root,
        raise_as(printable(relative), "named", root),
        opened(root, directories) as directory,
        opened(root, others) as beside,
    ):
        one = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not os.path.samestat(one, os.stat(other, dir_fd=beside, follow_symlinks=False)):
            return False
        folder.disk.unlink(directory, name)
        folder.disk.sync_directory(directory)
        return True
    return False


def _is_at_rest(directory: int, name: str, expect: FileStat) -> bool:
    return is_at_rest(directory, name, expect.digest)
