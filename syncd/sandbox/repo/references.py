"""The blobs that a record names, found as leniently as by the reference PDS. Pure.

Never looks for the bytes of a blob. The link of a reference may be any CID.
"""

from __future__ import annotations

from collections.abc import Iterator

from syncd.atproto.blob import typed_fields
from syncd.atproto.cid import LINK_CHARACTERS, Link, parse_link
from syncd.atproto.data import Record, Value
from syncd.errors import BadSyntax
from syncd.values import dataclass

_OLD_FIELDS = {"cid", "mimeType"}
_RAW_OF_VERSION_1 = b"\x01\x55"


@dataclass(frozen=True, slots=True)
class Reference:
    """One blob as a record names it; only a reference of the old form has no `size`."""

    cid: Link
    mime_type: str
    size: int | None = None

    @property
    def is_refused(self) -> bool:
        """True for the old form with the codec of a blob, which no PDS accepts any more.

        The old form with any other CID passes the check of the reference PDS, which then fails.
        """
        return self.size is None and self.cid.startswith(_RAW_OF_VERSION_1)


def references(record: Record) -> Iterator[Reference]:
    """Yield the references of a record, the last of each map and list first, as the PDS does."""
    stack: list[Value] = [record]
    while stack:
        match stack.pop():
            case list() as items:
                stack.extend(items)
            case dict() as fields:
                found = _typed(fields) or _old(fields)
                if found is None:
                    stack.extend(fields.values())
                else:
                    yield found


def _typed(fields: dict[str, Value]) -> Reference | None:
    found = typed_fields(fields)
    return None if found is None else Reference(*found)


def _old(fields: dict[str, Value]) -> Reference | None:
    match fields:
        case {"cid": str(text), "mimeType": str(mime_type)} if mime_type:
            if fields.keys() == _OLD_FIELDS and (cid := _as_spelt(text)) is not None:
                return Reference(cid, mime_type)
    return None


def _as_spelt(text: str) -> Link | None:
    """Read a CID in base32 or, of version 0, in base58: a PDS would write any other as these."""
    return read_link(text) if text[:1] in ("b", "Q") else None


def read_link(text: str) -> Link | None:
    """Read a CID as leniently as the reference PDS, which allows base32 to be padded."""
    if len(text) > LINK_CHARACTERS:
        return None
    try:
        return parse_link(text.rstrip("=") if text.startswith("b") else text)
    except BadSyntax:
        return None
