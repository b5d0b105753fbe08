"""After the records of a cycle: check the files of `blobs/`, and fetch what is missing.

A blob that does not come deletes nothing and stops no record. What a person edited in `blobs/` gets
another name, and the true bytes come back. Never writes to the repo.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from syncd.atproto.cid import Cid
from syncd.backoff import in_words
from syncd.blobs.bring import Bringer, Bringing, Brought
from syncd.blobs.reading import Reading
from syncd.blobs.store import DIRECTORY, MANY, Checked, cid_of_name
from syncd.blobs.words import blob_words
from syncd.cycle.blobs.attached import (
    MEGABYTE,
    Attached,
    asked_again,
    attached,
    fill,
    store_of,
)
from syncd.cycle.blobs.keep import keep_blobs
from syncd.cycle.blobs.removal import remove_unnamed
from syncd.cycle.workspace import SECOND_NS, Workspace
from syncd.errors import FileProblem, RateLimited
from syncd.model import Memory, Problem, RecordPath, Report, Retry
from syncd.pds import Pds
from syncd.state.attachments import Asked
from syncd.state.learnt import KnownBlobs
from syncd.values import dataclass

__all__ = ["Rounds", "is_as_it_was", "keep_blobs"]

CHECK_SECONDS: Final = 3_600
"""How often the files of many blobs are looked at where no name among them has changed."""
YOUNG_NS: Final = 2 * SECOND_NS
"""A directory that changed so short a time ago may change again without another time."""
NOT_GIVEN: Final = "the PDS does not send it"


@dataclass(slots=True)
class Rounds:
    """What is known of the blobs between two cycles.

    Attributes:
        seconds: How long the blobs of one cycle may take; None: until all are here.
        on_progress: Hears how far the fetching is.
        clock: Counts these seconds.
        reading: Reads the large files that records name.
    """

    seconds: float | None = None
    on_progress: Callable[[Bringing], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    reading: Reading = field(default_factory=Reading)
    _has_more: bool = True

    async def after(
        self, workspace: Workspace, pds: Pds, report: Report, *, is_whole: bool
    ) -> Report:
        """Fetch the missing blobs after a cycle; return its report with the results."""
        moved = {*report.pulled, *report.pushed, *report.adopted, *report.merged}
        if workspace.config.is_one_way or not (is_whole or moved or self._has_more):
            return report
        fill(workspace, None if is_whole else moved)
        if is_whole and (gone := remove_unnamed(workspace)):
            many = "1 file" if len(gone) == 1 else f"{len(gone)} files"
            remark = f"{DIRECTORY}: removed {many}, which no version has named for long"
            report = replace(report, remarks=(*report.remarks, remark))
        has_news = bool(workspace.state.attachments.named_by(moved))
        if not self._has_more and not has_news and (not is_whole or is_as_it_was(workspace)):
            return report
        found, checked = await self._look(workspace)
        problems = self._put_right(workspace, checked)
        if checked.edited:
            found, _ = await self._look(workspace)
        brought = await self._fetch(workspace, pds, found, checked.edited)
        self._has_more = bool(brought.left) and brought.halted is None
        self._remember(workspace, found, brought)
        return _reported(report, workspace, found, brought, problems, has_more=self._has_more)

    async def _look(self, workspace: Workspace) -> tuple[Attached, Checked]:
        attachments, store = workspace.state.attachments, store_of(workspace)
        known, listing = attachments.stamps(), store.list()
        checked = await store.look(listing, known)
        new = {cid: stamp for cid, stamp in checked.stamps.items() if known.get(cid) != stamp}
        attachments.keep_stamps(new, gone=known.keys() - checked.stamps.keys())
        return attached(workspace, checked), checked

    def _put_right(self, workspace: Workspace, checked: Checked) -> tuple[Problem, ...]:
        """Rename the files that were edited in place, to make room for the true bytes."""
        store, problems = store_of(workspace), list(checked.problems)
        for name in checked.edited:
            try:
                store.set_aside(name)
            except FileProblem as error:
                problems.append(Problem(f"{DIRECTORY}/{name}", error.message, error.hint))
        return (*problems, *store.list().problems) if checked.edited or problems else ()

    async def _fetch(
        self, workspace: Workspace, pds: Pds, found: Attached, edited: Sequence[str]
    ) -> Brought:
        """Fetch the blobs that are due, and the true bytes of those that were edited here."""
        cids = {cid_of_name(name) for name in edited}
        again = [ref for ref in found.missing if ref.cid in cids]
        # What got no answer goes last: it may never get one, and the others do.
        due = sorted(found.due, key=lambda ref: ref.cid in found.asked)
        store, due = store_of(workspace), [*again, *(r for r in due if r not in again)]
        if not due or not found.listing.is_open:
            return Brought()
        store.sweep()
        end = None if self.seconds is None else self.clock() + self.seconds
        bringer = Bringer(
            store,
            pds,
            most=workspace.config.blobs_max_megabytes * MEGABYTE,
            spare=found.spare,
            is_over=lambda: end is not None and self.clock() >= end,
            on_progress=self.on_progress,
        )
        return await bringer.bring(due)

    def _remember(self, workspace: Workspace, found: Attached, brought: Brought) -> None:
        attachments = workspace.state.attachments
        attachments.keep_stamps(brought.stamps)
        now = workspace.now()
        attachments.keep_asked(
            not_given(brought, found.asked, now) | silent(brought, found.asked, now)
        )
        if not brought.left:
            keep_as_it_is(workspace, len(found.named))


def not_given(brought: Brought, before: Mapping[Cid, Asked], now: int) -> dict[Cid, Asked]:
    """Return what to remember of each blob that the PDS did not give, or with other bytes."""
    reasons = {ref.cid: (NOT_GIVEN, True) for ref in brought.absent}
    reasons |= {cid: (reason, False) for cid, reason in brought.refused.items()}
    return {
        cid: asked_again(before.get(cid), now, reason, is_absent=is_absent)
        for cid, (reason, is_absent) in reasons.items()
    }


def silent(brought: Brought, before: Mapping[Cid, Asked], now: int) -> dict[Cid, Asked]:
    """Return what to remember of each blob without a usable answer: asked for by the next sync."""
    failures = {cid: before[cid].failures if cid in before else 0 for cid in brought.silent}
    return {
        cid: Asked(failures[cid], now, reason, is_absent=False)
        for cid, reason in brought.silent.items()
    }


def is_as_it_was(workspace: Workspace) -> bool:
    """Return whether no blob can be missing: base and the names in `blobs/` are unchanged.

    Never True of a few blobs: to look at these costs hardly more.
    """
    known = workspace.state.note(KnownBlobs)
    now = workspace.now()
    return (
        known is not None
        and known.count > MANY
        and (known.turn, known.settings) == (workspace.state.turn(), _settings(workspace))
        and 0 <= now - known.at < CHECK_SECONDS
        and (known.due == 0 or now < known.due)
        and store_of(workspace).changed_ns() == known.changed_ns
    )


def keep_as_it_is(workspace: Workspace, named: int) -> None:
    """Note that every blob that can be here is here, so that the next look can skip the check."""
    state = workspace.state
    listing = store_of(workspace).list()
    changed_ns, now_ns = listing.changed_ns, workspace.clock_ns()
    count = max(named, len(listing.names))
    if count <= MANY or now_ns - changed_ns < YOUNG_NS:
        return
    due = min((asked.due for asked in state.attachments.asked().values()), default=0)
    now = now_ns // SECOND_NS
    known = KnownBlobs(state.turn(), changed_ns, _settings(workspace), now, count, due)
    state.keep(known)


def _settings(workspace: Workspace) -> str:
    config = workspace.config
    limits = (config.blobs_max_megabytes, config.blobs_total_megabytes)
    return repr((config.blobs_fetch, config.blobs_collections, limits, config.collections))


def _reported(
    report: Report,
    workspace: Workspace,
    found: Attached,
    brought: Brought,
    problems: Sequence[Problem],
    *,
    has_more: bool,
) -> Report:
    """Return the report of a cycle with the results for its blobs."""
    known = {problem.path for problem in report.problems}
    new = tuple(problem for problem in problems if problem.path not in known)
    if new:
        by_path: dict[str, list[Problem]] = {}
        for problem in new:
            by_path.setdefault(problem.path, []).append(problem)
        workspace.state.record(Memory(waiting={p: tuple(some) for p, some in by_path.items()}))
    retries = report.retries
    if has_more:
        retries = (
            *retries,
            Retry(RecordPath(DIRECTORY), f"{len(brought.left)} blobs are still to be fetched"),
        )
    return replace(
        report,
        problems=(*report.problems, *new),
        retries=retries,
        remarks=(*report.remarks, *_remarks(found, brought)),
    )


def _remarks(found: Attached, brought: Brought) -> list[str]:
    remarks: list[str] = []
    if brought.stamps:
        size = sum(stamp.size for stamp in brought.stamps.values())
        amount = f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE // 10 else f"{size} bytes"
        what = "1 blob" if len(brought.stamps) == 1 else f"{len(brought.stamps)} blobs"
        remarks.append(f"{DIRECTORY}: fetched {what}, {amount}")
    refused = {ref.cid: NOT_GIVEN for ref in brought.absent} | brought.refused
    # Each is reported once; `status` and `blob ls` name those that are still missing.
    for cid, reason in refused.items():
        if cid not in found.asked or found.asked[cid].failures == 0:
            item = found.named[cid]
            again = in_words(asked_again(None, 0, "", is_absent=True).due)
            what = f"{item.paths[0]}: its blob {blob_words(item.ref)}"
            remarks.append(f"{what}: {reason}; syncd asks again in {again}")
    if brought.halted is not None:
        left = "1 blob is" if len(brought.left) == 1 else f"{len(brought.left)} blobs are"
        again = "" if isinstance(brought.halted, RateLimited) else "; the next sync tries again"
        remarks.append(f"{DIRECTORY}: {left} still missing: {brought.halted.message}{again}")
    return remarks
