"""Print a plan that nobody carries out, for people, programs and pull requests. Decides nothing."""

from __future__ import annotations

from pathlib import Path

from syncd.cli.screen.output import many, say, say_command, waiting_words
from syncd.cli.screen.review import markdown, rows_of, workflow_commands
from syncd.config import Config
from syncd.folder.names import relative_paths
from syncd.model import Report, Verdict, find_record_path
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Named:
    """How the files of records in the folder `root` are named, from the top of git's repository."""

    root: Path
    prefix: str
    config: Config

    def file(self, path: str) -> str | None:
        """Return the file of a record; another path unchanged, and None for git's own."""
        record = find_record_path(path)
        if record is None:
            return None if path.startswith(".") else self.prefix + path
        portable, forms = self.config.is_portable, self.config.forms
        names = relative_paths(record, portable=portable, forms=forms)
        there = (name for name in names if (self.root / name).exists())
        return self.prefix + next(there, names[0])


def plan_json(report: Report) -> list[dict[str, str]]:
    """Return the steps of a plan for JSON, without settled ones."""
    return [
        {"path": step.path, "verdict": step.verdict.value, "reason": step.reason}
        for step in report.plan.steps
        if step.verdict is not Verdict.SETTLED
    ]


def say_steps(report: Report) -> None:
    """Print the steps of a plan, without settled ones."""
    for step in plan_json(report):
        say(f"{step['verdict']:<9} {step['path']}: {step['reason']}")


def plan_words(report: Report) -> str:
    """Count the effects of a plan, in words."""
    idle = (Verdict.SETTLED, Verdict.CONFLICT)
    to_do = sum(step.verdict not in idle for step in report.plan.steps)
    doing = f"{to_do} to do; nothing was done" if to_do else ""
    words = (doing, later_words(report), waiting_words(report))
    return "; ".join(filter(None, words)) or "nothing to do"


def later_words(report: Report) -> str:
    """Count the changes that a setting delays, in words; empty if there are none."""
    count = len(report.pending)
    return f"{many(count, 'change')} not pushed yet" if count else ""


def say_review(report: Report, summary: str, shown_as: str, named: Named) -> None:
    """Print a plan in one of the formats of review.py."""
    if shown_as == "markdown":
        for line in markdown(report, summary):
            say(line)
        return
    found = ((row.path, named.file(row.path)) for row in rows_of(report))
    files = [(path, file) for path, file in found if file is not None]
    for line in workflow_commands(report, summary, files):
        say_command(line)
