"""Make the text without markup anew of posts whose body was edited here, before they are sent.

The file gets it first, then the record is sent: a stop in between leaves what the next cycle begins
with. Never touches a record of a collection that `[files] plain_text` does not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import Record, decode, encode
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.pull.supersede import Successor, not_done, supersede
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, FileChanged, FileProblem, StateWrong
from syncd.folder.write import read_bytes
from syncd.forms.plain import renewed
from syncd.model import Memory, Retry, Step, Waiting, split_record_path

_REASON = "syncd updated its text without markup"
_RECENT = 50
"""How many superseded versions of a record are looked through for one of these."""


def renew_texts(workspace: Workspace, keeper: Keeper, steps: Sequence[Step]) -> list[Step]:
    """Return the steps that may be sent, with the present versions of their files.

    What cannot be written now waits for the next cycle.
    """
    named = {} if workspace.config.is_one_way else dict(workspace.config.plain_text)
    ready: list[Step] = []
    for step in steps:
        keys = named.get(split_record_path(step.path)[0])
        done = step if keys is None or step.local is None else _renew(workspace, keeper, step, keys)
        if isinstance(done, Step):
            ready.append(done)
        else:
            workspace.state.record(Memory(waiting={step.path: (done,)}))
    return ready


def _renew(
    workspace: Workspace, keeper: Keeper, step: Step, keys: tuple[str, ...]
) -> Step | Waiting:
    folder, path = workspace.folder, step.path
    collection = split_record_path(path)[0]
    form = folder.forms.of(collection)
    try:
        text, now = read_bytes(folder, path)
        record = form.parse(text, collection)
        before, typed = _before(workspace, keeper, step), _typed(keeper, step)
        block = encode(renewed(record, before, form, keys, typed))
    except (BadData, BadJson, FileChanged, FileProblem, StateWrong) as error:
        return Retry(path, error.message)
    cid = cid_of_block(block)
    if step.local is None or cid == step.local or cid_of_block(encode(record)) != step.local:
        return step  # a file that was edited meanwhile is found when it is to be sent

    def restyled(old: bytes | None) -> bytes:
        return form.restyled(old or b"", block, collection)

    seen = now.seen(path, step.local, seen_ns=0)
    successor = Successor(path, seen, cid, step.base, _REASON, restyled, later=cid)
    placed = supersede(folder, keeper, [successor])
    workspace.state.record(Memory(seen=placed.files))
    failed = placed.failed.get(path)
    return replace(step, local=cid) if failed is None else not_done(path, failed)


def _before(workspace: Workspace, keeper: Keeper, step: Step) -> Record | None:
    """Return the version that both sides had. Raises FileProblem, StateWrong.

    The step was archived, so history has it where the state file does not.
    """
    if step.base is None:
        return None
    block = workspace.state.block(step.path, step.base) or keeper.history.content(step.base)
    return _record(block)


def _typed(keeper: Keeper, step: Step) -> Record | None:
    """Return the file as it was before its text was last renewed here, if it was not sent since."""
    events = keeper.history.events(step.path, _RECENT)
    cid = next((event.cid for event in events if event.reason == _REASON), None)
    return None if cid is None else _record(keeper.history.content(cid))


def _record(block: bytes | None) -> Record | None:
    found = None if block is None else decode(block)
    return found if isinstance(found, dict) else None
