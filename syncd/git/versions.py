"""Read what git keeps: the versions of a file, and what commits say of the repo. Never writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from syncd.atproto.syntax import Did
from syncd.errors import GitFailed
from syncd.git.commits import Worktree
from syncd.git.message import COMMIT, Published, parse_message

_LOG = ("log", "-z", "--no-show-signature", "--encoding=UTF-8")


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One commit that changed a file, and the file's content in it; None if it was deleted.

    `at` is when it was committed, in unix seconds.
    """

    commit: str
    at: int
    author: str
    subject: str
    content: bytes | None


def file_versions(work: Worktree, name: str, *, everywhere: bool = False) -> list[FileVersion]:
    """The commits that changed the file at `name` below the folder, newest first.

    Those that HEAD comes from; with `everywhere`, of all branches, tags and stashes, and those
    that were amended, reset or dropped, for as long as git's reflog knows them.

    Raises GitFailed.
    """
    where = ("--all", "--reflog", "--full-history") if everywhere else ()
    if work.tip().commit is None:
        return []
    file = f"{work.place.prefix}{name}"
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
    """A commit whose tree is vouched for."""

    commit: str
    published: Published


def last_published(work: Worktree, did: Did) -> Anchor | None:
    """Of the commits that HEAD comes from, the one that vouches for the newest rev of the repo.

    A commit whose tree is not the one that its words are about does not count. Raises GitFailed.
    """
    if work.tip().commit is None:
        return None
    found = sorted(_claims(work, did), key=lambda claim: claim.published.rev, reverse=True)
    return next((c for c in found if work.tree_id(c.commit) == c.published.tree), None)


def _claims(work: Worktree, did: Did) -> Iterator[Anchor]:
    grep = "--basic-regexp", f"--grep=^{COMMIT}: "
    words = (*_LOG, *grep, "--format=%H%n%B", "HEAD")
    for entry in work.git.run(*words).split(b"\0"):
        commit, _, text = entry.decode("utf-8", "replace").partition("\n")
        published = parse_message(text)
        if published is not None and published.did == did:
            yield Anchor(commit, published)


def check_complete(work: Worktree) -> None:
    """Raises GitFailed if the history is cut, so that an older commit may say more."""
    if work.git.text("rev-parse", "--is-shallow-repository") == "true":
        raise GitFailed(
            "this checkout has only a part of git's history, and the commit that was published "
            "last is not in it",
            hint="fetch all of it: git fetch --unshallow, or fetch-depth: 0 in a workflow",
        )
