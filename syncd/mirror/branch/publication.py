"""Publish the commit of HEAD: one sync, one way, from files that git has. `syncd sync` in a CI.

The files are laid out in a directory that lives as long as the sync. Of the checkout, only what the
job stores between runs is read or written. The mark of the publication moves after the last write,
and only if nobody else moved it: if a run is killed before that, the next run repeats it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from syncd.atproto.cid import Cid
from syncd.config import Config
from syncd.cycle.branch.files import Files, lay_out
from syncd.cycle.branch.kept import CONFLICTS, Shelf
from syncd.cycle.branch.mark import Mark, make_mark
from syncd.cycle.branch.trees import Agreed, agreed_at, settings_at, versions_between
from syncd.cycle.mirror import Mirror
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem, GitFailed, SyncdError
from syncd.folder.root import OWN, Folder, initialise
from syncd.folder.write import kept_conflict
from syncd.git.published import comes_from
from syncd.mirror.branch.marks import Marks, replaced_meanwhile
from syncd.mirror.branch.standing import Checkout, Since, checkout_at, since, since_for_preview
from syncd.mirror.online import Listeners, connected
from syncd.model import Memory, Problem, RecordPath, Report, Step
from syncd.state import create_state
from syncd.state.notes import Filenames, Overtaken
from syncd.trouble import explained
from syncd.values import dataclass

STATE: Final = "state.db"
NAME: Final = ".git"
"""The path of git's own problem, as in a mirror."""


@dataclass(frozen=True, slots=True)
class Published:
    """The results of a publication.

    Attributes:
        report: What the sync did and what it left.
        config: The settings that HEAD has.
        commit: The commit of HEAD.
        since: What it started from.
        has_moved: Whether the mark of the last publication has moved during the sync.
    """

    report: Report
    config: Config
    commit: str
    since: Since
    has_moved: bool = False

    @property
    def foreign(self) -> tuple[Step, ...]:
        """Return the changes in the repo by other programs, which git does not get."""
        return self.report.plan.foreign


Connect: TypeAlias = Callable[[Workspace], AbstractAsyncContextManager[Mirror]]
"""Makes the files of a publication a mirror of the repo at its PDS."""
Written: TypeAlias = Mapping[RecordPath, Cid | None]
"""What a publication wrote to the repo; None is a deletion."""


def at_the_pds(listeners: Listeners) -> Connect:
    """Return a function that connects to the PDS of the account, over HTTP."""
    return lambda files: connected(files, listeners, companion=None)


async def publish_branch(root: Path, marks: Marks, connect: Connect) -> Published:
    """Publish the commit of HEAD of the checkout at `root`.

    Raises GitFailed if it is not to be published or git fails, ConfigWrong, and as `Mirror.sync`.
    """
    checkout = checkout_at(root, os.environ)
    start = since(checkout, marks.find(checkout))
    if start.is_done:
        return Published(Report(remarks=(start.remark,)), *checkout.published, start)
    done, written = await _publish(checkout, start, marks, connect)
    return await _give_way(done, written, checkout, marks, connect)


async def _publish(
    checkout: Checkout, start: Since, marks: Marks, connect: Connect
) -> tuple[Published, Written]:
    """Publish the commit, and move the mark. Return also the records written to the repo."""
    shelf = Shelf(checkout.root, checkout.config.forms)
    async with _laid_out(checkout, start, connect) as (mirror, files):
        mirror.on_archive = shelf.keep_foreign
        try:
            report = await _sync(mirror, files, checkout, marks, start)
        except _Overtaken as error:
            # The mark is for the job of the newer commit to move.
            report = _so_far(mirror.so_far, error)
            done = Published(report, *checkout.published, start)
            return done, _written(mirror, report)
        report = _with_conflicts_kept(report, mirror, shelf)
        mark = make_mark(checkout.head, files.records(), mirror.state.base())
        written = _written(mirror, report)
    # The report of a first cycle has the plan; what is foreign may have changed since.
    report = _remarked(report, start)
    if report.halted is not None and not (report.pushed or report.adopted):
        return Published(report, *checkout.published, start), written
    return _moved(checkout, marks, start, mark, report), written


