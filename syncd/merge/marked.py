"""A merge as text for an editor, with both sides of each collision marked as git marks them. Pure.

The marks make the text no JSON, so an edit that leaves one of them changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from syncd.atproto.data import Record
from syncd.atproto.jsontext import format_record
from syncd.merge.fields import ABSENT, Collision, Field, Merged

LOCAL_MARK, MIDDLE_MARK, REMOTE_MARK = "<<<<<<< folder", "=======", ">>>>>>> repo"
_PLACEHOLDER = "\ue000"


def marked(merged: Merged) -> bytes:
    """The record in syncd's form; where sides collide, the lines of both between marks."""
    found: list[Collision] = []
    mark = _PLACEHOLDER * (_longest_run(repr(merged.tree)) + 1)
    text = format_record(cast("Record", _with_placeholders(merged.tree, found, mark)))
    lines = text.decode("utf-8").splitlines()
    return "\n".join(_expanded(line, found, mark) for line in lines).encode("utf-8") + b"\n"


def _longest_run(text: str) -> int:
    run = 0
    while _PLACEHOLDER * (run + 1) in text or "\\ue000" * (run + 1) in text:
        run += 1
    return run


def _with_placeholders(tree: object, found: list[Collision], mark: str) -> object:
    """The tree with each collision replaced by a string that names its place in `found`."""
    if isinstance(tree, Collision):
        found.append(tree)
        return f"{mark}{len(found) - 1}"
    if isinstance(tree, Mapping):
        return {key: _with_placeholders(value, found, mark) for key, value in tree.items()}
    return tree


def _expanded(line: str, found: list[Collision], mark: str) -> str:
    head, is_marked, number = line.partition(f': "{mark}')
    if not is_marked:
        return line
    collision = found[int(number.rstrip('",'))]
    indent = len(head) - len(head.lstrip(" "))
    comma = "," if line.endswith(",") else ""

    def shown(value: Field) -> list[str]:
        return [] if value is ABSENT else _lines(head.strip(), value, indent, comma)

    sides = shown(collision.local), shown(collision.remote)
    return "\n".join([LOCAL_MARK, *sides[0], MIDDLE_MARK, *sides[1], REMOTE_MARK])


def _lines(key: str, value: Field, indent: int, comma: str) -> list[str]:
    """`key: value` as it stands in a record at this indentation; `key` is JSON text."""
    text = format_record(cast("Record", {"k": value})).decode("utf-8")
    first, *rest = text.splitlines()[1:-1]
    lines = [first.replace('"k"', key, 1), *rest]
    return [" " * (indent - 2) + line for line in lines[:-1]] + [
        " " * (indent - 2) + lines[-1] + comma
    ]
