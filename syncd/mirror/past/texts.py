"""What a text in history means that was kept as it was, and not as its record.

History keeps such a text beside its record for the comments in it, or where another text of the
same record took its place, and alone where it meant no record. Reads; changes nothing and asks no
PDS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from syncd.atproto.cid import Cid
from syncd.cycle.pull.archive import version_of
from syncd.cycle.pull.supersede import BESIDE
from syncd.cycle.workspace import Workspace
from syncd.forms import every_form
from syncd.model import RecordPath, Seen, split_record_path
from syncd.state import Superseded


def fitting(workspace: Workspace, event: Superseded) -> Superseded:
    """Return `event` as its file can have it: of a text in another form than now, its record.

    A text that was kept without a record is returned as it is.
    """
    content = _text(workspace, event)
    if content is None or _is_of_form(workspace, event.path, content):
        return event
    records = (record for text, record in _beside(workspace, event.path) if text.cid == event.cid)
    record = next(records, None)
    return event if record is None else replace(event, cid=record.cid, content=b"")


def with_comments(workspace: Workspace, event: Superseded) -> Superseded:
    """Return the newest text of the same record that is kept, or `event` if none is."""
    if not workspace.folder.forms.of(split_record_path(event.path)[0]).bodies:
        return event
    texts = (text for text, record in _beside(workspace, event.path) if record.cid == event.cid)
    return next((replace(event, cid=text.cid, content=b"") for text in texts), event)


def cid_in_file(workspace: Workspace, event: Superseded) -> Cid:
    """Return the version that a file stands for which has the text or the record of `event`."""
    content = _text(workspace, event)
    if content is None:
        return event.cid
    return version_of(content, event.path, workspace.folder.forms)[0]


def is_in_file(event: Superseded, seen: Seen) -> bool:
    """Return whether the file has the record of `event`, or its very text."""
    if event.cid.is_block:
        return seen.cid == event.cid
    return bytes(event.cid).endswith(seen.digest)


def _text(workspace: Workspace, event: Superseded) -> bytes | None:
    if event.cid.is_block:
        return None
    return event.content or workspace.history.content(event.cid)


def _is_of_form(workspace: Workspace, path: RecordPath, text: bytes) -> bool:
    # Whatever its settings were, the beginning of a text says which ending it had.
    ending = every_form().of("any.any.any").ending_of(text)
    return ending in workspace.folder.forms.of(split_record_path(path)[0]).endings


def _beside(workspace: Workspace, path: RecordPath) -> Iterator[tuple[Superseded, Superseded]]:
    """Yield each text that was kept beside its record with that, newest first."""
    for text, record in pairwise(workspace.history.events(path)):
        # It is kept right after its record.
        if text.reason in BESIDE and record.at == text.at and record.cid.is_block:
            yield text, record
