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
    """Return the items whose path one of `patterns` fits, in their own order.

    A bare collection fits all of it.
    """
    return [item for item in items if any(_fits(item, p) for p in patterns)]


def collections_named(items: Iterable[HasPath], patterns: Sequence[str]) -> set[str]:
    """Return the collections of `items` that `patterns` name as a whole."""
    names = {pattern.removesuffix("/") for pattern in patterns}
    return names.intersection(_collection(item) for item in items)


def _fits(item: HasPath, pattern: str) -> bool:
    return fnmatchcase(item.path, pattern) or _collection(item) == pattern.removesuffix("/")


def _collection(item: HasPath) -> str:
    return item.path.partition("/")[0]


def unmatched(items: Iterable[HasPath], patterns: Sequence[str]) -> list[str]:
    """Return the patterns that fit no item."""
    found = list(items)
    return [p for p in patterns if not any(_fits(item, p) for item in found)]
