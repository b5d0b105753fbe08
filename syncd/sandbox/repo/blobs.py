"""The blobs of one account: uploaded, named by records, dropped with the last such record.

A blob is temporary until a record names it; clients cannot download it before. Of the type of a
blob its first bytes decide where they can, and else its first upload. Never reads more of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid, Link, cid_of_blob
from syncd.atproto.data import decode
from syncd.atproto.syntax import Tid
from syncd.blobs.kinds import UNKNOWN, mime_of
from syncd.model import RecordPath
from syncd.sandbox.answer import internal, invalid
from syncd.sandbox.repo.commits import NewCommit, RepoState
from syncd.sandbox.repo.references import Reference, references
from syncd.values import dataclass

NOT_SNIFFED: Final = frozenset(
    {UNKNOWN, "image/svg+xml", "text/html", "text/plain", "text/vtt"},
)
"""What `mime_of` knows and the reference PDS does not see: it keeps the type of the upload."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """The bytes of a blob, its MIME type, and whether a moderator has taken it down."""

    data: bytes
    mime_type: str
    is_taken_down: bool = False


@dataclass(frozen=True, slots=True)
class Naming:
    """The blobs that one record names, and the rev that brought the record."""

    cids: frozenset[Link]
    rev: Tid


class Blobs:
    """The blobs of an account, and the blobs named by each record."""

    def __init__(self) -> None:
        self._blobs: dict[Link, StoredBlob] = {}
        self._named: dict[RecordPath, Naming] = {}

    @property
    def count(self) -> int:
        """The number of blobs that are here, named or not."""
        return len(self._blobs)

    def upload(self, data: bytes, content_type: str) -> BlobRef:
        """Keep bytes under the type of their first upload; answer with the type of this one.

        Raises Rejected for a blob that was taken down.
        """
        mime_type, cid = _type_of(data, content_type), cid_of_blob(data)
        if self._blobs.setdefault(cid, StoredBlob(data, mime_type)).is_taken_down:
            raise invalid("Blob has been takendown, cannot re-upload")
        return BlobRef(cid, mime_type, len(data))

    def get(self, cid: Cid) -> StoredBlob:
        """Return a blob. Raises Rejected unless it is here, named by a record and not taken down.

        No client gets a blob that is taken down. The answer is the same as for one that is gone.
        """
        blob = self._blobs.get(cid) if cid in self._all_named() else None
        if blob is None or blob.is_taken_down:
            raise invalid("Blob not found")
        return blob

    def take_down(self, cid: Cid, *, is_down: bool = True) -> None:
        """Take a blob down that is here, as a moderator would, or undo that."""
        self._blobs[cid] = replace(self._blobs[cid], is_taken_down=is_down)

    def named(self, since: Tid | None = None) -> list[str]:
        """List the CIDs of the blobs that records name; `since` asks for newer records alone."""
        found = (n.cids for n in self._named.values() if since is None or n.rev > since)
        return sorted(map(str, frozenset().union(*found)))

    def missing(self) -> list[tuple[str, RecordPath]]:
        """List the blobs that are named and not here, each with one of the records naming it."""
        naming = {
            str(cid): path
            for path, names in sorted(self._named.items(), reverse=True)
            for cid in names.cids
            if cid not in self._blobs
        }
        return sorted(naming.items())

    def follow(self, commit: NewCommit) -> None:
        """Update the blobs after a commit; drop blobs that no record names any more.

        Raises Rejected: InternalServerError for a reference of the old form; BlobNotFound if the
        commit names a missing blob; InvalidMimeType or InvalidSize if it describes a temporary blob
        wrongly.
        """
        rev = commit.after.head.rev
        named = {
            op.path: Naming(self._check(commit.blocks[op.after]) if op.after else frozenset(), rev)
            for op in commit.ops
        }
        before = self._all_named()
        self._named = {path: names for path, names in (self._named | named).items() if names.cids}
        for cid in before - self._all_named():
            self._blobs.pop(cid, None)

    def expect(self, state: RepoState) -> None:
        """Note the blobs that an imported repo names; they may be uploaded later."""
        blocks = ((path, state.get(cid)) for path, cid in state.records.items())
        named = (
            (path, Naming(frozenset(item.cid for item in _references_of(block)), state.head.rev))
            for path, block in blocks
            if block is not None
        )
        self._named = {path: names for path, names in named if names.cids}

    def _all_named(self) -> frozenset[Link]:
        return frozenset().union(*(names.cids for names in self._named.values()))

    def _check(self, block: bytes) -> frozenset[Link]:
        found = tuple(_references_of(block))
        # The reference PDS takes such a reference for one with a link, before it looks for any.
        if any(item.size is None for item in found):
            raise internal()
        for item in found:
            blob = self._blobs.get(item.cid)
            if blob is None or blob.is_taken_down:
                raise invalid(f"Could not find blob: {item.cid}", "BlobNotFound")
            if item.cid not in self._all_named():
                _check_description(blob, item)
        return frozenset(item.cid for item in found)


def _type_of(data: bytes, content_type: str) -> str:
    """Return the type of an upload: by its first bytes, or as it was sent, without parameters."""
    found = mime_of(data)
    return content_type.partition(";")[0].strip() if found in NOT_SNIFFED else found


def _references_of(block: bytes) -> Iterator[Reference]:
    record = decode(block)
    return references(record) if isinstance(record, dict) else iter(())


def _check_description(blob: StoredBlob, reference: Reference) -> None:
    if reference.mime_type != blob.mime_type:
        found = f"Expected: {blob.mime_type}, Got: {reference.mime_type}"
        raise invalid(f"Referenced Mimetype does not match stored blob. {found}", "InvalidMimeType")
    if reference.size != len(blob.data):
        found = f"Expected: {len(blob.data)}, Got: {reference.size}"
        raise invalid(f"Referenced size does not match stored blob. {found}", "InvalidSize")
