"""Where in the text of a record file a value stands: keys and indexes to line and column. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from syncd.atproto.jsontext import TOKEN

_Tokens: TypeAlias = Iterator[re.Match[str]]


def find_place(text: bytes, steps: Sequence[str | int]) -> tuple[int, int] | None:
    """Return line and column, from 1, of the value that `steps` lead to in a JSON object.

    Where the text lacks the rest of the steps, it is the innermost value that it has. None if the
    text is no JSON object.
    """
    try:
        source = text.decode("utf-8-sig")
        tokens = TOKEN.finditer(source)
        top = next(tokens)
        at = _find(top, tokens, steps) if top[0] == "{" else None
    except (UnicodeDecodeError, StopIteration, ValueError):
        return None
    if at is None:
        return None
    return source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)


def _find(top: re.Match[str], tokens: _Tokens, steps: Sequence[str | int]) -> int:
    """Return where the value begins that `steps` lead to from the value at `top`."""
    if not steps or top[0] not in ("{", "["):
        return top.start()
    for step, value in _entries(top[0], tokens):
        if step == steps[0]:
            return _find(value, tokens, steps[1:])
        _skip(value[0], tokens)
    return top.start()


def _entries(opening: str, tokens: _Tokens) -> Iterator[tuple[str | int, re.Match[str]]]:
    """Yield (key or index, first token of the value); the caller reads the rest of each value."""
    index = 0
    while (token := next(tokens))[0] not in ("}", "]"):
        if opening == "{":
            yield json.loads(token[0]), next(tokens)
        else:
            yield index, token
            index += 1


def _skip(first: str, tokens: _Tokens) -> None:
    """Read to the end of the value that begins with `first`."""
    depth = int(first in ("{", "["))
    while depth:
        token = next(tokens)[0]
        depth += (token in ("{", "[")) - (token in ("}", "]"))
