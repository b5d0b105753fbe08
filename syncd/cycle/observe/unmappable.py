"""Report tree keys that are no record path. Never mirrors them: no file name can stand for one.

A PDS refuses to make such keys, but an imported repo, or a hostile PDS, may have any. They affect
neither base nor the folder nor the repo.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from syncd.model import Problem, Waiting
from syncd.replica import View

NAMED = 100
"""The most keys that are named; the others are counted."""

_MORE = "(more)"
_HINT = "it stays in the repo as it is; nothing else is affected"
_HINTS = frozenset({_HINT, "delete it with the client that wrote it; nothing else is affected"})
"""The hints by which a state file knows such a problem, those of earlier versions among them."""


def unnamed_after(known: Collection[str], view: View) -> tuple[str, ...]:
    """Return all such keys of the repo, sorted; `known` are the keys before the view."""
    kept = set() if view.is_whole else set(known) - view.unnamed.keys()
    return tuple(sorted(kept | {key for key, cid in view.unnamed.items() if cid is not None}))


def names_that_wait(waiting: Iterable[Waiting]) -> tuple[str, ...]:
    """Return the names under which such keys wait, for callers that do not know the keys."""
    found = (item for item in waiting if isinstance(item, Problem) and item.hint in _HINTS)
    return tuple(item.path for item in found)


def describe_unnamed(
    before: Collection[str], now: Collection[str]
) -> dict[str, tuple[Problem, ...]]:
    """Return the problems of the keys `now`; an empty tuple clears the problem of a former key."""
    gone: dict[str, tuple[Problem, ...]] = dict.fromkeys([*map(_shown, before), _MORE], ())
    names = [_shown(key) for key in sorted(now)[:NAMED]]
    problems = {
        name: (Problem(name, "no file can represent this record", _HINT),) for name in names
    }
    rest = len(now) - len(problems)
    more = Problem(_MORE, f"no file can represent {rest} more of the repo's records", _HINT)
    return gone | problems | ({_MORE: (more,)} if rest > 0 else {})


def _shown(key: str) -> str:
    """Shorten a key to a printable text. It is never a record path."""
    visible = "".join(c if c.isprintable() else repr(c)[1:-1] for c in key[:200])
    return visible + ("…" if len(key) > 200 else "")
