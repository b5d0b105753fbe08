"""Write the catalogue of errors into docs/errors.md: `python -m docs.catalogue`.

It reads the classes of errors in the code, wherever they are, and imports none of them. A test
compares the page with it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "errors.md"
TITLE = "## Every error\n"
HEADER = ("code", "exit", "details", "what happened", "what syncd does", "what you do")
_CLASS = re.compile(r"^class (\w+)\(([\w, .]+)\):", re.MULTILINE)
_NO_DETAILS = frozenset({"self", "message", "hint", "did", "failure", "faults"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One class of errors, as its source has it; what it lacks, its base has."""

    name: str
    base: str
    cause: str
    details: tuple[str, ...] | None
    values: dict[str, str]


@cache
def read_entries() -> dict[str, Entry]:
    """Return every class of errors by name, each after its base and before the next branch."""
    files = {
        file: file.read_text(encoding="utf-8") for file in sorted((ROOT / "syncd").rglob("*.py"))
    }
    heads = [(*head, file) for file, text in files.items() for head in _CLASS.findall(text)]

    def branch(name: str) -> Iterator[str]:
        yield name
        # In the order of the source, those of the tree's own file before the others.
        children = sorted(
            (file.name != "errors.py", at)
            for at, (_, bases, file) in enumerate(heads)
            if name in re.findall(r"\w+", bases)
        )
        for _, at in children:
            yield from branch(heads[at][0])

    places = {name: file for name, _, file in heads}
    return {name: _entry(_class(files[places[name]], name)) for name in branch("SyncdError")}


def _class(text: str, name: str) -> ast.ClassDef:
    nodes = ast.parse(text).body
    return next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name)


def _entry(node: ast.ClassDef) -> Entry:
    start = next((part for part in node.body if isinstance(part, ast.FunctionDef)), None)
    taken = None if start is None else [*start.args.args, *start.args.kwonlyargs]
    first = re.split(r"[.;](?:\s|$)", ast.get_docstring(node) or "", maxsplit=1)[0]
    return Entry(
        node.name,
        ast.unparse(node.bases[0]),
        " ".join(first.split()),
        None if taken is None else tuple(a.arg for a in taken if a.arg not in _NO_DETAILS),
        dict(_values(node)),
    )


def _values(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for part in node.body:
        match part:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if name in ("exit_code", "effect", "advice"):
            yield name, str(ast.literal_eval(value))
    if "exit_code" in {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}:
        yield "exit_code", "that of the error"


def render() -> str:
    """Return the table of all errors, in the order of the tree."""
    entries = read_entries()
    rows = [HEADER, ("---",) * len(HEADER), *(_row(entry, entries) for entry in entries.values())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(entry: Entry, entries: dict[str, Entry]) -> tuple[str, ...]:
    line = [entry]
    while (above := entries.get(line[-1].base)) is not None:
        line.append(above)
    values = {name: value for one in reversed(line) for name, value in one.values.items()}
    details = next(one.details for one in line if one.details is not None)
    return (
        f"`{entry.name}`",
        values["exit_code"],
        ", ".join(f"`{name}`" for name in details),
        entry.cause,
        values["effect"],
        values["advice"],
    )


def shown() -> str:
    """Return the table that the page shows."""
    (table,) = re.findall(
        rf"^{re.escape(TITLE)}.*?((?:^\|.*\n)+)", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    return str(table)


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().replace(shown(), render()))
