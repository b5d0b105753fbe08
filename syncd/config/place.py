"""Find where a key stands in a TOML text, for the message about it. Never reads a value.

A key in a notation that is not known here is not found: its table is named, or the top of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAME = r"(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)"
_NAMES = rf"({_NAME}(?:\s*\.\s*{_NAME})*)"
_HEADER = re.compile(rf"\s*\[\s*{_NAMES}\s*\]")
_KEY = re.compile(rf"\s*{_NAMES}\s*=")
_INLINE = re.compile(rf"[{{,]\s*{_NAMES}\s*=")

Keys = tuple[str, ...]


def place_of(text: str, keys: Keys) -> tuple[int, int]:
    """Return line and column, from 1, of the key at `keys`, or of the nearest above."""
    best, found = 0, (1, 1)
    for path, line, column in _keys(text):
        if len(path) > best and keys[: len(path)] == path:
            best, found = len(path), (line, column)
    return found


def _keys(text: str) -> Iterator[tuple[Keys, int, int]]:
    """Yield each table and each key with its line and its column."""
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            yield table, number, line.index("[") + 1
        elif key := _KEY.match(line):
            path = (*table, *_parts(key[1]))
            yield path, number, key.start(1) + 1
            for entry in _INLINE.finditer(line, key.end()):
                yield (*path, *_parts(entry[1])), number, entry.start(1) + 1


def _parts(names: str) -> Keys:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, names))
