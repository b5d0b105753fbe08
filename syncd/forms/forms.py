"""Which form the files of each collection have. Pure; the one module that names all forms."""

from __future__ import annotations

import json
from functools import cache
from typing import Final

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.compiled import block_of, meaning_of
from syncd.atproto.data import Record, cid_of
from syncd.forms.form import Form
from syncd.forms.json_form import JSON
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of the files in one folder.

    Attributes:
        default: The form of every collection that `chosen` does not name.
        chosen: Collections, each with its form.
    """

    default: Form = JSON
    chosen: tuple[tuple[str, Form], ...] = ()

    def of(self, collection: str) -> Form:
        """Return the form of the files of a collection."""
        for name, form in self.chosen:
            if name == collection:
                return form
        return self.default

    def of_file(self, name: str) -> Form:
        """Return the form that the name of a file has; the usual one if it has none."""
        every = (form for form in self._all() if name.endswith(form.ending))
        return next(every, self.default)

    @property
    def endings(self) -> tuple[str, ...]:
        """Return the endings of all forms, the usual one first."""
        every = (ending for form in self._all() for ending in form.endings)
        return tuple(dict.fromkeys(every))

    def _all(self) -> tuple[Form, ...]:
        return self.default, *(form for _, form in self.chosen)


@cache
def with_markdown(chosen: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]) -> Forms:
    """Return the forms of a folder in which these collections have Markdown files.

    Each collection comes with the keys to each place where the body of its records may be.
    """
    # Few mirrors have such files, and each command would import what reads and writes them.
    from syncd.forms.markdown_form import MarkdownForm  # noqa: PLC0415

    return Forms(chosen=tuple((name, MarkdownForm(name, keys)) for name, keys in chosen))


ENDINGS: Final = (JSON.ending, ".md")
"""Every ending that the file of a record can have by one or another setting."""
USUAL: Final = Forms()
"""The forms of a folder whose settings choose none."""
DOCUMENTS: Final[Form] = JSON
"""The form in which other programs keep lexicons, whatever that of the records is."""


def every_form() -> Forms:
    """Return all forms by their endings, for files whose settings are not at hand."""
    return with_markdown((("any.any.any", (("any",),)),))


def cid_of_text(form: Form, text: bytes, collection: str) -> Cid:
    """Return the CID of the record of `collection` that a file of `form` means.

    Raises BadJson as `Form.parse` does, and BadData as `cid_of`.
    """
    block = block_at_once(form, text, collection)
    return cid_of(form.parse(text, collection)) if block is None else cid_of_block(block)


def block_at_once(form: Form, text: bytes, collection: str) -> bytes | None:
    """Return the block of the record in a text in syncd's own style; None: `Form.parse` says it."""
    return block_of(text, collection) if form is JSON else None


def meaning_at_once(form: Form, text: bytes, collection: str) -> tuple[bytes, Record] | None:
    """Return what `block_at_once` does, and the record in that block."""
    return meaning_of(text, collection) if form is JSON else None


def read_plain(form: Form, text: bytes) -> Record | None:
    """Read the record in a text that is known to mean one, where that takes no care; else None.

    Whole numbers may come as floats. Nothing else is other than `Form.parse` has it.
    """
    if form is not JSON or any(odd in text for odd in _ODD):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


_ODD: Final = (b"$link", b"$bytes", b"\\u")
"""What may stand for a link or for bytes, also by an escape."""
