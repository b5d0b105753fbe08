"""The git repository around a folder: wait for it, name its switches, commit what was synced.

Committed is what both sides agree on, proven by the verified tree, and nothing that a person works
on. Whatever fails here is a problem for `status` and never stops a sync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from syncd.atproto.cid import Cid
from syncd.cycle.git.decision import Facts, blaming, put_off
from syncd.cycle.git.records import Cids, cid_in, records_in
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, FileChanged, FileProblem, GitFailed
from syncd.folder.names import relative_path
from syncd.folder.write import read_bytes
from syncd.git.commits import Tip, Tree, Worktree, commit, push
from syncd.git.message import Published, message
from syncd.git.repository import Place, find_place, last_switch
from syncd.git.versions import last_published
from syncd.model import (
    Memory,
    Plan,
    Problem,
    RecordPath,
    Report,
    Retry,
    Snapshot,
    parse_record_path,
)
from syncd.replica import remotes_of

READY_SECONDS = 10.0
"""How long a cycle waits for git to finish with the files. A lock that stays does not stop it."""
_PAUSE_SECONDS = 0.05
_LOOKS = 3
"""How often the folder is looked at while git commands keep coming: each write names what it
replaces, so the last look is safe to act on, if not coherent."""
NAME = ".git"
"""The path under which `status` shows what git refuses."""
_NOTE = "git"
_BUSY = "it is gone, and git holds its lock: a command may not be done"
_BUSY_HINT = "wait for that command; if none is running, remove .git/index.lock"
_LEFT_OUT = "git leaves it out of this sparse checkout; that does not delete it in the repo"
_SPARSE_HINT = (
    "git sparse-checkout add its directory; or [scope] in syncd.toml, to mirror less; "
    "to delete the record: git rm --sparse"
)


@dataclass(frozen=True, slots=True)
class Done:
    """What a commit was made of; `left` is what could not go into it yet."""

    commit: str | None = None
    branch: str = ""
    left: Mapping[RecordPath, str] = field(default_factory=dict)
    is_pushed: bool = True
    failed: GitFailed | None = None


@dataclass(slots=True)
class Beside:
    """Git, as a mirror's cycles meet it. Knows the CID of every blob that it has read."""

    workspace: Workspace
    cids: Cids = field(default_factory=dict)
    _is_behind: bool = False
    _doubted: tuple[RecordPath, ...] = ()

    def __post_init__(self) -> None:
        head, note = self.workspace.state.head(), self.workspace.state.note(_NOTE)
        self._is_behind = note is None or head is None or note["rev"] != head.rev
        self._doubted = tuple(
            RecordPath(item.path)
            for item in self.workspace.state.waiting()
            if isinstance(item, Retry)
        )

    async def undisturbed(self, look: Callable[[], Sides]) -> Sides:
        """What `look` finds in the folder while no git command is changing files.

        Waits for one that does, though not for a lock that stays, and looks again if one came
        between: half a checkout would be taken for deletions. What is gone while the lock stays is
        none, and neither is a file that git was told to leave out.
        """
        place = find_place(self.workspace.folder.root)
        for _ in range(_LOOKS):
            await _ready(place)
            before = None if place is None else place.moment()
            found = look()
            if place is None or place.moment() == before:
                break
        if place is None or not found.gone:
            return found
        return found.with_inert(await asyncio.to_thread(self._not_deleted, place, found.gone))

    def _not_deleted(self, place: Place, gone: Collection[RecordPath]) -> dict[RecordPath, Problem]:
        """Those of `gone` that nobody may have deleted.

        Only an index that is read after the look, with no lock in between, tells what was left out:
        git removes the files first.
        """
        if place.is_locked():
            return {path: Problem(path, _BUSY, _BUSY_HINT) for path in gone}
        try:
            names = Worktree.at(place).left_out()
        except GitFailed as error:
            reason = f"git cannot tell whether it left it out: {error.message}"
            unclear = gone if place.is_sparse() else ()
            return {path: Problem(path, reason, error.hint) for path in unclear}
        left_out = (path for path in gone if self._name(path) in names)
        return {path: Problem(path, _LEFT_OUT, _SPARSE_HINT) for path in left_out}

    def judged(self, plan: Plan, now: int) -> Plan:
        """The plan as git's state wants it.

        In the middle of a merge or a rebase the folder is not what anybody means, and not to be
        touched: changes wait, both ways. What is held says which branch git switched to before.
        """
        place = find_place(self.workspace.folder.root)
        if place is None:
            return plan
        operation = place.unfinished()
        switch = last_switch(place) if plan.held else None
        if switch is not None and now - switch.at <= self.workspace.config.brake_window_seconds:
            plan = blaming(plan, switch)
        return plan if operation is None else put_off(plan, operation, self.workspace.config)

    async def after(self, report: Report) -> Report:
        """Commit what a cycle has brought or confirmed, if that is asked for."""
        if not self.workspace.config.git_commit or self.workspace.state.head() is None:
            return report
        told: tuple[str, ...] = ()
        failed: GitFailed | None = None
        try:
            done = await self._committed(report)
            if done is not None and done.commit:
                told = (f"committed {done.commit[:10]} on {done.branch}",)
            failed = done.failed if done else None
        except GitFailed as error:
            failed = error
        problems = (Problem(NAME, failed.message, failed.hint),) if failed else ()
        self._remember_problems(problems)
        others = (problem for problem in report.problems if problem.path != NAME)
        return replace(report, problems=(*others, *problems), told=(*report.told, *told))

    def _remember_problems(self, problems: tuple[Problem, ...]) -> None:
        before = tuple(item for item in self.workspace.state.waiting() if item.path == NAME)
        if before != problems:
            self.workspace.state.record(Memory(waiting={NAME: problems}))

    async def _committed(self, report: Report) -> Done | None:
        note = self.workspace.state.note(_NOTE) or {"rev": None, "moved": {}, "push": False}
        moved = {**_read_moved(note["moved"]), **self._moved(report)}
        if not (moved or self._is_behind or note["push"]):
            return None
        facts = self._facts(moved)
        self._keep(note["rev"] if self._is_behind else facts.head.rev, moved, note["push"])
        place = find_place(self.workspace.folder.root)
        if place is None:
            hint = "run git init there, or take commit = true out of syncd.toml"
            raise GitFailed(f"{self.workspace.folder.root} is not in a git repository", hint=hint)
        if place.operation() is not None:
            return None
        done = await asyncio.to_thread(self._commit, Worktree.at(place), facts, bool(note["push"]))
        self._keep(facts.head.rev, done.left, not done.is_pushed)
        self._is_behind = False
        return done

    def _keep(self, rev: str | None, moved: Mapping[RecordPath, str], must_push: bool) -> None:
        """Remember what is to be committed; `rev` is the one up to which nothing was missed."""
        self.workspace.state.keep_note(_NOTE, {"rev": rev, "moved": dict(moved), "push": must_push})

    def _moved(self, report: Report) -> dict[RecordPath, str]:
        found = dict.fromkeys(self._doubted, "pushed")
        self._doubted = ()
        ways = {"adopted": report.adopted, "pulled": report.pulled, "pushed": report.pushed}
        for how, paths in ways.items():
            found.update(dict.fromkeys(paths, how))
        return found

    def _facts(self, moved: Mapping[RecordPath, str]) -> Facts:
        head, base = self.workspace.state.head(), self.workspace.state.base()
        assert head is not None
        waiting = {path for item in self.workspace.state.waiting() if (path := _as_path(item.path))}
        doubtful = waiting | moved.keys()
        sure = {path: cid for path, cid in base.items() if path not in doubtful}
        truth = sure | remotes_of(head, doubtful, self.workspace.state.node)
        return Facts(head, truth, base, moved, self._is_behind)

    # --- In a thread: nothing below touches the state. -------------------------------------------

    def _commit(self, work: Worktree, facts: Facts, must_push: bool) -> Done:
        tip = work.tip()
        if tip.branch is None:
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
            return Done(made, tip.branch, left, is_pushed=False, failed=error)
        return Done(made, tip.branch, left)

    def _chosen(
        self, work: Worktree, facts: Facts, in_git: Snapshot
    ) -> tuple[dict[str, RecordPath], dict[RecordPath, str]]:
        """The files to commit, and what of `moved` has to wait because a person is at it."""
        candidates = facts.candidates(in_git)
        ready = {path for path in candidates if self._holds(path, facts.truth.get(path))}
        names = {self._name(path): path for path in ready}
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
        """The commit, and those of `chosen` that were edited while it was made."""
        if not chosen and not is_news:
            return None, set()
        late = set(chosen.values())
        before = work.tree_id(tip.commit) if tip.commit else None

        def say(tree: str, files: Tree) -> str | None:
            if tree == before and not is_news:
                return None
            head, now = facts.head, self._records(work, files)
            unpublished = facts.unpublished(now)
            published = Published(
                self.workspace.config.did, head.rev, head.commit, tree, unpublished
            )
            late.intersection_update(p for p in late if now.get(p) != facts.truth.get(p))
            moved = {p: facts.moved.get(p, "adopted") for p in chosen.values() if p not in late}
            return message(moved, published)

        def is_meant(name: str) -> bool:
            return self._holds(chosen[name], facts.truth.get(chosen[name]))

        return commit(work, tip, set(chosen), is_meant, say), late

    def _name(self, path: RecordPath) -> str:
        return relative_path(path, portable=self.workspace.folder.portable)

    def _holds(self, path: RecordPath, cid: Cid | None) -> bool:
        """True if the file is this record; or is not there, for None."""
        try:
            text, _ = read_bytes(self.workspace.folder, path)
        except FileChanged:
            return cid is None
        except FileProblem:
            return False
        return cid is not None and cid_in(text, path) == cid

    def _records(self, work: Worktree, files: Tree) -> dict[RecordPath, Cid]:
        """The records in a git tree, as far as they belong to the mirror and can be read."""
        return records_in(
            work, files, self.workspace.config, self.workspace.folder.portable, self.cids
        )


async def _ready(place: Place | None) -> None:
    for _ in range(int(READY_SECONDS / _PAUSE_SECONDS)):
        if place is None or not place.is_locked():
            return
        await asyncio.sleep(_PAUSE_SECONDS)


def _as_path(text: str) -> RecordPath | None:
    try:
        return parse_record_path(text)
    except BadSyntax:
        return None


def _read_moved(note: object) -> dict[RecordPath, str]:
    return {RecordPath(k): str(v) for k, v in note.items()} if isinstance(note, dict) else {}
