"""Tree keys that are no record path: they have no file name, so they are told and never mirrored.

A PDS refuses to make them, but a repo that was imported or is served by a hostile PDS may hold
any. They touch nothing: not base, not the folder, not the repo.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from syncd.model import Problem, Waiting
from syncd.replica import View

TOLD = 100
"""How many of them are named one by one."""

_MORE = "(more)"
_HINT = "delete it with the client that wrote it; nothing else is affected"


def unnamed_after(known: Collection[str], view: View) -> tuple[str, ...]:
    """All such keys of the repo, sorted, given those known before the view."""
    kept = set() if view.is_whole else set(known) - view.unnamed.keys()
    return tuple(sorted(kept | {key for key, cid in view.unnamed.items() if cid is not None}))


def names_that_wait(waiting: Iterable[Waiting]) -> tuple[str, ...]:
    """Return the names under which such keys wait, for where the keys themselves are not known."""
    found = (item for item in waiting if isinstance(item, Problem) and item.hint == _HINT)
    return tuple(item.path for item in found)


def describe_unnamed(
    before: Collection[str], now: Collection[str]
) -> dict[str, tuple[Problem, ...]]:
    """What waits for a person because of them; an empty tuple for what does no longer."""
    gone: dict[str, tuple[Problem, ...]] = dict.fromkeys([*map(_shown, before), _MORE], ())
    names = [_shown(key) for key in sorted(now)[:TOLD]]
    told = {name: (Problem(name, "no file can stand for this record", _HINT),) for name in names}
    rest = len(now) - len(told)
    more = Problem(_MORE, f"no file can stand for {rest} more of the repo's records", _HINT)
    return gone | told | ({_MORE: (more,)} if rest > 0 else {})


def _shown(key: str) -> str:
    """A key as one bounded, printable word that is never a record path."""
    visible = "".join(c if c.isprintable() else repr(c)[1:-1] for c in key[:200])
    return visible + ("…" if len(key) > 200 else "")
