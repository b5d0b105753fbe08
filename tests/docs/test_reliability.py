"""docs/reliability.md: every fault has a row, and every row names tests that exist and run.

That they passed is seen at the end of a run of all tests (tests/conftest.py).
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from .markdown import ROOT
from .shown import named, rows, unshown

ROWS = rows()


@cache
def collected_from(file: str) -> dict[str, tuple[str, ...]]:
    """What pytest collects from a file by name, and the marks on each as they are written."""
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    found = {
        node.name: tuple(map(ast.unparse, node.decorator_list))
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    machines = {
        node.targets[0].id: ()
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    return machines | found


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_fault_is_shown_by_tests_that_run(row: tuple[str, ...]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[3])
    assert named
    assert len(named) == row[3].count("`") // 2
    for file, name in named:
        assert name in collected_from(file), f"{file} has no {name}"
        assert not [
            mark for mark in collected_from(file)[name] if "skip" in mark or "xfail" in mark
        ]


def test_the_rows_are_numbered() -> None:
    assert [row[0] for row in ROWS] == [str(n) for n in range(1, len(ROWS) + 1)]
    assert len(ROWS) >= 40


def test_a_named_test_that_failed_was_skipped_or_did_not_run_is_found() -> None:
    cases = {f"{name}[a]@reference" for name in named()}
    assert not list(unshown(cases, ()))
    one = min(cases)
    for passed, others in ((cases - {one}, ()), (cases, {one.replace("[a]@reference", "[b]")})):
        (line,) = unshown(passed, others)
        assert one.partition("[")[0] in line
