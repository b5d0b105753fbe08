"""Recognise files that an earlier run of a clone wrote, and a disk that refuses. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from syncd.atproto.cid import Cid
from syncd.atproto.inexact import file_of
from syncd.errors import BadData, FileChanged, FileProblem
from syncd.folder.root import Folder
from syncd.folder.write import read_bytes
from syncd.model import Memory, Problem, Seen, Step

_MANY = 100


def with_what_was_there(
    folder: Folder, steps: list[Step], blocks: Mapping[Cid, bytes], done: Memory
) -> Memory:
    """Add to `done` the files that an earlier run wrote but did not record before it was stopped.

    Such a file has exactly the bytes that this clone would write. An equal record is not enough:
    some records cannot be read back from their JSON.
    """
    found = {
        step.path: (step.remote, seen)
        for step in steps
        if step.remote in blocks and (seen := _same(folder, step, blocks, done)) is not None
    }
    return replace(
        done,
        base={**done.base, **{path: cid for path, (cid, _) in found.items()}},
        blocks={**done.blocks, **{path: blocks[cid] for path, (cid, _) in found.items() if cid}},
        seen={**done.seen, **{path: seen for path, (_, seen) in found.items()}},
        waiting={**done.waiting, **dict.fromkeys(found, ())},
    )


def _same(folder: Folder, step: Step, blocks: Mapping[Cid, bytes], done: Memory) -> Seen | None:
    """Return the existing file of a step, if the step was not done and the bytes are right."""
    if step.path in done.base or step.remote is None:
        return None
    try:
        content, now = read_bytes(folder, step.path)
        expected = file_of(blocks[step.remote])
    except (BadData, FileChanged, FileProblem):
        return None
    return now.seen(step.path, step.remote, seen_ns=0) if content == expected else None


def stop_if_the_disk_refuses(steps: list[Step], blocks: Mapping[Cid, bytes], done: Memory) -> None:
    """Raise FileProblem if every one of many files could not be written.

    A single file may have its own problem. If all of at least _MANY files have one, the problem is
    the disk's, and the remaining files would fail too.
    """
    tried = [step for step in steps if step.remote and _has_text(blocks.get(step.remote))]
    items = [item for step in tried for item in done.waiting.get(step.path, ())]
    problems = [item for item in items if isinstance(item, Problem)]
    if len(tried) < _MANY or done.base or problems != items:
        return
    raise FileProblem(problems[0].reason, hint="mend the cause; syncd goes on from there")


def _has_text(block: bytes | None) -> bool:
    try:
        return block is not None and bool(file_of(block))
    except BadData:
        return False
