"""Carry the repo's changes into the folder, replacing only the files that were planned for.

Returns what became of every step, so that base moves for exactly those that were done. Never writes
a file itself: supersede.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from syncd.atproto.cid import Cid
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.pull.supersede import Successor, supersede
from syncd.errors import BadData, NotFound
from syncd.folder.root import Folder
from syncd.forms import Forms
from syncd.model import Memory, RecordPath, Seen, Step, split_record_path

_HINT = "it stays in the repo as it is; all else is synced"
_OLD_HINT = (
    "an edit of the file is a conflict: syncd resolve PATH --local then writes it over the repo's "
    "version, which stays in history"
)


def pull(
    folder: Folder,
    steps: Sequence[Step],
    *,
    blocks: Mapping[Cid, bytes],
    expect: Callable[[RecordPath], Seen | None],
    keeper: Keeper,
) -> Memory:
    """Write and remove files as `steps` say, and return what to remember of it.

    `expect` gives the file that each step was planned for (None: there was none).
    """
    successors = [
        Successor(
            step.path, expect(step.path), step.remote, step.base, step.reason,
            partial(_text, folder.forms, blocks, step),
        )
        for step in steps
    ]  # fmt: skip
    placement = supersede(folder, keeper, successors)
    memory = placement.memory({step.path: step.remote for step in steps}, blocks)
    return memory.and_then(Memory(decided=tuple(placement.files)))


def _text(forms: Forms, blocks: Mapping[Cid, bytes], step: Step, old: bytes | None) -> bytes:
    """Return the file of a step's record, in the form of the file that it replaces."""
    if step.remote is not None and not step.remote.is_block:
        raise BadData(
            f"the repo's tree names it by {step.remote}, which is not the CID of a record",
            hint="write it anew with the client that wrote it; all other records are mirrored",
        )
    if step.remote is None or step.remote not in blocks:
        raise NotFound(
            "the repo's tree has this record, but the PDS does not have its content",
            hint="tell the operator of the PDS; writing the record anew, with another content, "
            "mends it",
        )
    block, collection = blocks[step.remote], split_record_path(step.path)[0]
    form = forms.of(collection)
    try:
        return form.file_of(block) if old is None else form.restyled(old, block, collection)
    except BadData as error:
        if old is None:
            raise BadData(f"no file can show this record: {error.message}", hint=_HINT) from None
        message = f"its file is old: no file can show the repo's new version: {error.message}"
        raise BadData(message, hint=_OLD_HINT) from None
