"""Work beside git in a folder: wait for git commands, name branch switches, commit synced records.

A commit holds only records on which both sides agree, proven by the verified tree, and never a
person's unfinished work. A failure is a problem for `status` and never stops a sync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import field, replace
from functools import partial

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.cycle.git.absent import kept_out, not_deleted
from syncd.cycle.git.blobs import files_for_git
from syncd.cycle.git.decision import Facts, Obstacle, acting, name_switch, put_off
from syncd.cycle.git.making import Making, Reader
from syncd.cycle.git.obstacles import Obstacles
from syncd.cycle.git.records import Cids, cid_in, records_in
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.errors import FileChanged, FileProblem, GitFailed
from syncd.folder.names import relative_paths
from syncd.folder.write import file_of, read_bytes
from syncd.git.commits import Tip, Tree, Worktree, commit, push
from syncd.git.indexlock import clear_left
from syncd.git.repository import (
    Repository,
    find_repository,
    last_switch,
    why_no_repository,
    without_branch,
)
from syncd.git.versions import last_published
from syncd.model import (
    Head,
    Memory,
    Plan,
    Problem,
    RecordPath,
    Report,
    Retry,
    Snapshot,
    Verdict,
    find_record_path,
)
from syncd.replica import remotes_of
from syncd.state.notes import GitProgress
from syncd.values import dataclass

READY_SECONDS = 10.0
"""How long a cycle waits for a git command to end. If the lock stays, the cycle continues."""
_PAUSE_SECONDS = 0.05
_LOOKS = 3
"""How often a cycle looks at the folder while git commands disturb it. The last look may mix two
checkouts. It is safe all the same: each write names what it replaces."""
NAME = ".git"
"""The path of git's own problem in `status`."""


@dataclass(frozen=True, slots=True)
class CommitAttempt:
    """The result of an attempt to commit.

    Attributes:
        commit: The id of the new commit; None if none was needed.
        left: Records that could not be committed yet, and how each came to agree.
        is_pushed: False if the push failed and must be repeated.
        failed: What git refused: some of the files, or the push.
        note: Why nothing is committed although nothing is wrong; empty if that was said before.
    """

    commit: str | None = None
    branch: str = ""
    left: Mapping[RecordPath, str] = field(default_factory=dict)
    is_pushed: bool = True
    failed: tuple[GitFailed, ...] = ()
    note: str = ""


