"""Build checks of values: each takes a value and returns all its faults. Pure; knows no lexicon.

A check returns the empty tuple for a value without a fault, so that a good record costs next to
nothing. Values are those of the data model: dict, list, str, int, bool, None, bytes and Cid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from syncd.atproto.cid import Cid
from syncd.atproto.lexicon.fault import Fault, Kind
from syncd.atproto.lexicon.oneedit import is_one_edit

Faults: TypeAlias = tuple[Fault, ...]
Check: TypeAlias = Callable[[object], Faults]

FINE: Faults = ()
_NAMES = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    list: "a list",
    dict: "an object",
    Cid: "a link",
    bytes: "bytes",
    type(None): "null",
}
_SHOWN = 60
_DIGITS = re.compile("[0-9]+")


def anything(_: object) -> Faults:
    """Accept every value."""
    return FINE


def fault(kind: Kind, reason: str) -> Faults:
    """Return one fault of the value itself."""
    return (Fault(kind, reason),)


def expected(what: str, value: object) -> Faults:
    """Return the fault of a value of another type than `what`."""
    return fault(Kind.TYPE, f"must be {what}, not {_NAMES.get(type(value), 'that')}")


def of_type(kind: type, what: str) -> Check:
    """Check the type alone."""

    def check(value: object) -> Faults:
        return FINE if type(value) is kind else expected(what, value)

    return check


def shown(value: object) -> str:
    """Return a value as a message shows it, shortened."""
    if isinstance(value, str):
        short = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
        return f'"{short}"'
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def within(
    kind: Kind, size: int, bounds: tuple[int | None, int | None], unit: tuple[str, str] = ("", "")
) -> Faults:
    """Return the fault of a size beyond `bounds`, lowest and highest; `unit` is one and many."""
    least, most = bounds
    if least is not None and size < least:
        return fault(kind, f"must have at least {_count(least, unit)}, not {size}")
    if most is not None and size > most:
        return fault(kind, f"must have at most {_count(most, unit)}, not {size}")
    return FINE


def _count(number: int, unit: tuple[str, str]) -> str:
    return f"{number} {unit[number != 1]}"


def one_of(values: Collection[object]) -> Check:
    """Check that a value is one of a few strings, numbers or truth values."""
    some = tuple(values)
    # 1 and True are equal in Python, and are two values in JSON.
    known = {(type(value), value) for value in some}

    def check(value: object) -> Faults:
        if isinstance(value, str | int) and (type(value), value) in known:
            return FINE
        words = ", ".join(map(shown, some[:8])) + ", …" * (len(some) > 8)
        one = words if len(some) == 1 else f"one of {words}"
        is_simple = isinstance(value, str | int)
        found = shown(value) if is_simple else _NAMES.get(type(value), "that")
        return fault(Kind.VALUE, f"must be {one or 'absent'}, not {found}")

    return check


def nullable(inner: Check) -> Check:
    """Check as `inner`, and accept null."""

    def check(value: object) -> Faults:
        return FINE if value is None else inner(value)

    return check


def every(*checks: Check) -> Check:
    """Check by each of `checks` in turn, up to the first that finds a fault."""

    def check(value: object) -> Faults:
        found = FINE
        for inner in checks:
            found += inner(value)
            if found and not all(each.is_note for each in found):
                return found
        return found

    return check


def items(inner: Check, bounds: tuple[int | None, int | None] = (None, None)) -> Check:
    """Check a list and each of its items."""

    def check(value: object) -> Faults:
        if type(value) is not list:
            return expected("a list", value)
        found = within(Kind.LENGTH, len(value), bounds, ("item", "items"))
        for at, item in enumerate(value):
            faults = inner(item)
            if faults:
                found += tuple(each.under(at) for each in faults)
        return found

    return check


def entries(key: Check, inner: Check) -> Check:
    """Check an object whose keys are free: each key by `key`, each value by `inner`."""

    def check(value: object) -> Faults:
        if type(value) is not dict:
            return expected("an object", value)
        found = FINE
        for name, item in value.items():
            found += tuple(each.under(name) for each in (*key(name), *inner(item)))
        return found

    return check


def fields(checks: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """Check an object with these fields; other fields are allowed, as in every lexicon."""
    known, needed = tuple(checks.items()), tuple(required)
    names = frozenset((*checks, *needed, "$type"))

    def check(value: object) -> Faults:
        if type(value) is not dict:
            return expected("an object", value)
        found = FINE
        for name, inner in known:
            if name in value:
                faults = inner(value[name])
                if faults:
                    found += tuple(each.under(name) for each in faults)
        for name in needed:
            if name not in value:
                found += fault(Kind.MISSING, f'"{name}" is missing')
        return found if value.keys() <= names else found + _slips(value, names)

    return check


def _slips(value: Mapping[str, object], names: Collection[str]) -> Faults:
    """Return a note for each unknown field whose name is one edit away from a missing one."""
    absent = sorted(n for n in names if n not in value and len(n) > 2 and n != "$type")
    return tuple(
        Fault(Kind.UNKNOWN, f'is not a field of its lexicon; did you mean "{meant}"?', (name,))
        for name in value
        if name not in names and (meant := meant_name(name, absent)) is not None
    )


def meant_name(name: str, known: Iterable[str]) -> str | None:
    """Return the first of `known` that is one edit away from `name`, or differs in case alone."""
    return next((each for each in known if _is_slip(name, each)), None)


def _is_slip(name: str, known: str) -> bool:
    # Names are numbered on purpose: a second version is no slip of the first.
    if _DIGITS.sub("", name) == _DIGITS.sub("", known):
        return False
    return name.lower() == known.lower() or is_one_edit(name, known)


def by_type(checks: Mapping[str, Check], *, key: str = "type") -> Check:
    """Check an object by the check that its field `key` names."""
    is_known = one_of(checks)

    def check(value: object) -> Faults:
        if type(value) is not dict:
            return expected("an object", value)
        kind = value.get(key)
        if isinstance(kind, str) and kind in checks:
            return checks[kind](value)
        if key not in value:
            return fault(Kind.MISSING, f'"{key}" is missing')
        return tuple(each.under(key) for each in is_known(kind))

    return check
