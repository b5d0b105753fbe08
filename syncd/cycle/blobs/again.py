"""Find which blobs of `blobs/` the PDS may lack that a record names which is about to be sent.

A record that `restore` brought back, or that a rejected deletion leaves, comes with its pictures,
and so does one that a person gave a file with `syncd blob add`. Only bytes that were compared with
their hash, and none that a record of the repo names: the PDS has those. Where the PDS lacks one all
the same, its refusal says so, and it is sent once. Uploads nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import BinaryIO, Final

from syncd.atproto.blob import BlobRef, blob_refs
from syncd.atproto.cid import Cid
from syncd.blobs.store import DIRECTORY, Checked, Store
from syncd.cycle.blobs.attached import store_of
from syncd.cycle.observe.attached import Naming
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.errors import BadJson, FileChanged, FileProblem, Rejected
from syncd.folder.root import Folder
from syncd.folder.write import read_below
from syncd.model import Change, RecordPath, Retry, Step, split_record_path
from syncd.values import dataclass

_MAY_NAME: Final = re.compile(rb"blob|\\[uUxX]")
"""What a text has in it that names a blob: the word, or an escape that may stand for a letter."""


TRIED_SECONDS: Final = 3_600
"""How long a refusal is believed that came although the blob had been uploaded again."""


@dataclass(slots=True)
class Again:
    """The blobs that the PDS was found to lack although a record of base names them.

    `lacking` are blobs to upload with the next push of their record; `tried` says of a version of
    a record when that was asked for, in unix seconds.
    """

    lacking: set[Cid] = field(default_factory=set)
    tried: dict[tuple[RecordPath, Cid | None], int] = field(default_factory=dict)

    def obey(self, workspace: Workspace, change: Change, error: Rejected) -> Retry | None:
        """Return that the record is sent again with its blobs, if `blobs/` has what the PDS lacks.

        None if that was tried a short while ago: then the PDS does not take the blob.
        """
        key, now = (change.path, change.after), workspace.now()
        was_tried = 0 <= now - self.tried.get(key, -TRIED_SECONDS) < TRIED_SECONDS
        if error.name != "BlobNotFound" or change.record is None or was_tried:
            return None
        here = store_of(workspace).list().names
        found = {ref.cid for ref in blob_refs(change.record) if ref.cid in here}
        if not found:
            return None
        self.lacking |= found
        self.tried[key] = now
        return Retry(change.path, "the PDS lacks a blob of this record: syncd uploads it again")

    def to_send(
        self, workspace: Workspace, sides: Sides, steps: Sequence[Step]
    ) -> dict[RecordPath, list[BlobRef]]:
        """Return the blobs that these pushes name, `blobs/` has, and no record of the repo names.

        What is not here is left out: the PDS may have it. Raises FolderWrong.
        """
        listing = None if workspace.config.is_one_way else store_of(workspace).list()
        if listing is None or not listing.names:
            return {}
        naming = sides.attached
        found: dict[RecordPath, list[BlobRef]] = {}
        for path, refs in _named(workspace.folder, steps, naming):
            files = {ref.cid for ref in naming[path].refs.values()} if path in naming else set()
            wanted = [ref for ref in refs if ref.cid in listing.names and ref.cid not in files]
            wanted = [ref for ref in wanted if self._may_lack(workspace, sides, ref.cid)]
            if wanted:
                found[path] = wanted
        return found

    def _may_lack(self, workspace: Workspace, sides: Sides, cid: Cid) -> bool:
        """Return whether the repo has no record that names a blob, as far as base can tell.

        What another client changed or deleted since base may name it no more.
        """
        base, remote = sides.views.base, sides.views.remote
        namers = workspace.state.attachments.namers(cid)
        is_in_repo = any(p not in sides.paths or base.get(p) == remote.get(p) for p in namers)
        return cid in self.lacking or not is_in_repo


def lacking(workspace: Workspace, change: Change, error: Rejected) -> tuple[Cid, ...]:
    """Return the blobs of a refused record that are not in `blobs/`, if the PDS lacks one.

    Raises FolderWrong.
    """
    if error.name != "BlobNotFound" or change.record is None:
        return ()
    here = store_of(workspace).list().names
    return tuple(ref.cid for ref in blob_refs(change.record) if ref.cid not in here)


def _named(
    folder: Folder, steps: Sequence[Step], naming: Mapping[RecordPath, Naming]
) -> Iterator[tuple[RecordPath, Sequence[BlobRef]]]:
    """Yield the blobs that the file of each step names; a file that names none is not parsed."""
    with folder.open() as root:
        for step in steps:
            if step.local is None:
                continue
            collection = split_record_path(step.path)[0]
            refer = naming[step.path].refs.__getitem__ if step.path in naming else None
            try:
                text, _ = read_below(folder, root, step.path)
                if _MAY_NAME.search(text):
                    record = folder.forms.of(collection).parse(text, collection, refer)
                    yield step.path, blob_refs(record)
            except (BadJson, FileChanged, FileProblem, KeyError):
                continue  # another file than was planned for: it is not sent either


def compared(workspace: Workspace, refs: Collection[BlobRef]) -> Checked:
    """Return those of `refs` whose files in `blobs/` have the right bytes. Raises FolderWrong."""
    store, cids = store_of(workspace), {ref.cid for ref in refs}
    listing = store.list()
    some = replace(listing, names={c: n for c, n in listing.names.items() if c in cids})
    return store.check(some, workspace.state.attachments.stamps())


@contextmanager
def opened_blob(store: Store, checked: Checked, cid: Cid) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file that was compared; return it with its size. Raises FileProblem."""
    stamp = checked.stamps[cid]
    with store.reading(stamp.name) as file:
        yield file, stamp.size


def name_of(checked: Checked, cid: Cid) -> str:
    """Return the path of the file of a compared blob, relative to the folder."""
    return f"{DIRECTORY}/{checked.stamps[cid].name}"
