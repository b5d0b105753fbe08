"""Merge the conflicts whose policy asks for it into their files. Never writes to the repo.

The merge takes the place of the file, and base moves to the remote version that is in it: what is
left is an ordinary edit, which the next cycle pushes. Where anything stands in the way, the
conflict stays a conflict and says why.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of, encode
from syncd.atproto.inexact import record_of
from syncd.config import Config
from syncd.cycle.observe.views import Sides
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.pull.supersede import Placement, Successor, Text, supersede
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, FileChanged, SyncdError
from syncd.folder.write import read_bytes
from syncd.forms import Forms
from syncd.merge import Merged, merge
from syncd.model import (
    Conflict,
    Memory,
    Plan,
    Policy,
    RecordPath,
    Retry,
    Seen,
    Waiting,
    split_record_path,
)
from syncd.values import dataclass

TO_BE_PUSHED = "merged; to be pushed"


@dataclass(frozen=True, slots=True)
class Joined:
    """The plan without the merged conflicts, and the facts to record about them."""

    plan: Plan
    memory: Memory = field(default_factory=Memory)

    @property
    def paths(self) -> tuple[RecordPath, ...]:
        return tuple(sorted(self.memory.base))


def wants_merge(plan: Plan, config: Config) -> list[Conflict]:
    """Return the conflicts of `plan` that are to be merged."""
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
    """Merge the conflicts that `wants_merge` names; `blocks` holds the remote versions."""
    successors: list[Successor] = []
    errors: dict[RecordPath, SyncdError] = {}
    wanted = {conflict.path: conflict for conflict in wants_merge(plan, workspace.config)}
    for path, conflict in wanted.items():
        try:
            merged = merged_file(workspace, conflict, blocks)
            successors.append(
                _successor(conflict, sides.expect(path), merged, workspace.folder.forms)
            )
        except SyncdError as error:
            errors[path] = error
    placement = supersede(workspace.folder, keeper, successors)
    # A conflict that could not be merged stays one: it says why, and nothing is retried for it.
    done = Placement(placement.files, {})
    base = {path: wanted[path].remote for path in done.files}
    pushes: dict[str, tuple[Waiting, ...]] = {
        path: (Retry(path, TO_BE_PUSHED),) for path in done.files
    }
    memory = done.memory(base, blocks).and_then(Memory(waiting=pushes))
    return Joined(_without(plan, done.files.keys(), {**errors, **placement.failed}), memory)


def merged_file(workspace: Workspace, conflict: Conflict, blocks: Mapping[Cid, bytes]) -> Merged:
    """Return the merge of a conflict's three versions; it may hold collisions.

    Raises:
        FileChanged: The file is not the one the conflict is about.
        BadData: The version both sides started from is not known, or a version cannot be merged.
    """
    path, remote = conflict.path, conflict.remote
    content, _ = read_bytes(workspace.folder, path)
    try:
        collection = split_record_path(path)[0]
        local = workspace.folder.forms.of(collection).parse(content, collection)
    except BadJson as error:
        raise BadData(error.message) from error
    if cid_of(local) != conflict.local or remote is None:
        raise FileChanged(f"{path} was edited after syncd read it")
    if remote not in blocks:
        raise BadData("the PDS does not have the content of its version")
    base = None if conflict.base is None else workspace.state.block(path, conflict.base)
    if conflict.base is not None and base is None:
        # Without it, nothing shows which fields one side changed.
        raise BadData("syncd no longer has the common ancestor of both sides")
    start = None if base is None else record_of(base)
    return merge(
        start,
        local,
        record_of(blocks[remote]),
        text=workspace.config.merges_lines(path),
        bodies=workspace.folder.forms.of(collection).bodies,
    )


def clean_record(merged: Merged, path: RecordPath, forms: Forms) -> tuple[bytes, Cid]:
    """Return the merge as a file and its CID. BadData: sides collide, or no file can say it."""
    record = merged.record
    if record is None:
        raise BadData(f"both sides changed {', '.join(merged.collisions)}")
    collection = split_record_path(path)[0]
    form = forms.of(collection)
    text, cid = form.format(record), cid_of(record)
    try:
        is_exact = cid_of(form.parse(text, collection)) == cid
    except BadJson as error:
        raise BadData(error.message) from error
    if not is_exact:
        raise BadData("JSON cannot express the result")
    return text, cid


def _successor(conflict: Conflict, seen: Seen | None, merged: Merged, forms: Forms) -> Successor:
    """Return the merge as the file's successor. Raises BadData if it is not clean."""
    path, reason = conflict.path, f"{conflict.reason}: merged"
    text, cid = clean_record(merged, path, forms)
    if seen is None:
        raise FileChanged(f"{path} is gone")
    return Successor(path, seen, cid, conflict.base, reason, in_style(text, path, forms))


def in_style(text: bytes, path: RecordPath, forms: Forms) -> Text:
    """Return a merge, in the style of the file that it replaces where that is of long texts."""
    collection = split_record_path(path)[0]
    form = forms.of(collection)
    if not form.bodies:
        return text
    try:
        block = encode(form.parse(text, collection))
    except (BadJson, BadData):
        return text
    return lambda old: text if old is None else form.restyled(old, block, collection)


def _without(
    plan: Plan, done: Collection[RecordPath], errors: Mapping[RecordPath, SyncdError]
) -> Plan:
    return replace(
        plan,
        steps=tuple(step for step in plan.steps if step.path not in done),
        conflicts=tuple(
            _explained(conflict, errors.get(conflict.path))
            for conflict in plan.conflicts
            if conflict.path not in done
        ),
    )


def _explained(conflict: Conflict, error: SyncdError | None) -> Conflict:
    """Return the conflict with the reason why its merge failed, if a merge was tried."""
    if error is None:
        return conflict
    return replace(conflict, reason=f"{conflict.reason}; not merged: {error.message}")
