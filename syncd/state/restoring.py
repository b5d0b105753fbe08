"""The small fact about what `restore` did last. Opens no file; see notes.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.model import RecordPath
from syncd.state.note import Note
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class LastRestore(Note):
    """The versions of the files before and after the last `restore`; without one, no file.

    `is_done`: it got to its end. Written before it changes a file, and again after the last one.
    Read by `restore --undo`, and by the next `restore` if this one did not get to its end.
    Unknown, `restore --undo` says that there is nothing to undo; history has every version.
    """

    kept_as = "last_restore"
    before: Mapping[RecordPath, Cid] = field(default_factory=dict)
    after: Mapping[RecordPath, Cid] = field(default_factory=dict)
    is_done: bool = True
