"""Where a branch and the commit that was published last stand in a git remote; move the latter.

The published commit is kept in a ref of its own, so publishing makes no commit on the branch.
Never touches a branch, an index or a file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Final

from syncd.errors import GitFailed
from syncd.git.commits import Worktree
from syncd.values import dataclass

REF: Final = "refs/syncd/published"
_FETCH: Final = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
)
_AUTHOR: Final = ("-c", "user.name=syncd", "-c", "user.email=syncd@noreply.localhost")
"""A job of a CI often has no name, and the commit that REF may lead to is on no branch."""
_REMOTE_HINT: Final = (
    "the remote is origin, or the one in [git] push; without a remote, use: syncd sync "
    "--published FILE"
)
_PUSH_HINT: Final = (
    "give the job write access to the git repository (contents: write), or use --published FILE"
)


@dataclass(frozen=True, slots=True)
class Ends:
    """The newest commit of the branch and the object at REF in a remote. None: there is none."""

    tip: str | None
    published: str | None


@dataclass(frozen=True, slots=True)
class Upstream:
    """A branch of a git remote. Every method raises GitFailed if the remote cannot be used."""

    work: Worktree
    remote: str
    branch: str

    def ends(self) -> Ends:
        """Ask the remote where the branch and REF stand."""
        tip = f"refs/heads/{self.branch}"
        try:
            out = self.work.git.text("ls-remote", self.remote, tip, REF)
        except GitFailed as error:
            raise GitFailed(error.message, hint=error.hint or _REMOTE_HINT) from None
        pairs = (line.partition("\t") for line in out.splitlines())
        found = {name: commit for commit, _, name in pairs}
        return Ends(found.get(tip), found.get(REF))

    def bring(self) -> None:
        """Fetch the commit at REF."""
        self.work.git.run(*_FETCH, self.remote, REF)

    def bring_branch(self) -> None:
        """Fetch the newest commit of the branch, without moving any branch here."""
        self.work.git.run(*_FETCH, self.remote, f"refs/heads/{self.branch}")

    def complete(self) -> None:
        """Fetch the history of the branch that a shallow clone lacks."""
        if is_shallow(self.work):
            self.work.git.run(*_FETCH, "--unshallow", self.remote, f"refs/heads/{self.branch}")

    def move(self, before: str | None, after: str) -> bool:
        """Set REF to `after` if it still is `before`; return False if another job moved it."""
        lease = f"--force-with-lease={REF}:{before or ''}"
        try:
            self.work.git.run("push", "--quiet", lease, self.remote, f"{after}:{REF}")
        except GitFailed as error:
            now = self.ends().published
            if now == before:
                hint = error.hint or _PUSH_HINT
                raise GitFailed(f"{REF} cannot be moved: {error.message}", hint=hint) from None
            return now == after  # true if it arrived and only the answer was lost
        return True


def has_commit(work: Worktree, commit: str) -> bool:
    """Return whether the commit is in this clone. Raises GitFailed."""
    name = f"{commit}^{{commit}}"
    return work.git.text("rev-parse", "--verify", "--quiet", name, may_fail=(1, 128)) != ""


def comes_from(work: Worktree, newer: str, older: str) -> bool:
    """Return whether `older` is `newer` or one of its ancestors, as far as this clone knows.

    Raises GitFailed.
    """
    # It says nothing if it does not know one of the two.
    words = ("rev-list", "--count", older, f"^{newer}")
    return work.git.text(*words, may_fail=(128,)) == "0"


def merge_base(work: Worktree, one: str, other: str) -> str | None:
    """Return the newest commit that both come from; None if there is none. Raises GitFailed."""
    if not has_commit(work, one):
        return None
    return work.git.text("merge-base", one, other, may_fail=(1,)).partition("\n")[0] or None


def is_shallow(work: Worktree) -> bool:
    """Return whether this clone has only a part of the history. Raises GitFailed."""
    return work.git.text("rev-parse", "--is-shallow-repository") == "true"


def message_of(work: Worktree, commit: str) -> str:
    """Return the message of a commit. Raises GitFailed."""
    words = ("log", "--no-show-signature", "--max-count=1", "--encoding=UTF-8", "--format=%B")
    return work.git.text(*words, commit)


def note_beside(work: Worktree, commit: str, message: str) -> str:
    """Make a commit on no branch, with the files of `commit` and that commit as its parent.

    Return its id. Raises GitFailed.
    """
    words = ("commit-tree", f"{commit}^{{tree}}", "-p", commit, "-F", "-")
    send = message.encode("utf-8")
    return work.git.run(*words, send=send, options=_AUTHOR).decode("ascii").strip()


def blobs_between(work: Worktree, older: str, newer: str) -> dict[str, set[str | None]]:
    """Return the blobs of each file of the folder in the commits after `older`, up to `newer`.

    The ids of its blobs by its name below the folder; None where a commit removed it. Files that no
    commit changed are not among them. Raises GitFailed.
    """
    prefix = work.repository.prefix
    words = ("log", "-z", "-m", "--raw", "--no-abbrev", "--no-renames", "--full-history")
    where = ("--format=", f"{older}..{newer}", "--", prefix or ".")
    out = work.git.run(*words, *where, options=("--literal-pathspecs",))
    found: dict[str, set[str | None]] = defaultdict(set)
    fields = iter(out.split(b"\0"))
    for field in fields:
        change = field.decode("ascii", "replace").strip().removeprefix(":").split()
        if len(change) != 5:
            continue
        name = os.fsdecode(next(fields, b""))
        is_gone = not change[3].strip("0")
        found[name.removeprefix(prefix)].add(None if is_gone else change[3])
    return dict(found)
