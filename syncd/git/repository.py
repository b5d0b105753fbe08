"""Where a folder's git repository is, and what it is in the middle of.

Reads git's own small files and never runs git, so that it may be asked at any moment; never writes.
Source: gitrepository-layout(5), and the files that git's own prompt looks for.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

STALE_SECONDS = 120.0
"""A lock that is older was left behind by a git that was killed, or by a power cut."""
BISECT = "a bisect"
_OPERATIONS = (
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase"),
    ("MERGE_HEAD", "a merge"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
    ("sequencer/todo", "a series of picks"),
    ("BISECT_LOG", BISECT),
)
_LOCK = "index.lock"
_SWITCH = re.compile(r"> (\d+) [+-]\d{4}\tcheckout: moving from (\S+) to (\S+)\Z")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in a git worktree.

    Attributes:
        top: The top of the worktree.
        own: The worktree's own git directory: its HEAD, its index, what it is in the middle of.
        prefix: The folder below `top`, as "a/b/"; "" if it is the top itself.
    """

    top: Path
    own: Path
    prefix: str

    def operation(self) -> str | None:
        """What git is in the middle of and a person has to finish, in words; None if nothing."""
        found = (words for name, words in _OPERATIONS if (self.own / name).exists())
        return next(found, None)

    def is_locked(self) -> bool:
        """True while a git command changes the index, and maybe files. A very old lock is none."""
        try:
            return time.time() - self.lock.stat().st_mtime < STALE_SECONDS
        except OSError:
            return False

    def moment(self) -> tuple[bool, tuple[int, int, int] | None]:
        """Equal before and after something if no git command began, went on or ended meanwhile."""
        try:
            index = (self.own / "index").stat()
        except OSError:
            return self.is_locked(), None
        return self.is_locked(), (index.st_ino, index.st_mtime_ns, index.st_size)

    def is_sparse(self) -> bool:
        """True if git may have been told to leave files out of this worktree."""
        return (self.own / "info" / "sparse-checkout").exists()

    def unfinished(self) -> str | None:
        """The operation whose files may not be meant as they are: any but a bisect, in words."""
        found = self.operation()
        return None if found == BISECT else found

    def is_changing(self) -> bool:
        """True if files may be half of one change: git works on them, or waits for a person to."""
        return self.is_locked() or self.unfinished() is not None

    @property
    def lock(self) -> Path:
        return self.own / _LOCK


def is_changing(folder: Path) -> bool:
    """True if git is in the middle of changing the files around `folder`."""
    place = find_place(folder)
    return place is not None and place.is_changing()


@dataclass(frozen=True, slots=True)
class Switch:
    """The last thing that moved HEAD was a checkout; `at` is unix seconds."""

    before: str
    after: str
    at: int

    def __str__(self) -> str:
        return f"git switched from {_named(self.before)} to {_named(self.after)}"


def _named(target: str) -> str:
    return f"commit {target[:10]}" if _COMMIT.fullmatch(target) else f"branch {target}"


def find_place(folder: Path) -> Place | None:
    """The worktree that `folder` is in; None if it is in none, or in one that cannot be read."""
    folder = folder.absolute()
    for top in (folder, *folder.parents):
        own = _git_directory(top / ".git")
        if own is not None:
            relative = folder.relative_to(top).as_posix()
            return Place(top, own, "" if relative == "." else f"{relative}/")
    return None


def _git_directory(entry: Path) -> Path | None:
    """The git directory that `.git` is; in a linked worktree or a submodule, that it names."""
    try:
        if entry.is_dir():
            return entry if (entry / "HEAD").exists() else None
        label, _, target = entry.read_text(encoding="utf-8").strip().partition(": ")
    except (OSError, UnicodeDecodeError):
        return None
    found = (entry.parent / target).resolve()
    return found if label == "gitdir" and (found / "HEAD").exists() else None


def last_switch(place: Place) -> Switch | None:
    """The switch that HEAD's last move was, from its log; None if it was another, or has no log."""
    try:
        with (place.own / "logs" / "HEAD").open("rb") as log:
            log.seek(max(0, log.seek(0, 2) - _TAIL_BYTES))
            line = log.read().decode("utf-8", "replace").rstrip("\n").rpartition("\n")[2]
    except OSError:
        return None
    found = _SWITCH.search(line)
    return Switch(found[2], found[3], int(found[1])) if found else None
