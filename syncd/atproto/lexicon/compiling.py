"""Turn the definitions of a lexicon into checks of values. Pure; never looks for a document.

References are followed when a value needs them, so that definitions may refer to each other in
circles, and a document of ten thousand of them costs what is used. What refers to a definition that
nobody has accepts every value: an unknown lexicon holds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from syncd.atproto.cid import Cid
from syncd.atproto.data import MAX_INTEGER
from syncd.atproto.lexicon.checks import (
    FINE,
    Check,
    Faults,
    anything,
    every,
    expected,
    fault,
    fields,
    items,
    meant_name,
    nullable,
    of_type,
    one_of,
    shown,
    within,
)
from syncd.atproto.lexicon.document import Definition
from syncd.atproto.lexicon.fault import Fault, Kind
from syncd.atproto.lexicon.strings import Lengths, of_format, string

Find: TypeAlias = Callable[[str], Check]
"""Returns the check of a full reference: `nsid#name`, or `nsid` for its main definition."""


def compile_definition(definition: Definition, name: str, find: Find) -> Check:
    """Return the check of values by `definition`, whose full reference is `name`."""
    if definition["type"] == "object":
        return _typed_object(definition, name, find)
    return _compile(definition, name, find)


def _compile(definition: Definition, name: str, find: Find) -> Check:
    """Return the check of values within the definition that has the full reference `name`."""
    return _COMPILERS.get(definition["type"], _of_nothing)(definition, name, find)


def full_reference(text: str, here: str) -> str:
    """Return a reference in its one full form; `here` is where it stands."""
    nsid, _, name = text.removeprefix("lex:").partition("#")
    nsid = nsid or here.partition("#")[0]
    return nsid if name in ("", "main") else f"{nsid}#{name}"


def _bounds(definition: Definition, least: str, most: str) -> tuple[int | None, int | None]:
    return definition.get(least), definition.get(most)


def _integer(definition: Definition, _name: str, _find: Find) -> Check:
    limited = _limited(definition)
    least, most = _bounds(definition, "minimum", "maximum")

    def check(value: object) -> Faults:
        if type(value) is not int or abs(value) > MAX_INTEGER:
            return expected("a whole number", value)
        if least is not None and value < least:
            return fault(Kind.RANGE, f"must be at least {least}, not {value}")
        if most is not None and value > most:
            return fault(Kind.RANGE, f"must be at most {most}, not {value}")
        return limited(value)

    return check


def _boolean(definition: Definition, _name: str, _find: Find) -> Check:
    return every(of_type(bool, "true or false"), _limited(definition))


def _limited(definition: Definition) -> Check:
    """Return the check of `const` and `enum`."""
    known = [one_of([definition["const"]])] if "const" in definition else []
    known += [one_of(definition["enum"])] if "enum" in definition else []
    return every(*known) if known else anything


def _string(definition: Definition, _name: str, _find: Find) -> Check:
    lengths = Lengths(
        *_bounds(definition, "minLength", "maxLength"),
        *_bounds(definition, "minGraphemes", "maxGraphemes"),
    )
    rules = [of_format(definition["format"])] if "format" in definition else []
    limited = _limited(definition)
    rules += [limited] if limited is not anything else []
    return string(lengths, every(*rules) if rules else None)


def _bytes(definition: Definition, _name: str, _find: Find) -> Check:
    bounds = _bounds(definition, "minLength", "maxLength")

    def check(value: Any) -> Faults:  # noqa: ANN401
        # A Cid is bytes in Python, and a link in a record.
        if type(value) is not bytes:
            return expected("bytes", value)
        return within(Kind.LENGTH, len(value), bounds, ("byte", "bytes"))

    return check


def _link(_definition: Definition, _name: str, _find: Find) -> Check:
    return of_type(Cid, "a link")


def _blob(definition: Definition, _name: str, _find: Find) -> Check:
    accept, most = definition.get("accept"), definition.get("maxSize")

    def check(value: Any) -> Faults:  # noqa: ANN401
        match value:
            case {"$type": "blob", "ref": Cid(), "mimeType": str(mime), "size": int(size)} if (
                len(value) == 4 and "/" in mime and size >= 0
            ):
                pass
            case dict():
                return fault(
                    Kind.BLOB, 'must be a blob, with "$type", "ref", "mimeType" and "size"'
                )
            case _:
                return expected("a blob", value)
        found = FINE
        if accept is not None and not _is_accepted(mime, accept):
            found = fault(Kind.BLOB, f"must be {' or '.join(accept) or 'absent'}, not {mime}")
        if most is not None and size > most:
            found += fault(Kind.BLOB, f"must have at most {most} bytes, not {size}")
        return found

    return check


def _is_accepted(mime: str, accept: list[str]) -> bool:
    return any(
        pattern in ("*/*", mime) or (pattern.endswith("/*") and mime.startswith(pattern[:-1]))
        for pattern in accept
    )


def _array(definition: Definition, name: str, find: Find) -> Check:
    inner = _compile(definition["items"], name, find)
    return items(inner, _bounds(definition, "minLength", "maxLength"))


def _object(definition: Definition, name: str, find: Find) -> Check:
    optional = definition.get("nullable", ())
    checks = {key: _compile(each, name, find) for key, each in definition["properties"].items()}
    checks = {key: nullable(each) if key in optional else each for key, each in checks.items()}
    return fields(checks, definition.get("required", ()))


def _typed_object(definition: Definition, name: str, find: Find) -> Check:
    """Check an object that has a name: a `$type` that it carries must be that name."""
    inner, is_named = _object(definition, name, find), one_of([name])

    def check(value: object) -> Faults:
        if type(value) is dict and value.get("$type", name) != name:
            return tuple(each.under("$type") for each in is_named(value["$type"]))
        return inner(value)

    return check


def _record(definition: Definition, name: str, find: Find) -> Check:
    return _typed_object(definition["record"], name, find)


def _token(_definition: Definition, name: str, _find: Find) -> Check:
    return every(of_type(str, "a string"), one_of([name]))


def _unknown(_definition: Definition, _name: str, _find: Find) -> Check:
    return of_type(dict, "an object")


def _reference(definition: Definition, name: str, find: Find) -> Check:
    target = full_reference(definition["ref"], name)
    found: list[Check] = []

    def check(value: object) -> Faults:
        if not found:
            found.append(find(target))
        return found[0](value)

    return check


def _union(definition: Definition, name: str, find: Find) -> Check:
    known = dict.fromkeys(full_reference(each, name) for each in definition["refs"])
    is_closed = definition.get("closed", False)
    found: dict[str, Check] = {}
    which = " or ".join(known) or "one that this lexicon knows"

    def check(value: object) -> Faults:
        if type(value) is not dict:
            return expected("an object", value)
        kind = value.get("$type")
        if not isinstance(kind, str):
            return fault(Kind.UNION, f'"$type" is missing, which says what it is: {which}')
        if kind in known:
            if kind not in found:
                found[kind] = find(kind)
            return found[kind](value)
        if is_closed:
            reason = f'"$type" must be {which}, not {shown(kind)}'
            return fault(Kind.UNION, reason)
        # An open union takes any type: at most one that is misspelt gets a note.
        meant = meant_name(kind, known)
        reason = f'is not a type that its lexicon knows; did you mean "{meant}"?'
        return (Fault(Kind.UNKNOWN, reason, ("$type",)),) if meant else FINE

    return check


def _of_nothing(_definition: Definition, _name: str, _find: Find) -> Check:
    return anything


_COMPILERS: Final[Mapping[str, Callable[[Any, str, Find], Check]]] = {
    "array": _array,
    "blob": _blob,
    "boolean": _boolean,
    "bytes": _bytes,
    "cid-link": _link,
    "integer": _integer,
    "object": _object,
    "record": _record,
    "ref": _reference,
    "string": _string,
    "token": _token,
    "union": _union,
    "unknown": _unknown,
}
