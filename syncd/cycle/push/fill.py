"""Read the record of a change that is about to be sent, and prove that it is the one planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import encode
from syncd.errors import BadJson, FileChanged, FileProblem
from syncd.folder.root import Directories, Folder
from syncd.folder.write import read_in
from syncd.model import Change, split_record_path

READ_AHEAD = 25
"""How many files are read with one look at whether the folder is still ours."""


def fill_all(
    folder: Folder, changes: Sequence[Change], leave_out: Callable[[Change, str], None]
) -> Iterator[Change]:
    """Yield the changes with their records; read a few ahead.

    `leave_out` gets each change whose record is no longer the one planned, and why.
    """
    for start in range(0, len(changes), READ_AHEAD):
        filled: list[Change] = []
        with folder.open() as root, Directories(root) as directories:
            for change in changes[start : start + READ_AHEAD]:
                try:
                    filled.append(_fill(folder, change, directories))
                except (FileChanged, FileProblem, BadJson) as error:
                    leave_out(change, error.message)
        yield from filled


def fill(folder: Folder, change: Change) -> Change:
    """Return the change with its record, read again.

    A deletion is proven again too: some editors leave no file for a moment while they save.

    Raises FileChanged if the file has changed, FileProblem and BadJson if it cannot be read.
    """
    with folder.open() as root, Directories(root) as directories:
        return _fill(folder, change, directories)


def _fill(folder: Folder, change: Change, directories: Directories) -> Change:
    if change.after is None:
        return _still_gone(folder, change, directories)
    text, _ = read_in(folder, directories, change.path)
    collection = split_record_path(change.path)[0]
    record = folder.forms.of(collection).parse(text, collection)
    block = encode(record)
    if cid_of_block(block) != change.after:
        raise FileChanged(f"{change.path} was edited after syncd read it")
    return replace(change, record=record, block=block)


def _still_gone(folder: Folder, change: Change, directories: Directories) -> Change:
    try:
        read_in(folder, directories, change.path)
    except FileChanged:
        return change
    raise FileChanged(f"{change.path} exists again")
