"""Write a merge as text for an editor, with marks around each collision. Pure.

With a mark the text is no record. So a file with a mark left in it never becomes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from syncd.atproto.data import Record, Value
from syncd.forms import USUAL, Form, Marks
from syncd.merge.fields import ABSENT, Collision, Field, Merged

_PLACEHOLDER = "\ue000"


def marked(merged: Merged, form: Form = USUAL.default, marks: Marks = Marks()) -> bytes:  # noqa: B008 (frozen)
    """Write the merged record; at each collision, put the lines of both sides between marks.

    Raises BadData if the form cannot show it.
    """
    found: list[Collision] = []
    # Longer than any run in the record, a placeholder cannot be mistaken for its content.
    mark = _PLACEHOLDER * (_longest_run(repr(merged.tree)) + 1)
    record = cast("Record", _with_placeholders(merged.tree, found, mark))
    sides = {f"{mark}{at}": (_shown(c.local), _shown(c.remote)) for at, c in enumerate(found)}
    return form.marked(record, sides, marks)


def _shown(side: Field) -> tuple[Value, ...]:
    return () if side is ABSENT else (cast("Value", side),)


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
