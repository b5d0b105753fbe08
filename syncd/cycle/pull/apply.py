"""Carry the repo's changes into the folder, replacing only the files that were planned for.

Never touches a file whose content is not what the plan saw, and returns what became of every step,
so that base moves for exactly those that were done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from syncd.atproto.cid import Cid
from syncd.atproto.inexact import file_of
from syncd.atproto.restyle import restyled
from syncd.cycle.pull.archive import Keeper
from syncd.errors import BadData, FileChanged, FileProblem, NotFound, SwapFailed, SyncdError
from syncd.folder.root import Folder
from syncd.folder.write import (
    Replacement,
    drop_conflicts,
    keep_conflict,
    read_bytes,
    remove,
    write_many,
)
from syncd.model import (
    Conflict,
    Memory,
    Problem,
    RecordPath,
    Retry,
    Seen,
    Step,
    Waiting,
    split_record_path,
)


def pull(
    folder: Folder,
    steps: Sequence[Step],
    *,
    blocks: Mapping[Cid, bytes],
    expect: Callable[[RecordPath], Seen | None],
    keeper: Keeper,
) -> Memory:
    """Write and remove files as `steps` say; the answer is what to remember of it.

    `expect` gives the file each step was planned for (None: there was none). What it holds goes to
    history first, or stays where it is.
    """
    results: dict[RecordPath, Seen | SyncdError | None] = {}
    results.update(keeper.keep_files(folder, steps, expect))
    removals = [s for s in steps if s.remote is None and s.path not in results]
    writes: list[Replacement] = []
    for step in steps:
        if step.remote is None or step.path in results:
            continue
        try:
            content = _content(folder, _block(blocks, step), expect(step.path), step.path)
        except (BadData, NotFound) as error:
            results[step.path] = error
            continue
        writes.append(Replacement(step.path, content, expect(step.path), step.remote))
    done = write_many(folder, writes)
    results.update(zip((write.path for write in writes), done, strict=True))
    results.update({step.path: _remove(folder, step, expect(step.path)) for step in removals})
    return _memory(steps, results, blocks)


def _content(folder: Folder, block: bytes, seen: Seen | None, path: RecordPath) -> bytes:
    """The file of a record, in the form of the one that it is to replace."""
    if seen is not None:
        with suppress(FileChanged, FileProblem):
            old, _ = read_bytes(folder, path)
            return restyled(old, block, split_record_path(path)[0])
    return file_of(block)


def _block(blocks: Mapping[Cid, bytes], step: Step) -> bytes:
    if step.remote is None or step.remote not in blocks:
        raise NotFound(
            "the repo's tree has this record, but the PDS does not have its content",
            hint="tell the operator of the PDS; writing the record anew, with another content, "
            "mends it",
        )
    return blocks[step.remote]


def _remove(folder: Folder, step: Step, seen: Seen | None) -> SyncdError | None:
    if seen is None:
        return None
    try:
        remove(folder, step.path, expect=seen)
    except (FileChanged, FileProblem) as error:
        return error
    return None


def _memory(
    steps: Sequence[Step],
    results: Mapping[RecordPath, Seen | SyncdError | None],
    blocks: Mapping[Cid, bytes],
) -> Memory:
    done = {s.path: s for s in steps if not isinstance(results[s.path], SyncdError)}
    waiting: dict[str, tuple[Waiting, ...]] = dict.fromkeys(done, ())
    for path, result in results.items():
        if isinstance(result, SyncdError):
            waiting[path] = (not_done(path, result),)
    return Memory(
        base={path: step.remote for path, step in done.items()},
        blocks={path: blocks[step.remote] for path, step in done.items() if step.remote},
        seen={path: _seen_or_none(results[path]) for path in done},
        waiting=waiting,
        decided=tuple(done),
    )


def _seen_or_none(result: Seen | SyncdError | None) -> Seen | None:
    return result if isinstance(result, Seen) else None


def not_done(path: RecordPath, error: SyncdError) -> Waiting:
    """What waits after a step was not carried out: another look, or a person."""
    if isinstance(error, FileChanged | SwapFailed):
        return Retry(path, error.message)
    return Problem(path, error.message, error.hint)


def keep_conflicts(
    folder: Folder, conflicts: Sequence[Conflict], blocks: Mapping[Cid, bytes]
) -> None:
    """Lay the remote side of each conflict beside the folder, named by its content."""
    for conflict in conflicts:
        if conflict.remote is None or conflict.remote not in blocks:
            continue
        try:
            content = file_of(blocks[conflict.remote])
        except BadData:
            continue  # there is no text to lay beside the folder; the repo still has the record
        keep_conflict(folder, conflict.path, conflict.remote, content)
        drop_conflicts(folder, conflict.path, keep=(conflict.remote,))
