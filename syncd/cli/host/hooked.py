"""Say what hooks read of a sync, as JSON, and which of them are due. Starts none itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncd.cli.screen.output import VERSION, error_json, waiting_json
from syncd.config import Config
from syncd.errors import Malformed, PdsError, SyncdError, Unverified
from syncd.git.repository import find_repository
from syncd.hooks.queue import Hooks, HookWords
from syncd.hooks.table import AFTER_PULL, AFTER_PUSH, ON_PROBLEM, Table
from syncd.model import RecordPath, Report
from syncd.values import dataclass

Run = tuple[str, bytes]
"""An event, and the input of its hook."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The mirror of a hook."""

    root: Path
    did: str


def table_of(root: Path, config: Config) -> Table:
    """Return the hooks in the settings of the mirror at `root`."""
    named = {
        AFTER_PULL: config.hook_after_pull,
        AFTER_PUSH: config.hook_after_push,
        ON_PROBLEM: config.hook_on_problem,
    }
    commands = {event: command for event, command in named.items() if command}
    repository = find_repository(root)
    top = root if repository is None else repository.top
    return Table(root.resolve(), top.resolve(), commands, config.hook_seconds)


def hooks_of(
    root: Path, config: Config, tell: Callable[[HookWords], None], *, is_allowed: bool = False
) -> Hooks:
    """Return the hooks of the mirror at `root`."""
    return Hooks(table_of(root, config), tell, is_allowed)


def after_sync(mirrored: Mirrored, report: Report) -> Iterator[Run]:
    """Yield the hooks due after a sync, with the records pulled and pushed."""
    rev = None if report.head is None else report.head.rev
    moved = {AFTER_PULL: (*report.pulled, *report.merged), AFTER_PUSH: report.pushed}
    for event, paths in moved.items():
        if paths:
            yield _run(event, mirrored, {"rev": rev, "records": _records(paths, report)})


def _records(paths: Collection[RecordPath], report: Report) -> list[dict[str, str]]:
    deleted = set(report.deleted)
    deeds = ((path, "deleted" if path in deleted else "changed") for path in sorted(set(paths)))
    return [{"path": path, "deed": deed} for path, deed in deeds]


def on_problem(mirrored: Mirrored, report: Report, error: SyncdError | None) -> Run:
    """Return the hook due if `report` has waiting items, or `error` ended a sync."""
    waits = waiting_json(report.conflicts, report.problems, report.held, ())
    del waits["waiting"]
    failed = None if error is None else error_json(error)
    return _run(ON_PROBLEM, mirrored, {**waits, "error": failed})


def only(report: Report, named: Collection[tuple[str, str]]) -> Report:
    """Return a report of those waiting items that are in `named`, by kind and path."""
    return replace(
        report,
        conflicts=tuple(c for c in report.conflicts if ("conflict", c.path) in named),
        problems=tuple(p for p in report.problems if ("problem", p.path) in named),
        held=tuple(h for h in report.held if ("held", h.path) in named),
    )


def new_in(report: Report, before: Report) -> Report:
    """Return a report of the items that wait now and did not wait `before`."""
    return replace(
        report,
        conflicts=tuple(c for c in report.conflicts if c not in before.conflicts),
        problems=tuple(p for p in report.problems if p not in before.problems),
        held=tuple(h for h in report.held if h not in before.held),
    )


def needs_a_person(error: SyncdError) -> bool:
    """Return whether nothing can be synced before a person acts."""
    return not isinstance(error, PdsError | Unverified | Malformed)


def due(mirrored: Mirrored, report: Report, before: Report) -> Iterator[Run]:
    """Yield all hooks due after a sync, given the items that waited `before`."""
    yield from after_sync(mirrored, report)
    fresh, halted = new_in(report, before), report.halted
    error = halted if halted is not None and needs_a_person(halted) else None
    if error is not None or not fresh.is_settled:
        yield on_problem(mirrored, fresh, error)


def _run(event: str, mirrored: Mirrored, facts: dict[str, Any]) -> Run:
    """Return the input of a hook: one JSON object in UTF-8."""
    about = {"version": VERSION, "event": event, "folder": str(mirrored.root)}
    text = json.dumps({**about, "account": mirrored.did, **facts}, ensure_ascii=True)
    return event, f"{text}\n".encode("ascii")
