"""Work beside git in a folder: wait for git commands, name branch switches, commit synced records.

A commit holds only records on which both sides agree, proven by the verified tree, and never a
person's unfinished work. A failure is a problem for `status` and never stops a sync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Tid
from syncd.cycle.git.decision import Facts, acting, name_switch, put_off
from syncd.cycle.git.obstacles import Obstacles
from syncd.cycle.git.records import Cids, cid_in, records_in
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.errors import FileChanged, FileProblem, GitFailed
from syncd.folder.names import relative_path
from syncd.folder.write import read_bytes
from syncd.git.commits import Tip, Tree, Worktree, commit, push
from syncd.git.message import Published, make_message, parse_blocks
from syncd.git.repository import Repository, find_repository, last_switch
from syncd.git.versions import last_published, says
from syncd.model import (
    Memory,
    Plan,
    Problem,
    RecordPath,
    Report,
    Retry,
    Snapshot,
    find_record_path,
)
from syncd.replica import remotes_of
from syncd.state.notes import GitProgress

READY_SECONDS = 10.0
"""How long a cycle waits for a git command to end. If the lock stays, the cycle continues."""
_PAUSE_SECONDS = 0.05
_LOOKS = 3
"""How often a cycle looks at the folder while git commands disturb it. The last look may mix two
checkouts. It is safe all the same: each write names what it replaces."""
NAME = ".git"
"""The path of git's own problem in `status`."""
_BUSY = "it is gone, and git holds its lock: a command may not be done"
_BUSY_HINT = "wait for that command; if none is running, remove .git/index.lock"
_UNREADABLE = "a hook takes the Atproto- lines out of the message; the commit was taken back"
_UNREADABLE_HINT = "have the hooks commit-msg and prepare-commit-msg keep the lines: git help hooks"
_ALTERED = "a hook changes the files of every commit, so none can say what was published"
_ALTERED_HINT = "have the hook pre-commit add nothing to a commit without files: git help hooks"
_LEFT_OUT = "git leaves it out of this sparse checkout; that does not delete it in the repo"
_SPARSE_HINT = (
    "git sparse-checkout add its directory; or [scope] in syncd.toml, to mirror less; "
    "to delete the record: git rm --sparse"
)


