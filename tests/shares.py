"""Each process of a run imports its share of the test files before it collects them all.

More than half of the time that a clean clone takes to collect goes into what pytest does with the
assertions of a file when it first imports that file. pytest keeps the result on the disk, but
processes that start together would all do all of it. Never decides what is collected: a file that
cannot be imported is left to the collection, which says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def import_own_share(config: pytest.Config) -> None:
    """Import every n-th test file, in a process that xdist started for a run of many."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        number = int(worker["workerid"].removeprefix("gw"))
        whole = list(names(config.args, config.option.ignore or ()))
        for name in share(whole, number, worker["workercount"]):
            with suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
                import_module(name)


def names(chosen: Sequence[str], ignored: Sequence[str]) -> Iterator[str]:
    """Return the modules of tests that a run collects, in about that order."""
    left_out = [ROOT / path for path in ignored]
    for argument in chosen:
        place = ROOT / argument.partition("::")[0]
        for file in sorted(place.rglob("test_*.py")) if place.is_dir() else [place]:
            if file.is_relative_to(ROOT) and not any(map(file.is_relative_to, left_out)):
                yield ".".join(file.relative_to(ROOT).with_suffix("").parts)


def share(whole: Sequence[str], number: int, count: int) -> Sequence[str]:
    """Return the part of process `number` of `count`: all come to the same place at a time."""
    return whole[number::count]
