"""The blobs of one account: uploaded, named by records, dropped with the last record that did.

Never sniffs a MIME type. A blob nobody names yet is temporary: records can name it, nobody can
download it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from syncd.atproto.cid import Cid, cid_of_blob
from syncd.atproto.data import Value, decode
from syncd.model import RecordPath
from syncd.sandbox.answer import invalid
from syncd.sandbox.repo.commits import Commit


@dataclass(frozen=True, slots=True)
class Blob:
    data: bytes
    mime_type: str

    @property
    def reference(self) -> dict[str, Value]:
        """How a record names it (https://atproto.com/specs/data-model#blob-type)."""
        cid, size = cid_of_blob(self.data), len(self.data)
        return {"$type": "blob", "ref": cid, "mimeType": self.mime_type, "size": size}


class Blobs:
    """What is there, and which record names what."""

    def __init__(self) -> None:
        self._blobs: dict[Cid, Blob] = {}
        self._named: dict[RecordPath, frozenset[Cid]] = {}

    def upload(self, blob: Blob) -> None:
        self._blobs.setdefault(cid_of_blob(blob.data), blob)

    def find(self, cid: Cid) -> Blob | None:
        """A blob that some record names."""
        return self._blobs.get(cid) if cid in self._all_named() else None

    def follow(self, commit: Commit) -> None:
        """Bring the blobs in line with a commit. Raises Rejected if it names one that is not there:
        BlobNotFound; or describes a temporary one wrongly: InvalidMimeType, InvalidSize."""
        named = {
            op.path: frozenset(self._check(commit.blocks[op.after])) if op.after else frozenset()
            for op in commit.ops
        }
        before = self._all_named()
        self._named = {path: cids for path, cids in (self._named | named).items() if cids}
        for cid in before - self._all_named():
            del self._blobs[cid]

    def snapshot(self) -> Mapping[Cid, Blob]:
        """Everything that a record names, to be kept across a restart."""
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


def _check_description(blob: Blob, reference: Mapping[str, Value]) -> None:
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
