"""Which form the files of each collection have. Pure; the one module that names all forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.compiled import block_of
from syncd.atproto.data import cid_of
from syncd.forms.form import Form
from syncd.forms.json_form import JSON


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
        return tuple(dict.fromkeys(form.ending for form in self._all()))

    def _all(self) -> tuple[Form, ...]:
        return self.default, *(form for _, form in self.chosen)


USUAL: Final = Forms()
"""The forms of a folder whose settings choose none."""
DOCUMENTS: Final[Form] = JSON
"""The form in which other programs keep lexicons, whatever that of the records is."""


def cid_of_text(form: Form, text: bytes, collection: str) -> Cid:
    """Return the CID of the record of `collection` that a file of `form` means.

    Raises BadJson as `Form.parse` does, and BadData as `cid_of`.
    """
    block = block_of(text, collection) if form is JSON else None
    return cid_of(form.parse(text, collection)) if block is None else cid_of_block(block)
