"""Let no version of a record go before the blobs that only it names are here, or are nowhere.

A PDS drops a blob with the last record that names it. So before an edit or a deletion takes the
last name away, on either side, the bytes are fetched, whatever the settings say. What cannot be
fetched now keeps its change waiting; after some failures a person is asked. Never deletes anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.blobs.bring import Bringer, Brought
from syncd.blobs.files import LARGEST
from syncd.blobs.words import blob_words
from syncd.cycle.blobs.attached import fill, refs_in_file, store_of
from syncd.cycle.observe.remote import Sight
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem
from syncd.model import (
    Choice,
    Held,
    Kind,
    Plan,
    RecordPath,
    Retry,
    Side,
    Step,
    Verdict,
)
from syncd.pds import Pds
from syncd.state.attachments import Asked, refs_in
from syncd.values import dataclass

FAILURES: Final = 3
"""After so many failures to fetch a blob, a person decides whether its last record goes."""
APART_SECONDS: Final = 2
"""Failures that follow each other faster count as one: one sync tries several times."""
_GOING = (Verdict.PUSH, Verdict.PULL)


@dataclass(frozen=True, slots=True)
class Kept:
    """A plan that takes away no blob that the PDS may still give, and the changes that wait."""

    plan: Plan
    waiting: Mapping[str, tuple[Retry, ...]] = field(default_factory=dict)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Return why each change waits: nothing else of a sync says so."""
        found = (item for items in self.waiting.values() for item in items)
        return tuple(f"{item.path}: {item.reason}; the next sync tries again" for item in found)


async def keep_blobs(
    workspace: Workspace, pds: Pds, sight: Sight, sides: Sides, plan: Plan
) -> Kept:
    """Fetch the blobs that the steps of `plan` would unname; leave out the steps that must wait.

    Raises as `Sight.records` does, FolderWrong and StateDamaged.
    """
    steps = [step for step in plan.steps if step.verdict in _GOING]
    if workspace.config.is_one_way:
        # There is no mirror to keep them in: a job in CI leaves nothing behind.
        return Kept(plan)
    going = await _going(workspace, pds, sight, steps)
    if not going:
        return Kept(plan)
    at_risk = await _at_risk(workspace, pds, sight, steps, going)
    lacking = _lacking(workspace, at_risk)
    if not lacking:
        return Kept(plan)
    brought = await _fetch(workspace, pds, lacking)
    return _without_those_that_wait(workspace, sides, plan, at_risk, brought)


async def _going(
    workspace: Workspace, pds: Pds, sight: Sight, steps: Sequence[Step]
) -> dict[RecordPath, dict[Cid, BlobRef]]:
    """Return the blobs that each version names which a step replaces or deletes."""
    old = [step for step in steps if step.base is not None]
    paths = [step.path for step in old]
    fill(workspace, paths)
    attachments = workspace.state.attachments
    found = {p: {r.cid: r for r in refs} for p, refs in _named(workspace, old).items()}
    unread = set(attachments.unread(paths))
    blocks: dict[RecordPath, Cid] = {
        step.path: step.base for step in old if step.path in unread and step.base is not None
    }
    # A version of the repo that base never was: a person chose the other side of a conflict.
    blocks |= {
        step.path: step.remote
        for step in steps
        if step.verdict is Verdict.PUSH and step.remote is not None and step.remote != step.base
    }
    records = await sight.records(pds, blocks.values()) if blocks else {}
    for path, cid in blocks.items():
        for ref in refs_in(records.get(cid, b"")):
            found.setdefault(path, {})[ref.cid] = ref
    # The same on the other side.
    for step in steps:
        if step.verdict is Verdict.PULL and step.local not in (None, step.base):
            here = refs_in_file(workspace, step.path)
            for ref in here[1] if here is not None else ():
                found.setdefault(step.path, {})[ref.cid] = ref
    return found


def _named(workspace: Workspace, steps: Iterable[Step]) -> dict[RecordPath, list[BlobRef]]:
    return workspace.state.attachments.named_by([step.path for step in steps])


async def _at_risk(
    workspace: Workspace,
    pds: Pds,
    sight: Sight,
    steps: Sequence[Step],
    going: Mapping[RecordPath, Mapping[Cid, BlobRef]],
) -> dict[RecordPath, dict[Cid, BlobRef]]:
    """Return those of `going` that neither the next version nor another record names."""
    concerned = [step for step in steps if step.path in going]
    pulled = {s.path: s.remote for s in concerned if s.verdict is Verdict.PULL and s.remote}
    blocks = await sight.records(pds, pulled.values()) if pulled else {}
    moving = {step.path for step in steps}
    found: dict[RecordPath, dict[Cid, BlobRef]] = {}
    for step in concerned:
        if step.verdict is Verdict.PULL:
            after: Collection[BlobRef] = refs_in(
                blocks.get(step.remote, b"") if step.remote is not None else b""
            )
        else:
            here = refs_in_file(workspace, step.path) if step.local is not None else None
            after = here[1] if here is not None else ()
        stays = {ref.cid for ref in after}
        lost = {
            cid: ref
            for cid, ref in going[step.path].items()
            if cid not in stays and not _is_named_elsewhere(workspace, cid, moving)
        }
        if lost:
            found[step.path] = lost
    return found


