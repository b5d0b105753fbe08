"""Make a dataclass without compiling anything for it. Never decides what a field is: fields do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
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
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    given: dict[str, object] = {
        "__init__": _Init(made, frozen=frozen, slots=slots),
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
    """`__init__` of a class that nobody used yet. It puts the library's in its own place."""

    __slots__ = ("_of", "_options")

    def __init__(self, of: type, *, frozen: bool, slots: bool) -> None:
        self._of = of
        self._options = frozen, slots

    def __get__(self, one: object, kind: type | None = None) -> Any:  # noqa: ANN401 (a method)
        made = _library_init(self._of, *self._options)
        self._of.__init__ = made  # type: ignore[misc]
        return made.__get__(one, kind)


def _library_init(cls: Any, frozen: bool, slots: bool) -> Any:  # noqa: ANN401 (a function of any parameters)
    """Return the `__init__` that the library makes for the fields of `cls`."""
    names = ("__qualname__", "__module__", "__post_init__")
    shadow = dataclasses.make_dataclass(
        cls.__name__,
        [(field.name, field.type, field) for field in fields(cls)],
        namespace={name: getattr(cls, name) for name in names if hasattr(cls, name)},
        repr=False,
        eq=False,
        frozen=frozen,
        slots=slots,
    )
    return shadow.__dict__["__init__"]


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
