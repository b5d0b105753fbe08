"""What a person should hear of that is no error. Whoever calls decides who hears it, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence, and what to do next, if anything."""

    message: str
    hint: str = ""


OnNotice: TypeAlias = Callable[[Notice], None]


def ignore(notice: Notice) -> None:
    """Take a notice that nobody wants to hear."""
