"""Merge two edits of one record, field by field over the data model. Pure; never drops a side.

A field with two different edits is a collision: it keeps both values. Symmetric and deterministic:
every device gets the same record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias, cast, final

from syncd.atproto.dagcbor import Value, encode
from syncd.merge.sequences import merge_lists, merge_text
from syncd.values import dataclass

UNITS: Final = (("facets", "text"),)
"""Keys to merge as a unit: a facet refers to its text by byte offsets."""


@final
class Absent:
    """The absence of a key. `ABSENT` is the only instance."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
Field: TypeAlias = "Value | Absent"
Bodies: TypeAlias = "Sequence[tuple[str, ...]]"
"""The keys that lead to each long text of a record."""


@dataclass(frozen=True, slots=True)
class Collision:
    """Two different edits of one field. A merged tree holds it in the place of the value."""

    local: Field
    remote: Field


@dataclass(frozen=True, slots=True)
class Merged:
    """A merged record. `tree` holds a Collision at each of `collisions` (JSON pointers)."""

    tree: Mapping[str, object]
    collisions: tuple[str, ...] = ()

    @property
    def record(self) -> dict[str, Value] | None:
        """Return the merged record; None if anything collides."""
        return None if self.collisions else cast("dict[str, Value]", dict(self.tree))


def merge(
    base: Mapping[str, Value] | None,
    local: Mapping[str, Value],
    remote: Mapping[str, Value],
    *,
    text: bool = False,
    bodies: Bodies = (),
) -> Merged:
    """Merge two edits of one record. `base` is None if both sides created it.

    Merges maps by key. Merges lists if both sides only removed elements or appended new, distinct
    ones. Merges strings by line with `text`, and always those at `bodies`. Every other double edit
    is a collision. Raises BadData for values outside the data model.
    """
    start: Field = ABSENT if base is None else dict(base)
    tree = _merge(start, dict(local), dict(remote), text=text, bodies=bodies)
    if isinstance(tree, Collision):
        return Merged(_all_collide(local, remote), tuple(_pointers(_all_collide(local, remote))))
    assert isinstance(tree, dict)
    return Merged(tree, tuple(_pointers(tree)))


def _merge(base: Field, local: Field, remote: Field, *, text: bool, bodies: Bodies = ()) -> object:
    """Merge one field: return a Field, a dict with Collisions inside, or a Collision."""
    # At most the local side made an edit, or both made the same.
    if is_same(local, remote) or is_same(base, remote):
        return local
    if is_same(base, local):
        return remote
    # From here on, both sides changed the field, and to different values.
    if isinstance(local, dict) and isinstance(remote, dict):
        start = base if isinstance(base, dict) else {}
        # Keys of maps with different types mean different things: mixing them makes nonsense.
        if _is_one_shape(base, local, remote):
            return _merge_maps(start, local, remote, text=text, bodies=bodies)
    if isinstance(base, list) and isinstance(local, list) and isinstance(remote, list):
        merged = merge_lists(base, local, remote)
        return Collision(local, remote) if merged is None else merged
    if (
        (text or () in bodies)
        and isinstance(base, str)
        and isinstance(local, str)
        and isinstance(remote, str)
    ):
        lines = merge_text(base, local, remote)
        return Collision(local, remote) if lines is None else lines
    return Collision(local, remote)


def is_same(one: Field, other: Field) -> bool:
    """Return whether two fields are equal in the data model."""
    # Python alone would equate 1 with True, and bytes with a CID.
    if isinstance(one, Absent) or isinstance(other, Absent):
        return one is other
    return type(one) is type(other) and encode(one) == encode(other)


def _is_one_shape(base: Field, local: Mapping[str, Value], remote: Mapping[str, Value]) -> bool:
    """Return whether the keys of two maps may be mixed: not of blobs, nor of different types."""
    kinds = [local.get("$type", ABSENT), remote.get("$type", ABSENT)]
    if isinstance(base, dict):
        kinds.append(base.get("$type", ABSENT))
    # Base was another kind of value: each side replaced it as a whole, so its map is one edit.
    elif not isinstance(base, Absent):
        return False
    # The fields of a blob describe one upload.
    return kinds[0] != "blob" and all(is_same(kinds[0], kind) for kind in kinds)


def _merge_maps(
    base: Mapping[str, Value],
    local: Mapping[str, Value],
    remote: Mapping[str, Value],
    *,
    text: bool,
    bodies: Bodies,
) -> dict[str, object]:
    merged: dict[str, object] = {}
    for key in sorted(base.keys() | local.keys() | remote.keys()):
        sides = [side.get(key, ABSENT) for side in (base, local, remote)]
        below = tuple(keys[1:] for keys in bodies if keys[:1] == (key,))
        merged[key] = _merge(*sides, text=text, bodies=below)
    for unit in UNITS:
        # Each key by itself may have merged well, and still the pair would be of neither side.
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
    """Return whether both sides changed a unit of keys, to different values."""
    if not all(any(key in side for side in (base, local, remote)) for key in unit):
        return False
    views = [[side.get(key, ABSENT) for key in unit] for side in (base, local, remote)]

    def differ(one: Sequence[Field], other: Sequence[Field]) -> bool:
        return not all(is_same(a, b) for a, b in zip(one, other, strict=True))

    was, mine, theirs = views
    return differ(was, mine) and differ(was, theirs) and differ(mine, theirs)


def _all_collide(local: Mapping[str, Value], remote: Mapping[str, Value]) -> dict[str, object]:
    """Build the tree of two records that cannot merge: a collision at each different key."""
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
    """Return the JSON pointer of each changed field; enters maps, compares lists as a whole."""
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
    """Return the JSON pointer of a key in the map at `pointer` (RFC 6901)."""
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
