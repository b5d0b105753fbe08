"""Print plain text for people, one JSON object for programs, one sentence for an error.

All output passes through here. Never prints a character that could control the terminal, and never
imports what it prints: whoever presses Tab waits for this module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from syncd.cli.cells import broken
from syncd.cli.screen.colour import has_colour
from syncd.cli.screen.visible import has_runner, inert, visible, visible_json
from syncd.errors import BadJson, FileProblem, SyncdError
from syncd.trouble import explain
from syncd.values import dataclass
from syncd.waiting import WAITS

if TYPE_CHECKING:
    from syncd.atproto.cid import Cid
    from syncd.cli.screen.changes import Line
    from syncd.mirror.notices import Notice
    from syncd.model import Conflict, Head, Held, Pending, Problem, RecordPath, Report

T = TypeVar("T")
K = TypeVar("K")

NEEDS_A_PERSON = 3
"""The exit code if the command is done, but an item waits for a person."""
_STDERR = 2
_USUAL = 80
"""The columns of a terminal that does not say how many it has."""
LINES = 20
"""The most lines of one kind; the remaining ones are printed as a number."""
_ALL = "; syncd status --json names them all"
RESOLVE_HINT = "syncd diff PATH, then syncd resolve PATH --local, --remote, --merge or --edit"
APPROVE_HINT = (
    "to carry them out: syncd approve PATH (or --all); to undo them: syncd reject PATH; "
    "history keeps the text of each file that syncd replaces or removes"
)


@dataclass(frozen=True, slots=True)
class Hints:
    """The next steps for conflicts and for held changes."""

    conflict: str = RESOLVE_HINT
    held: str = APPROVE_HINT


AT_A_MIRROR = Hints()
PUBLISH_HINT = "to send it now: syncd publish PATH (or --all)"


_OUTPUT_HINT = "what the command did until then stays done; send its output elsewhere"


def take_any_text() -> None:
    """Make stdout and stderr escape what their encoding lacks, so that output never fails.

    A stream that was closed leads nowhere, and its number to no file that is opened later.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str = "", *, indent: int | None = None, paint: Callable[[str], str] = str) -> None:
    """Print a sentence on stdout: on a terminal in whole words, as many lines as it needs.

    `indent`: that of the later lines; None keeps to that of the first. Only `paint` may add control
    characters, for colour.
    """
    for line in broken(_shown(text), columns(), indent):
        _print(paint(line))


def say_command(text: str) -> None:
    """Print one line on stdout that a runner of a CI is to take for a command."""
    _print(visible(text))


def say_lines(text: str) -> None:
    """Print all lines of a text on stdout as they are, however wide."""
    for line in text.removesuffix("\n").split("\n"):
        _print(_shown(line))


def say_changes(lines: Iterable[Line]) -> None:
    """Print the lines of a diff, in colour if the terminal allows it."""
    is_painted, room = has_colour(sys.stdout, os.environ), columns()
    for line in lines:
        shown = line.shown(is_painted=is_painted, columns=room)
        _print(inert(shown) if has_runner(os.environ) else shown)


def tell(text: str, *, paint: Callable[[str], str] = str) -> None:
    """Print a sentence on stderr as `say` does; ignore a failure."""
    WAITS.ended()
    with suppress(OSError):
        for line in broken(_shown(text), columns(sys.stderr)):
            print(paint(line), file=sys.stderr, flush=True)


def _shown(text: str) -> str:
    """Return a text on one line that controls neither a terminal nor a runner of a CI."""
    return inert(visible(text)) if has_runner(os.environ) else visible(text)


def _print(text: str) -> None:
    """Print on stdout. Raises FileProblem if that fails, except for a closed pipe."""
    WAITS.ended()
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        cause, _ = explain(error)
        problem = FileProblem(f"the output cannot be written: {cause}", hint=_OUTPUT_HINT)
        raise problem from error


def tell_notice(notice: Notice) -> None:
    """Print a notice on stderr, with its next step."""
    tell_step(notice.message, notice.hint)


def tell_step(message: str, hint: str) -> None:
    """Print a sentence on stderr, with its next step, if there is one."""
    tell(f"syncd: {message}")
    if hint:
        tell(f"  next: {hint}")


