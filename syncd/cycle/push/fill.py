"""Read the record of a change that is about to be sent, and prove that it is the one planned."""

from __future__ import annotations

from dataclasses import replace

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import encode
from syncd.errors import FileChanged
from syncd.folder.root import Folder
from syncd.folder.write import read_below
from syncd.model import Change, split_record_path


def fill(folder: Folder, change: Change, root: int) -> Change:
    """Return the change with its record, read again from the open folder `root`.

    A deletion is proven again too: some editors leave no file for a moment while they save.

    Raises FileChanged if the file has changed, FileProblem and BadJson if it cannot be read.
    """
    if change.after is None:
        return _still_gone(folder, change, root)
    text, _ = read_below(folder, root, change.path)
    collection = split_record_path(change.path)[0]
    record = folder.forms.of(collection).parse(text, collection)
    block = encode(record)
    if cid_of_block(block) != change.after:
        raise FileChanged(f"{change.path} was edited after syncd read it")
    return replace(change, record=record, block=block)


def _still_gone(folder: Folder, change: Change, root: int) -> Change:
    try:
        read_below(folder, root, change.path)
    except FileChanged:
        return change
    raise FileChanged(f"{change.path} exists again")
