"""Merge two edits of one record, field by field over the data model. Pure; never drops a side.

Where both touch the same field, nothing is merged there and both values are told. Symmetric and
deterministic: every device arrives at the same record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast, final

from syncd.atproto.dagcbor import Value, encode
from syncd.merge.sequences import merge_lists, merge_text

UNITS: Final = (("facets", "text"),)
"""Keys that only make sense together: a facet counts the bytes of its text."""


@final
class Absent:
    """No value at this key. There is one, `ABSENT`."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
Field: TypeAlias = "Value | Absent"


@dataclass(frozen=True, slots=True)
class Collision:
    """A place that both sides changed in different ways; a merged tree holds it as a value."""

    local: Field
    remote: Field


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged record. `tree` holds a Collision at each of `collisions` (JSON pointers)."""

    tree: Mapping[str, object]
    collisions: tuple[str, ...] = ()

    @property
    def record(self) -> dict[str, Value] | None:
        """The record, if nothing collides."""
        return None if self.collisions else cast("dict[str, Value]", dict(self.tree))


def merge(
    base: Mapping[str, Value] | None,
    local: Mapping[str, Value],
    remote: Mapping[str, Value],
    *,
    text: bool = False,
) -> Merged:
    """Merge two edits of one record; `base` None means that both created it.

    Maps are merged by key, lists as a whole unless both sides only appended or removed distinct
    elements, strings as a whole, or by line with `text`. Raises BadData for values that no record
    may hold.
    """
    start: Field = ABSENT if base is None else dict(base)
    tree = _merge(start, dict(local), dict(remote), text=text)
    if isinstance(tree, Collision):
        return Merged(_all_collide(local, remote), tuple(_pointers(_all_collide(local, remote))))
    assert isinstance(tree, dict)
    return Merged(tree, tuple(_pointers(tree)))


def _merge(base: Field, local: Field, remote: Field, *, text: bool) -> object:
    """A Field, a dict that may hold Collisions, or a Collision."""
    if is_same(local, remote) or is_same(base, remote):
        return local
    if is_same(base, local):
        return remote
    if isinstance(local, dict) and isinstance(remote, dict):
        start = base if isinstance(base, dict) else {}
        if _is_one_shape(base, local, remote):
            return _merge_maps(start, local, remote, text=text)
    if isinstance(base, list) and isinstance(local, list) and isinstance(remote, list):
        merged = merge_lists(base, local, remote)
        return Collision(local, remote) if merged is None else merged
    if text and isinstance(base, str) and isinstance(local, str) and isinstance(remote, str):
        lines = merge_text(base, local, remote)
        return Collision(local, remote) if lines is None else lines
    return Collision(local, remote)


def is_same(one: Field, other: Field) -> bool:
    """Equality of the data model: 1 is not true, and bytes are no CID."""
    if isinstance(one, Absent) or isinstance(other, Absent):
        return one is other
    return type(one) is type(other) and encode(one) == encode(other)


def _is_one_shape(base: Field, local: Mapping[str, Value], remote: Mapping[str, Value]) -> bool:
    """False where fields must not be mixed: blobs, and maps of different types."""
    kinds = [local.get("$type", ABSENT), remote.get("$type", ABSENT)]
    if isinstance(base, dict):
        kinds.append(base.get("$type", ABSENT))
    elif not isinstance(base, Absent):
        return False
    return kinds[0] != "blob" and all(is_same(kinds[0], kind) for kind in kinds)


def _merge_maps(
    base: Mapping[str, Value],
    local: Mapping[str, Value],
    remote: Mapping[str, Value],
    *,
    text: bool,
) -> dict[str, object]:
    merged: dict[str, object] = {}
    for key in sorted(base.keys() | local.keys() | remote.keys()):
        sides = [side.get(key, ABSENT) for side in (base, local, remote)]
        merged[key] = _merge(*sides, text=text)
    for unit in UNITS:
        if _is_torn(unit, base, local, remote):
            for key in unit:
                merged[key] = Collision(local.get(key, ABSENT), remote.get(key, ABSENT))
    return {key: value for key, value in merged.items() if value is not ABSENT}


def _is_torn(
    unit: Sequence[str],
    base: Mapping[str, Value],
    local: Mapping[str, Value],
    remote: Mapping[str, Value],
) -> bool:
    """True if both sides changed a unit that exists here, and not to the same."""
    if not all(any(key in side for side in (base, local, remote)) for key in unit):
        return False
    views = [[side.get(key, ABSENT) for key in unit] for side in (base, local, remote)]

    def differ(one: Sequence[Field], other: Sequence[Field]) -> bool:
        return not all(is_same(a, b) for a, b in zip(one, other, strict=True))

    was, mine, theirs = views
    return differ(was, mine) and differ(was, theirs) and differ(mine, theirs)


def _all_collide(local: Mapping[str, Value], remote: Mapping[str, Value]) -> dict[str, object]:
    """Two records that cannot be merged at all, with a collision at each key that differs."""
    keys = sorted(local.keys() | remote.keys())
    pairs = {key: (local.get(key, ABSENT), remote.get(key, ABSENT)) for key in keys}
    return {k: a if is_same(a, b) else Collision(a, b) for k, (a, b) in pairs.items()}


def _pointers(tree: object, at: str = "") -> Iterator[str]:
    if isinstance(tree, Collision):
        yield at
    elif isinstance(tree, dict):
        for key, value in sorted(tree.items()):
            yield from _pointers(value, _below(at, key))


def changed(before: Mapping[str, Value], after: Mapping[str, Value]) -> tuple[str, ...]:
    """The JSON pointers of every field that differs, maps entered, lists as a whole."""
    return tuple(_changed(dict(before), dict(after), ""))


def _changed(before: Field, after: Field, at: str) -> Iterator[str]:
    if is_same(before, after):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _changed(before.get(key, ABSENT), after.get(key, ABSENT), _below(at, key))
        return
    yield at


def _below(pointer: str, key: str) -> str:
    """The JSON pointer of a key (RFC 6901)."""
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
