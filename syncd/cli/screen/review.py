"""Show a plan where a pull request is reviewed: as Markdown, or as workflow commands of GitHub.

What a file, a record or a server says is quoted, so that it is neither markup, nor a mention, nor a
command. Prints nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from syncd.cli.screen.visible import visible
from syncd.model import Problem, Report, Step, Verdict
from syncd.plan import kind_of
from syncd.values import dataclass

FORMATS: Final = ("github", "markdown")
ROWS: Final = 200
"""The most rows of a table, for whoever reads it."""
CHARACTERS: Final = 60_000
"""The most characters of a comment: GitHub takes 65,536."""
_CELL: Final = 200
_DOES: Final = {Verdict.PULL: "pull", Verdict.ADOPT: "adopt", Verdict.CONFLICT: "conflict"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line for a reviewer. `level` is that of GitHub: error, warning or notice."""

    what: str
    path: str
    why: str
    level: str
    line: int | None = None
    column: int | None = None


def rows_of(report: Report) -> tuple[Row, ...]:
    """Return the rows: first waiting items, then planned steps, then changes by others."""
    plan = report.plan
    done = (s for s in plan.steps if s.verdict not in (Verdict.SETTLED, Verdict.CONFLICT))
    return (
        *(Row("conflict", item.path, item.reason, "error") for item in report.conflicts),
        *(_problem(item) for item in report.problems),
        *(Row("held", item.path, item.reason, "error") for item in report.held),
        *(Row(_word(step), step.path, step.reason, "notice") for step in done),
        *(Row("waiting", item.path, item.reason, "notice") for item in report.pending),
        *(Row("foreign", step.path, step.reason, "warning") for step in plan.foreign),
    )


def _problem(item: Problem) -> Row:
    why = f"{item.reason}; next: {item.hint}" if item.hint else item.reason
    return Row("problem", item.path, why, "error", item.line, item.column)


def _word(step: Step) -> str:
    """Return the effect of a step: on the repo in a push, on the folder in a pull."""
    return kind_of(step).value if step.verdict is Verdict.PUSH else _DOES[step.verdict]


def markdown(report: Report, summary: str) -> Iterator[str]:
    """Yield the lines of a comment."""
    rows = rows_of(report)
    yield f"**syncd:** {_quoted(summary)}"
    remarks = report.remarks
    shown, room = _within((f"- {_quoted(sentence)}" for sentence in remarks), CHARACTERS // 2)
    yield from shown
    if len(shown) < len(remarks):
        yield f"- {len(remarks) - len(shown)} more notes: `syncd sync --dry-run` lists them all"
    if rows:
        yield ""
        yield "| what | record | why |"
        yield "|---|---|---|"
    lines = (f"| {row.what} | {_quoted(row.path)} | {_quoted(row.why)} |" for row in rows[:ROWS])
    shown, _ = _within(lines, CHARACTERS // 2 + room)
    yield from shown
    if len(rows) > len(shown):
        yield f"| … | {len(rows) - len(shown)} more | `syncd sync --dry-run` lists them all |"


def _within(lines: Iterable[str], room: int) -> tuple[Sequence[str], int]:
    """Return those of the first `lines` that have room, and the rest of the room.

    It makes no line after the first that has none: there can be thousands, of any length.
    """
    found: list[str] = []
    for line in lines:
        if len(line) + 1 > room:
            break
        found.append(line)
        room -= len(line) + 1
    return found, room


def _quoted(text: str) -> str:
    """Return `text` as a code span: nothing in it is markup, and `|` ends no cell.

    A backslash before a `|` would end the cell all the same, so another character stands for it.
    """
    plain = re.sub(r"\s+", " ", visible(text)).replace("`", "'").strip()
    short = plain if len(plain) <= _CELL else f"{plain[: _CELL - 1]}…"
    return (
        "`"
        + (short or "-").replace("\\", "\N{FULLWIDTH REVERSE SOLIDUS}").replace("|", "\\|")
        + "`"
    )


def workflow_commands(
    report: Report, summary: str, files: Iterable[tuple[str, str]]
) -> Iterator[str]:
    """Yield the lines that annotate files of a pull request on GitHub.

    `files` are pairs of a path in the report and the file that it is in, from the top of git.
    """
    names = dict(files)
    for row in rows_of(report):
        place = {"file": names.get(row.path), "line": row.line, "col": row.column}
        known = (f"{key}={_property(str(v))}" for key, v in place.items() if v is not None)
        parts = ",".join((*known, f"title={_property(f'syncd: {row.what}')}"))
        yield f"::{row.level} {parts}::{_data(f'{row.path}: {row.why}')}"
    for sentence in (*report.remarks, summary):
        yield f"::notice title=syncd::{_data(sentence)}"


def _data(text: str) -> str:
    """Escape the message of a command (actions/toolkit, packages/core/src/command.ts)."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
