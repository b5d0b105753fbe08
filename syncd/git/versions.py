"""Read the versions of a file from git, and the commit that was published last. Never writes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from syncd.atproto.syntax import Did
from syncd.errors import GitFailed
from syncd.git.commits import Worktree
from syncd.git.message import COMMIT, Published, parse_blocks
from syncd.values import dataclass

_LOG = ("log", "-z", "--no-show-signature", "--encoding=UTF-8")


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One commit that changed a file.

    Attributes:
        commit: The id of the commit.
        at: The time of the commit, in unix seconds.
        content: The file in this commit; None if the commit deleted it.
    """

    commit: str
    at: int
    author: str
    subject: str
    content: bytes | None


def file_versions(work: Worktree, name: str, *, everywhere: bool = False) -> list[FileVersion]:
    """List the commits that changed the file `name` below the folder, newest first.

    By default, these are the ancestors of HEAD. With `everywhere`, also the commits of all
    branches, tags and stashes, and amended, reset or dropped commits while the reflog has them.

    Raises GitFailed.
    """
    where = ("--all", "--reflog", "--full-history") if everywhere else ()
    if work.tip().commit is None:
        return []
    file = f"{work.repository.prefix}{name}"
    words = (*_LOG, "--format=%H%x1f%ct%x1f%an%x1f%s", *where, "HEAD")
    out = work.git.run(*words, "--", file, options=("--literal-pathspecs",))
    entries = [os.fsdecode(entry).split("\x1f", 3) for entry in out.split(b"\0") if entry]
    contents = work.contents(f"{entry[0]}:{file}" for entry in entries)
    return [
        FileVersion(commit, int(at), author, subject, content)
        for (commit, at, author, subject), content in zip(entries, contents, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Anchor:
    """A git commit, and its trailers, which name its own tree."""

    commit: str
    published: Published


def last_published(work: Worktree, did: Did) -> Anchor | None:
    """Find the ancestor of HEAD that was published at the newest rev of the repo; None if none.

    A commit counts only if some of its trailers name its own tree. Raises GitFailed.
    """
    if work.tip().commit is None:
        return None
    found = sorted(_claims(work, did), key=lambda claim: claim.published.rev, reverse=True)
    return next((c for c in found if work.tree_id(c.commit) == c.published.tree), None)


def _claims(work: Worktree, did: Did) -> Iterator[Anchor]:
    grep = "--basic-regexp", f"--grep=^[[:space:]]*{COMMIT}: "
    words = (*_LOG, *grep, "--format=%H%n%B", "HEAD")
    for entry in work.git.run(*words).split(b"\0"):
        commit, _, text = entry.decode("utf-8", "replace").partition("\n")
        yield from (Anchor(commit, said) for said in parse_blocks(text) if said.did == did)


def says(work: Worktree, commit: str, published: Published) -> bool:
    """Return whether `published` can be read in the message of `commit`. Raises GitFailed."""
    text = work.git.run(*_LOG, "--max-count=1", "--format=%B", commit).decode("utf-8", "replace")
    return published in parse_blocks(text)


def check_complete(work: Worktree) -> None:
    """Raise GitFailed if the checkout is shallow: the published commit may be missing from it."""
    if work.git.text("rev-parse", "--is-shallow-repository") == "true":
        raise GitFailed(
            "this checkout has only part of the git history, without the commit that was "
            "published last",
            hint="fetch the whole history: git fetch --unshallow, or fetch-depth: 0 in a workflow",
        )
