"""Blobs in words: type, size and place, instead of a hash. Pure; reads no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from syncd.atproto.blob import BlobRef, blob_ref
from syncd.atproto.cid import Cid, cid_of_blob
from syncd.atproto.data import Record, Value
from syncd.blobs.kinds import extension_of
from syncd.folder.names import BLOBS
from syncd.values import dataclass


def size_words(size: int) -> str:
    """Return a size in words, short enough for a column."""
    if size < 0:
        return "? B"
    if size < 1_000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB"):
        amount /= 1_000
        if amount < 1_000:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1_000:.1f} GB"


def blob_words(ref: BlobRef, names: Mapping[Cid, str] | None = None) -> str:
    """Return the file of a blob, with its type and size.

    `names` are the files in `blobs/`, by their CIDs; without them it is not said whether it is one.
    """
    name = None if names is None else names.get(ref.cid)
    file = f"{BLOBS}/{name or f'{ref.cid}{extension_of(ref.mime_type)}'}"
    absent = ", not here" if names is not None and name is None else ""
    return f"{file} ({ref.mime_type}, {size_words(ref.size)}{absent})"


@dataclass(slots=True)
class Spoken:
    """Describes a record's blobs with `words`, and files to be uploaded by their names.

    Good for one record, or for several that are read one after the other.
    """

    words: Callable[[BlobRef], str] = blob_words
    _named: dict[Cid, str] = field(default_factory=dict)

    def refer(self, name: str) -> BlobRef:
        """Return the text for the reference of a file that is still to be uploaded."""
        ref = BlobRef(cid_of_blob(name.encode()), "*/*", 0)
        self._named[ref.cid] = name
        return ref

    def said(self, record: Record) -> Record:
        """Return a record with words instead of each reference."""
        return with_words(record, self._say)

    def _say(self, ref: BlobRef) -> str:
        name = self._named.get(ref.cid)
        return self.words(ref) if name is None else f"{name}, to be uploaded"


def with_words(record: Record, words: Callable[[BlobRef], str]) -> Record:
    """Return a record for people, with words instead of each reference to a blob."""
    return {key: _shown(value, words) for key, value in record.items()}


def _shown(value: Value, words: Callable[[BlobRef], str]) -> Value:
    match value:
        case dict() as fields:
            ref = blob_ref(fields)
            return with_words(fields, words) if ref is None else words(ref)
        case list() as items:
            return [_shown(item, words) for item in items]
    return value
