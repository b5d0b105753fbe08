"""Find the records of a mirror that a new version of a lexicon breaks. Reads files, writes nothing.

Lexicons refer to each other: a changed definition can break the records of any collection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from syncd.atproto.cid import Cid
from syncd.atproto.lexicon.catalog import Catalog
from syncd.atproto.lexicon.document import Lexicon
from syncd.atproto.lexicon.fault import Fault, new_faults
from syncd.atproto.lexicon.references import others_of
from syncd.cycle.lexicons.library import Library
from syncd.cycle.lexicons.reading import Reading
from syncd.errors import FileProblem, Malformed
from syncd.model import RecordPath, split_record_path
from syncd.values import dataclass

Found = tuple[RecordPath, Fault]
MOST: Final = 10
"""So many broken records are looked for: to know that a change breaks some, these are enough."""
_REMEMBERED: dict[tuple[str, RecordPath, Cid], tuple[RecordPath, ...]] = {}
"""What a version was found to break: while it is held, each cycle looks at these records alone."""
_MOST_REMEMBERED: Final = 100


@dataclass(frozen=True, slots=True)
class Change:
    """A version of the lexicon `nsid` that replaces `before`; None if there was none."""

    nsid: str
    before: Lexicon | None


def find_broken(
    library: Library, files: Reading, base: Mapping[RecordPath, Cid], change: Change
) -> Iterator[Found]:
    """Yield the records of base that break the lexicons of `library` and did not before."""
    collections = _affected(library, base, change.nsid)
    former = Catalog(lambda n: change.before if n == change.nsid else library.lexicon(n))
    for path in sorted(path for path in base if split_record_path(path)[0] in collections):
        faults = _faults(library, files, former, path)
        if faults:
            yield path, faults[0]


def remembering(
    key: tuple[str, RecordPath, Cid], look: Callable[[Collection[RecordPath] | None], list[Found]]
) -> list[Found]:
    """Return the results of `look` for the records that were broken before, else for all."""
    known = _REMEMBERED.get(key)
    found = look(known) if known else []
    found = found or look(None)
    _REMEMBERED.pop(key, None)
    if found:
        _REMEMBERED[key] = tuple(path for path, _ in found)
    while len(_REMEMBERED) > _MOST_REMEMBERED:
        del _REMEMBERED[next(iter(_REMEMBERED))]
    return found


def _affected(library: Library, base: Collection[RecordPath], nsid: str) -> set[str]:
    """Return the collections whose lexicon is `nsid` or refers to it, however indirectly."""
    collections = {split_record_path(path)[0] for path in base}
    return {name for name in collections if nsid in _reached(library, name)}


def _reached(library: Library, nsid: str) -> set[str]:
    reached, waiting = {nsid}, [nsid]
    while waiting:
        lexicon = library.lexicon(waiting.pop())
        new = set() if lexicon is None else set(others_of(lexicon)) - reached
        reached |= new
        waiting += new
    return reached


def _faults(
    library: Library, files: Reading, former: Catalog, path: RecordPath
) -> tuple[Fault, ...]:
    collection, rkey = split_record_path(path)
    try:
        record = library.forms.of(collection).parse(files.read(path)[0], collection)
    except (OSError, FileProblem, Malformed):
        return ()
    found = library.catalog.check(collection, rkey, record)
    if not found:
        return ()
    now, before = (
        tuple(each for each in faults if not each.is_note)
        for faults in (found, former.check(collection, rkey, record))
    )
    return new_faults(before, now)