@dataclass(frozen=True, slots=True)
class CommitAttempt:
    """The result of an attempt to commit.

    Attributes:
        commit: The id of the new commit; None if none was needed.
        left: Records that could not be committed yet, and how each came to agree.
        is_pushed: False if the push failed and must be repeated.
        failed: The error of that push.
    """

    commit: str | None = None
    branch: str = ""
    left: Mapping[RecordPath, str] = field(default_factory=dict)
    is_pushed: bool = True
    failed: GitFailed | None = None


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
    _doubted: tuple[RecordPath, ...] = ()

    def __post_init__(self) -> None:
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
        while the lock stays or if a sparse checkout leaves it out.
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
        return found.with_inert(await asyncio.to_thread(self._not_deleted, repository, found.gone))

    def _not_deleted(
        self, repository: Repository, gone: Collection[RecordPath]
    ) -> dict[RecordPath, Problem]:
        """Return a problem for each missing file that may be no deletion.

        Git removes the files of a sparse checkout first and then writes the index. So only an index
        that was read after the look, without a lock, lists the files left out.
        """
        if repository.is_locked():
            # A git command may still be removing or restoring files: no absence is proven.
            return {path: Problem(path, _BUSY, _BUSY_HINT) for path in gone}
        try:
            names = Worktree.at(repository).left_out()
        except GitFailed as error:
            reason = f"git cannot tell whether it left it out: {error.message}"
            # Only a sparse checkout leaves files out. Without one, every absence is a deletion.
            unclear = gone if repository.is_sparse() else ()
            return {path: Problem(path, reason, error.hint) for path in unclear}
        left_out = (path for path in gone if self._name(path) in names)
        return {path: Problem(path, _LEFT_OUT, _SPARSE_HINT) for path in left_out}

    def judge(self, plan: Plan, now: int) -> Plan:
        """Return the plan as git's state allows it; `now` is in unix seconds.

        In a merge or a rebase, the files are an intermediate state and must not be touched: all
        changes wait, in both directions. Those of an unmerged file wait alone. Held deletions name
        a recent switch of branches.
        """
        config = self.workspace.config
        names = {path: self._name(path) for path in acting(plan, config)}
        obstacles = self.obstacles.find(names)
        repository = find_repository(self.workspace.folder.root)
        switch = last_switch(repository) if repository is not None and plan.held else None
        if switch is not None and now - switch.at <= config.brake_window_seconds:
            plan = name_switch(plan, switch)
        return put_off(plan, obstacles, config) if obstacles else plan

    async def commit_after(self, report: Report) -> Report:
        """Commit the records that a cycle moved or confirmed, if the settings ask for commits.

        Never raises for git: a failure becomes the problem of the path NAME in the report.
        """
        if not self.workspace.config.git_commit or self.workspace.state.head() is None:
            return report
        notes: tuple[str, ...] = ()
        failed: GitFailed | None = None
        try:
            done = await self._committed(report)
            if done is not None and done.commit:
                notes = (f"committed {done.commit[:10]} on {done.branch}",)
            failed = done.failed if done else None
        except GitFailed as error:
            failed = error
        problems = (Problem(NAME, failed.message, failed.hint),) if failed else ()
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
        if not (moved or self._is_behind or known.push):
            # Nothing came to agree since the last commit, and no push is due: do not run git.
            return None
        facts = self._facts(moved)
        # Before the commit: after a crash or a failure, the next cycle commits the same records.
        self._keep(known.rev if self._is_behind else facts.head.rev, moved, known.push)
        repository = find_repository(self.workspace.folder.root)
        if repository is None:
            hint = "run git init there, or take commit = true out of syncd.toml"
            raise GitFailed(f"{self.workspace.folder.root} is not in a git repository", hint=hint)
        if repository.operation() is not None:
            # A commit now would become part of the person's merge, rebase or bisect.
            return None
        done = await asyncio.to_thread(self._commit, Worktree.at(repository), facts, known.push)
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

    def _facts(self, moved: Mapping[RecordPath, str]) -> Facts:
        head, base = self.workspace.state.head(), self.workspace.state.base()
        assert head is not None
        waiting = {
            path for item in self.workspace.state.waiting() if (path := find_record_path(item.path))
        }
        # Base is the repo's record, except where the two may differ: where something waits, or
        # just moved. Only there the tree is asked.
        doubtful = waiting | moved.keys()
        sure = {path: cid for path, cid in base.items() if path not in doubtful}
        truth = sure | remotes_of(head, doubtful, self.workspace.state.node)
        return Facts(head, truth, base, moved, self._is_behind)

    # --- In a thread: nothing below touches the state. -------------------------------------------

    def _commit(self, work: Worktree, facts: Facts, must_push: bool) -> CommitAttempt:
        tip = work.tip()
        if tip.branch is None:
            # A commit on a detached HEAD belongs to no branch: the person could lose it.
            hint = "git switch BRANCH; what was synced is committed there"
            raise GitFailed("no branch is checked out: commits wait for one", hint=hint)
        in_git = self._records(work, work.files(tip.commit))
        chosen, left = self._chosen(work, facts, in_git)
        is_news = facts.is_news(last_published(work, self.workspace.config.did), in_git, left)
        made, late = self._commit_chosen(work, tip, facts, chosen, is_news=is_news)
        left |= {path: facts.moved.get(path, "adopted") for path in late}
        wants_push = self.workspace.config.git_push is not None and (must_push or made is not None)
        try:
            if wants_push and self.workspace.config.git_push is not None:
                push(work, self.workspace.config.git_push, tip.branch)
        except GitFailed as error:
            # The commit stands; only the push must be repeated.
            return CommitAttempt(made, tip.branch, left, is_pushed=False, failed=error)
        return CommitAttempt(made, tip.branch, left)

    def _chosen(
        self, work: Worktree, facts: Facts, in_git: Snapshot
    ) -> tuple[dict[str, RecordPath], dict[RecordPath, str]]:
        """Choose the files to commit; return also the moved records that a person is editing."""
        candidates = facts.candidates(in_git)
        ready = {path for path in candidates if self._holds(path, facts.truth.get(path))}
        names = {self._name(path): path for path in ready}
        # .gitignore is for files that git does not track yet: such a record is not for git.
        ignored = work.ignored({name for name, path in names.items() if path not in in_git})
        waits = {
            path
            for path in facts.moved.keys() - ready
            if not in_git.get(path) == facts.truth.get(path) == facts.base.get(path)
        }
        left = {path: how for path, how in facts.moved.items() if path in waits}
        return {n: p for n, p in names.items() if n not in ignored}, left

    def _commit_chosen(
        self,
        work: Worktree,
        tip: Tip,
        facts: Facts,
        chosen: Mapping[str, RecordPath],
        *,
        is_news: bool,
    ) -> tuple[str | None, set[RecordPath]]:
        """Commit the files; return the commit and the records of `chosen` edited meanwhile."""
        if not chosen and not is_news:
            return None, set()
        late = set(chosen.values())
        said: list[Published] = []
        before = work.tree_id(tip.commit) if tip.commit else None

        def compose(tree: str, files: Tree) -> str | None:
            if tree == before and not is_news:
                # The commit would change no file: every chosen one was edited meanwhile.
                return None
            head, now = facts.head, self._records(work, files)
            unpublished = facts.unpublished(now)
            published = Published(
                self.workspace.config.did, head.rev, head.commit, tree, unpublished
            )
            late.intersection_update(p for p in late if now.get(p) != facts.truth.get(p))
            moved = {p: facts.moved.get(p, "adopted") for p in chosen.values() if p not in late}
            message = make_message(moved, published)
            said.extend(parse_blocks(message))
            return message

        def check(made: str) -> None:
            check_made(work, made, said, may_add=bool(chosen))

        def is_meant(name: str) -> bool:
            return self._holds(chosen[name], facts.truth.get(chosen[name]))

        made = commit(work, tip, set(chosen), is_meant, compose, check)
        if made is not None and any(one.tree != work.tree_id(made) for one in said):
            # A hook added to the commit or changed it. What was said is not of this tree, so it is
            # said again, of the tree that there is now.
            again, _ = self._commit_chosen(work, work.tip(), facts, {}, is_news=True)
            made = again or made
        return made, late

    def _name(self, path: RecordPath) -> str:
        return relative_path(path, portable=self.workspace.folder.portable)

    def _holds(self, path: RecordPath, cid: Cid | None) -> bool:
        """Return whether the file of `path` holds the record `cid`, or is missing for None."""
        try:
            text, _ = read_bytes(self.workspace.folder, path)
        except FileChanged:
            return cid is None
        except FileProblem:
            # Unreadable is not gone: neither the record nor its deletion is there to commit.
            return False
        return cid is not None and cid_in(text, path) == cid

    def _records(self, work: Worktree, files: Tree) -> dict[RecordPath, Cid]:
        """Return the CIDs of the mirrored, readable records in a git tree."""
        return records_in(
            work, files, self.workspace.config, self.workspace.folder.portable, self.cids
        )


def check_made(work: Worktree, made: str, said: Sequence[Published], *, may_add: bool) -> None:
    """Raise GitFailed unless the commit `made` says what it was to say, of its own tree.

    With `may_add`, its tree may be another one: what a hook added is for the caller to deal with.
    """
    if not all(says(work, made, one) for one in said):
        raise GitFailed(_UNREADABLE, hint=_UNREADABLE_HINT)
    if not may_add and any(one.tree != work.tree_id(made) for one in said):
        raise GitFailed(_ALTERED, hint=_ALTERED_HINT)


async def _ready(repository: Repository | None) -> None:
    for _ in range(int(READY_SECONDS / _PAUSE_SECONDS)):
        if repository is None or not repository.is_locked():
            return
        await asyncio.sleep(_PAUSE_SECONDS)
