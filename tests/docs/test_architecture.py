"""ARCHITECTURE.md knows every module and floor, and the tests that hold every invariant."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TypeGuard

import pytest

from syncd.daemon.phase import PHASES
from syncd.daemon.transitions import TABLE, Event, LoopState
from tests.test_architecture import FLOORS, modules

from .markdown import ROOT, inline_code, read, section, table

DOCUMENT = read("ARCHITECTURE.md")
NAMED_TESTS = re.findall(r"^- `(tests/[^`]+\.py)::(\w+)`$", DOCUMENT, re.MULTILINE)


def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if is_function(node)}


@pytest.mark.parametrize(("file", "name"), NAMED_TESTS)
def test_a_test_that_holds_an_invariant_is_there(file: str, name: str) -> None:
    assert name in functions_in(ROOT / file)


def test_every_invariant_has_a_test() -> None:
    text = DOCUMENT.partition("\n## Invariants\n")[2].partition("\n## ")[0]
    _, *invariants = text.split("**Architecture Invariant: ")
    assert len(invariants) >= 12
    for invariant in invariants:
        assert re.search(r"^- `tests/.*::test_\w+`$", invariant, re.MULTILINE), invariant


def test_the_floors_are_those_of_the_test() -> None:
    floors = {
        part: int(row[0].split(",")[0])
        for row in table(DOCUMENT, "floor", "parts", "what it may do")
        for part in re.findall(r"`(\w+)`", row[1])
    }
    assert floors == FLOORS


def test_the_map_has_every_module() -> None:
    on_the_map: set[str] = set()
    text = DOCUMENT.partition("\n## The map\n")[2].partition("\n## ")[0]
    parts = re.findall(r"^### ([^\n]*)\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL)
    for heading, body in parts:
        places = re.findall(r"syncd/((?:\w+/)*)", heading)
        inside = places[0] if len(places) == 1 else ""
        on_the_map |= {f"{inside}{name}" for name in re.findall(r"`([\w/]+\.py)`", body)}
    names = {str(path.relative_to(ROOT / "syncd")) for path in modules()}
    names = {name for name in names if not name.endswith("__init__.py")}
    assert on_the_map >= names, "give each new module a line in ARCHITECTURE.md"
    assert on_the_map <= names


def defined() -> set[str]:
    """Every function and class of syncd, and every `Class.method`."""
    found: set[str] = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found |= {f"{node.name}.{item.name}" for item in node.body if is_function(item)}
            if isinstance(node, ast.ClassDef) or is_function(node):
                found.add(node.name)
    return found


def is_function(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def test_every_function_that_the_roads_pass_exists() -> None:
    passed = {code for code in inline_code(section(DOCUMENT, "Two roads")) if "/" not in code}
    assert {code for code in passed if not code.endswith(".py")} - defined() == set()


def test_the_verdict_that_is_shown_is_the_one_that_runs() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    source = (ROOT / "syncd" / "plan.py").read_text(encoding="utf-8")
    found = next(
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "verdict"
    )
    found.body = found.body[1:]
    assert ast.unparse(found) == ast.unparse(ast.parse(shown).body[0])


def test_the_table_of_the_loop_is_the_one_that_runs() -> None:
    shown = table(DOCUMENT, "state", "shown as", *(event.value for event in Event))
    assert [row[0] for row in shown] == [state.value for state in LoopState]
    for state, (_, phase, *cells) in zip(LoopState, shown, strict=True):
        assert phase == (PHASES[state].value if state in PHASES else "-")
        found = (TABLE[state].get(event) for event in Event)
        assert cells == [after.value if after else "-" for after in found]
