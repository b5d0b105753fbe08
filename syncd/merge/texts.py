"""Merge three texts of one record's file, for git's merge driver. Pure.

If the merge equals one side, the result is the text of that side, byte for byte. Never chooses
between colliding edits: the lines of both stand between git's own marks, and with a mark the text
is not a record.
"""

from __future__ import annotations

from syncd.atproto.data import Record, cid_of, encode
from syncd.errors import BadData, BadJson
from syncd.forms import USUAL, Form, Marks
from syncd.merge.fields import merge
from syncd.merge.marked import marked

MARK_LENGTH = 7
"""The length of git's marks, unless git asks for another."""


def merge_texts(
    base: bytes,
    ours: bytes,
    theirs: bytes,
    collection: str,
    *,
    form: Form = USUAL.default,
    text: bool = False,
    mark_length: int = MARK_LENGTH,
) -> tuple[bytes, tuple[str, ...]]:
    """Merge two texts of a form; return the merged text and the JSON pointers of its collisions.

    `base` is empty without a common ancestor. With `text`, strings are merged by line. Raises
    BadJson if a text is not a record of the collection, BadData if the form cannot say the merge.
    """
    start = form.parse(base, collection) if base.strip() else None
    local, remote = form.parse(ours, collection), form.parse(theirs, collection)
    merged = merge(start, local, remote, text=text, bodies=form.bodies)
    if merged.record is None:
        return marked(merged, form, _git_marks(mark_length)), merged.collisions
    cid = cid_of(merged.record)
    kept = (text for side, text in ((local, ours), (remote, theirs)) if cid_of(side) == cid)
    return next(kept, None) or _formatted(merged.record, collection, form, ours), ()


def _formatted(record: Record, collection: str, form: Form, ours: bytes) -> bytes:
    text = form.format(record)
    if form.bodies:
        text = form.restyled(ours, encode(record), collection)
    try:
        is_exact = cid_of(form.parse(text, collection)) == cid_of(record)
    except BadJson as error:
        raise BadData(error.message) from error
    if not is_exact:
        raise BadData("the merge cannot be written as JSON")
    return text


def _git_marks(length: int) -> Marks:
    return Marks(f"{'<' * length} ours", "=" * length, f"{'>' * length} theirs")
