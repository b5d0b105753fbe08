"""Fetch blobs that a person asks for, whatever the settings say. Also beside a running daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from syncd.atproto.blob import BlobRef
from syncd.blobs.bring import Bringer, Bringing, Brought, not_served
from syncd.blobs.words import blob_words
from syncd.cycle.blobs.attached import named_blobs, store_of
from syncd.cycle.blobs.keep import LARGEST
from syncd.cycle.blobs.rounds import not_given
from syncd.cycle.workspace import Workspace
from syncd.model import Problem
from syncd.pds import Pds


async def get_blobs(
    workspace: Workspace,
    pds: Pds,
    refs: Sequence[BlobRef],
    on_progress: Callable[[Bringing], None] = lambda _: None,
) -> Brought:
    """Fetch `refs`, and record the results. Raises FolderWrong."""
    store, attachments = store_of(workspace), workspace.state.attachments
    brought = await Bringer(store, pds, most=LARGEST, on_progress=on_progress).bring(refs)
    attachments.keep_stamps(brought.stamps)
    attachments.keep_asked(not_given(brought, attachments.asked(), workspace.now()))
    return brought


async def served_findings(workspace: Workspace, pds: Pds) -> list[Problem]:
    """Ask the PDS for each blob that a record names; return those that it does not serve."""
    named = named_blobs(workspace)
    absent = await not_served(pds, [item.ref for item in named.values()])
    return [
        Problem(
            str(named[ref.cid].paths[0]),
            f"its blob {blob_words(ref)} is missing on the PDS",
            (
                "a person who has the file can upload it: syncd blob push --missing; a copy "
                "in blobs/ stays here"
            ),
        )
        for ref in absent
    ]
