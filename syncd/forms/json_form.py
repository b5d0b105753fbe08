"""Records as JSON files. Pure; the only module that knows the functions of JSON texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from syncd.atproto import inexact, jsonplaces, jsontext
from syncd.atproto.blob import Refer
from syncd.atproto.data import Record, Value
from syncd.forms.form import Collided, Marks, Pointer, Sayer
from syncd.values import dataclass

_ANY_COLLECTION = "any.any.any"
"""A collection for texts without `$type`."""


@dataclass(frozen=True, slots=True)
class JsonForm:
    """A record as one JSON object; see `Form` for what each function is for."""

    ending: ClassVar[str] = ".json"
    endings: ClassVar[tuple[str, ...]] = (ending,)

    bodies: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def ending_of(self, text: bytes) -> str:  # noqa: ARG002 (all texts have one)
        return self.ending

    def parse(self, text: bytes, collection: str, refer: Refer | None = None) -> Record:
        return jsontext.parse_record(text, collection, refer)

    def parse_as(self, text: bytes, collection: str) -> Record:
        return jsontext.parse_as(text, collection)

    def format(self, record: Record) -> bytes:
        return jsontext.format_record(record)

    def begun(self, record: Record) -> bytes:
        return self.format(record)

    def file_of(self, block: bytes) -> bytes:
        return inexact.file_of(block)

    def restyled(self, old: bytes, block: bytes, collection: str) -> bytes:
        # Only a pull over an existing file needs it.
        from syncd.atproto import restyle  # noqa: PLC0415

        return restyle.restyled(old, block, collection)

    def remarks(self, text: bytes) -> tuple[str, ...]:  # noqa: ARG002 (it has no comments)
        return ()

    def is_exact(self, block: bytes, collection: str) -> bool:
        return inexact.is_exact_in_file(block, collection)

    def means(self, text: bytes, block: bytes, collection: str) -> bool:
        return inexact.means(text, block, collection)

    def unsayable(self, block: bytes, collection: str) -> str | None:
        return inexact.what_json_cannot_say(block, collection)

    def what_text_leaves(self, text: bytes, block: bytes, collection: str) -> str | None:
        return inexact.what_text_leaves(text, block, collection)

    def ordered(self, text: bytes, sayer: Sayer | None = None) -> bytes:
        try:
            found = json.loads(text)
            kind = found.get("$type") if isinstance(found, dict) else None
            collection = kind if isinstance(kind, str) else _ANY_COLLECTION
            record = self.parse(text, collection, None if sayer is None else sayer.refer)
        except (ValueError, RecursionError):
            return text
        shown = record if sayer is None else sayer.said(record)
        return self.format({k: v for k, v in shown.items() if k != "$type" or kind is not None})

    def find_places(
        self, text: bytes, pointers: Iterable[Pointer]
    ) -> dict[Pointer, tuple[int, int]]:
        return jsonplaces.find_places(text, pointers)

    def marked(self, record: Record, collisions: Mapping[str, Collided], marks: Marks) -> bytes:
        lines = [_expanded(line, collisions, marks) for line in _lines(record)]
        return "".join(f"{line}\n" for line in lines).encode()


JSON: Final = JsonForm()


def _lines(record: Record) -> list[str]:
    # Only LF ends a line of JSON; other line separators can be in its strings.
    return jsontext.format_in_lines(record).decode("utf-8").removesuffix("\n").split("\n")


def _expanded(line: str, collisions: Mapping[str, Collided], marks: Marks) -> str:
    """Return `line`, or both sides of the collision that it stands for."""
    head, _, value = line.removesuffix(",").rpartition(': "')
    sides = collisions.get(value.removesuffix('"'))
    if sides is None:
        return line
    comma = "," * line.endswith(",")
    folder, repo = (_shown(head, values, comma) for values in sides)
    return "\n".join([marks.folder, *folder, marks.middle, *repo, marks.repo])


def _shown(head: str, values: Sequence[Value], comma: str) -> list[str]:
    """Return the lines of one side; `head` is the indented key as JSON text."""
    indent = " " * (len(head) - len(head.lstrip(" ")) - 2)
    lines = [line for value in values for line in _lines({"k": value})[1:-1]]
    if lines:
        lines[0] = lines[0].replace('"k"', head.lstrip(" "), 1)
        lines[-1] += comma
    return [indent + line for line in lines]
