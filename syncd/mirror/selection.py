"""Choose among what waits by what a person named. Reads state; never changes anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from syncd.cycle.workspace import Workspace
from syncd.mirror.names import Name, check_known


class HasPath(Protocol):
    """An item about one path."""

    @property
    def path(self) -> str:
        """Return the record path, or the name of what is no record."""


Item = TypeVar("Item", bound=HasPath)


def matching(items: Iterable[Item], names: Sequence[Name]) -> list[Item]:
    """Return the items that one of `names` means, in their own order.

    A name that is the whole name of an item means that one alone; else it is a directory or a
    pattern, and means all that it covers.
    """
    every = list(items)
    meant = set().union(*(_meant(name, every) for name in names))
    return [item for item in every if item.path in meant]


def listed(workspace: Workspace, items: Iterable[Item], names: Sequence[Name]) -> list[Item]:
    """Return the items that one of `names` means; all of them without a name.

    Raises SyncdError if a name means neither an item nor a record of the mirror.
    """
    every = list(items)
    for name in unmatched(every, names):
        check_known(workspace, name)
    return matching(every, names) if names else every


def unmatched(items: Iterable[HasPath], names: Sequence[Name]) -> list[Name]:
    """Return the names that mean no item."""
    every = list(items)
    return [name for name in names if not _meant(name, every)]


def hint_at(name: Name, paths: Iterable[str], otherwise: str) -> str:
    """Return the next step for a name that means none of `paths`: the one in another case."""
    known = {path.casefold(): path for path in paths}
    typed = (form.casefold() for form in (*name.records, *name.forms))
    meant = next((known[form] for form in typed if form in known), None)
    return otherwise if meant is None else f"did you mean {shlex.quote(meant)}?"


def named_whole(items: Iterable[HasPath], names: Sequence[Name]) -> set[str]:
    """Return the paths of the items whose whole name is one of `names`."""
    paths = {item.path for item in items}
    return {path for name in names if (path := name.record_among(paths)) is not None}


def collections_named(items: Iterable[HasPath], names: Sequence[Name]) -> set[str]:
    """Return the collections of `items` that `names` name as a whole."""
    forms = {form for name in names for form in name.forms}
    return forms.intersection(item.path.partition("/")[0] for item in items)


def _meant(name: Name, items: Sequence[HasPath]) -> set[str]:
    paths = {item.path for item in items}
    whole = name.record_among(paths)
    return {path for path in paths if name.covers(path)} if whole is None else {whole}
