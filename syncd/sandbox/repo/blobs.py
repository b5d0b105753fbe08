"""The blobs of one account: uploaded, named by records, dropped with the last such record.

Never guesses a MIME type. A blob is temporary until a record names it; clients cannot download it
before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from syncd.atproto.cid import Cid, cid_of_blob
from syncd.atproto.data import Value, decode
from syncd.model import RecordPath
from syncd.sandbox.answer import invalid
from syncd.sandbox.repo.commits import NewCommit


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """The bytes of a blob and the MIME type of its upload."""

    data: bytes
    mime_type: str

    @property
    def reference(self) -> dict[str, Value]:
        """The reference for a record (https://atproto.com/specs/data-model#blob-type)."""
        cid, size = cid_of_blob(self.data), len(self.data)
        return {"$type": "blob", "ref": cid, "mimeType": self.mime_type, "size": size}


class Blobs:
    """The blobs of an account, and the blobs named by each record."""

    def __init__(self) -> None:
        self._blobs: dict[Cid, StoredBlob] = {}
        self._named: dict[RecordPath, frozenset[Cid]] = {}

    def upload(self, blob: StoredBlob) -> None:
        self._blobs.setdefault(cid_of_blob(blob.data), blob)

    def find(self, cid: Cid) -> StoredBlob | None:
        """Return a blob if some record names it."""
        return self._blobs.get(cid) if cid in self._all_named() else None

    def follow(self, commit: NewCommit) -> None:
        """Update the blobs after a commit; drop blobs that no record names any more.

        Raises Rejected: BlobNotFound if the commit names a missing blob; InvalidMimeType or
        InvalidSize if it describes a temporary blob wrongly.
        """
        named = {
            op.path: frozenset(self._check(commit.blocks[op.after])) if op.after else frozenset()
            for op in commit.ops
        }
        before = self._all_named()
        self._named = {path: cids for path, cids in (self._named | named).items() if cids}
        for cid in before - self._all_named():
            del self._blobs[cid]

    def snapshot(self) -> Mapping[Cid, StoredBlob]:
        """Return all blobs named by records, to keep across a restart."""
        return {cid: self._blobs[cid] for cid in self._all_named()}

    def _all_named(self) -> frozenset[Cid]:
        return frozenset().union(*self._named.values())

    def _check(self, block: bytes) -> Iterator[Cid]:
        for reference in _references(decode(block)):
            cid = reference["ref"]
            assert isinstance(cid, Cid)
            blob = self._blobs.get(cid)
            if blob is None:
                raise invalid(f"Could not find blob: {cid}", "BlobNotFound")
            if cid not in self._all_named():
                _check_description(blob, reference)
            yield cid


def _check_description(blob: StoredBlob, reference: Mapping[str, Value]) -> None:
    if reference["mimeType"] != blob.mime_type:
        raise invalid("Referenced Mimetype does not match stored blob", "InvalidMimeType")
    if reference["size"] != len(blob.data):
        raise invalid("Referenced size does not match stored blob", "InvalidSize")


def _references(value: Value) -> Iterator[dict[str, Value]]:
    match value:
        case dict() if _is_reference(value):
            yield value
        case dict():
            for item in value.values():
                yield from _references(item)
        case list():
            for item in value:
                yield from _references(item)


def _is_reference(value: dict[str, Value]) -> bool:
    match value:
        case {"$type": "blob", "ref": Cid(), "mimeType": str(), "size": int()}:
            return True
        case _:
            return False
