"""The results as the tables of docs/performance.md. Pure: results in, Markdown out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.outcome import Mark
from bench.results import Result
from bench.rows import ROWS

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
"""Between these, everything is written by `python -m bench.publish`."""


def tables(results: Mapping[str, Result]) -> str:
    """All rows with their goals and marks, then how each was measured."""
    machines = sorted({result.machine for result in results.values()})
    return "\n".join(
        [
            "| row | work | records | goal | measured | mark |",
            "|---|---|---|---|---|---|",
            *_judged(results),
            "",
            f"Measured on {'; '.join(machines) or 'no machine yet'}:",
            "",
            "| row | command | date | minutes | a file on its disk |",
            "|---|---|---|---|---|",
            *_commands(results),
        ]
    )


def _judged(results: Mapping[str, Result]) -> Iterator[str]:
    for name, row in ROWS.items():
        if not row.is_judged:
            continue
        records, measured, mark = "", "", f"{Mark.OPEN}"
        if name in results:
            outcome, found = results[name].outcome, results[name].mark
            records = f"{results[name].records:,}" if row.is_sized else "few"
            measured = "; ".join([*(check.text() for check in outcome.checks), *outcome.notes])
            mark = f"{found}" if found in (Mark.MET, Mark.STRETCH) else f"**{found}**"
        yield f"| {name} | {row.work} | {records} | {row.goal} | {measured} | {mark} |"


def _commands(results: Mapping[str, Result]) -> Iterator[str]:
    for name in ROWS:
        if name in results:
            result = results[name]
            disk = result.disk.text() if result.disk else "not measured"
            minutes = f"{result.took / 60:.1f}"
            yield f"| {name} | `{result.command}` | {result.date} | {minutes} | {disk} |"


def with_tables(document: str, results: Mapping[str, Result]) -> str:
    """`document` with the tables of `results` between its two marks."""
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{tables(results)}\n{END}{after}"
