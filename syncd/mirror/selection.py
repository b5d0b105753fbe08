"""Choose among what waits, by record path or by pattern. Never opens or changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar


class HasPath(Protocol):
    """Anything that concerns one path."""

    @property
    def path(self) -> str:
        """Return the record path, or the name of what is no record."""


Item = TypeVar("Item", bound=HasPath)


def matching(items: Iterable[Item], patterns: Sequence[str]) -> list[Item]:
    """Return the items whose path one of `patterns` fits, in their own order."""
    return [item for item in items if any(fnmatchcase(item.path, p) for p in patterns)]


def unmatched(items: Iterable[HasPath], patterns: Sequence[str]) -> list[str]:
    """Return the patterns that fit no item."""
    paths = [item.path for item in items]
    return [p for p in patterns if not any(fnmatchcase(path, p) for path in paths)]
