"""Resolve lexicons and keep them for a mirror: those of its collections, and what these refer to.

Never replaces a lexicon that is kept by one that is older, unproven or no lexicon.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from syncd.atproto.data import cid_of
from syncd.atproto.lexicon.references import others_of
from syncd.atproto.syntax import Did, Nsid, parse_nsid
from syncd.cycle.lexicons.library import Library, lexicon_faults, open_library
from syncd.cycle.lexicons.places import Origin
from syncd.cycle.lexicons.resolved import (
    Resolved,
    find_resolved,
    keep_resolved,
    list_resolved,
)
from syncd.errors import BadData, BadSyntax, RolledBack, SyncdError
from syncd.forms import USUAL, Forms
from syncd.identity.lexicons import Published
from syncd.mirror.lexicons.linter import collections_of
from syncd.trouble import refusal
from syncd.values import dataclass

Resolve: TypeAlias = Callable[[Nsid], Awaitable[Published]]
MOST: Final = 200
"""How many lexicons one update asks for at most: a document may refer to any number of others."""


class Outcome(StrEnum):
    """The result for one lexicon."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Updated:
    """One lexicon that an update asked for.

    Attributes:
        now, before: What is kept of it, and what was; None for nothing.
        error: Why it was not resolved; then `now` is what is still kept.
        referrer: The lexicon that refers to it; None for one that was asked for itself.
        own: The file of the folder whose document counts in its place; empty for none.
    """

    nsid: Nsid
    outcome: Outcome
    now: Resolved | None
    before: Resolved | None = None
    error: SyncdError | None = None
    referrer: Nsid | None = None
    own: str = ""

    @property
    def former_owner(self) -> Did | None:
        """Return the account that published the lexicon before, if it was another one."""
        if self.before is None or self.now is None or self.before.did == self.now.did:
            return None
        return self.before.did


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The folder of a mirror, and how its files are named."""

    root: Path
    portable: bool = False
    forms: Forms = USUAL

    @contextmanager
    def library(self) -> Iterator[Library]:
        """Open the library of the folder as it is now."""
        with open_library(self.root, portable=self.portable, forms=self.forms) as library:
            yield library


def wanted_of(mirrored: Mirrored) -> list[Nsid]:
    """Return, in order, the lexicons that an update asks for without an argument.

    These are the lexicons of collections without a document in the folder, those that documents of
    the folder refer to and nobody has, and each lexicon that was resolved before.
    """
    with mirrored.library() as library:
        collections = collections_of(mirrored.root)
        own = [name for name in collections if _own_file(library, name)]
        missing = {name for nsid in own for name in _missing(library, nsid)}
        return sorted(set(collections) - set(own) | missing | set(list_resolved(library.root)))


async def update_lexicons(
    mirrored: Mirrored,
    names: Sequence[Nsid],
    resolve: Resolve,
    now: str,
    on_done: Callable[[Updated], None] = lambda _: None,
) -> list[Updated]:
    """Resolve `names` and what they refer to that nobody has; keep each that is a lexicon.

    Args:
        mirrored: The folder.
        names: The lexicons to ask for.
        resolve: Returns what is published of an NSID, or raises SyncdError.
        now: The time, in RFC 3339.
        on_done: Called with each result.
    """
    done: dict[Nsid, Updated] = {}
    waiting: list[tuple[Nsid, Nsid | None]] = [(name, None) for name in dict.fromkeys(names)]
    while waiting and len(done) < MOST:
        nsid, referrer = waiting.pop(0)
        if nsid in done:
            continue
        done[nsid] = await _update(mirrored, nsid, referrer, resolve, now)
        on_done(done[nsid])
        with mirrored.library() as library:
            waiting += [(name, nsid) for name in _missing(library, nsid)]
    return list(done.values())


async def _update(
    mirrored: Mirrored, nsid: Nsid, referrer: Nsid | None, resolve: Resolve, now: str
) -> Updated:
    with mirrored.library() as library:
        before, own = find_resolved(library.root, nsid), _own_file(library, nsid)
    try:
        published = await resolve(nsid)
        _check(published, before)
        kept = Resolved(published.did, published.rev, now, published.record)
        keep_resolved(mirrored.root, nsid, kept)
    except SyncdError as error:
        return Updated(nsid, Outcome.FAILED, before, before, error, referrer, own)
    except OSError as error:
        return Updated(nsid, Outcome.FAILED, before, before, refusal(error), referrer, own)
    return Updated(nsid, _outcome(before, kept), kept, before, None, referrer, own)


def _outcome(before: Resolved | None, now: Resolved) -> Outcome:
    if before is None:
        return Outcome.NEW
    return Outcome.SAME if cid_of(before.record) == cid_of(now.record) else Outcome.CHANGED


def _check(published: Published, before: Resolved | None) -> None:
    """Raise BadData for what is no lexicon of its NSID, RolledBack for an older one than before."""
    nsid, did = published.nsid, published.did
    faults = lexicon_faults(published.record, nsid)
    if faults:
        raise BadData(
            f"what {did} publishes as {nsid} is not a lexicon: {faults[0]}",
            hint="only its author can fix it",
        )
    if before is not None and before.did == did and published.rev < before.rev:
        raise RolledBack(
            f"the PDS of {did} shows its repo at rev {published.rev}, older than rev "
            f"{before.rev}, where {nsid} was last resolved",
            hint=(
                "syncd keeps the later one; try again, and if this repeats, ask the operator "
                "of that PDS"
            ),
        )


def _own_file(library: Library, nsid: Nsid) -> str:
    """Return the file of the folder that has the document of `nsid`; empty for none."""
    found = library.find(nsid)
    is_own = found is not None and found.origin in (Origin.MIRROR, Origin.FOLDER)
    return found.file if found is not None and is_own else ""


def _missing(library: Library, nsid: Nsid) -> list[Nsid]:
    """Return, in order, the NSIDs that a lexicon refers to and that have no document here."""
    lexicon = library.lexicon(nsid)
    names = () if lexicon is None else others_of(lexicon)
    return [name for name in sorted(_nsids(names)) if library.find(name) is None]


def _nsids(names: Iterable[str]) -> Iterator[Nsid]:
    for name in names:
        try:
            yield parse_nsid(name)
        except BadSyntax:
            # A reference may be any text; what is no NSID nobody can publish.
            continue
