"""Carry the repo's changes into the folder, replacing only the files that were planned for.

Returns what became of every step, so that base moves for exactly those that were done. Never writes
a file itself: supersede.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from syncd.atproto.cid import Cid
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.pull.supersede import Successor, supersede
from syncd.errors import BadData, NotFound
from syncd.folder.root import Folder
from syncd.forms import Forms
from syncd.model import Memory, RecordPath, Seen, Step, split_record_path

PORTION_BYTES = 16_000_000
"""The most bytes of records, and of the files that they replace, that are pulled together."""

_HINT = "it stays in the repo as it is; everything else is synced"
_OLD_HINT = (
    "if you edit the file, that is a conflict; syncd resolve PATH --local then overwrites "
    "the repo's version, which stays in history"
)


def pull(
    folder: Folder,
    steps: Sequence[Step],
    *,
    blocks: Mapping[Cid, bytes],
    expect: Callable[[RecordPath], Seen | None],
    keeper: Keeper,
) -> Memory:
    """Write and remove files as `steps` say, and return the facts to record.

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


def pull_in_portions(
    folder: Folder,
    steps: Sequence[Step],
    get: Callable[[Cid], bytes | None],
    *,
    expect: Callable[[RecordPath], Seen | None],
    keeper: Keeper,
    record: Callable[[Memory], None],
) -> Memory:
    """Pull as `pull` does, with blocks from `get`; memory holds one portion at a time.

    `record` takes what to remember of each portion but the last. Base is then ahead of the head, as
    a stop before the head is recorded leaves it too: the next look finds that all sides agree.
    """
    done, last = Memory(), Memory()
    for part, blocks in _portions(steps, get, expect):
        if last.base:
            record(last)
        done = done.and_then(replace(last, blocks={}))
        last = pull(folder, part, blocks=blocks, expect=expect, keeper=keeper)
    return done.and_then(last)


def _portions(
    steps: Sequence[Step],
    get: Callable[[Cid], bytes | None],
    expect: Callable[[RecordPath], Seen | None],
) -> Iterator[tuple[Sequence[Step], dict[Cid, bytes]]]:
    """Divide `steps`, each portion with the blocks of its records; there is always one."""
    part: list[Step] = []
    blocks: dict[Cid, bytes] = {}
    size = 0
    for step in steps:
        block = None if step.remote is None else get(step.remote)
        seen = expect(step.path)
        added = len(block or b"") + (0 if seen is None else seen.size)
        if part and size + added > PORTION_BYTES:
            yield part, blocks
            part, blocks, size = [], {}, 0
        part.append(step)
        size += added
        if step.remote is not None and block is not None:
            blocks[step.remote] = block
    yield part, blocks


def _text(forms: Forms, blocks: Mapping[Cid, bytes], step: Step, old: bytes | None) -> bytes:
    """Return the file of a step's record, in the form of the file that it replaces."""
    if step.remote is not None and not step.remote.is_block:
        raise BadData(
            f"the repo's tree names this record by {step.remote}, which is not the CID of a record",
            hint="write it again with the client that wrote it; all other records are mirrored",
        )
    if step.remote is None or step.remote not in blocks:
        raise NotFound(
            "the repo's tree has this record, but the PDS does not have its content",
            hint="tell the operator of the PDS; writing the record again with other content "
            "repairs it",
        )
    block, collection = blocks[step.remote], split_record_path(step.path)[0]
    form = forms.of(collection)
    try:
        return form.file_of(block) if old is None else form.restyled(old, block, collection)
    except BadData as error:
        if old is None:
            raise BadData(f"no file can show this record: {error.message}", hint=_HINT) from None
        message = (
            "its file is outdated, because no file can show the repo's new version: "
            f"{error.message}"
        )
        raise BadData(message, hint=_OLD_HINT) from None
