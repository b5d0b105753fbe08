"""Merge three texts of one record's file, for git's merge driver. Pure.

If the merge equals one side, the result is the text of that side, byte for byte. Never chooses
between colliding edits: the lines of both stand between git's own marks, and with a mark the text
is not a record.
"""

from __future__ import annotations

import json

from syncd.atproto.data import Record, cid_of
from syncd.atproto.jsontext import format_record, parse_record
from syncd.errors import BadData, BadJson
from syncd.merge.fields import merge
from syncd.merge.marked import LOCAL_MARK, MIDDLE_MARK, REMOTE_MARK, marked

MARK_LENGTH = 7
"""The length of git's marks, unless git asks for another."""


def merge_texts(
    base: bytes,
    ours: bytes,
    theirs: bytes,
    collection: str,
    *,
    text: bool = False,
    mark_length: int = MARK_LENGTH,
) -> tuple[bytes, tuple[str, ...]]:
    """Merge two texts; return the merged text and the JSON pointers of its collisions.

    `base` is empty without a common ancestor. With `text`, strings are merged by line. Raises
    BadJson if a text is no record of the collection, BadData if JSON cannot express the merge.
    """
    start = parse_record(base, collection) if base.strip() else None
    local, remote = parse_record(ours, collection), parse_record(theirs, collection)
    merged = merge(start, local, remote, text=text)
    if merged.record is None:
        return _as_git_marks(marked(merged), mark_length), merged.collisions
    return _text_of(merged.record, ((local, ours), (remote, theirs)), collection), ()


def _text_of(record: Record, sides: tuple[tuple[Record, bytes], ...], collection: str) -> bytes:
    cid = cid_of(record)
    kept = (text for side, text in sides if cid_of(side) == cid)
    return next(kept, None) or _formatted(record, collection)


def _formatted(record: Record, collection: str) -> bytes:
    text = format_record(record)
    try:
        is_exact = cid_of(parse_record(text, collection)) == cid_of(record)
    except BadJson as error:
        raise BadData(error.message) from error
    if not is_exact:
        raise BadData("the merge cannot be written as JSON")
    return text


def _as_git_marks(text: bytes, length: int) -> bytes:
    """Replace syncd's marks by those of git, `length` characters long."""
    # Every line of a formatted record has a quote, a bracket or an indent, so none equals a mark.
    marks = {
        LOCAL_MARK: f"{'<' * length} ours",
        MIDDLE_MARK: "=" * length,
        REMOTE_MARK: f"{'>' * length} theirs",
    }
    lines = text.decode("utf-8").split("\n")
    return "\n".join(marks.get(line, line) for line in lines).encode("utf-8")


def ordered_text(text: bytes) -> bytes:
    """Format a record's text in syncd's own style, for a diff; return other texts unchanged."""
    try:
        found = json.loads(text)
        kind = found.get("$type") if isinstance(found, dict) else None
        record = parse_record(text, kind if isinstance(kind, str) else _ANY)
    except (ValueError, RecursionError):
        return text
    return format_record({k: v for k, v in record.items() if k != "$type" or kind is not None})


_ANY = "any.any.any"
"""A collection for texts without `$type`."""
