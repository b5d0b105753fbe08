"""Write a merge as text for an editor, with the marks of git around each collision. Pure.

With a mark the text is not JSON. So a file with a mark left in it never becomes a record.
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
    """Format the merged record; at each collision, put the lines of both sides between marks."""
    found: list[Collision] = []
    # Longer than any run in the record, a placeholder cannot be mistaken for its content.
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
    """Replace each collision by a string with its index in `found`; append it there."""
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
    """Format `key: value` at an indentation; `key` is JSON text."""
    text = format_record(cast("Record", {"k": value})).decode("utf-8")
    first, *rest = text.splitlines()[1:-1]
    lines = [first.replace('"k"', key, 1), *rest]
    return [" " * (indent - 2) + line for line in lines[:-1]] + [
        " " * (indent - 2) + lines[-1] + comma
    ]
