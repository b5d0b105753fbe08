"""Which tests take longest, from slowest.txt: they start first, so that no process ends with one.

`python -m tests.slowest LOG` writes the table anew from what pytest printed with --durations=0.
A test that is not in the table keeps its place behind those that are. It names functions and no
files, so that a test may move.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

TABLE = Path(__file__).with_name("slowest.txt")
LEAST_SECONDS = 1.0
_LINE = re.compile(r"(\d+\.\d+)s (?:setup|call|teardown) +(\S+::\w+)", re.ASCII)


def read() -> dict[str, float]:
    """Return the seconds of each slow test, by the name of its function."""
    pairs = (line.split(maxsplit=1) for line in TABLE.read_text(encoding="utf-8").splitlines())
    return {name: float(seconds) for seconds, name in pairs}


def slowest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    seconds = read()
    return sorted(items, key=lambda item: -seconds.get(_function(item.nodeid), 0.0))


def _function(case: str) -> str:
    """Return the function of an id: no file, no parameters, and no group that xdist adds."""
    return re.split(r"[\[@]", case)[0].rpartition("::")[2]


def table_of(log: str) -> Iterable[str]:
    """The lines of the table: the slowest case of each test that takes a second or more."""
    cases: defaultdict[str, float] = defaultdict(float)
    for line in log.splitlines():
        if found := _LINE.match(line.strip()):
            cases[line.split(maxsplit=2)[2].strip()] += float(found[1])
    slowest: defaultdict[str, float] = defaultdict(float)
    for case, seconds in cases.items():
        name = _function(case)
        slowest[name] = max(slowest[name], seconds)
    ranked = sorted(slowest.items(), key=lambda pair: (-pair[1], pair[0]))
    return (f"{seconds:5.1f} {name}" for name, seconds in ranked if seconds >= LEAST_SECONDS)


def main(log: Path) -> None:
    lines = table_of(log.read_text(encoding="utf-8"))
    TABLE.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
