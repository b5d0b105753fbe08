"""Read where in a request a fault is, as a PDS names it: `$.writes[77].record.langs[0]`. Pure."""

from __future__ import annotations

import re
from typing import Final

from syncd.errors import Rejected

_WRITE: Final = re.compile(r"^\$\.writes\[([0-9]{1,6})\]")
_STEP: Final = re.compile(r"\.([\w$-]+)|\[([0-9]{1,6})\]")
_VALUE: Final = re.compile(r"^\$(?:\.writes\[[0-9]{1,6}\])?(?:\.(?:record|value)(?=[.\[]|$))?")


def named_write(error: Rejected, count: int) -> int | None:
    """Return which of `count` writes, counted from 0, an error names; None if it names none."""
    found = _WRITE.match(error.place)
    return int(found[1]) if found is not None and count > 1 and int(found[1]) < count else None


def place_in_record(error: Rejected) -> tuple[str | int, ...] | None:
    """Return the keys and indexes that lead to the fault in the record; None if none is named."""
    if not error.place:
        return None
    rest = _VALUE.sub("", error.place)
    return tuple(key or int(index) for key, index in _STEP.findall(rest))
