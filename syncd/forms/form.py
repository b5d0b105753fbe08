"""What syncd asks of the form of a file: text <-> record. Pure; names no form.

Whatever the form, these hold:

- A text means one record of a collection or none, and `parse` names the place of what is wrong.
- What `file_of` writes can be read again. If `is_exact`, it means exactly the record in the block.
- `restyled` writes the same record as `file_of`, and keeps what a person chose about the old text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from syncd.atproto.blob import BlobRef, Refer
from syncd.atproto.data import Record, Value
from syncd.values import dataclass

DRAFT = ".draft"
"""What the name of a draft has before the ending of its form."""

Collided: TypeAlias = "tuple[Sequence[Value], Sequence[Value]]"
"""What each side of a merge, the folder first, has in one place: one value, or none."""

Pointer: TypeAlias = "tuple[str | int, ...]"
"""The keys and indexes that lead to a value of a record."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The lines around and between the two sides of a collision."""

    folder: str = "<<<<<<< folder"
    middle: str = "======="
    repo: str = ">>>>>>> repo"


class Sayer(Protocol):
    """Describes the references of a record, for a text that only people read."""

    def refer(self, name: str) -> BlobRef:
        """Return the text for the reference of a file that is still to be uploaded."""

    def said(self, record: Record) -> Record:
        """Return a record with words instead of each reference."""


class Form(Protocol):
    """How the file of one record is written."""

    @property
    def ending(self) -> str:
        """Return the ending of its file names, with the dot."""

    @property
    def endings(self) -> tuple[str, ...]:
        """Return every ending that its files may have, the usual one first."""

    @property
    def bodies(self) -> tuple[tuple[str, ...], ...]:
        """Return the keys to each long text that a person edits by lines."""

    def ending_of(self, text: bytes) -> str:
        """Return the ending for a file with this text."""

    def parse(self, text: bytes, collection: str, refer: Refer | None = None) -> Record:
        """Read the record of `collection` in `text`.

        With `refer`, a map that names a file to upload is the reference that it returns. Without,
        a text with such a map means no record.

        Raises BadJson, with line and column where the fault has a place, if it means none.
        """

    def parse_as(self, text: bytes, collection: str) -> Record:
        """Read a record as if it were of `collection`. Raises BadJson or BadData, with no place."""

    def format(self, record: Record) -> bytes:
        """Write a record in syncd's own style. Raises BadData if the form cannot show a value."""

    def begun(self, record: Record) -> bytes:
        """Write a record for a person to fill in. Raises as `format` does."""

    def file_of(self, block: bytes) -> bytes:
        """Write the record in a block, even one that the form can only show.

        Raises BadData if it cannot show it.
        """

    def restyled(self, old: bytes, block: bytes, collection: str) -> bytes:
        """Write the record in `block` in the style of the text `old`. Raises as `file_of` does."""

    def remarks(self, text: bytes) -> tuple[str, ...]:
        """Return the comments of a text, which are in no record."""

    def is_exact(self, block: bytes, collection: str) -> bool:
        """Return whether the file of the record in `block` means exactly that record."""

    def means(self, text: bytes, block: bytes, collection: str) -> bool:
        """Return whether `text` has the meaning of the file of the record in `block`."""

    def unsayable(self, block: bytes, collection: str) -> str | None:
        """Return the first value that no text can express, with its place, or None."""

    def what_text_leaves(self, text: bytes, block: bytes, collection: str) -> str | None:
        """Name a value in `block` that no text can express and that `text` shows unchanged.

        Return None if there is none: then an edit leaves nothing to be altered unseen.
        """

    def ordered(self, text: bytes, sayer: Sayer | None = None) -> bytes:
        """Write the record of any collection in syncd's own style; return other texts unchanged.

        With `sayer`, what names a file is in its words: no such text means a record any more.
        """

    def find_places(
        self, text: bytes, pointers: Iterable[Pointer]
    ) -> dict[Pointer, tuple[int, int]]:
        """Return line and column of each value in a text that means a record.

        Of a value that is not in the text, they are those of what is around it.
        """

    def marked(self, record: Record, collisions: Mapping[str, Collided], marks: Marks) -> bytes:
        """Write a record with the lines of both sides, between marks, at each collision.

        Where a key of `collisions` is the value of a key in `record`, it stands for that collision,
        and it is nowhere else. With a mark, the text means no record. Raises BadData as `format`.
        """
