"""Merge two edits of one list or one text, or say that they collide. Pure and symmetric."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from syncd.atproto.dagcbor import Value, encode


def merge_lists(
    base: Sequence[Value], local: Sequence[Value], remote: Sequence[Value]
) -> list[Value] | None:
    """Both edits, if each only removed elements and appended new ones; None if not.

    What both appended stands in the order of the smaller of the two tails (by encoding) first, so
    that both sides arrive at the same list. Elements must be distinct within each list.
    """
    values = {encode(value): value for value in (*base, *local, *remote)}
    was, mine, theirs = ([encode(value) for value in side] for side in (base, local, remote))
    tails = [_appended(was, side) for side in (mine, theirs)]
    if len(set(was)) < len(was) or tails[0] is None or tails[1] is None:
        return None
    kept = [key for key in was if key in mine and key in theirs]
    first, second = sorted((tails[0], tails[1]))
    return [values[key] for key in (*kept, *first, *(k for k in second if k not in first))]


def _appended(was: Sequence[bytes], now: Sequence[bytes]) -> list[bytes] | None:
    """The new tail of `now`, if it is nothing but a part of `was` in order, and that tail."""
    kept = [key for key in was if key in now]
    is_distinct = len(set(now)) == len(now)
    return list(now[len(kept) :]) if is_distinct and list(now[: len(kept)]) == kept else None


def merge_text(base: str, local: str, remote: str) -> str | None:
    """Both edits of a text, line by line; None if they overlap or touch."""
    was = base.splitlines(keepends=True)
    edits = sorted({*_edits(was, local), *_edits(was, remote)})
    merged: list[str] = []
    at = -1
    for start, end, lines in edits:
        if start <= at:
            return None
        merged += [*was[max(at, 0) : start], *lines]
        at = end
    return "".join([*merged, *was[max(at, 0) :]])


def _edits(was: Sequence[str], text: str) -> list[tuple[int, int, tuple[str, ...]]]:
    """(start, end, lines): which lines of `was` became which."""
    now = text.splitlines(keepends=True)
    matcher = SequenceMatcher(None, was, now, autojunk=False)
    return [
        (start, end, tuple(now[first:last]))
        for tag, start, end, first, last in matcher.get_opcodes()
        if tag != "equal"
    ]
