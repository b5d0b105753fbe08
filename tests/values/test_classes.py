"""The classes of syncd are those of the standard library, in all but the time they take."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, fields
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.values import classes, dataclass

NAMES = ("first", "second", "third", "fourth")
FIELDS: tuple[Callable[[], object], ...] = (
    lambda: 7,
    lambda: (),
    lambda: field(default=3),
    lambda: field(default_factory=list),
    lambda: field(default=0, repr=False),
    lambda: field(default=0, compare=False),
    lambda: field(default=5, init=False),
    lambda: field(default_factory=dict, init=False),
)
OPTIONS = [
    {"frozen": frozen, "slots": slots, "eq": eq}
    for frozen, slots, eq in product((True, False), repeat=3)
]


def made(by: Any, shape: list[int | None], options: dict[str, bool], *, after: bool) -> Any:  # noqa: ANN401
    """Make a class of these fields: None is one without a default. Those come first."""
    required = [None for kind in shape if kind is None]
    kinds = [*required, *(kind for kind in shape if kind is not None)]
    named = list(zip(NAMES, kinds, strict=False))
    body: dict[str, Any] = {name: FIELDS[kind]() for name, kind in named if kind is not None}
    body |= {"__annotations__": {name: "Any" for name, _ in named}, "__module__": __name__}
    body |= {"__doc__": "One.", "__qualname__": "Place.One"}
    if after:
        body["__post_init__"] = lambda self: SEEN.append(type(self).__name__)
    return by(**options)(type("One", (), body))


SEEN: list[str] = []
SHAPES = st.lists(st.none() | st.integers(0, len(FIELDS) - 1), max_size=len(NAMES))
VALUES = st.lists(st.integers(0, 2) | st.just(()), max_size=5)


def outcome(act: Callable[[], object]) -> object:
    """Return what `act` returns, or the kind and the words of its error."""
    try:
        return act()
    except (TypeError, AttributeError, ValueError) as error:
        return type(error), str(error)


@given(SHAPES, st.sampled_from(OPTIONS), st.booleans(), VALUES, VALUES)
def test_it_does_what_the_librarys_does(
    shape: list[int | None],
    options: dict[str, bool],
    after: bool,
    one: list[object],
    two: list[object],
) -> None:
    ours, theirs = (
        made(by, shape, options, after=after) for by in (dataclass, dataclasses.dataclass)
    )
    assert all_of(ours, one, two) == all_of(theirs, one, two)


def all_of(kind: Any, one: list[object], two: list[object]) -> list[object]:  # noqa: ANN401
    """Return all that can be seen of a class, made of these values and those."""
    SEEN.clear()
    looks: list[Callable[[], object]] = [
        lambda: repr(kind(*one)),
        lambda: repr(kind(*two)),
        lambda: kind(**dict(zip(NAMES, one, strict=False))) == kind(*one),
        lambda: kind(*one) == kind(*two),
        lambda: kind(*one) != object(),
        lambda: hash(kind(*one)) == hash(kind(*one)),
        lambda: repr(dataclasses.replace(kind(*one), first=9)),
        lambda: dataclasses.asdict(kind(*one)),
        lambda: repr(copy.copy(kind(*one))),
        lambda: repr(copy.deepcopy(kind(*one))),
        lambda: hasattr(kind(*one), "__dict__"),
        # Without a field the library's own refusal fails.
        lambda: fields(kind) and changed(kind(*one)),
        lambda: fields(kind) and cleared(kind(*one)),
        lambda: [f.name for f in fields(kind)],
        lambda: str(inspect.signature(kind)),
    ]
    return [kind.__match_args__, kind.__name__, *map(outcome, looks), *SEEN]


@pytest.mark.parametrize("by", [dataclass, dataclasses.dataclass])
def test_a_field_that_is_not_compared_makes_no_difference(by: Any) -> None:  # noqa: ANN401
    uncompared = next(n for n, make in enumerate(FIELDS) if getattr(make(), "compare", 1) is False)
    kind = made(by, [None, uncompared], OPTIONS[0], after=False)
    assert kind(1, 2) == kind(1, 3) != kind(2, 3)
    assert hash(kind(1, 2)) == hash(kind(1, 3))


def changed(value: Any) -> object:  # noqa: ANN401
    value.first = 12
    return repr(value)


def cleared(value: Any) -> object:  # noqa: ANN401
    del value.first
    return "gone"


@dataclass(frozen=True, slots=True)
class Base:
    """A class that another one is made of."""

    name: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Derived(Base):
    """One field more, and an own `repr`."""

    size: int = 0

    def __repr__(self) -> str:
        return f"<{self.name}>"


@pytest.mark.parametrize("of", [Base("a"), Derived("a", ("b",), 3)])
def test_a_value_comes_back_from_a_pickle(of: Base) -> None:
    assert pickle.loads(pickle.dumps(of)) == of


def test_a_class_with_more_fields_is_another_class() -> None:
    assert Derived("a") != Base("a")
    assert (repr(Derived("a")), repr(Base("a"))) == ("<a>", "Base(name='a', parts=())")
    assert (Derived("a", (), 1).size, Base("a").parts) == (1, ())


def test_a_frozen_value_takes_no_new_name_either() -> None:
    with pytest.raises(FrozenInstanceError):
        Base("a").other = 1  # type: ignore[attr-defined]


def test_what_a_class_says_itself_is_kept() -> None:
    @dataclass(slots=True)
    class Own:
        number: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 1

    assert Own(1) == Own(2)
    assert hash(Own(1)) == 1


def test_a_value_that_holds_itself_can_be_shown() -> None:
    @dataclass(slots=True)
    class Ring:
        of: list[object]

    ring = Ring([])
    ring.of.append(ring)
    assert repr(ring).endswith("Ring(of=[...])")


def test_nothing_is_compiled_before_a_class_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = made(dataclass, [None, 0], {"frozen": True, "slots": True}, after=False)
    compiled: list[str] = []
    compile_ = classes._compiled

    def counted(of: type, frozen: bool) -> Any:  # noqa: ANN401
        compiled.append(of.__name__)
        return compile_(of, frozen)

    monkeypatch.setattr(classes, "_compiled", counted)
    assert (kind(1), kind(2)) == (kind(1), kind(2))
    assert compiled == ["One"]
