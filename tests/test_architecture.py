"""The shape of syncd: who may import whom, and what each part never does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parent.parent / "syncd"

FLOORS: dict[str, int] = {
    "errors": 0,
    "atproto": 1,
    "model": 2,
    "connect": 2,
    "plan": 3,
    "merge": 3,
    "replica": 3,
    "budget": 3,
    "batches": 3,
    "folder": 3,
    "pds": 3,
    "identity": 3,
    "credentials": 3,
    "state": 3,
    "spool": 3,
    "watch": 3,
    "config": 3,
    "lock": 3,
    "git": 3,
    "notify": 3,
    "control": 3,
    "cycle": 4,
    "news": 4,
    "daemon": 5,
    "sandbox": 5,
    "doctor": 5,
    "cli": 6,
    "__main__": 7,
}
PURE = ("errors", "atproto", "model", "plan", "merge", "replica", "budget", "batches")
IMPURE_MODULES = frozenset(
    {"os", "pathlib", "io", "socket", "ssl", "asyncio", "sqlite3", "time", "datetime", "random"}
    | {"secrets", "logging", "httpx", "httpcore", "websockets", "watchdog", "subprocess"}
    | {"tempfile", "shutil", "select", "threading"}
)


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def part_of(path: Path) -> str:
    """The top-level part a file belongs to: `atproto` for atproto/mst/node.py."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def parts(*wanted: str) -> list[Path]:
    return [path for path in modules() if part_of(path) in wanted]


def violations(path: Path, part: str) -> list[str]:
    """Imports of `path` that do not go to a lower floor or stay within their own part."""
    found = []
    for name in imports(path):
        pieces = name.split(".")
        if pieces[0] != "syncd" or len(pieces) < 2 or pieces[1] == "__version__":
            continue
        other = pieces[1]
        if other != part and FLOORS[other] >= FLOORS[part]:
            found.append(f"{part} (floor {FLOORS[part]}) imports {name} (floor {FLOORS[other]})")
    return found


def test_every_module_has_a_floor() -> None:
    assert {part_of(path) for path in modules()} - {"__init__"} == FLOORS.keys()


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    part = part_of(path)
    assert part == "__init__" or violations(path, part) == []


@pytest.mark.parametrize("path", parts(*PURE), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_is_pure(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    assert tops & IMPURE_MODULES == set()
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    awaits = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    assert not any(isinstance(node, awaits) for node in tree)


def test_only_state_contains_sql() -> None:
    users = [path for path in modules() if "sqlite3" in set(imports(path))]
    assert {part_of(path) for path in users} <= {"state", "sandbox"}


def test_only_pds_and_identity_open_connections() -> None:
    clients = {"httpx", "websockets", "httpcore", "dns", "aiohttp", "requests", "urllib3"}
    users = [p for p in modules() if clients & {name.split(".")[0] for name in imports(p)}]
    assert {part_of(path) for path in users} <= {"pds", "identity", "connect"}


def test_only_the_command_line_prints() -> None:
    printers = [p for p in modules() if {"print", "sys.stdout.write"} & set(calls(p))]
    assert {part_of(path) for path in printers} <= {"cli"}


def test_only_the_daemon_starts_tasks() -> None:
    starters = [
        path
        for path in modules()
        if any(call.endswith(("create_task", "ensure_future", "TaskGroup")) for call in calls(path))
    ]
    assert {part_of(path) for path in starters} <= {"daemon", "sandbox"}


def test_folder_pds_and_state_do_not_know_each_other() -> None:
    for part in ("folder", "pds", "state"):
        others = {"folder", "pds", "state"} - {part}
        for path in parts(part):
            known = {name.split(".")[1] for name in imports(path) if name.startswith("syncd.")}
            assert known & others == set(), path


def test_no_module_is_called_utils_or_helpers_or_manager() -> None:
    banned = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    assert not [path for path in modules() if path.stem in banned or path.parent.name in banned]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_opens_with_what_it_does_and_stays_readable(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.name == "__init__.py" or ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 330


def test_a_planted_import_is_caught(tmp_path: Path) -> None:
    planted = tmp_path / "plan.py"
    planted.write_text("from syncd.folder.scan import scan\nfrom syncd.state import State\n")
    assert len(violations(planted, "plan")) == 4
    planted.write_text("from syncd.model import Plan\nimport hashlib\n")
    assert violations(planted, "plan") == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_bug_to_be_planted_still_has_its_place(mutant: Mutant) -> None:
    text = (ROOT / mutant.module).read_text(encoding="utf-8")
    assert text.count(mutant.before) == 1
