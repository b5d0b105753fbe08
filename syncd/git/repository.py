"""Find a folder's git repository and its unfinished operations. Never runs git, never writes.

It reads a few small files of git, so it can be asked at any moment. Source:
gitrepository-layout(5), and the files that git's own prompt checks.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TypeAlias

from syncd.git.indexlock import is_left_behind
from syncd.git.stages import is_in_stages
from syncd.values import dataclass

STALE_SECONDS = 120.0
"""An older lock was left behind by a killed git or a power cut."""
_OPERATIONS = (
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase"),
    ("MERGE_HEAD", "a merge"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
    ("sequencer/todo", "a series of picks"),
    ("BISECT_LOG", "a bisect"),
)
_LOCK = "index.lock"
_SWITCH = re.compile(r"> (\d+) [+-]\d{4}\tcheckout: moving from (\S+) to (\S+)\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_TAIL_BYTES = 4096

Moment: TypeAlias = tuple[bool, tuple[int, int, int] | None]
"""Whether the index is locked, and the stat by which two indexes differ."""


@dataclass(frozen=True, slots=True)
class Repository:
    """The git repository of a folder, as one worktree sees it.

    Attributes:
        top: The top of the worktree.
        git_directory: The worktree's own git directory: HEAD, index, unfinished operations.
        prefix: The folder below `top`, as "a/b/"; "" if the folder is the top.
    """

    top: Path
    git_directory: Path
    prefix: str

    def operation(self) -> str | None:
        """Name the operation that a person has to finish, such as "a rebase"; None if none.

        Until then the files may be half of a change, or of a past that nobody wants back.
        """
        found = (words for name, words in _OPERATIONS if (self.git_directory / name).exists())
        return next(found, None)

    def is_locked(self) -> bool:
        """Return whether a git command holds the lock on the index; it may be changing files too.

        False for a lock older than STALE_SECONDS, and for one that a killed syncd left.
        """
        try:
            if is_left_behind(self.lock):
                return False
            return time.time() - self.lock.stat().st_mtime < STALE_SECONDS
        except OSError:
            return False

    def moment(self) -> Moment:
        """Return a value to compare later: if equal, no git command wrote the index meanwhile."""
        try:
            index = (self.git_directory / "index").stat()
        except OSError:
            return self.is_locked(), None
        return self.is_locked(), (index.st_ino, index.st_mtime_ns, index.st_size)

    def may_be_unmerged(self, name: str) -> bool:
        """Search the index for an unmerged entry of `name`, without git; `name` is below `top`."""
        return is_in_stages(self.git_directory, name)

    def is_sparse(self) -> bool:
        """Return whether this worktree may be a sparse checkout (git-sparse-checkout(1))."""
        return (self.git_directory / "info" / "sparse-checkout").exists()

    def is_changing(self) -> bool:
        """Return whether files may be half of one change: git, or a person, is still at work."""
        return self.is_locked() or self.operation() is not None

    def is_detached(self) -> bool:
        """Return whether HEAD names a commit and no branch, as always in a colocated jj."""
        try:
            text = (self.git_directory / "HEAD").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return _COMMIT.match(text.strip()) is not None

    @property
    def lock(self) -> Path:
        """The file that a git command creates to lock the index."""
        return self.git_directory / _LOCK


def is_changing(folder: Path) -> bool:
    """Return whether git, or a person in a git operation, is changing the files of `folder`."""
    repository = find_repository(folder)
    return repository is not None and repository.is_changing()


@dataclass(frozen=True, slots=True)
class Switch:
    """A checkout of another branch or commit, as the last move of HEAD; `at` is unix seconds."""

    before: str
    after: str
    at: int

    def __str__(self) -> str:
        return f"git switched from {_named(self.before)} to {_named(self.after)}"


def _named(target: str) -> str:
    return f"commit {target[:10]}" if _COMMIT.fullmatch(target) else f"branch {target}"


def find_repository(folder: Path) -> Repository | None:
    """Find the repository of the worktree around `folder`; None if there is none to read.

    A `.git` file that leads nowhere ends the search, as it ends git: what lies below it is no part
    of a repository further up.
    """
    folder = folder.absolute()
    for top in (folder, *folder.parents):
        found = _git_directory(top / ".git")
        if found is not None:
            relative = folder.relative_to(top).as_posix()
            return Repository(top, found, "" if relative == "." else f"{relative}/")
        if (top / ".git").is_file():
            return None
    return None


def why_no_repository(folder: Path) -> tuple[str, str]:
    """Return why `find_repository` finds none, and what to do about it."""
    folder = folder.absolute()
    drop = "remove commit = true from syncd.toml"
    for top in (folder, *folder.parents):
        if (top / ".git").is_file():
            hint = f"git worktree repair, or git submodule update, or {drop}"
            return f"{top / '.git'} names a git directory that does not exist", hint
        if (top / ".jj").is_dir():
            reason = f"{top} is a jj repository without a git repository next to it"
            return reason, f"jj commits the folder on its own: {drop}"
    return f"{folder} is not in a git repository", f"run git init there, or {drop}"


def without_branch(repository: Repository) -> str:
    """Return why nothing is committed where no branch is checked out."""
    if (repository.top / ".jj").is_dir():
        return "not committed: this is a jj workspace, and jj commits the folder on its own"
    how = "run git switch BRANCH, and the next sync commits it"
    return f"not committed: no branch is checked out; {how}"


def _git_directory(entry: Path) -> Path | None:
    """Return the git directory at `.git`, or the one named there (a linked worktree, a submodule).

    None if there is none.
    """
    try:
        if entry.is_dir():
            return entry if (entry / "HEAD").exists() else None
        label, _, target = entry.read_text(encoding="utf-8").strip().partition(": ")
    except (OSError, UnicodeDecodeError):
        return None
    found = (entry.parent / target).resolve()
    return found if label == "gitdir" and (found / "HEAD").exists() else None


def last_switch(repository: Repository) -> Switch | None:
    """Read HEAD's last move from its log; None unless it was a checkout."""
    try:
        with (repository.git_directory / "logs" / "HEAD").open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - _TAIL_BYTES))
            line = log.read().decode("utf-8", "replace").rstrip("\n").rpartition("\n")[2]
    except OSError:
        return None
    found = _SWITCH.search(line)
    return Switch(found[2], found[3], int(found[1])) if found else None
