"""The files that records of a commit name to be uploaded, as git has them. Reads no checkout.

Hash, size and kind are those of git's own bytes, before any filter: each job refers to a file in
the same way, and a record that names it is the same record each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from io import BytesIO

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.blobs.files import as_published, describe, may_name, parts_of, shown
from syncd.blobs.hints import IN_GIT
from syncd.config import Config
from syncd.errors import BadData, BadJson
from syncd.git.commits import GitFile, Worktree
from syncd.model import RecordPath, split_record_path
from syncd.values import dataclass

_ANY = BlobRef(cid_of_blob(b""), "*/*", 0)


@dataclass(slots=True)
class NamedFiles:
    """The files of one commit of a worktree."""

    work: Worktree
    commit: str
    config: Config
    _files: Mapping[str, GitFile] | None = None
    _refs: dict[str, BlobRef] = field(default_factory=dict)

    def refer(self, name: str) -> BlobRef:
        """Return the reference to a file. Raises BadData (it cannot be uploaded), GitFailed."""
        parts_of(name, IN_GIT)
        if name not in self._refs:
            content = self.content(name)
            if not content:
                raise BadData(f"git does not have the file {shown(name)}, or it is empty")
            file, size = BytesIO(content), len(content)
            known = describe(name, file, size, IN_GIT)
            location = self.config.blobs_location
            self._refs[name] = as_published(name, file, size, known, location, IN_GIT)[1]
        return self._refs[name]

    def bring(self, texts: Iterable[tuple[RecordPath, bytes]]) -> None:
        """Fetch the files that these records name and a partial clone lacks, in one request.

        Raises GitFailed.
        """
        names = {name for path, text in texts for name in self.named_in(text, path)}
        if names:
            ids = [file.id for name in names if (file := self._file(name)) is not None]
            self.work.bring_blobs(self.commit, ids)

    def content(self, name: str) -> bytes | None:
        """Return the bytes of a file in git; None for a link and for no file. Raises GitFailed."""
        file = self._file(name)
        return None if file is None else next(self.work.contents([file.id]))

    def _file(self, name: str) -> GitFile | None:
        if self._files is None:
            self._files = self.work.files(self.commit)
        return self._files.get(name)

    def named_in(self, text: bytes, path: RecordPath) -> Iterator[str]:
        """Yield the files that the text of a record names; none if it cannot be read."""
        found: dict[str, None] = {}

        def refer(name: str) -> BlobRef:
            with suppress(BadData):
                parts_of(name)
                found[name] = None
            return _ANY

        if may_name(text):
            collection = split_record_path(path)[0]
            with suppress(BadData, BadJson):
                self.config.forms.of(collection).parse(text, collection, refer)
        yield from found
