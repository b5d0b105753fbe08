"""Upload blobs that a record names again and that the PDS has dropped, from `blobs/`.

A record that `restore` brought back, or that a rejected deletion leaves, comes with its pictures.
Only for a record that is about to be sent; only bytes that were compared with their hash; and none
that another record of the repo names, because the PDS has those. Where the PDS lacks one all the
same, its refusal says so: then it is uploaded, once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncd.atproto.blob import BlobRef, blob_refs
from syncd.atproto.cid import Cid
from syncd.backoff import in_words
from syncd.blobs.store import Listing
from syncd.cycle.blobs.attached import refs_in_file, store_of
from syncd.cycle.home import Home
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import SECOND_NS, Workspace
from syncd.errors import Rejected, SyncdError, UploadLimited
from syncd.model import Change, Memory, Pending, RecordPath, Retry, Step, Waiting
from syncd.plan import kind_of
from syncd.state.learnt import UploadPause

TRIED_SECONDS: Final = 3_600
"""How long a refusal is believed that came although the blob had been uploaded again."""


@dataclass(slots=True)
class Again:
    """What the PDS was found to lack although base names it.

    `lacking` are blobs to upload with the next push of their record; `tried` says of a version of
    a record when that was asked for, in unix seconds.
    """

    lacking: set[Cid] = field(default_factory=set)
    tried: dict[tuple[RecordPath, Cid | None], int] = field(default_factory=dict)

    def obey(self, workspace: Workspace, change: Change, error: Rejected) -> Retry | None:
        """Have a record sent again with its blobs, if the PDS lacks one that is in `blobs/`.

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
        return Retry(change.path, "the PDS lacks a blob that it names: it is uploaded again")

    async def upload(
        self, workspace: Workspace, home: Home, sides: Sides, steps: Sequence[Step]
    ) -> list[Step]:
        """Upload what these pushes name and the PDS may lack; return those that may be sent.

        The others wait, with their reason. What is not here is not uploaded: the PDS may have it.
        """
        listing = store_of(workspace).list()
        if not listing.names or workspace.config.is_one_way:
            return list(steps)
        ready: list[Step] = []
        for step in steps:
            try:
                for ref in self._to_upload(workspace, sides, step, listing):
                    await _upload(workspace, home, ref, listing.names[ref.cid])
                    self.lacking.discard(ref.cid)
            except Rejected:
                # The PDS says the same of the record, and where in it.
                ready.append(step)
            except UploadLimited as error:
                _wait(workspace, step.path, _pending(workspace, sides, step, error))
            except SyncdError as error:
                reason = f"a blob that it names could not be uploaded: {error.message}"
                _wait(workspace, step.path, Retry(step.path, reason))
            else:
                ready.append(step)
        return ready

    def _to_upload(
        self, workspace: Workspace, sides: Sides, step: Step, listing: Listing
    ) -> Iterator[BlobRef]:
        found = refs_in_file(workspace, step.path) if step.local is not None else None
        for ref in () if found is None else found[1]:
            is_here = ref.cid in listing.names
            if is_here and (ref.cid in self.lacking or not _is_in_repo(workspace, sides, ref.cid)):
                yield ref


def _is_in_repo(workspace: Workspace, sides: Sides, cid: Cid) -> bool:
    """Return whether the repo has a record that names a blob, as far as base can tell.

    What another client changed or deleted since base may name it no more.
    """
    base, remote = sides.views.base, sides.views.remote
    namers = workspace.state.attachments.namers(cid)
    return any(p not in sides.paths or base.get(p) == remote.get(p) for p in namers)


async def _upload(workspace: Workspace, home: Home, ref: BlobRef, name: str) -> None:
    """Upload one blob. Raises what `Pds.upload_blob` does, and FileProblem."""
    _check_pause(workspace, home)
    store = store_of(workspace)
    known = workspace.state.attachments.stamps()
    checked = store.check(Listing({ref.cid: name}), known)
    if ref.cid not in checked.stamps:
        return
    with store.reading(name) as file:
        try:
            await home.pds.upload_blob(file, checked.stamps[ref.cid].size, ref.mime_type)
        except UploadLimited as error:
            until = workspace.now() + math.ceil(error.retry_seconds)
            workspace.state.keep(UploadPause(home.account.pds, until))
            raise


def _check_pause(workspace: Workspace, home: Home) -> None:
    """Raise UploadLimited while the PDS takes no more files."""
    note = workspace.state.note(UploadPause)
    left = 0 if note is None or note.pds != home.account.pds else note.until - workspace.now()
    if left > 0:
        raise UploadLimited("the PDS takes no more files", retry_seconds=left)


def _pending(workspace: Workspace, sides: Sides, step: Step, error: UploadLimited) -> Pending:
    """Return that a record waits for its blobs, and until when: nothing can be done before."""
    seconds = math.ceil(error.retry_seconds)
    reason = f"{step.reason}: the PDS takes no more files for {in_words(seconds)}"
    seen = sides.expect(step.path)
    stamp_ns = None if seen is None else max(seen.mtime_ns, seen.ctime_ns)
    due_ns = (workspace.now() + seconds) * SECOND_NS
    return Pending(step.path, kind_of(step), reason, step.local, step.remote, due_ns, stamp_ns)


def _wait(workspace: Workspace, path: RecordPath, item: Waiting) -> None:
    workspace.state.record(Memory(waiting={path: (item,)}))
