"""How syncd speaks: plain text for people, one JSON object for programs, sentences for errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from syncd.atproto.cid import Cid
from syncd.errors import BadJson, SyncdError
from syncd.model import Conflict, Head, Held, Problem, Report

NEEDS_A_PERSON = 3
"""Exit code: done, but something waits for a person."""


def say(text: str = "") -> None:
    """One line on stdout."""
    print(text, flush=True)


def tell(text: str) -> None:
    """One line on stderr."""
    print(text, file=sys.stderr, flush=True)


def fail(error: SyncdError) -> int:
    """Tell what happened and what to do next; returns the exit code."""
    where = ""
    if isinstance(error, BadJson) and error.line is not None:
        where = f"line {error.line}, column {error.column}: "
    tell(f"syncd: {where}{error.message}")
    if error.hint:
        tell(f"  next: {error.hint}")
    return error.exit_code


def say_json(value: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def short(cid: Cid | None) -> str:
    """A CID for people: its last ten characters, or a dash for absence."""
    return "-" if cid is None else "…" + str(cid)[-10:]


def cid_json(cid: Cid | None) -> str | None:
    return None if cid is None else str(cid)


def head_json(head: Head | None) -> dict[str, str] | None:
    return None if head is None else {"cid": str(head.commit), "rev": head.rev}


def conflict_json(conflict: Conflict) -> dict[str, str | None]:
    return {
        "path": conflict.path,
        "base": cid_json(conflict.base),
        "local": cid_json(conflict.local),
        "remote": cid_json(conflict.remote),
        "reason": conflict.reason,
    }


def problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "path": problem.path,
        "reason": problem.reason,
        "line": problem.line,
        "column": problem.column,
        "hint": problem.hint,
    }


def held_json(held: Held) -> dict[str, str]:
    return {"path": held.path, "side": held.side.value, "reason": held.reason}


def waiting_json(
    conflicts: Sequence[Conflict], problems: Sequence[Problem], held: Sequence[Held]
) -> dict[str, list[dict[str, Any]]]:
    """The three lists that `status` and `sync` share."""
    return {
        "conflicts": [conflict_json(conflict) for conflict in conflicts],
        "problems": [problem_json(problem) for problem in problems],
        "held": [held_json(item) for item in held],
    }


def say_waiting(
    conflicts: Sequence[Conflict], problems: Sequence[Problem], held: Sequence[Held]
) -> None:
    """What waits for a person, each with the command that goes on."""
    for conflict in conflicts:
        say(f"conflict  {conflict.path}: {conflict.reason}")
    if conflicts:
        say("  next: syncd diff PATH, then syncd resolve PATH --local, --remote, --merge or --edit")
    for problem in problems:
        place = "" if problem.line is None else f" (line {problem.line}, column {problem.column})"
        say(f"problem   {problem.path}{place}: {problem.reason}")
        if problem.hint:
            say(f"  next: {problem.hint}")
    for item in held:
        say(f"held      {item.path}: {item.reason}")
    if held:
        say("  next: syncd approve PATH (or --all) lets them happen, syncd reject brings them back")


def exit_code(report: Report) -> int:
    """0 if everything agrees, 3 if something waits for a person, or what stopped the rest."""
    if report.halted is not None:
        return report.halted.exit_code
    return 0 if report.is_settled else NEEDS_A_PERSON
