"""One commit in the making: what it may hold, what it says, and whether it says that afterwards.

Runs git to read, never to write: the commit itself is made by `syncd.git.commits`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Did
from syncd.cycle.git.decision import Facts
from syncd.errors import GitFailed
from syncd.git.commits import Tree, Worktree
from syncd.git.message import Published, make_message, parse_blocks
from syncd.git.versions import says
from syncd.model import RecordPath, Snapshot
from syncd.values import dataclass

_UNREADABLE = "a git hook removes the Atproto- lines from the message, so syncd undid the commit"
_UNREADABLE_HINT = (
    "make the hooks commit-msg and prepare-commit-msg keep these lines: git help hooks"
)
_ALTERED = (
    "a git hook changes the files of every commit, so no commit can record what was published"
)
_ALTERED_HINT = "make the hook pre-commit add nothing to a commit without files: git help hooks"
_STORED = "git would store other content than the record {} has{}, so syncd did not commit it"
_STORED_HINT = "find what changes it: git check-attr -a FILE; git ls-files -v FILE"


@dataclass(frozen=True, slots=True)
class Reader:
    """How the records of files are read.

    Attributes:
        holds: Whether the file of a record holds this version; None is no file.
        records: The records of a git tree.
        cid: The CID of the record that a text is; None if it is none.
    """

    holds: Callable[[RecordPath, Cid | None], bool]
    records: Callable[[Tree], Snapshot]
    cid: Callable[[bytes, RecordPath], Cid | None]


@dataclass(frozen=True, slots=True)
class Making:
    """A commit of `chosen` files, by name, whose message says `facts`.

    Attributes:
        is_news: Whether a commit without changed files is useful.
        before: The folder's tree so far; None if there is none, or if it must not be the same.
        late: The records that are not in the commit, and are to be committed later.
        altered: Those of them that git would store as other records.
        said: What the commit says; empty if nobody can depend on it.
    """

    work: Worktree
    did: Did
    facts: Facts
    chosen: Mapping[str, RecordPath]
    read: Reader
    is_news: bool
    before: str | None
    late: set[RecordPath] = field(default_factory=set)
    altered: set[RecordPath] = field(default_factory=set)
    said: list[Published] = field(default_factory=list)

    def reject(self, files: Tree) -> set[str]:
        """Return the chosen files that were edited, or that git has staged as another record."""
        truth, staged = self.facts.truth, self.read.records(files)
        edited = {n for n, p in self.chosen.items() if not self.read.holds(p, truth.get(p))}
        other = {
            name
            for name, path in self.chosen.items()
            if name not in edited and staged.get(path) != truth.get(path)
        }
        other -= self._encoded(other, files)
        self.altered.update(self.chosen[name] for name in other)
        self.late.update(self.chosen[name] for name in edited | other)
        return edited | other

    def _encoded(self, names: set[str], files: Tree) -> set[str]:
        """Return those of `names` that git stores in another form and restores unchanged.

        git-crypt and git-lfs do that. One file is tried for all of them.
        """
        staged = self.read.records(files)
        found = sorted(n for n in names if n in files and self.chosen[n] not in staged)
        return set(found) if found and self._comes_back(found[0], files[found[0]].id) else set()

    def _comes_back(self, name: str, blob: str) -> bool:
        where = f"--path={self.work.repository.prefix}{name}"
        try:
            text = self.work.git.run("cat-file", "--filters", where, blob)
        except GitFailed:
            return False
        path = self.chosen[name]
        return self.read.cid(text, path) == self.facts.truth.get(path)

    def compose(self, tree: str, files: Tree) -> str | None:
        """Make the message for the folder's tree; None if the commit would be useless."""
        if tree == self.before and not self.is_news:
            # Every chosen file was edited meanwhile, or git would store it otherwise.
            return None
        facts, head = self.facts, self.facts.head
        unpublished = facts.unpublished(self.read.records(files))
        published = Published(self.did, head.rev, head.commit, tree, unpublished)
        done = (path for path in self.chosen.values() if path not in self.late)
        message = make_message({p: facts.moved.get(p, "adopted") for p in done}, published)
        self.said.extend(parse_blocks(message))
        return message

    def check(self, made: str) -> None:
        """Raise GitFailed unless the message of the commit `made` says the facts.

        If it has files, a hook may have changed its tree: see `is_of_its_tree`.
        """
        if not all(says(self.work, made, one) for one in self.said):
            raise GitFailed(_UNREADABLE, hint=_UNREADABLE_HINT)
        if not self.chosen and not self.is_of_its_tree(made):
            raise GitFailed(_ALTERED, hint=_ALTERED_HINT)

    def is_of_its_tree(self, made: str) -> bool:
        """Return whether the commit `made` has the tree that its message names."""
        return all(one.tree == self.work.tree_id(made) for one in self.said)

    def refused(self) -> Iterator[GitFailed]:
        """Yield the error for the files that git would store as other records, if there are any."""
        if self.altered:
            more = f", and {len(self.altered) - 1} more" if len(self.altered) > 1 else ""
            yield GitFailed(_STORED.format(min(self.altered), more), hint=_STORED_HINT)
