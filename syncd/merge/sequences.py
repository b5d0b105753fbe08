"""Merge two edits of one list or one text, or find that they collide. Pure and symmetric.

Never chooses a side: both edits get in, or the caller gets None.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from syncd.atproto.dagcbor import Value, encode


def merge_lists(
    base: Sequence[Value], local: Sequence[Value], remote: Sequence[Value]
) -> list[Value] | None:
    """Merge two edits of a list; None unless each only removed elements and appended new ones.

    Elements must be distinct within each list. The appended tails follow in the order of their
    encoding, whichever side they are from, so every device gets the same list.
    """
    values = {encode(value): value for value in (*base, *local, *remote)}
    was, mine, theirs = ([encode(value) for value in side] for side in (base, local, remote))
    tails = [_appended(was, side) for side in (mine, theirs)]
    # With equal elements, nobody can know which of them a side removed.
    if len(set(was)) < len(was) or tails[0] is None or tails[1] is None:
        return None
    kept = [key for key in was if key in mine and key in theirs]
    first, second = sorted((tails[0], tails[1]))
    return [values[key] for key in (*kept, *first, *(k for k in second if k not in first))]


def _appended(was: Sequence[bytes], now: Sequence[bytes]) -> list[bytes] | None:
    """Return the tail of `now` after elements of `was`, in order; None for any other edit."""
    kept = [key for key in was if key in now]
    # A new element before an old one is an insertion or a reordering: its place has a meaning.
    is_distinct = len(set(now)) == len(now)
    return list(now[len(kept) :]) if is_distinct and list(now[: len(kept)]) == kept else None


def merge_text(base: str, local: str, remote: str) -> str | None:
    """Merge two edits of a text line by line; None if they overlap or touch."""
    was = base.splitlines(keepends=True)
    edits = sorted({*_edits(was, local), *_edits(was, remote)})
    merged: list[str] = []
    at = -1
    for start, end, lines in edits:
        # The two edits meet, even if they share no line: their order in the result is unknown.
        if start <= at:
            return None
        merged += [*was[max(at, 0) : start], *lines]
        at = end
    return "".join([*merged, *was[max(at, 0) :]])


def _edits(was: Sequence[str], text: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return (start, end, lines) of each edit: `lines` replace `was[start:end]`."""
    now = text.splitlines(keepends=True)
    matcher = SequenceMatcher(None, was, now, autojunk=False)
    return [
        (start, end, tuple(now[first:last]))
        for tag, start, end, first, last in matcher.get_opcodes()
        if tag != "equal"
    ]
