"""Give a file that was dropped in as `+anything.json` the name of its record, in one step.

The file itself is never read into another: it is renamed, so at every moment it is either the draft
or the record, and a crash makes no copy of it.
"""

from __future__ import annotations

import os

from syncd.atproto.data import encode
from syncd.atproto.jsontext import parse_record
from syncd.errors import BadData, BadJson, FileChanged, FileProblem
from syncd.folder.names import relative_path
from syncd.folder.problems import shown, told
from syncd.folder.read import MEND_HINT, FileStat, is_at_rest, read_file
from syncd.folder.replace import place_new
from syncd.folder.root import Folder, opened
from syncd.model import Problem, RecordPath

_OPEN = "another program is still writing it"


def read_draft(folder: Folder, relative: str) -> FileStat | Problem:
    """Which file the draft is, if it stands for a record and nobody is writing it; else why not.

    Raises FolderWrong, and FileChanged if it is gone.
    """
    collection, _, name = relative.partition("/")
    path = shown(relative)
    try:
        with folder.open() as root, told(path, "read"), opened(root, (collection,)) as directory:
            content, now = read_file(directory, name)
            encode(parse_record(content, collection))
            return now if is_at_rest(directory, name, now.digest) else Problem(path, _OPEN)
    except BadJson as error:
        return Problem(path, error.message, error.hint or MEND_HINT, error.line, error.column)
    except (BadData, FileProblem) as error:
        return Problem(path, error.message, error.hint or MEND_HINT)


def place_draft(folder: Folder, relative: str, path: RecordPath, *, expect: FileStat) -> None:
    """Rename the draft to the file of `path`, durably, if it is still what `expect` says.

    Raises:
        FileChanged: It is not, or another program writes it, or that file is there already.
        FileProblem: The disk refused; it is the draft, or the record's file, as a whole.
    """
    collection, _, name = relative.partition("/")
    target = relative_path(path, portable=folder.portable).partition("/")[2]
    with folder.open() as root, told(path, "named"), opened(root, (collection,)) as directory:
        folder.disk.sync_file(directory, name)
        if not is_at_rest(directory, name, expect.digest):
            raise FileChanged(_OPEN)
        place_new(folder.disk, directory, name, target)
        folder.disk.sync_directory(directory)


def drop_draft(folder: Folder, relative: str, twin: RecordPath) -> bool:
    """End what a crash interrupted where renaming takes two steps: one file, under both names.

    False if the draft and the file of `twin` are not the same file.
    """
    collection, _, name = relative.partition("/")
    target = relative_path(twin, portable=folder.portable).partition("/")[2]
    with folder.open() as root, told(twin, "named"), opened(root, (collection,)) as directory:
        one, other = (os.stat(n, dir_fd=directory, follow_symlinks=False) for n in (name, target))
        if not os.path.samestat(one, other):
            return False
        folder.disk.unlink(directory, name)
        folder.disk.sync_directory(directory)
    return True
