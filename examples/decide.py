"""Decide the conflicts of a mirror by a rule of your own, then sync. Uses `syncd.mirror`.

    python examples/decide.py ~/notes 'com.example.note/*'

The rule here: the longer version of a conflict wins. The other version stays in history, where
`syncd log` finds it and `syncd restore` brings it back. A file that is no valid record, and a
conflict with a deletion, are left for a person. Exit codes are those of `syncd sync`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from syncd.cycle.workspace import Workspace
from syncd.errors import SyncdError
from syncd.folder.names import relative_path
from syncd.mirror.conflicts import open_conflicts, remote_file, take_side
from syncd.mirror.names import read_names
from syncd.mirror.offline import open_files
from syncd.mirror.online import open_mirror
from syncd.mirror.selection import matching
from syncd.model import Choice, Conflict, Report

NEEDS_A_PERSON = 3


def longer(workspace: Workspace, conflict: Conflict) -> Choice | None:
    """Return the side with the longer record, or None where one side is no record."""
    remote = remote_file(workspace, conflict)
    if remote is None or conflict.local is None:
        return None
    name = relative_path(conflict.path, portable=workspace.folder.portable)
    here, there = (length(workspace.root / file) for file in (name, remote))
    return Choice.LOCAL if here >= there else Choice.REMOTE


def length(file: Path) -> int:
    """Return the length of a record as compact JSON; layout and `$type` do not count."""
    record = json.loads(file.read_text(encoding="utf-8"))
    record.pop("$type", None)
    return len(json.dumps(record))


def decide(folder: Path, patterns: list[str]) -> None:
    """Decide each conflict that a pattern names, and print what was decided."""
    with open_files(folder) as workspace:
        names = read_names(workspace, patterns, [folder])
        for conflict in matching(open_conflicts(workspace), names):
            choice = longer(workspace, conflict)
            print(f"{conflict.path}: {choice.value if choice else 'left for a person'}")
            if choice is not None:
                take_side(workspace, [conflict], choice)


async def sync(folder: Path) -> Report:
    """Carry out what was decided."""
    async with open_mirror(folder) as mirror:
        return await mirror.sync()


def main() -> None:
    parser = argparse.ArgumentParser(description="Let the longer version of each conflict win.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("patterns", nargs="+", metavar="PATTERN")
    options = parser.parse_args()
    try:
        decide(options.folder, options.patterns)
        report = asyncio.run(sync(options.folder))
    except SyncdError as error:
        print(f"{error.message}\n  next: {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)
    if report.halted is not None:
        sys.exit(report.halted.exit_code)
    sys.exit(0 if report.is_settled else NEEDS_A_PERSON)


if __name__ == "__main__":
    main()
