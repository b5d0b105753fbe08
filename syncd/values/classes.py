"""Make a dataclass whose methods are shared, and compile its `__init__` when it is used first.

Never decides what a field is: `dataclasses.fields` says that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, fields
from operator import attrgetter
from reprlib import recursive_repr
from typing import Any, TypeVar

T = TypeVar("T", bound=type)


def dataclass(
    cls: T | None = None, /, *, frozen: bool = False, slots: bool = False, eq: bool = True
) -> Any:  # noqa: ANN401 (type checkers see the library's)
    """Make a dataclass as `dataclasses.dataclass` does, with these of its options."""
    return _make(cls, frozen, slots, eq) if cls else lambda cls: _make(cls, frozen, slots, eq)


def _make(cls: type, frozen: bool, slots: bool, eq: bool) -> Any:  # noqa: ANN401 (a type)
    own = frozenset(cls.__dict__)
    is_hashed = cls.__dict__.get("__hash__") is not None
    # For a class without a docstring the library writes out the signature, which takes long.
    cls.__doc__ = cls.__doc__ or cls.__name__
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    given: dict[str, object] = {
        "__init__": _Init(made, frozen=frozen),
        "__repr__": _repr,
    }
    if eq:
        given |= _comparison(made, frozen, is_hashed)
    if frozen:
        given |= _FROZEN
    for name, value in given.items():
        if name not in own or name == "__hash__":
            setattr(made, name, value)
    return made


class _Init:
    """`__init__` of a class that nobody used yet. It puts a compiled one in its own place."""

    __slots__ = ("_frozen", "_of")

    def __init__(self, of: type, *, frozen: bool) -> None:
        self._of = of
        self._frozen = frozen

    def __get__(self, one: object, kind: type | None = None) -> Any:  # noqa: ANN401 (a method)
        made = _compiled(self._of, self._frozen)
        self._of.__init__ = made  # type: ignore[misc]
        return made.__get__(one, kind)


class _Factory:
    """Stands in a signature for a default that is made anew each time."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _compiled(cls: Any, frozen: bool) -> Any:  # noqa: ANN401 (a function of any parameters)
    """Return the `__init__` of a class, as the library would compile it."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_factory": _FACTORY}
    parameters, lines = ["self"], []
    for field in fields(cls):
        value, parameter = _given(field, known)
        parameters += [parameter] if field.init else []
        if value:
            name = field.name
            lines.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "".join(f"\n {line}" for line in lines or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):{body}", known)  # noqa: S102 (of names of fields)
    made = known["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    types = {field.name: field.type for field in fields(cls) if field.init}
    made.__annotations__ = {**types, "return": None}
    return made


def _given(field: dataclasses.Field[Any], known: dict[str, Any]) -> tuple[str, str]:
    """Return the value of a field and its parameter as Python has them; note what they name."""
    name, default = field.name, f"_of_{field.name}"
    if field.default_factory is not MISSING:
        known[default] = field.default_factory
        made = f"{default}()"
        value = f"{made} if {name} is _factory else {name}" if field.init else made
        return value, f"{name}=_factory"
    if field.default is not MISSING:
        known[default] = field.default
        return name if field.init else default, f"{name}={default}"
    return name if field.init else "", name


def _comparison(cls: Any, frozen: bool, is_hashed: bool) -> dict[str, object]:  # noqa: ANN401
    names = [field.name for field in fields(cls) if field.compare]
    values: Callable[[Any], Any] = attrgetter(*names) if names else _nothing

    def __eq__(self: object, other: object) -> Any:  # noqa: ANN401, N807 (True, False or neither)
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(values(self))

    methods: dict[str, object] = {"__eq__": __eq__}
    return methods if is_hashed else {**methods, "__hash__": __hash__ if frozen else None}


def _nothing(_: object) -> tuple[()]:
    return ()


@recursive_repr("...")
def _repr(self: Any) -> str:  # noqa: ANN401
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _refuse(_: object, name: str, *value: object) -> None:
    raise FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r}")


def _state(self: Any) -> list[object]:  # noqa: ANN401
    return [getattr(self, field.name) for field in fields(self)]


def _set_state(self: Any, state: list[object]) -> None:  # noqa: ANN401
    for field, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_FROZEN = {
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
"""With these a value cannot be changed, and can be copied all the same."""
