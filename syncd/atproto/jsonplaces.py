"""Find where in the text of a record a value stands, given its JSON pointer. Pure; refuses nothing.

For texts that `jsontext.parse_record` accepts: positions count as in its refusals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from syncd.atproto.jsontext import TOKEN

Pointer: TypeAlias = "tuple[str | int, ...]"
Place: TypeAlias = tuple[int, int]
"""Line and column, in characters, from 1."""


def find_places(text: bytes, pointers: Iterable[Pointer]) -> dict[Pointer, Place]:
    """Return the place of each value. Of one that is not in the text, that of what is around it."""
    source = text.removeprefix(b"\xef\xbb\xbf").decode()
    wanted = {pointer: _and_those_around(pointer) for pointer in pointers}
    starts = _starts(source, {each for some in wanted.values() for each in some})
    return {
        pointer: _place(source, next(starts[each] for each in some if each in starts))
        for pointer, some in wanted.items()
    }


def _and_those_around(pointer: Pointer) -> list[Pointer]:
    return [pointer[:length] for length in range(len(pointer), -1, -1)]


def _place(source: str, at: int) -> Place:
    return source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)


def _starts(source: str, wanted: set[Pointer]) -> dict[Pointer, int]:
    return {pointer: at for pointer, at in _values(source) if pointer in wanted}


def _values(source: str) -> Iterator[tuple[Pointer, int]]:
    """Yield the pointer and the start of each value, in the order of the text."""
    # One entry for each open bracket: the key or index of the value that comes next.
    trail: list[str | int] = []
    is_key: list[bool] = []
    for token in TOKEN.finditer(source):
        text = token[0]
        if text in ("}", "]"):
            trail.pop()
            is_key.pop()
        elif trail and is_key[-1]:
            trail[-1] = json.loads(text)
            is_key[-1] = False
            continue
        else:
            yield tuple(trail), token.start()
        if text in ("{", "["):
            trail.append("" if text == "{" else 0)
            is_key.append(text == "{")
        elif trail:
            # A value has ended: the next is the next item, or the next key.
            last = trail[-1]
            trail[-1] = last + 1 if isinstance(last, int) else last
            is_key[-1] = isinstance(last, str)
