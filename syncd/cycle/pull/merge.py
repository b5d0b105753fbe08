"""Merge the conflicts whose policy asks for it into their files. Never writes to the repo.

The merge takes the place of the file, and base moves to the remote version that is in it: what is
left is an ordinary edit, which the next cycle pushes. Where anything stands in the way, the
conflict stays a conflict and says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.atproto.inexact import record_of
from syncd.atproto.jsontext import format_record, parse_record
from syncd.config import Config
from syncd.cycle.observe.views import Sides
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, FileChanged, FileProblem, SyncdError
from syncd.folder.root import Folder
from syncd.folder.write import read_bytes, write
from syncd.merge import Merged, merge
from syncd.model import (
    Conflict,
    Memory,
    Plan,
    Policy,
    RecordPath,
    Retry,
    Seen,
    Step,
    Verdict,
    split_record_path,
)

TO_BE_PUSHED = "merged; to be pushed"


@dataclass(frozen=True, slots=True)
class Joined:
    """The plan without what was merged, and what to remember of it."""

    plan: Plan
    memory: Memory = field(default_factory=Memory)

    @property
    def paths(self) -> tuple[RecordPath, ...]:
        return tuple(sorted(self.memory.base))


def wants_merge(plan: Plan, config: Config) -> list[Conflict]:
    """The conflicts of `plan` that are to be merged."""
    return [
        conflict
        for conflict in plan.conflicts
        if config.policy(conflict.path) is Policy.MERGE and conflict.local and conflict.remote
    ]


def join(
    workspace: Workspace,
    keeper: Keeper,
    sides: Sides,
    plan: Plan,
    blocks: Mapping[Cid, bytes],
) -> Joined:
    """Merge what `wants_merge` names; `blocks` holds the remote versions."""
    memories: list[Memory] = []
    told: dict[RecordPath, str] = {}
    for conflict in wants_merge(plan, workspace.config):
        try:
            merged = merged_file(workspace, conflict, blocks)
            memories.append(_write(workspace.folder, keeper, sides, conflict, merged, blocks))
        except SyncdError as error:
            told[conflict.path] = f"{conflict.reason}; not merged: {error.message}"
    done = {path for memory in memories for path in memory.base}
    return Joined(_without(plan, done, told), _together(memories))


def merged_file(workspace: Workspace, conflict: Conflict, blocks: Mapping[Cid, bytes]) -> Merged:
    """The merge of a conflict's three versions; it may hold collisions.

    Raises:
        FileChanged: The file is not the one the conflict is about.
        BadData: The version both sides started from is not known, or a version cannot be merged.
    """
    path, remote = conflict.path, conflict.remote
    content, _ = read_bytes(workspace.folder, path)
    try:
        local = parse_record(content, split_record_path(path)[0])
    except BadJson as error:
        raise BadData(error.message) from error
    if cid_of(local) != conflict.local or remote is None:
        raise FileChanged(f"{path} was edited after it was looked at")
    if remote not in blocks:
        raise BadData("the PDS does not have the content of its version")
    base = None if conflict.base is None else workspace.state.block(path, conflict.base)
    if conflict.base is not None and base is None:
        raise BadData("the version that both sides started from is not known any more")
    start = None if base is None else record_of(base)
    return merge(start, local, record_of(blocks[remote]), text=workspace.config.merges_lines(path))


def clean_record(merged: Merged, path: RecordPath) -> tuple[bytes, Cid]:
    """The merge as a file and its CID. BadData if sides collide, or JSON cannot express it."""
    record = merged.record
    if record is None:
        raise BadData(f"both sides changed {', '.join(merged.collisions)}")
    text, cid = format_record(record), cid_of(record)
    try:
        is_exact = cid_of(parse_record(text, split_record_path(path)[0])) == cid
    except BadJson as error:
        raise BadData(error.message) from error
    if not is_exact:
        raise BadData("the result cannot be expressed as JSON")
    return text, cid


def _write(
    folder: Folder,
    keeper: Keeper,
    sides: Sides,
    conflict: Conflict,
    merged: Merged,
    blocks: Mapping[Cid, bytes],
) -> Memory:
    path, remote = conflict.path, conflict.remote
    text, cid = clean_record(merged, path)
    seen = sides.expect(path)
    if remote is None or seen is None:
        raise FileChanged(f"{path} is gone")
    if cid != conflict.local:
        seen = _replace(folder, keeper, conflict, seen, text, cid)
    return Memory(
        base={path: remote},
        blocks={path: blocks[remote]},
        seen={path: seen},
        waiting={path: (Retry(path, TO_BE_PUSHED),)},
    )


def _replace(
    folder: Folder, keeper: Keeper, conflict: Conflict, seen: Seen, text: bytes, cid: Cid
) -> Seen:
    step = Step(
        conflict.path, Verdict.PULL, conflict.base, conflict.local, cid,
        f"{conflict.reason}: merged",
    )  # fmt: skip
    failed = keeper.keep_files(folder, [step], lambda _: seen)
    if failed:
        raise FileProblem(failed[conflict.path].message)
    return write(folder, conflict.path, text, expect=seen, cid=cid)


def _without(plan: Plan, done: set[RecordPath], told: Mapping[RecordPath, str]) -> Plan:
    return replace(
        plan,
        steps=tuple(step for step in plan.steps if step.path not in done),
        conflicts=tuple(
            replace(conflict, reason=told.get(conflict.path, conflict.reason))
            for conflict in plan.conflicts
            if conflict.path not in done
        ),
    )


def _together(memories: Sequence[Memory]) -> Memory:
    return Memory(
        base={path: cid for memory in memories for path, cid in memory.base.items()},
        blocks={path: block for memory in memories for path, block in memory.blocks.items()},
        seen={path: seen for memory in memories for path, seen in memory.seen.items()},
        waiting={path: items for memory in memories for path, items in memory.waiting.items()},
    )
