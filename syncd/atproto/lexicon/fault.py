"""One fault of a record or of a lexicon document, with its place as a JSON pointer. Pure values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias

from syncd.values import dataclass

Pointer: TypeAlias = "tuple[str | int, ...]"
"""The keys and indexes that lead to a value, from the outermost; empty for the record itself."""


class Kind(StrEnum):
    """Which rule a value breaks. Programs may rely on these words."""

    TYPE = "type"
    MISSING = "missing"
    LENGTH = "length"
    RANGE = "range"
    VALUE = "value"
    FORMAT = "format"
    UNION = "union"
    BLOB = "blob"
    KEY = "key"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that breaks a rule.

    Attributes:
        reason: What is wrong, as the end of a sentence that begins with the field.
        pointer: The place of the value; for a missing field, that of the object that lacks it.
    """

    kind: Kind
    reason: str
    pointer: Pointer = ()

    @property
    def is_note(self) -> bool:
        """True if the lexicon allows it, and yet it is likely a slip."""
        return self.kind is Kind.UNKNOWN

    def under(self, key: str | int) -> Fault:
        """Return the same fault as seen from the value around it."""
        return Fault(self.kind, self.reason, (key, *self.pointer))

    @property
    def json_pointer(self) -> str:
        """Return the place as RFC 6901 writes it; empty for the record itself."""
        keys = (str(key).replace("~", "~0").replace("/", "~1") for key in self.pointer)
        return "".join(f"/{key}" for key in keys)

    @property
    def field(self) -> str:
        """Return the place for a person: `embed.images[0].alt`; empty for the record itself."""
        keys = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.pointer)
        return "".join(keys).removeprefix(".")

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.pointer else self.reason

    @property
    def rule(self) -> tuple[Kind, Pointer]:
        """Return the broken rule and its place, wherever in a list that is."""
        return self.kind, tuple("[]" if isinstance(key, int) else key for key in self.pointer)


def new_faults(before: Iterable[Fault], now: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults of `now` that a former version of the same record did not have.

    A value that has moved within its list, or is wrong in another way by the same rule, is not new.
    """
    before, now = frozenset(before), tuple(now)
    ours, theirs = Counter(fault.rule for fault in now), Counter(f.rule for f in before)
    return tuple(
        fault for fault in now if ours[fault.rule] > theirs[fault.rule] and fault not in before
    )