@dataclass(slots=True)
class Companion:
    """The git repository beside a mirror's cycles.

    Attributes:
        cids: The CID of every git blob that was read so far.
        obstacles: What git keeps from being synced.
    """

    workspace: Workspace
    cids: Cids = field(default_factory=dict)
    obstacles: Obstacles = field(init=False)
    _is_behind: bool = False
    _with_git: frozenset[str] = frozenset()
    _is_without_branch: bool = False
    _doubted: tuple[RecordPath, ...] = ()

    def __post_init__(self) -> None:
        repository = find_repository(self.workspace.folder.root)
        if repository is not None:
            # At the start, and not only before the next commit: it keeps every git command out.
            clear_left(repository.lock)
        self.obstacles = Obstacles(self.workspace.folder.root.absolute())
        head, known = self.workspace.state.head(), self.workspace.state.note(GitProgress)
        # The note has the rev up to which no move is missing. If there is no note, or a crash came
        # before it was kept, compare every record with git once.
        self._is_behind = known is None or head is None or known.rev != head.rev
        self._doubted = tuple(
            RecordPath(item.path)
            for item in self.workspace.state.waiting()
            if isinstance(item, Retry)
        )

    async def look_undisturbed(self, look: Callable[[], Sides]) -> Sides:
        """Return the result of `look` at a moment when no git command is changing files.

        Half a checkout would look like deletions. So this waits for a running git command, and
        looks again if another one disturbed the look. A missing file is inert, and not a deletion,
        while the lock stays or if git leaves it out: a sparse checkout, an empty submodule.
        """
        repository = find_repository(self.workspace.folder.root)
        for _ in range(_LOOKS):
            await _ready(repository)
            before = None if repository is None else repository.moment()
            found = look()
            if repository is None or repository.moment() == before:
                break
        if repository is None or not found.gone:
            # No git, or no file is missing: git could only have caused false deletions.
            return found
        folder = self.workspace.folder
        return found.with_inert(
            await asyncio.to_thread(not_deleted, repository, folder, found.gone)
        )

    def judge(self, plan: Plan, now: int) -> Plan:
        """Return the plan without what git's state forbids; `now` is in unix seconds.

        In a merge or a rebase, the files are an intermediate state and must not be touched: all
        changes wait, in both directions. Those of an unmerged file wait alone. Held deletions name
        a recent switch of branches.
        """
        config = self.workspace.config
        names = {path: self._names(path) for path in acting(plan, config)}
        repository = find_repository(self.workspace.folder.root)
        obstacles = self._left_out(repository, plan) | self.obstacles.find(names)
        switch = last_switch(repository) if repository is not None and plan.held else None
        if switch is not None and now - switch.at <= config.brake_window_seconds:
            plan = name_switch(plan, switch)
        return put_off(plan, obstacles, config) if obstacles else plan

    def _left_out(self, repository: Repository | None, plan: Plan) -> dict[RecordPath, Obstacle]:
        """Return the new records of the repo whose files git keeps out of a sparse checkout.

        As after a clone that no published commit is a base for: there, nothing else knows of them.
        """
        new = [s.path for s in plan.with_verdict(Verdict.PULL) if s.base is None is s.local]
        if repository is None or not new or not repository.is_sparse():
            return {}
        try:
            return kept_out(repository, self.workspace.folder, new)
        except GitFailed:
            # To bring a file that git leaves out costs nothing but the room for it.
            return {}

    async def commit_after(self, report: Report) -> Report:
        """Commit the records that a cycle moved or confirmed, if the settings ask for commits.

        Never raises for git: a failure becomes the problem of the path NAME in the report.
        """
        if not self.workspace.config.git_commit or self.workspace.state.head() is None:
            return report
        notes: tuple[str, ...] = ()
        failed: tuple[GitFailed, ...] = ()
        try:
            done = await self._committed(report)
            if done is not None and done.commit:
                notes = (f"committed {done.commit[:10]} on {done.branch}",)
            elif done is not None and done.note:
                notes = (done.note,)
            failed = done.failed if done else ()
        except GitFailed as error:
            failed = (error,)
        problems = tuple(Problem(NAME, error.message, error.hint) for error in failed)
        self._remember_problems(problems)
        others = (problem for problem in report.problems if problem.path != NAME)
        return replace(report, problems=(*others, *problems), remarks=(*report.remarks, *notes))

    def _remember_problems(self, problems: tuple[Problem, ...]) -> None:
        before = tuple(item for item in self.workspace.state.waiting() if item.path == NAME)
        if before != problems:
            self.workspace.state.record(Memory(waiting={NAME: problems}))

    async def _committed(self, report: Report) -> CommitAttempt | None:
        known = self.workspace.state.note(GitProgress) or GitProgress()
        moved = {**known.moved, **self._moved(report)}
        blobs = files_for_git(self.workspace)
        if not (moved or self._is_behind or known.push or not blobs <= self._with_git):
            # Nothing came to agree since the last commit, and no push is due: do not run git.
            return None
        head = self.workspace.state.head()
        assert head is not None
        # Before the commit: after a crash or a failure, the next cycle commits the same records.
        self._keep(known.rev if self._is_behind else head.rev, moved, known.push)
        repository = find_repository(self.workspace.folder.root)
        if repository is None:
            reason, hint = why_no_repository(self.workspace.folder.root)
            raise GitFailed(reason, hint=hint)
        if repository.operation() is not None:
            # A commit now would become part of the person's merge, rebase or bisect.
            return None
        if repository.is_detached():
            # A commit on a detached HEAD belongs to no branch: the person could lose it. In a
            # submodule, or with jj, that is the normal state, and needs no repair.
            return self._wait_for_branch(repository)
        self._is_without_branch = False
        facts = self._facts(head, moved)
        work = Worktree.at(repository)
        done = await asyncio.to_thread(self._commit, work, facts, known.push, blobs)
        self._with_git = blobs
        self._keep(facts.head.rev, done.left, not done.is_pushed)
        self._is_behind = False
        return done

    def _keep(self, rev: Tid | None, moved: Mapping[RecordPath, str], must_push: bool) -> None:
        """Record the moves to commit; up to `rev`, no move is missing from them."""
        self.workspace.state.keep(GitProgress(rev, dict(moved), must_push))

    def _moved(self, report: Report) -> dict[RecordPath, str]:
        # These records waited for a retry when this process started. An earlier push may have
        # arrived all the same, and then no report names them.
        found = dict.fromkeys(self._doubted, "pushed")
        self._doubted = ()
        ways = {"adopted": report.adopted, "pulled": report.pulled, "pushed": report.pushed}
        for how, paths in ways.items():
            found.update(dict.fromkeys(paths, how))
        return found

    def _wait_for_branch(self, repository: Repository) -> CommitAttempt:
        """Commit nothing, and report the reason once."""
        note = "" if self._is_without_branch else without_branch(repository)
        self._is_without_branch = True
        return CommitAttempt(note=note)

    def _facts(self, head: Head, moved: Mapping[RecordPath, str]) -> Facts:
        base = self.workspace.state.base()
        waiting = {
            path for item in self.workspace.state.waiting() if (path := find_record_path(item.path))
        }
        # Base is the repo's record, except where the two may differ: where something waits, or
        # just moved. Only there the tree is asked.
        doubtful = waiting | moved.keys()
        sure = {path: cid for path, cid in base.items() if path not in doubtful}
        truth = sure | remotes_of(head, doubtful, self.workspace.state.kept_node)
        return Facts(head, truth, base, moved, self._is_behind)

    # --- In a thread: nothing below touches the state. -------------------------------------------

    def _commit(
        self, work: Worktree, facts: Facts, must_push: bool, blobs: Collection[str]
    ) -> CommitAttempt:
        tip = work.tip()
        if tip.branch is None:
            # It was left since `_committed` looked.
            hint = "git switch BRANCH; syncd then commits there what was synced"
            raise GitFailed("no branch is checked out, so syncd makes no commits", hint=hint)
        tracked = work.files(tip.commit)
        in_git = self._records(work, tracked)
        chosen, left = self._chosen(work, facts, in_git)
        # Only new ones: a blob never changes, and removing one here deletes nothing in git.
        fresh = {name for name in blobs if name not in tracked}
        fresh -= work.ignored(fresh)
        is_news = bool(fresh) or facts.is_news(
            last_published(work, self.workspace.config.did), in_git, left
        )
        before = work.tree_id(tip.commit) if tip.commit else None
        reader = Reader(
            self._holds,
            lambda files: self._records(work, files),
            partial(cid_in, forms=self.workspace.folder.forms),
        )
        making = Making(work, self.workspace.config.did, facts, chosen, reader, is_news, before)
        made = self._commit_chosen(work, tip, making, fresh)
        left |= {path: facts.moved.get(path, "adopted") for path in making.late}
        wants_push = self.workspace.config.git_push is not None and (must_push or made is not None)
        try:
            if wants_push and self.workspace.config.git_push is not None:
                push(work, self.workspace.config.git_push, tip.branch)
        except GitFailed as error:
            # The commit stands; only the push must be repeated.
            failed = (*making.refused(), error)
            return CommitAttempt(made, tip.branch, left, is_pushed=False, failed=failed)
        return CommitAttempt(made, tip.branch, left, failed=tuple(making.refused()))

    def _chosen(
        self, work: Worktree, facts: Facts, in_git: Snapshot
    ) -> tuple[dict[str, RecordPath], dict[RecordPath, str]]:
        """Choose the files to commit; return also the moved records that a person is editing."""
        candidates = facts.candidates(in_git)
        ready = {path for path in candidates if self._holds(path, facts.truth.get(path))}
        names = {self._name(path): path for path in ready}
        # A file that got another ending is one that went and one that came.
        tracked = work.files(work.tip().commit)
        names |= {n: path for path in ready for n in self._names(path) if n in tracked}
        # .gitignore is for files that git does not track yet: such a record is not for git.
        ignored = work.ignored({name for name, path in names.items() if path not in in_git})
        unmerged = self._unmerged(work, ready)
        waits = {
            path
            for path in facts.moved.keys() - ready
            if not in_git.get(path) == facts.truth.get(path) == facts.base.get(path)
        }
        left = {path: how for path, how in facts.moved.items() if path in waits}
        # They may be in agreement, as where one side was taken: they are to be committed all the
        # same, once the person has told git.
        left |= {path: facts.moved.get(path, "adopted") for path in unmerged}
        chosen = {n: p for n, p in names.items() if n not in ignored and p not in unmerged}
        return chosen, left

    def _unmerged(self, work: Worktree, paths: Collection[RecordPath]) -> set[RecordPath]:
        """Return the records with an unmerged file, under its present name or another one."""
        found, prefix = work.unmerged(), work.repository.prefix
        concerned = paths if found else ()
        return {p for p in concerned if any(f"{prefix}{n}" in found for n in self._names(p))}

    def _commit_chosen(
        self, work: Worktree, tip: Tip, making: Making, blobs: Collection[str] = ()
    ) -> str | None:
        """Commit the chosen files and the new `blobs`; return the commit."""
        if not making.chosen and not making.is_news:
            return None
        names = {*making.chosen, *blobs}
        made = commit(work, tip, names, making.reject, making.compose, making.check)
        if made is None or making.is_of_its_tree(made):
            return made
        # A hook added to the commit or changed it. What was said is not of this tree, so it is
        # said again, of the tree that there is now.
        anew = replace(making, chosen={}, is_news=True, before=None, said=[])
        return self._commit_chosen(work, work.tip(), anew) or made

    def _name(self, path: RecordPath) -> str:
        return file_of(self.workspace.folder, path)

    def _names(self, path: RecordPath) -> tuple[str, ...]:
        folder = self.workspace.folder
        return relative_paths(path, portable=folder.portable, forms=folder.forms)

    def _holds(self, path: RecordPath, cid: Cid | None) -> bool:
        """Return whether the file of `path` holds the record `cid`, or is missing for None."""
        try:
            text, _ = read_bytes(self.workspace.folder, path)
        except FileChanged:
            return cid is None
        except FileProblem:
            # Unreadable is not gone: neither the record nor its deletion is there to commit.
            return False
        return cid is not None and cid_in(text, path, self.workspace.folder.forms) == cid

    def _records(self, work: Worktree, files: Tree) -> dict[RecordPath, Cid]:
        """Return the CIDs of the mirrored, readable records in a git tree."""
        return records_in(work, files, self.workspace.config, self.cids)


async def _ready(repository: Repository | None) -> None:
    if repository is not None:
        clear_left(repository.lock)
    for _ in range(int(READY_SECONDS / _PAUSE_SECONDS)):
        if repository is None or not repository.is_locked():
            return
        await asyncio.sleep(_PAUSE_SECONDS)
