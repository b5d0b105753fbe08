"""Follow a page: save each file under the name above it, run each line.

A file is a block of JSON or Markdown below a line that is nothing but its name. Judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .markdown import console_lines

_HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
_BLOCK = re.compile(
    r"(?:^`(?P<name>[^`\n]+)`\n\n)?^```(?P<kind>json|markdown|console)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class File:
    """A file to save: its name from the top of the mirror, and what it holds."""

    name: str
    text: str

    def save(self, folder: Path) -> None:
        place = folder / self.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(self.text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Lines:
    """The commands of one block."""

    commands: tuple[str, ...]


def chapters(text: str) -> dict[str, tuple[File | Lines, ...]]:
    """Return the steps under each heading, in the order of the page."""
    _, *parts = _HEADING.split(text)
    return {title: tuple(_steps(body)) for title, body in zip(parts[::2], parts[1::2], strict=True)}


def _steps(body: str) -> Iterator[File | Lines]:
    for block in _BLOCK.finditer(body):
        if block["kind"] == "console":
            yield Lines(tuple(console_lines(block[0])))
        elif block["name"]:
            yield File(block["name"], block["text"])