def _is_named_elsewhere(workspace: Workspace, cid: Cid, moving: Collection[RecordPath]) -> bool:
    """Return whether a record that this cycle does not touch names a blob too."""
    return any(path not in moving for path in workspace.state.attachments.namers(cid))


def _lacking(
    workspace: Workspace, at_risk: Mapping[RecordPath, Mapping[Cid, BlobRef]]
) -> list[BlobRef]:
    """Return the blobs that are not here; compare each file with its hash, whatever its name."""
    refs = {cid: ref for found in at_risk.values() for cid, ref in found.items()}
    store, attachments = store_of(workspace), workspace.state.attachments
    listing = store.list()
    some = replace(listing, names={c: n for c, n in listing.names.items() if c in refs})
    checked = store.check(some, attachments.stamps())
    return [ref for cid, ref in refs.items() if cid not in checked.stamps]


async def _fetch(workspace: Workspace, pds: Pds, refs: Sequence[BlobRef]) -> Brought:
    """Fetch `refs` whatever the settings and the pauses say, and remember the results."""
    store, attachments = store_of(workspace), workspace.state.attachments
    store.sweep()
    now, before = workspace.now(), attachments.asked()
    # A PDS in trouble is asked for a few: those that failed before keep back no other.
    ordered = sorted(refs, key=lambda ref: _failures(before.get(ref.cid)))
    brought = await Bringer(store, pds, most=LARGEST).bring(ordered)
    attachments.keep_stamps(brought.stamps)
    failed = brought.refused | brought.silent
    if isinstance(brought.halted, FileProblem):
        # What this disk refuses one it refuses all.
        failed |= {ref.cid: brought.halted.message for ref in brought.left}
    asked = {
        cid: Asked(_failures(known) + 1, now + APART_SECONDS, reason, is_absent=False)
        for cid, reason in failed.items()
        if not _has_just_failed(known := before.get(cid), now)
    }
    attachments.keep_asked(asked)
    return brought


def _has_just_failed(asked: Asked | None, now: int) -> bool:
    return _failures(asked) > 0 and asked is not None and 0 < asked.due - now <= APART_SECONDS


def _failures(asked: Asked | None) -> int:
    return 0 if asked is None or asked.is_absent else asked.failures


def _without_those_that_wait(
    workspace: Workspace,
    sides: Sides,
    plan: Plan,
    at_risk: Mapping[RecordPath, Mapping[Cid, BlobRef]],
    brought: Brought,
) -> Kept:
    """Return the plan without the steps whose blobs are neither here nor known to be nowhere."""
    failed = {ref.cid for ref in brought.left} | brought.refused.keys()
    asked = workspace.state.attachments.asked()
    held: list[Held] = []
    waiting: dict[str, tuple[Retry, ...]] = {}
    stopped: set[RecordPath] = set()
    for step in plan.steps:
        cids = [cid for cid in at_risk.get(step.path, ()) if cid in failed]
        if not cids or _may_go(sides, step):
            continue
        stopped.add(step.path)
        reason = _reason([at_risk[step.path][cid] for cid in cids], brought, asked)
        if all(_failures(asked.get(cid)) >= FAILURES for cid in cids):
            held.append(_held(step, cids, reason))
        else:
            waiting[step.path] = (Retry(step.path, reason),)
    steps = tuple(step for step in plan.steps if step.path not in stopped)
    everything = tuple(sorted((*plan.held, *held), key=lambda item: item.path))
    return Kept(replace(plan, steps=steps, held=everything), waiting)


def _may_go(sides: Sides, step: Step) -> bool:
    """Return whether a person approved this very change while it was held for its blobs."""
    decision = sides.views.decisions.get(step.path)
    if decision is None or decision.choice is not Choice.APPROVE:
        return False
    return any(
        isinstance(item, Held) and item.blobs and item.path == step.path for item in sides.waiting
    )


def _reason(refs: Sequence[BlobRef], brought: Brought, asked: Mapping[Cid, Asked]) -> str:
    first = refs[0]
    many = "the last blob that it names" if len(refs) == 1 else f"{len(refs)} blobs that it names"
    why = brought.halted.message if brought.halted is not None else ""
    known = asked.get(first.cid)
    cause = brought.refused.get(first.cid) or why or (known.reason if known else "")
    what = f"this would lose {many}, {blob_words(first)}"
    return f"{what}, whose bytes could not be saved yet: {cause}"


def _held(step: Step, cids: Sequence[Cid], reason: str) -> Held:
    side = Side.LOCAL if step.verdict is Verdict.PUSH else Side.REMOTE
    after = step.local if side is Side.LOCAL else step.remote
    kind = Kind.DELETION if after is None else Kind.EDIT
    names = tuple(map(str, cids))
    if kind is Kind.DELETION:
        return Held(step.path, side, reason, kind, blobs=names)
    return Held(step.path, side, reason, kind, step.local, step.remote, blobs=names)
