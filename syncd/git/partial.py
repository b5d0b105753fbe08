"""Fetch what a partial clone left out, all of it at once. Never changes a ref, a file or an index.

A blobless clone (git clone --filter=blob:none) lacks the older versions of files. git fetches each
when a command reads it, one request a file, which takes minutes for a few hundred of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from syncd.git.program import Git

_PROMISOR: Final = r"^remote\..*\.promisor$"
_FETCH: Final = (
    *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"),
    *("--filter=blob:none", "--stdin"),
)
"""As git itself fetches what a partial clone lacks (promisor-remote.c)."""


def fetch_missing(git: Git, treeish: str, ids: Collection[str]) -> None:
    """Fetch the blobs of `ids` in `treeish` that are not here; nothing in a full clone.

    Raises GitFailed.
    """
    remote = _promisor(git)
    if remote is None or not ids:
        return
    # This alone of git's commands names what is missing and fetches none of it.
    words = ("rev-list", "--objects", "--missing=print", "--no-object-names")
    lines = git.text(*words, f"{treeish}^{{tree}}").split()
    missing = {line[1:] for line in lines if line.startswith("?")}.intersection(ids)
    if missing:
        wanted = "".join(f"{name}\n" for name in sorted(missing))
        quick = ("-c", "fetch.negotiationAlgorithm=noop")
        git.run(*_FETCH, remote, send=wanted.encode(), options=quick)


def _promisor(git: Git) -> str | None:
    """Return the remote that has what this clone lacks; None if the clone is complete."""
    found = git.text("config", "--get-regexp", _PROMISOR, may_fail=(1,)).splitlines()
    names = (line.split()[0] for line in found if not line.endswith("false"))
    return next((name[len("remote.") : -len(".promisor")] for name in names), None)
