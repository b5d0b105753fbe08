"""Turn a draft (`+anything.json`) into the file of a record, in one step. Never copies the content.

The draft is renamed, so at every moment the file is either the draft or the record, and a crash
leaves no second copy.
"""

from __future__ import annotations

import os

from syncd.atproto.data import encode
from syncd.atproto.jsontext import parse_record
from syncd.errors import BadData, BadJson, FileChanged, FileProblem
from syncd.folder.names import relative_path
from syncd.folder.problems import printable, raise_as
from syncd.folder.read import FIX_HINT, FileStat, is_at_rest, read_file
from syncd.folder.replace import place_new
from syncd.folder.root import Folder, opened
from syncd.model import Problem, RecordPath

_OPEN = "another program is still writing it"


def read_draft(folder: Folder, relative: str) -> FileStat | Problem:
    """Read the draft at `relative`; return a Problem if it is no record or still being written.

    Raises:
        FolderWrong: The folder is missing or belongs to another mirror.
        FileChanged: The draft is gone.
    """
    collection, _, name = relative.partition("/")
    path = printable(relative)
    try:
        with (
            folder.open() as root,
            raise_as(path, "read"),
            opened(root, (collection,)) as directory,
        ):
            content, now = read_file(directory, name)
            encode(parse_record(content, collection))
            return now if is_at_rest(directory, name, now.digest) else Problem(path, _OPEN)
    except BadJson as error:
        return Problem(path, error.message, error.hint or FIX_HINT, error.line, error.column)
    except (BadData, FileProblem) as error:
        return Problem(path, error.message, error.hint or FIX_HINT)


def place_draft(folder: Folder, relative: str, path: RecordPath, *, expect: FileStat) -> None:
    """Rename the draft to the file of `path`, durably, if its content is still that of `expect`.

    Raises:
        FileChanged: The content changed, another program has the draft open for writing, or `path`
            already has a file. The draft stays.
        FileProblem: The disk refused. The whole content is in the draft or in the record's file.
    """
    collection, _, name = relative.partition("/")
    target = relative_path(path, portable=folder.portable).partition("/")[2]
    with folder.open() as root, raise_as(path, "named"), opened(root, (collection,)) as directory:
        folder.disk.sync_file(directory, name)
        # A program that has the draft open would keep writing to it under the new name.
        if not is_at_rest(directory, name, expect.digest):
            raise FileChanged(_OPEN)
        place_new(folder.disk, directory, name, target)
        folder.disk.sync_directory(directory)


def drop_draft(folder: Folder, relative: str, twin: RecordPath) -> bool:
    """Finish an interrupted `place_draft`: drop the draft's name if `twin` names the same file.

    Where the file system cannot rename in one step, a crash leaves one file under both names.
    Return False, and change nothing, if the two names lead to different files.

    Raises:
        FileChanged: One of the two files is gone.
        FileProblem: The disk refused.
    """
    collection, _, name = relative.partition("/")
    target = relative_path(twin, portable=folder.portable).partition("/")[2]
    with folder.open() as root, raise_as(twin, "named"), opened(root, (collection,)) as directory:
        one, other = (os.stat(n, dir_fd=directory, follow_symlinks=False) for n in (name, target))
        if not os.path.samestat(one, other):
            return False
        folder.disk.unlink(directory, name)
        folder.disk.sync_directory(directory)
    return True
