"""What Tab offers after a command: records, what waits, drafts, collections, accounts.

Imports no command and opens nothing but names, so that a Tab is fast. It never fails: where the
names cannot be read, the shell offers files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from syncd.folder.top.nearest import OWN, nearest_top
from syncd.prepared.known import known_commands
from syncd.prepared.pages import find_pages
from syncd.state.peek import NAMERS, RECORDS, WENT, Names, offers, waiting

Offer = Callable[[Path, str], list[str]]
"""Returns how a word that begins with a text can continue, in the mirror at a directory."""


def _names(*where: Names) -> Offer:
    def offer(directory: Path, start: str) -> list[str]:
        top = nearest_top(directory)
        if top is None:
            return []
        return sorted({name for names in where for name in offers(top / OWN, names, start)})

    return offer


def _publishable(directory: Path, start: str) -> list[str]:
    return sorted({*_drafts(directory, start), *_names(waiting("pending"))(directory, start)})


def _drafts(directory: Path, start: str) -> Iterator[str]:
    """Yield the drafts of the mirror that begin with `start`."""
    top = nearest_top(directory)
    if top is None:
        return
    wanted, slash, stem = start.partition("/")
    named = (name for name in _listed(top) if name.startswith(wanted) and name.count(".") > 1)
    for collection in [wanted] if slash else sorted(named):
        likely = (name for name in _draft_like(top / collection) if name.startswith(stem))
        drafts = [f"{collection}/{name}" for name in likely if _is_draft(name)]
        if drafts and (slash or _is_nsid(collection)):
            yield from drafts


def _draft_like(directory: Path) -> list[str]:
    """Return the names in a directory that have a mark of drafts, in order."""
    # One text of bytes: whatever touches each of 100,000 names, if only to decode it, is slow.
    names = b"/".join((b"", *_listed_bytes(directory), b""))
    return sorted({os.fsdecode(name) for mark in _MARKS for name in _with(mark, names)})


def _with(mark: bytes, names: bytes) -> Iterator[bytes]:
    """Yield the names that contain `mark`, of names that each stand between two slashes."""
    at = names.find(mark)
    while at >= 0:
        start, end = names.rfind(b"/", 0, at + 1) + 1, names.find(b"/", at + 1)
        yield names[start:end]
        at = names.find(mark, end)


_MARKS = (b".draft.", b"/+")
"""What the name of a draft contains, or begins with."""


def _is_draft(name: str) -> bool:
    """Return whether the ending is that of a draft; `folder.names` is exact, but loads longer."""
    stem, _, ending = name.rpartition(".")
    is_one = stem.endswith(".draft") or stem.startswith("+")
    return is_one and ending in ("json", "md") and name[0] != "." and name.isprintable()


def _listed(directory: Path) -> list[str]:
    with suppress(OSError):
        # A Path for each of 100,000 names would take longer than a Tab may.
        return os.listdir(directory)  # noqa: PTH208
    return []


def _listed_bytes(directory: Path) -> list[bytes]:
    with suppress(OSError):
        return os.listdir(os.fsencode(directory))  # noqa: PTH208 (as above)
    return []


def _collections(directory: Path, start: str) -> list[str]:
    top = nearest_top(directory)
    return _directories(top, start) if top else []


def _directories(top: Path, start: str) -> list[str]:
    names = (name for name in _listed(top) if name.startswith(start) and _is_nsid(name))
    return sorted(name for name in names if (top / name).is_dir())


def _is_nsid(name: str) -> bool:
    from syncd.atproto.nsid import is_nsid  # noqa: PLC0415 (many a Tab needs none)

    return is_nsid(name)


def _accounts(_: Path, start: str) -> list[str]:
    """Return the DIDs that this user logged in with."""
    from syncd.errors import SyncdError  # noqa: PLC0415
    from syncd.private import state_directory  # noqa: PLC0415 (only accounts lie there)

    try:
        kept = (state_directory() / "credentials").glob("did:*.session")
    except SyncdError:
        return []
    return sorted(file.stem for file in kept if file.name.startswith(start))


def offer_lexicons(directory: Path, start: str) -> list[str]:
    """Return the NSIDs of the bundle, of the folder's documents and of its collections."""
    from syncd.lexicons.bundle import load_bundle  # noqa: PLC0415 (a Tab elsewhere needs none)

    names = set(load_bundle().documents)
    # A lexicon is shown and checked in any folder.
    top = nearest_top(directory) or directory
    names.update(_directories(top, start))
    with suppress(OSError):
        names.update(_documents(top))
    return sorted(name for name in names if name.startswith(start))


def _documents(top: Path) -> Iterator[str]:
    """Yield the NSIDs of the documents in a folder, wherever it keeps some."""
    files = ((top / directory).glob("*.json") for directory in (_SCHEMAS, f"{OWN}/lexicons"))
    yield from (file.stem for each in files for file in each)
    nested = (top / "lexicons").rglob("*.json")
    for file in nested:
        yield ".".join(file.relative_to(top / "lexicons").with_suffix("").parts)


def _files(directory: Path, start: str) -> list[str]:
    """Return the files that can hold a reference: records and drafts."""
    return [*_drafts(directory, start), *_names(RECORDS)(directory, start)]


def _checked(directory: Path, start: str) -> list[str]:
    """Return the arguments of `lexicon check`: collections and records."""
    return [*_collections(directory, start), *_names(RECORDS)(directory, start)]


def _topics(_: Path, start: str) -> list[str]:
    """Return the commands and the pages of the documentation."""
    pages = (name.lower() for name in find_pages() if not name.endswith(".md"))
    return sorted(
        name for name in {*known_commands()["commands"], *pages} if name.startswith(start)
    )


_SCHEMAS = "com.atproto.lexicon.schema"

OFFERS: Mapping[str, Offer] = {
    "diff": _names(RECORDS, waiting("conflict", "held", "moved", "problem", "pending")),
    "log": _names(RECORDS, WENT),
    "restore": _names(WENT),
    "resolve": _names(waiting("conflict")),
    "conflicts": _names(waiting("conflict")),
    "held": _names(waiting("held")),
    "approve": _names(waiting("held", "moved")),
    "reject": _names(waiting("held", "moved")),
    "publish": _publishable,
    "unpublish": _names(RECORDS),
    "new": _collections,
    "login": _accounts,
    "logout": _accounts,
    "clone": _accounts,
    "help": _topics,
    "blob get": _names(NAMERS),
    "blob add": _files,
    "lexicon check": _checked,
    "lexicon show": offer_lexicons,
    "lexicon update": offer_lexicons,
}
"""What each command takes first; of `blob add`, what --to takes."""