def fail(error: SyncdError) -> int:
    """Print an error and its hint on stderr; return the exit code."""
    where = ""
    if isinstance(error, BadJson) and error.line is not None:
        where = f"line {error.line}, column {error.column}: "
    tell_step(where + error.message, error.hint)
    return error.exit_code


@dataclass(slots=True)
class Spoken:
    """Whether this process has printed a JSON object: then an error gets no second one."""

    is_said: bool = False


SPOKEN = Spoken()
_PLAIN = (str, int, float, type(None))
VERSION = 1
"""Of all JSON objects: it grows if a field goes, or gets another meaning."""


def fail_json(error: SyncdError) -> None:
    """Print an error as the JSON object of a command, unless that has printed one already."""
    if not SPOKEN.is_said:
        # On one line, as some commands promise of each object.
        say_json({"error": error_json(error)}, indent=None)


def error_json(error: SyncdError) -> dict[str, Any]:
    """Return the JSON object of an error; its code is the name of its class."""
    own = ("message", "hint", "exit_code")
    facts = {k: v for k, v in vars(error).items() if k not in own and isinstance(v, _PLAIN)}
    return {
        "code": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "exit": error.exit_code,
        "details": facts,
    }


def say_json(value: Mapping[str, Any], *, indent: int | None = 2) -> None:
    """Print one JSON object on stdout, with its version; with `indent` None, on one line."""
    import json  # noqa: PLC0415 (a Tab prints none)

    SPOKEN.is_said = True
    value = {"version": VERSION, **value}
    text = visible_json(json.dumps(value, ensure_ascii=False, indent=indent))
    if not _takes(text):
        # The escapes of the stream are none of JSON's.
        text = visible_json(json.dumps(value, indent=indent))
    _print(text)


