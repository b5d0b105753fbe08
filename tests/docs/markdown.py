"""Read the project's own documents: tables, console blocks, links, inline code. Renders nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def tables(text: str) -> Iterator[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Every table: its header and its rows."""
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        header, _, *rows = block.strip().splitlines()
        yield cells(header), [cells(row) for row in rows]


def cells(row: str) -> tuple[str, ...]:
    parts = re.split(r"(?<!\\)\|", row.strip().strip("|"))
    return tuple(part.strip().replace("\\|", "|") for part in parts)


def table(text: str, *header: str) -> list[tuple[str, ...]]:
    """The rows of the one table with this header."""
    (rows,) = [rows for found, rows in tables(text) if found == header]
    return rows


def console_lines(text: str) -> list[str]:
    """The commands of every console block, without the prompt and what follows a `  #`."""
    blocks = [body for language, body in _FENCE.findall(text) if language == "console"]
    lines = [line for block in blocks for line in block.splitlines()]
    return [re.sub(r"\s{2,}#.*", "", line[2:]).strip() for line in lines if line.startswith("$ ")]


def links(text: str) -> list[str]:
    return _LINK.findall(without_fences(text))


def inline_code(text: str) -> list[str]:
    return _CODE.findall(without_fences(text))


def without_fences(text: str) -> str:
    return _FENCE.sub("", text)


def section(text: str, title: str) -> str:
    """What stands under the heading `title`, up to the next heading of any level."""
    (found,) = re.findall(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL
    )
    return str(found)
