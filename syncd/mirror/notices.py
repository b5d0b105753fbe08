"""What a person should hear of that is no error. Whoever calls decides who hears it, and how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for a person that is no error, and the next step, if any."""

    message: str
    hint: str = ""


OnNotice: TypeAlias = Callable[[Notice], None]


def ignore(notice: Notice) -> None:
    """Drop a notice."""


def once(on_notice: OnNotice) -> OnNotice:
    """Return what passes each notice on the first time it comes."""
    passed = set[Notice]()

    def tell(notice: Notice) -> None:
        if notice not in passed:
            passed.add(notice)
            on_notice(notice)

    return tell
