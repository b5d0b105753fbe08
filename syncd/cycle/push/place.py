"""Read where a fault is, as a PDS names it: `$.writes[77].record.langs[0]`; find it in the file.

Or by the CID of a blob that it lacks. Never writes.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from syncd.atproto.blob import blob_refs
from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import encode
from syncd.errors import Rejected, SyncdError
from syncd.folder.root import Folder
from syncd.folder.write import read_below
from syncd.model import Change, split_record_path

Position: TypeAlias = tuple[int | None, int | None]
"""Line and column of a file, from 1; None if nobody knows."""

_WRITE: Final = re.compile(r"^\$\.writes\[([0-9]{1,6})\]")
_STEP: Final = re.compile(r"\.([\w$-]+)|\[([0-9]{1,6})\]")
_VALUE: Final = re.compile(r"^\$(?:\.writes\[[0-9]{1,6}\])?(?:\.(?:record|value)(?=[.\[]|$))?")


def named_write(error: Rejected, count: int) -> int | None:
    """Return the number, from 0, of the write among `count` that an error names; None if none."""
    found = _WRITE.match(error.place)
    return int(found[1]) if found is not None and count > 1 and int(found[1]) < count else None


def names_blob(change: Change, error: Rejected) -> bool:
    """Return whether the record of a change names the blob that the PDS says it lacks."""
    if error.name != "BlobNotFound" or not error.blob or change.record is None:
        return False
    return any(str(ref.cid) == error.blob for ref in blob_refs(change.record))


def place_in_record(error: Rejected) -> tuple[str | int, ...] | None:
    """Return the keys and indexes that lead to the fault in the record; None without a place."""
    if not error.place:
        return None
    rest = _VALUE.sub("", error.place)
    return tuple(key or int(index) for key, index in _STEP.findall(rest))


def find_in_file(folder: Folder, change: Change, error: Rejected) -> Position:
    """Return the line and column of the place that `error` names, if the file is unchanged."""
    steps = place_in_record(error)
    if steps is None or change.after is None:
        return None, None
    try:
        with folder.open() as root:
            text, _ = read_below(folder, root, change.path)
        collection = split_record_path(change.path)[0]
        form = folder.forms.of(collection)
        record = form.parse(text, collection)
    except SyncdError:
        return None, None
    is_same = cid_of_block(encode(record)) == change.after
    return form.find_places(text, [steps])[steps] if is_same else (None, None)
