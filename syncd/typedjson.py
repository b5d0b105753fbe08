"""Read a dataclass from JSON by the types of its fields, and write it back. Opens no file.

What another version of syncd wrote is read as this version understands it: unknown fields are
ignored, a missing field takes its default, and every other difference is one `BadShape`. Nothing is
converted on the way: the text `"3"` is no number, and `true` is no 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, NewType, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from syncd.errors import BadShape, Malformed

T = TypeVar("T")
Read = Callable[[object], Any]
Spellings = Mapping[object, Callable[[str], object]]
"""How a type that JSON writes as a string is read from it. Each function raises Malformed."""

_PLAIN = {str: "a text", bool: "true or false", int: "a whole number"}


class Codec:
    """Reads and writes dataclasses whose fields are made of these types:

    bool, int, float, str, enumerations of str, whatever `spellings` has, dataclasses, `X | None`,
    `tuple[X, ...]`, `tuple[X, Y]`, and `Mapping[X, Y]` where X is spelled as a string.
    """

    def __init__(self, spellings: Spellings) -> None:
        self._spellings = spellings
        self._readers: dict[object, Read] = {}

    def read(self, kind: type[T], value: object) -> T:
        """Return the `kind` in a value of `json.loads`. Raises BadShape."""
        made: T = self._reader(kind)(value)
        return made

    def parse(self, kind: type[T], text: str | bytes) -> T:
        """Return the `kind` in a JSON text. Raises BadShape."""
        return self.read(kind, parse_json(text))

    # --- one reader for each type, made once ----------------------------------------------------

    def _reader(self, kind: Any) -> Read:  # noqa: ANN401 (a type, of whatever form)
        found = self._readers.get(kind)
        if found is None:
            found = self._readers[kind] = self._make_reader(kind)
        return found

    def _make_reader(self, kind: Any) -> Read:  # noqa: ANN401
        # A spelling comes first: a record path is a NewType of str, and more than any str.
        if kind in self._spellings:
            return _spelled(self._spellings[kind])
        if isinstance(kind, NewType):
            return self._reader(kind.__supertype__)
        made_of = get_origin(kind)
        return self._simple(kind) if made_of is None else self._composed(kind, made_of)

    def _simple(self, kind: type[Any]) -> Read:
        if kind is float:
            return _read_float
        if kind in _PLAIN:
            return _plain(kind)
        if issubclass(kind, Enum):
            return _spelled(kind)
        return self._dataclass(kind)

    def _composed(self, kind: Any, made_of: object) -> Read:  # noqa: ANN401
        if made_of in (Union, UnionType):
            return self._optional(kind)
        if made_of is tuple:
            return self._tuple(get_args(kind))
        assert made_of is Mapping, f"{kind} has no form in JSON"
        return self._mapping(*get_args(kind))

    def _optional(self, kind: Any) -> Read:  # noqa: ANN401
        (inner,) = (self._reader(one) for one in get_args(kind) if one is not NoneType)
        return lambda value: None if value is None else inner(value)

    def _tuple(self, kinds: tuple[Any, ...]) -> Read:
        if kinds[1:] == (...,):
            each = self._reader(kinds[0])
            return lambda value: tuple(map(each, _list(value)))
        readers = [self._reader(kind) for kind in kinds]

        def read(value: object) -> tuple[Any, ...]:
            items = _list(value)
            if len(items) != len(readers):
                _refuse(f"a list of {len(readers)}")
            return tuple(each(item) for each, item in zip(readers, items, strict=True))

        return read

    def _mapping(self, key: Any, value: Any) -> Read:  # noqa: ANN401
        read_key, read_value = self._reader(key), self._reader(value)
        return lambda found: {read_key(k): read_value(v) for k, v in _object(found).items()}

    def _dataclass(self, kind: type[Any]) -> Read:
        hints = get_type_hints(kind)
        readers = [(f.name, self._reader(hints[f.name]), _is_needed(f)) for f in fields(kind)]

        def read(value: object) -> object:
            found = _object(value)
            values = {
                name: _field(name, each, found)
                for name, each, is_needed in readers
                if is_needed or name in found
            }
            try:
                return kind(**values)
            except ValueError as error:  # the class refuses a value, as a moment before 1970
                raise BadShape(str(error)) from None

        return read


def parse_json(text: str | bytes) -> object:
    """Return the value of a JSON text. Raises BadShape, also for NaN and for endless nesting."""
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadShape("it is not JSON") from None
    return value


def text_of(value: object) -> str:
    """Return a value, dataclasses in it included, as JSON text of ASCII characters."""
    return json.dumps(plain(value))


def plain(value: object) -> Any:  # noqa: ANN401
    """Return a value as `json.dumps` takes it: dataclasses as objects, spelled types as text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return str(value)


# --- the readers of plain types ------------------------------------------------------------------


def _plain(kind: type[Any]) -> Read:
    def read(value: object) -> object:
        # A bool is an int in Python and not in JSON: the very type counts, and no subclass.
        return value if type(value) is kind else _refuse(_PLAIN[kind])

    return read


def _read_float(value: object) -> float:
    """Read a number. JSON writes 2.0 as 2 at will; its 1e999 is infinite, as no number of ours."""
    if type(value) not in (int, float):
        _refuse("a number")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        _refuse("a number of ordinary size")
    return number if math.isfinite(number) else _refuse("a number of ordinary size")


def _spelled(parse: Callable[[str], object]) -> Read:
    def read(value: object) -> object:
        if not isinstance(value, str):
            _refuse("a text")
        try:
            return parse(value)
        except Malformed as error:
            raise BadShape(error.message) from None
        except ValueError:  # an enumeration without this member
            _refuse("a word that this version of syncd knows")

    return read


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else _refuse("a list")


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else _refuse("an object")


def _field(name: str, read: Read, found: Mapping[str, object]) -> object:
    if name not in found:
        raise BadShape(f"{name} is missing")
    try:
        return read(found[name])
    except BadShape as error:
        raise BadShape(f"{name}: {error.message}") from None


def _is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _refuse(wanted: str) -> NoReturn:
    raise BadShape(f"it is not {wanted}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
