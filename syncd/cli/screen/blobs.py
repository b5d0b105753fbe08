"""Blobs in words and as JSON. Decides nothing, and reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.blobs.store import DIRECTORY
from syncd.mirror.blobs.rows import BlobCount, BlobRow, UploadsLeft
from syncd.mirror.times import rfc3339
from syncd.typedjson import plain

_SORTS: Final[Mapping[str, str]] = {
    "due": "to fetch",
    "beyond": "over the limits",
    "not_given": "not sent by the PDS",
    "not_asked": "left out by the settings",
}


def count_json(found: BlobCount) -> dict[str, Any]:
    """Return the JSON object of the number of blobs."""
    return {**plain(found), "next": found.next or None}


def uploads_json(found: UploadsLeft | None) -> dict[str, Any] | None:
    """Return the JSON object of the uploads that the PDS still accepts; None if unknown."""
    return None if found is None else {**plain(found), "resets_at": rfc3339(found.resets_at)}


def pictures_line(count: int) -> str:
    """Return one line about the pictures in a folder; empty if there are none."""
    words = "in the folder; syncd uploads one only with a record that names it"
    return f"{count} {words}" if count else ""


def uploads_line(found: Mapping[str, Any] | None) -> str:
    """Return one line for the object of `uploads_json`; empty for None."""
    if found is None:
        return ""
    limit = f" of {found['limit']}" if found["limit"] else ""
    return f"{found['left']}{limit} left, renewed at {found['resets_at']}"


def blobs_line(blobs: Mapping[str, Any]) -> str:
    """Return one line for the object of `count_json`; empty if no record names a blob."""
    if not blobs["named"]:
        return ""
    rest = "".join(f", {blobs[key]} {words}" for key, words in _SORTS.items() if blobs[key])
    return f"{blobs['named']} named, {blobs['here']} here{rest}"


def blob_json(ref: BlobRef, names: Mapping[Cid, str]) -> dict[str, Any]:
    """Return the JSON object of one blob; `names` are the files in `blobs/`, by their CIDs."""
    name = names.get(ref.cid)
    return {
        "cid": str(ref.cid),
        "mime_type": ref.mime_type,
        "size": ref.size,
        "file": None if name is None else f"{DIRECTORY}/{name}",
    }


def row_json(row: BlobRow) -> dict[str, Any]:
    """Return the JSON object of one blob."""
    return {
        "cid": str(row.ref.cid),
        "mime_type": row.ref.mime_type,
        "size": row.ref.size,
        "file": row.file,
        "records": list(row.records),
        "missing": row.missing or None,
        "hint": row.hint or None,
    }
