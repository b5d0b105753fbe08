"""Which tests docs/reliability.md names, and which of them a run has not shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from .markdown import read, table

_TEST = re.compile(r"`(tests/[\w/]+\.py::\w+)`")


def rows() -> list[tuple[str, ...]]:
    return table(read("docs/reliability.md"), "no.", "fault", "what happens", "shown by")


def named() -> set[str]:
    """The tests that the faults are shown by, as pytest names them, without parameters."""
    return {name for row in rows() for name in _TEST.findall(row[3])}


def unshown(passed: Collection[str], others: Collection[str]) -> Iterator[str]:
    """A line for each test that is named and of which no case passed, or one did not.

    `passed` and `others` are the ids of the cases of a whole run by their outcome.
    """
    good, bad = (set(map(_plain, cases)) for cases in (passed, others))
    for name in sorted(named()):
        if name not in good:
            yield f"docs/reliability.md names {name}, which did not run and pass"
        elif name in bad:
            yield f"docs/reliability.md names {name}, of which not every case passed"


def _plain(case: str) -> str:
    """An id without its parameters, and without the group that xdist adds to it."""
    return re.split(r"[\[@]", case)[0]
