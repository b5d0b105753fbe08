"""Show a merge in a page: the lines of both sides, between marks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from syncd.atproto.data import to_json
from syncd.forms.form import Collided, Marks
from syncd.forms.frontmatter.emit import entry_lines
from syncd.forms.page import Page


def mark_lines(page: Page, body: str, collisions: Mapping[str, Collided], marks: Marks) -> bytes:
    """Write a page with both sides wherever a text of it stands for a collision.

    With a mark in it, the page means no record. Raises BadData if YAML cannot show a value.
    """
    front = [line for each in page.front.splitlines() for line in _entry(each, collisions, marks)]
    rest = page.rest
    if body in collisions:
        folder, repo = (str(values[0]) if values else "" for values in collisions[body])
        rest = f"\n{marks.folder}\n{folder}\n{marks.middle}\n{repo}\n{marks.repo}\n"
    return replace(page, front="".join(f"{line}\n" for line in front), rest=rest).encode()


def _entry(line: str, collisions: Mapping[str, Collided], marks: Marks) -> Iterator[str]:
    label, _, value = line.partition(": ")
    sides = collisions.get(value.strip('"'))
    if sides is None:
        yield line
        return
    dashes = label[: len(label) - len(label.lstrip(" -"))]
    key = label.removeprefix(dashes)
    folder, repo = (
        [text for value in values for text in entry_lines("k", to_json(value), len(dashes))]
        for values in sides
    )
    yield marks.folder
    yield from _named(folder, dashes, key)
    yield marks.middle
    yield from _named(repo, dashes, key)
    yield marks.repo


def _named(lines: list[str], dashes: str, key: str) -> list[str]:
    return [dashes + key + lines[0].lstrip(" ")[1:], *lines[1:]] if lines else []
