"""A form that syncd does not have: records as letters, whose first line is a salutation.

To every function of JSON texts a letter is no record. So whoever reads or writes one correctly
knows nothing of JSON. `LETTERS` are the settings of a mirror in which all files are letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Final

from syncd.atproto.blob import Refer
from syncd.atproto.data import Record
from syncd.config import Config
from syncd.errors import BadJson
from syncd.forms import Collided, Form, Forms, Marks, Pointer, Sayer
from syncd.forms.json_form import JSON
from syncd.values import dataclass

GREETING = b"Dear syncd,"


@dataclass(frozen=True, slots=True)
class Letter:
    """A line that begins with GREETING, which is a person's to choose, and a record as JSON."""

    ending: ClassVar[str] = ".letter"
    endings: ClassVar[tuple[str, ...]] = (".letter",)

    bodies: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def ending_of(self, text: bytes) -> str:
        return self.ending

    def _body(self, text: bytes) -> bytes:
        greeting, _, body = text.partition(b"\n")
        if not greeting.startswith(GREETING):
            raise BadJson("a letter begins with a greeting", line=1, column=1)
        return body

    def parse(self, text: bytes, collection: str, refer: Refer | None = None) -> Record:
        body = self._body(text)
        try:
            return JSON.parse(body, collection)
        except BadJson as error:
            line = 2 if error.line is None else error.line + 1
            raise BadJson(error.message, line=line, column=error.column, hint=error.hint) from None

    def parse_as(self, text: bytes, collection: str) -> Record:
        return JSON.parse_as(self._body(text), collection)

    def format(self, record: Record) -> bytes:
        return GREETING + b"\n" + JSON.format(record)

    def begun(self, record: Record) -> bytes:
        return self.format(record)

    def file_of(self, block: bytes) -> bytes:
        return GREETING + b"\n" + JSON.file_of(block)

    def restyled(self, old: bytes, block: bytes, collection: str) -> bytes:
        try:
            body = self._body(old)
        except BadJson:
            return self.file_of(block)
        return old.partition(b"\n")[0] + b"\n" + JSON.restyled(body, block, collection)

    def remarks(self, text: bytes) -> tuple[str, ...]:
        return ()

    def is_exact(self, block: bytes, collection: str) -> bool:
        return JSON.is_exact(block, collection)

    def means(self, text: bytes, block: bytes, collection: str) -> bool:
        try:
            return JSON.means(self._body(text), block, collection)
        except BadJson:
            return False

    def unsayable(self, block: bytes, collection: str) -> str | None:
        return JSON.unsayable(block, collection)

    def what_text_leaves(self, text: bytes, block: bytes, collection: str) -> str | None:
        try:
            return JSON.what_text_leaves(self._body(text), block, collection)
        except BadJson:
            return None

    def ordered(self, text: bytes, sayer: Sayer | None = None) -> bytes:
        try:
            return GREETING + b"\n" + JSON.ordered(self._body(text), sayer)
        except BadJson:
            return text

    def find_places(
        self, text: bytes, pointers: Iterable[Pointer]
    ) -> dict[Pointer, tuple[int, int]]:
        found = JSON.find_places(self._body(text), pointers)
        return {pointer: (line + 1, column) for pointer, (line, column) in found.items()}

    def marked(self, record: Record, collisions: Mapping[str, Collided], marks: Marks) -> bytes:
        return GREETING + b"\n" + JSON.marked(record, collisions, marks)


LETTER: Final[Form] = Letter()


@dataclass(frozen=True)
class Settings(Config):
    """Settings as they would be if one of them chose a form."""

    written_as: Forms = Forms(LETTER)

    @property
    def forms(self) -> Forms:
        return self.written_as


def with_letters(config: Config, forms: Forms = Forms(LETTER)) -> Settings:  # noqa: B008 (frozen)
    """Return `config` with letters instead of JSON."""
    made = Settings(config.did, written_as=forms)
    return replace(made, brake_records=config.brake_records)