def _written(mirror: Mirror, report: Report) -> Written:
    base = mirror.state.base_of(report.pushed)
    return {path: base.get(path) for path in report.pushed}


async def _give_way(
    done: Published, written: Written, checkout: Checkout, marks: Marks, connect: Connect
) -> Published:
    """Set the repo to a newer commit, if this job wrote after that commit was published.

    The other job had looked before: what it found was as its commit has it, so it wrote nothing
    that a swap of this job could have met. Nobody else knows that the version is of this job.
    """
    found = marks.find(checkout).mark if written else None
    if found is None or not _is_after(checkout, found):
        return done
    config = settings_at(checkout.work, found.commit, os.environ)
    if config is None or not config.is_one_way or config.did != checkout.config.did:
        return done
    newer = replace(checkout, head=found.commit, config=config)
    own = {path: cid for path, cid in written.items() if config.covers_path(path)}
    async with _laid_out(newer, Since(found, None), connect) as (mirror, files):
        _agree(mirror, files, own)
        report = await mirror.sync()
    both = done.report.followed_by(replace(report, plan=done.report.plan))
    if report.pushed:
        count = "1 record is" if len(report.pushed) == 1 else f"{len(report.pushed)} records are"
        remark = (
            f"{count} as {found.commit[:10]} has it: the job of that commit finished before "
            "this one wrote"
        )
        both = replace(both, remarks=(*both.remarks, remark))
    return replace(done, report=both)


def _is_after(checkout: Checkout, mark: Mark) -> bool:
    is_other = mark.commit != checkout.head
    return is_other and comes_from(checkout.work, mark.commit, checkout.head)


async def preview_branch(root: Path, marks: Marks, connect: Connect) -> Published:
    """Plan the publication of HEAD, on any branch, and do nothing. Raises as `publish_branch`."""
    checkout = checkout_at(root, os.environ)
    start = since_for_preview(checkout, marks.find(checkout))
    async with _laid_out(checkout, start, connect) as (mirror, files):
        report = await mirror.preview()
        if _take_over(mirror, files, checkout, start, report):
            report = await mirror.preview()
        return Published(_remarked(report, start), *checkout.published, start)


class _Overtaken(Exception):
    """The job of a newer commit publishes, or has published: stop sending."""


async def _sync(
    mirror: Mirror, files: Files, checkout: Checkout, marks: Marks, start: Since
) -> Report:
    """Sync, and again if the job of an earlier commit was the last to write.

    Raises _Overtaken, between two requests.
    """

    def check() -> None:
        # After the repo was seen: what a job of a newer commit writes from now on costs this one
        # its swap, and the next cycle asks again.
        try:
            found = marks.find(checkout)
        except (GitFailed, FileProblem):
            # The mark cannot be moved then either, which says so.
            return
        try:
            now = since(checkout, found)
        except GitFailed:
            if found.tip is None:
                raise
            raise _Overtaken(replaced_meanwhile(checkout)) from None
        if now.is_done:
            raise _Overtaken(now.remark)

    mirror.before_push = check
    report = await mirror.sync()
    own = _take_over(mirror, files, checkout, start, report)
    if not own:
        return report
    try:
        both = report.followed_by(await mirror.sync())
    except _Overtaken:
        mirror.so_far = report.followed_by(mirror.so_far)
        raise
    foreign = tuple(step for step in both.plan.foreign if step.path not in own)
    return replace(both, plan=replace(both.plan, foreign=foreign))


def _so_far(report: Report, error: _Overtaken) -> Report:
    """Return the changes sent; the job of the newer commit finds them in the repo and in git."""
    return Report(report.pushed, deleted=report.deleted, remarks=(*report.remarks, str(error)))


