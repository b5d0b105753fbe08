"""The blobs that a record names. Pure: values in, references out; never looks for the bytes.

A reference is a map of exactly four keys, wherever in a record it stands. Any other map is a map:
no PDS tracks what it names. Source: https://atproto.com/specs/data-model#blob-type
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from syncd.atproto.cid import Cid, Link
from syncd.atproto.data import MAX_INTEGER, Value
from syncd.values import dataclass
from syncd.values.patterns import pattern

_FIELDS: Final = {"$type", "ref", "mimeType", "size"}
FILE: Final = "$file"
"""The key of a map that stands for the reference of a file: `{"$type": "blob", "$file": "a.jpg"}`.

No PDS knows it: whoever reads a text for the PDS says what takes its place.
"""
_SUSPECT: Final = pattern(
    rb"\$(?!(?:type|link|bytes)[\"'\s:])|\\[xuU\r\n]"
    rb"|\$type[\"']?\s*:\s*[\"']?\s*(?!blob[\"'\s,}])\w{3,5}\s*[\"'\s,}]"
)


def may_misspell(text: bytes) -> bool:
    """Return whether the text of a record may hold a key or type of a blob in another spelling.

    Most texts do not, and need no closer look.
    """
    return _SUSPECT.search(text) is not None


@dataclass(frozen=True, slots=True)
class BlobRef:
    """One blob as a record names it. `size` is in bytes; -1 stands for one that nobody stated."""

    cid: Cid
    mime_type: str
    size: int

    @property
    def value(self) -> dict[str, Value]:
        """The reference as it stands in a record."""
        return {"$type": "blob", "ref": self.cid, "mimeType": self.mime_type, "size": self.size}


Refer: TypeAlias = Callable[[str], BlobRef]
"""Returns the reference of a file that a record names. Raises BadData if it names none."""


def file_named(entries: Mapping[str, object]) -> str | None:
    """Return the name in a map that stands for the reference of a file; None for any other map."""
    match entries:
        case {"$type": "blob", "$file": str(name)} if len(entries) == 2:
            return name
    return None


def typed_fields(fields: Mapping[str, Value]) -> tuple[Link, str, int] | None:
    """Return link, MIME type and size if `fields` is a reference to a PDS, whatever the link."""
    match fields:
        case {"$type": "blob", "ref": Link() as cid, "mimeType": str(mime_type), "size": int(size)}:
            is_sized = type(size) is int and -1 <= size <= MAX_INTEGER
            if fields.keys() == _FIELDS and "/" in mime_type and is_sized:
                return cid, mime_type, size
    return None


def blob_ref(fields: Mapping[str, Value]) -> BlobRef | None:
    """Return `fields` as a reference; None if it is any other map.

    A link that no blob can have (another codec or hash) makes none: nothing could be found by it.
    """
    match typed_fields(fields):
        case (Cid() as cid, mime_type, size) if not cid.is_block:
            return BlobRef(cid, mime_type, size)
    return None


def blob_refs(value: Value) -> tuple[BlobRef, ...]:
    """Return all references in `value`, in its order. One that occurs twice is there twice."""
    found: list[BlobRef] = []
    stack: list[Value] = [value]
    while stack:
        match stack.pop():
            case list() as items:
                stack.extend(reversed(items))
            case dict() as fields:
                ref = blob_ref(fields)
                if ref is None:
                    stack.extend(reversed(fields.values()))
                else:
                    found.append(ref)
    return tuple(found)
