"""What a small fact of a mirror is, and how it stands in the state file. The facts: notes.py.

A fact is kept as JSON, and another version of syncd may have written it. So each class says in
`unreadable` what a fact means that this version cannot read. Opens no file.
"""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any, ClassVar, Final, Self, TypeVar

from syncd.errors import BadShape
from syncd.model import CODEC
from syncd.typedjson import parse_json, plain, text_of

LATEST: Final = 253_402_300_799
"""The last second of the year 9999: a later moment has no date, and no clock has shown it."""


class Form(Enum):
    """The form of a fact in the file: an object, a list of its fields, or its only field."""

    OBJECT = "object"
    LIST = "list"
    ALONE = "alone"


class Note:
    """A small fact, as its subclasses define it.

    Attributes:
        kept_as: Its name in the state file.
        form: Its form there.
    """

    __slots__ = ()
    kept_as: ClassVar[str]
    form: ClassVar[Form] = Form.OBJECT

    @classmethod
    def unreadable(cls) -> Self | None:
        """Return the meaning of a fact that cannot be read; None: it is unknown."""
        return None


N = TypeVar("N", bound=Note)


def read_note(kind: type[N], text: str | None) -> N | None:
    """Return the fact in a text of the file; None if there is none, or it is unknown.

    Where the text is not of a form that this version knows, that is what `unreadable` says.
    """
    try:
        value = None if text is None else parse_json(text)
        # Older versions wrote null for a fact that no longer holds.
        return None if value is None else CODEC.read(kind, _as_object(kind, value))
    except BadShape:
        return kind.unreadable()


def note_text(note: Note) -> str:
    """Return the text of a fact for the file."""
    found: dict[str, object] = plain(note)
    values = list(found.values())
    if note.form is Form.ALONE:
        return text_of(values[0])
    return text_of(values if note.form is Form.LIST else found)


def _as_object(kind: type[Any], value: object) -> object:
    """Return `value` as an object. A list may be longer, and an object may hold more."""
    names = [each.name for each in fields(kind)]
    if kind.form is Form.ALONE:
        return {names[0]: value}
    if kind.form is Form.LIST and isinstance(value, list):
        return dict(zip(names, value, strict=False))
    return value