def _take_over(
    mirror: Mirror, files: Files, checkout: Checkout, start: Since, report: Report
) -> Collection[RecordPath]:
    """Take as agreed what the repo has, if a commit since the last publication had it.

    The job of such a commit wrote it, and was overtaken or killed before it could say so. Return
    these records. No version is lost by what follows: git has it.
    """
    if start.mark is None:
        return ()
    remotes = {item.path: item.remote for item in report.conflicts}
    remotes |= {step.path: step.remote for step in report.plan.foreign}
    if not remotes:
        return ()
    versions = versions_between(
        checkout.work, start.mark.commit, checkout.head, mirror.config, remotes
    )
    own = {path: remotes[path] for path, known in versions.items() if remotes[path] in known}
    _agree(mirror, files, own)
    return own


def _agree(mirror: Mirror, files: Files, base: Mapping[RecordPath, Cid | None]) -> None:
    """Take these versions as the last agreed ones, whatever the files say."""
    files.bring(base.keys())
    mirror.state.record(Memory(base=base))


def _remarked(report: Report, start: Since) -> Report:
    return replace(report, remarks=(*filter(None, (start.remark,)), *report.remarks))


def _moved(checkout: Checkout, marks: Marks, start: Since, mark: Mark, report: Report) -> Published:
    """Move the mark. Report a failure as a problem: the publication itself is complete."""
    if start.mark == mark:
        return Published(report, *checkout.published, start)
    try:
        remark = marks.move(checkout, start, mark)
    except (GitFailed, FileProblem) as error:
        problem = Problem(NAME, error.message, error.hint)
        report = replace(report, problems=(*report.problems, problem))
        return Published(report, *checkout.published, start)
    report = replace(report, remarks=(*report.remarks, *filter(None, (remark,))))
    return Published(report, *checkout.published, start, has_moved=not remark)


@asynccontextmanager
async def _laid_out(
    checkout: Checkout, start: Since, connect: Connect
) -> AsyncIterator[tuple[Mirror, Files]]:
    """Yield a mirror of the files in HEAD, with what was agreed on before."""
    config = _settings(checkout.config)
    agreed = agreed_at(checkout.work, start.mark, config) if start.mark else Agreed()
    with explained(), TemporaryDirectory(prefix="syncd-") as directory:
        root = Path(directory)
        files = lay_out(checkout.work, checkout.head, config, root, agreed)
        marker = secrets.token_hex(16)
        initialise(root, marker)
        with create_state(root / OWN / STATE, did=config.did, marker=marker) as state:
            known = Memory(base=agreed.base, blocks=_replaceable(agreed, files))
            state.record(known, [Filenames(config.filenames), Overtaken(())])
            folder = Folder(
                root,
                marker,
                portable=config.is_portable,
                forms=config.forms,
                elsewhere=files.elsewhere,
            )
            workspace = Workspace(folder, state, config, time.time_ns)
            async with connect(workspace) as mirror:
                yield mirror, files


def _replaceable(agreed: Agreed, files: Files) -> Mapping[RecordPath, bytes]:
    """Return the records that this publication may replace or delete."""
    return {p: block for p, block in agreed.blocks.items() if p not in files.elsewhere}


def _settings(config: Config) -> Config:
    """Return the settings of a publication: nothing waits for a person at this machine.

    What is merged would be in the repo and in no commit, so such conflicts are held.
    """
    return replace(
        config,
        push_when="save",
        settle_seconds=0.0,
        conflicts_hold=(*config.conflicts_hold, *config.conflicts_merge),
        conflicts_merge=(),
        git_commit=False,
    )


def _with_conflicts_kept(report: Report, mirror: Mirror, shelf: Shelf) -> Report:
    """Save the repo's side of each conflict as a file; a failure becomes a remark."""
    remarks: list[str] = []
    folder = mirror.folder
    for conflict in report.conflicts:
        if conflict.remote is None:
            continue
        name = kept_conflict(folder, conflict.path, conflict.remote)
        try:
            if name is None:
                raise FileNotFoundError("syncd could not write it")
            content = (folder.root / name).read_bytes()
            shelf.keep_text(CONFLICTS, conflict.path, conflict.remote, content)
        except (OSError, SyncdError) as error:
            remarks.append(f"{conflict.path}: syncd could not keep the repo's version: {error}")
    return replace(report, remarks=(*report.remarks, *remarks))
