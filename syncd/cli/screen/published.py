"""Print what the publication of a branch did, or would do. Names no command that it has no use for.

No person sits at a CI: what waits is decided by a commit, and the next run carries it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from syncd.cli.screen.output import (
    LINES,
    Hints,
    many,
    say,
    say_effects,
    say_waiting,
    waiting_words,
)
from syncd.cli.screen.planned import Named, plan_json, plan_words, say_review, say_steps
from syncd.mirror.branch.publication import Published
from syncd.model import Report, Step, split_record_path
from syncd.values import dataclass

HINTS: Final = Hints(
    conflict=(
        "commit the repo's version, which is in syncd-kept/conflicts, and change it in a "
        "later commit; or name the collection in [conflicts] local: then git's version "
        "replaces it"
    ),
    held=(
        "if the commit is right, raise [brake] records in syncd.toml, or name the new "
        "collection in [mirror] collections; otherwise revert the commit"
    ),
)


@dataclass(frozen=True, slots=True)
class Output:
    """How to print a publication."""

    as_json: bool = False
    is_dry_run: bool = False
    shown_as: str | None = None


def published_json(done: Published) -> dict[str, Any]:
    """Return the part of the JSON object of `sync` about a publication."""
    since = done.since.mark
    return {
        "plan": plan_json(done.report),
        "foreign": [{"path": step.path, "reason": step.reason} for step in done.foreign],
        "publication": {
            "commit": done.commit,
            "since": None if since is None else since.commit,
            "moved": done.has_moved,
        },
    }


def say_published(done: Published) -> None:
    """Print the effects of a publication, the waiting items, and the counts."""
    report = done.report
    say_effects(report)
    _say_foreign(done.foreign)
    say_waiting(report.conflicts, report.problems, report.held, hints=HINTS, lines=LINES)
    unsent = f"{many(len(report.unsent), 'change')} could not be sent" if report.unsent else ""
    words = (_done(report), unsent, waiting_words(report))
    say("; ".join(filter(None, (*words, _moved(done)))))


def _moved(done: Published) -> str:
    """Say how much of the commit is in the repo now; nothing if the mark did not move."""
    if not done.has_moved:
        return ""
    is_whole = done.report.is_settled and not done.report.unsent
    what = done.commit[:10] if is_whole else f"the rest of {done.commit[:10]}"
    return f"{what} is published"


def _done(report: Report) -> str:
    deleted = set(report.deleted)
    numbers = {
        "pushed": len(set(report.pushed) - deleted),
        "deleted": len(deleted),
        "already equal": len(report.adopted),
    }
    done = ", ".join(f"{count} {name}" for name, count in numbers.items() if count)
    nothing = "nothing done" if not report.is_settled or report.unsent else "nothing to do"
    return done or nothing


def say_plan_of(done: Published, shown_as: str | None, named: Named) -> None:
    """Print what a publication would do."""
    report = done.report
    if shown_as is not None:
        say_review(report, plan_words(report), shown_as, named)
        return
    for sentence in report.remarks:
        say(f"note      {sentence}")
    say_steps(report)
    _say_foreign(done.foreign)
    say_waiting((), report.problems, report.held, hints=HINTS, lines=LINES)
    say(plan_words(report))


def _say_foreign(steps: Sequence[Step]) -> None:
    """Print what others changed in the repo: each record, or a number for each collection."""
    if len(steps) <= LINES:
        for step in steps:
            say(f"foreign   {step.path}: {step.reason}; publishing writes no file here")
        return
    for collection, found in groupby(steps, key=lambda step: split_record_path(step.path)[0]):
        count = many(len(list(found)), "record")
        say(f"foreign   {collection}: {count} changed in the repo; publishing writes no files here")