def _takes(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def columns(stream: TextIO | None = None) -> int:
    """Return the columns of the terminal that `stream` (stdout) is; 0 if it is none."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return 0
    with suppress(ValueError):
        if (named := int(os.environ.get("COLUMNS") or 0)) > 0:
            return named
    with suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns
    return _USUAL


def many(count: int, what: str) -> str:
    """Return the count with its noun: `1 record`, `2 records`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def short(cid: Cid | None) -> str:
    """Shorten a CID for people: its last ten characters, or a dash for None."""
    return "-" if cid is None else "…" + str(cid)[-10:]


def cid_json(cid: Cid | None) -> str | None:
    """Return the CID as text, for JSON."""
    return None if cid is None else str(cid)


def head_json(head: Head | None) -> dict[str, str] | None:
    """Return the JSON object of a head; None for no head."""
    return None if head is None else {"cid": str(head.commit), "rev": head.rev}


def conflict_json(conflict: Conflict) -> dict[str, str | None]:
    """Return the JSON object of a conflict."""
    return {
        "path": conflict.path,
        "base": cid_json(conflict.base),
        "local": cid_json(conflict.local),
        "remote": cid_json(conflict.remote),
        "reason": conflict.reason,
    }


def problem_json(problem: Problem) -> dict[str, Any]:
    """Return the JSON object of a problem."""
    return {
        "path": problem.path,
        "reason": problem.reason,
        "line": problem.line,
        "column": problem.column,
        "hint": problem.hint,
    }


def held_json(held: Held) -> dict[str, str]:
    """Return the JSON object of a held change."""
    return {
        "path": held.path,
        "kind": held.kind.value,
        "side": held.side.value,
        "reason": held.reason,
    }


def pending_json(item: Pending) -> dict[str, str]:
    """Return the JSON object of a change that a setting delays."""
    return {"path": item.path, "kind": item.kind.value, "reason": item.reason}


def waiting_json(
    conflicts: Sequence[Conflict],
    problems: Sequence[Problem],
    held: Sequence[Held],
    pending: Sequence[Pending],
) -> dict[str, list[dict[str, Any]]]:
    """Return the four lists that `status` and `sync` share."""
    return {
        "conflicts": [conflict_json(conflict) for conflict in conflicts],
        "problems": [problem_json(problem) for problem in problems],
        "held": [held_json(item) for item in held],
        "waiting": [pending_json(item) for item in pending],
    }


def say_waiting(
    conflicts: Sequence[Conflict],
    problems: Sequence[Problem],
    held: Sequence[Held],
    *,
    lines: int | None = LINES,
    hints: Hints = AT_A_MIRROR,
) -> None:
    """Print the items that wait for a person, with the next command; at most `lines` of a kind."""
    _say_some([f"conflict  {item.path}: {item.reason}" for item in conflicts], lines, _ALL)
    if conflicts:
        say(f"  next: {hints.conflict}")
    for problem in problems[:lines]:
        _say_problem(problem)
    _say_rest("problem", len(problems) - len(problems[:lines]), _ALL)
    _say_some(list(_held_lines(held, lines)), lines, _ALL)
    if held:
        say(f"  next: {hints.held}")


def grouped(items: Iterable[T], kind: Callable[[T], K]) -> Iterable[tuple[K, list[T]]]:
    """Return all items of each kind, next to each other or not, in the order of the first ones."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(kind(item), []).append(item)
    return groups.items()


def held_alike(held: Sequence[Held]) -> Iterator[tuple[str, str, list[Held]]]:
    """Yield a name, a reason and the changes of each group with one collection and one reason.

    More than LINES of them have the name of their collection; fewer come one by one.
    """

    def kind(item: Held) -> tuple[str, str]:
        return item.path.partition("/")[0], item.reason

    for (collection, reason), alike in grouped(held, kind):
        if len(alike) > LINES:
            yield f"{len(alike)} records of {collection}", reason, alike
        else:
            yield from ((item.path, reason, [item]) for item in alike)


def _held_lines(held: Sequence[Held], bound: int | None) -> Iterator[str]:
    """Yield the lines for `held`; without a bound also the names of those that are alike."""
    for name, reason, alike in held_alike(held):
        yield f"held      {name}: {reason}"
        if bound is None and len(alike) > 1:
            yield from (f"          {item.path}" for item in alike)


def say_pending(pending: Sequence[Mapping[str, str]]) -> None:
    """Print the changes that a setting delays, each as `pending_json` has it."""
    _say_some([f"waiting   {item['path']}: {item['reason']}" for item in pending], LINES, _ALL)
    if pending:
        say(f"  next: {PUBLISH_HINT}")


def _say_problem(problem: Problem) -> None:
    place = f" ({problem.place})" if problem.place else ""
    say(f"problem   {problem.path}{place}: {problem.reason}")
    if problem.hint:
        say(f"  next: {problem.hint}")


def say_effects(report: Report) -> None:
    """Print the effects of a sync, a line per record, and its notes."""
    for _, group in groupby(effects(report), key=itemgetter(0, 2)):
        _say_some([f"{verb:<9} {path}{where and ' '}{where}" for verb, path, where in group])
    say_notes(report)


def say_notes(report: Report) -> None:
    """Print the notes of a sync, a line each."""
    for sentence in report.remarks:
        say(f"note      {sentence}")


def effects(report: Report) -> Iterator[tuple[str, RecordPath, str]]:
    """Yield the effects of a sync: a verb, the record and, for a deletion, its side."""
    deleted = set(report.deleted)
    for verb, where, paths in (
        ("pulled", "in the folder", report.pulled),
        ("merged", "", report.merged),
        ("pushed", "in the repo", report.pushed),
    ):
        yield from ((verb, path, "") for path in paths if not (where and path in deleted))
        yield from (("deleted", path, where) for path in paths if where and path in deleted)


def waiting_words(report: Report) -> str:
    """Count the items that wait for a person, in words; empty if there are none."""
    kinds = (
        (len(report.conflicts), "conflict"),
        (len(report.problems), "problem"),
        (len(report.held), "held change"),
    )
    parts = [many(count, kind) for count, kind in kinds if count]
    verb = "needs" if sum(count for count, _ in kinds) == 1 else "need"
    return f"{', '.join(parts)} {verb} your attention" if parts else ""


def _say_some(lines: Sequence[str], bound: int | None = LINES, rest: str = "") -> None:
    """Print the first `bound` lines of one kind, and the number of the others."""
    for line in lines[:bound]:
        say(line)
    if lines:
        _say_rest(lines[0].split()[0], len(lines) - len(lines[:bound]), rest)


def _say_rest(kind: str, count: int, rest: str) -> None:
    if count:
        say(f"{kind:<9} {count} more{rest}")


def exit_code(report: Report) -> int:
    """Return 0 if all sides agree, 3 if an item waits for a person, or the code of the error."""
    if report.halted is not None:
        return report.halted.exit_code
    return 0 if report.is_settled else NEEDS_A_PERSON
