"""Fetch blobs that a person asks for, whatever the settings say. Also beside a running daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from syncd.atproto.blob import BlobRef
from syncd.blobs.bring import Bringer, Bringing, Brought
from syncd.cycle.blobs.attached import store_of
from syncd.cycle.blobs.keep import LARGEST
from syncd.cycle.blobs.rounds import not_given
from syncd.cycle.workspace import Workspace
from syncd.pds import Pds


async def get_blobs(
    workspace: Workspace,
    pds: Pds,
    refs: Sequence[BlobRef],
    on_progress: Callable[[Bringing], None] = lambda _: None,
) -> Brought:
    """Fetch `refs`, and remember what came of it. Raises FolderWrong."""
    store, attachments = store_of(workspace), workspace.state.attachments
    brought = await Bringer(store, pds, most=LARGEST, on_progress=on_progress).bring(refs)
    attachments.keep_stamps(brought.stamps)
    attachments.keep_asked(not_given(brought, attachments.asked(), workspace.now()))
    return brought
