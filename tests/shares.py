"""Each process of a whole run imports its share of the test files before it collects them all.

Half of the time that a clean clone takes to collect goes into what pytest does with the assertions
of a file when it first imports that file. pytest keeps the result on the disk, but processes that
start together would all do all of it. Never decides what is collected: a file that cannot be
imported is left to the collection, which says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def import_own_share(config: pytest.Config) -> None:
    """Import every n-th test file, in a process that xdist started for one run of all tests."""
    worker = getattr(config, "workerinput", None)
    if worker is not None and config.args == config.getini("testpaths"):
        number = int(worker["workerid"].removeprefix("gw"))
        for name in share(list(names(config.option.ignore or ())), number, worker["workercount"]):
            with suppress(Exception, pytest.skip.Exception, pytest.fail.Exception):
                import_module(name)


def names(ignored: Sequence[str]) -> Iterator[str]:
    """Return the modules of tests, in the order in which pytest collects them."""
    left_out = [ROOT / path for path in ignored]
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        if not any(file == path or path in file.parents for path in left_out):
            yield ".".join(file.relative_to(ROOT).with_suffix("").parts)


def share(whole: Sequence[str], number: int, count: int) -> Sequence[str]:
    """Return the part of process `number` of `count`: all come to the same place at a time."""
    return whole[number::count]
