"""Fit a page of the documentation to a terminal. Leaves no word out, and breaks none.

Reads no file, and knows as much of Markdown as the pages of syncd use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from syncd.cli.cells import broken, cells

_FENCE: Final = "```"
_CODE: Final = " " * 4
_ITEM: Final = re.compile(r" *(?:[-*]|\d+\.) +")
_CELL: Final = re.compile(r"(?<!\\)\|")
_RULE: Final = re.compile(r"[-: ]*")
_DEEPER: Final = 4
"""The indent of the later lines of a cell."""


def fitted(text: str, room: int) -> list[str]:
    """Return the lines of a page for a terminal of `room` columns; 0 is no terminal.

    What fits stays as it is, and so does code, which people copy. A table that does not fit becomes
    a list of its rows.
    """
    lines = text.split("\n")
    if not room:
        return lines
    return [line for is_code, block in _blocks(lines) for line in _fitted(block, room, is_code)]


def _blocks(lines: Sequence[str]) -> Iterator[tuple[bool, list[str]]]:
    """Yield the lines that belong together, and whether they are code."""
    block: list[str] = []
    is_fenced = False
    for line in lines:
        is_fence = line.startswith(_FENCE)
        is_code = is_fenced or is_fence or (not block and line.startswith(_CODE))
        if block and (is_code or _begins(line, block[-1])):
            yield False, block
            block = []
        if is_code:
            yield True, [line]
        else:
            block.append(line)
        is_fenced ^= is_fence
    if block:
        yield False, block


def _begins(line: str, before: str) -> bool:
    """Return whether a line begins another block than the line before it."""
    is_apart = not line or not before or line.startswith(("#", "<")) or before.startswith("#")
    return is_apart or _ITEM.match(line) is not None or _is_row(line) != _is_row(before)


def _is_row(line: str) -> bool:
    return line.startswith("|")


def _fitted(block: Sequence[str], room: int, is_code: bool) -> Sequence[str]:
    if is_code or max(map(cells, block)) <= room:
        return block
    if _is_row(block[0]):
        return list(_listed(block, room))
    item = _ITEM.match(block[0])
    text = " ".join([block[0].rstrip(), *(line.strip() for line in block[1:])])
    return broken(text, room, len(item[0]) if item is not None else 0)


def _listed(rows: Sequence[str], room: int) -> Iterator[str]:
    """Yield each row of a table as lines: each cell with its heading."""
    head, *others = map(_split, rows)
    for row in others:
        if all(map(_RULE.fullmatch, row)):
            continue
        for at, (name, cell) in enumerate(zip(head, row, strict=False)):
            if cell:
                lead = "  " if at else ""
                yield from broken(lead + (f"{name}: {cell}" if name else cell), room, _DEEPER)


def _split(row: str) -> list[str]:
    return [cell.strip() for cell in _CELL.split(row.strip())[1:-1]]
