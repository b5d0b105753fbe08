"""Upload blobs that a record names again and that the PDS has dropped, from `blobs/`.

A record that `restore` brought back, or that a rejected deletion leaves, comes with its pictures.
Only for a record that is about to be sent; only bytes that were compared with their hash; and none
that another record names, because the PDS has those.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.atproto.blob import BlobRef
from syncd.blobs.store import Listing
from syncd.cycle.blobs.attached import refs_in_file, store_of
from syncd.cycle.workspace import Workspace
from syncd.errors import Rejected, SyncdError
from syncd.model import Memory, RecordPath, Retry, Step
from syncd.pds import Pds


async def upload_again(workspace: Workspace, pds: Pds, steps: Sequence[Step]) -> list[Step]:
    """Upload what these pushes name and the PDS may lack; return those that may be sent.

    The others wait, with their reason. What is not here is not uploaded: the PDS may have it.
    """
    here = workspace.state.attachments.stamps()
    if not here or workspace.config.is_one_way:
        return list(steps)
    ready: list[Step] = []
    for step in steps:
        found = refs_in_file(workspace, step.path) if step.local is not None else None
        refs = [] if found is None else [ref for ref in found[1] if ref.cid in here]
        try:
            for ref in refs:
                if not workspace.state.attachments.namers(ref.cid):
                    await _upload(workspace, pds, ref)
        except Rejected:
            # The PDS says the same of the record, and where in it.
            ready.append(step)
        except SyncdError as error:
            _let_wait(workspace, step.path, error)
        else:
            ready.append(step)
    return ready


async def _upload(workspace: Workspace, pds: Pds, ref: BlobRef) -> None:
    store = store_of(workspace)
    listing = store.list()
    name = listing.names.get(ref.cid)
    if name is None:
        return
    known = workspace.state.attachments.stamps()
    checked = store.check(Listing({ref.cid: name}), known)
    if ref.cid in checked.stamps:
        with store.reading(name) as file:
            await pds.upload_blob(file, checked.stamps[ref.cid].size, ref.mime_type)


def _let_wait(workspace: Workspace, path: RecordPath, error: SyncdError) -> None:
    reason = f"a blob that it names could not be uploaded: {error.message}"
    workspace.state.record(Memory(waiting={path: (Retry(path, reason),)}))
