"""`syncd sync`: one sync, both ways, and a report of what was done and what waits."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from syncd.atproto.syntax import parse_tid
from syncd.cli import loop
from syncd.cli.commands.git import checkout_taken
from syncd.cli.host.afterwards import Afterwards, hooks_afterwards
from syncd.cli.screen import progress
from syncd.cli.screen.output import (
    error_json,
    exit_code,
    fail,
    head_json,
    many,
    pending_json,
    say,
    say_effects,
    say_json,
    say_pending,
    say_waiting,
    waiting_json,
    waiting_words,
)
from syncd.cli.screen.planned import (
    Named,
    later_words,
    plan_json,
    plan_words,
    say_review,
    say_steps,
)
from syncd.cli.screen.review import FORMATS
from syncd.cli.screen.verbose import listeners
from syncd.config import FILE_NAME, load_config
from syncd.git.repository import find_repository
from syncd.mirror.delegate import sync_here_or_there
from syncd.mirror.editors.served import keep_served
from syncd.mirror.last_cycle import counts, keep_last_cycle
from syncd.mirror.offline import accept, find_published
from syncd.mirror.online import open_mirror, open_to_look
from syncd.model import RecordPath, Report
from syncd.plan import for_a_person

if TYPE_CHECKING:
    from syncd.cli.screen.published import Output
    from syncd.mirror.branch.publication import Published


@click.command()
@click.option(
    "--dry-run", is_flag=True, help="Print what a sync would do, path by path, and do nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--accept-rev", metavar="REV", help="Accept a rev of the repo that syncd refused.")
@click.option(
    "--format", "shown_as", type=click.Choice(FORMATS), help="Print the plan for a pull request."
)
@click.option(
    "--published",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Remember in FILE what was published, for the cache of a CI.",
)
@click.option(
    "--allow-hooks", is_flag=True, help="Run the hooks of syncd.toml without asking, for a CI."
)
@click.pass_obj
def sync(
    directory: Path,
    dry_run: bool,
    as_json: bool,
    accept_rev: str | None,
    shown_as: str | None,
    published: Path | None,
    allow_hooks: bool,
) -> None:
    """Sync once, both ways; or publish a git branch, if the settings say so.

    \b
    Examples:
      syncd sync --dry-run
      syncd sync --dry-run --format=markdown
      syncd -C ~/repo sync --json
    """
    _check_usage(dry_run, as_json, accept_rev, shown_as)
    root = find_published(directory)
    if root is not None:
        from syncd.cli.screen.published import Output  # noqa: PLC0415 (only here)

        _check_branch_usage(accept_rev)
        publish(root, published, Output(as_json, dry_run, shown_as), allow_hooks=allow_hooks)
    if published is not None:
        raise click.UsageError('--published works only with [mirror] mode = "publish"')
    with checkout_taken(directory, only_now=dry_run):
        if accept_rev is not None:
            accept(directory, parse_tid(accept_rev))
        if dry_run:
            _say_plan(*loop.run(_preview(directory)), as_json, shown_as)
        else:
            run_sync(directory, as_json, allow_hooks=allow_hooks)


def _check_usage(
    dry_run: bool, as_json: bool, accept_rev: str | None, shown_as: str | None
) -> None:
    if dry_run and accept_rev is not None:
        raise click.UsageError("--dry-run changes nothing, so it cannot accept a rev")
    if shown_as is not None and (as_json or not dry_run):
        raise click.UsageError("--format needs --dry-run, and does not go with --json")


def _check_branch_usage(accept_rev: str | None) -> None:
    if accept_rev is not None:
        raise click.UsageError('--accept-rev does not work with [mirror] mode = "publish"')


def run_sync(
    directory: Path,
    as_json: bool,
    done: Mapping[str, object] | None = None,
    *,
    acted_on: Collection[RecordPath] = (),
    allow_hooks: bool = False,
) -> None:
    """Sync, or have the running daemon do it; report, and exit with the matching code.

    `done` is what else the JSON object says; `acted_on` are the records that a person just named.
    """
    show: progress.Show = nullcontext if as_json else progress.show_progress
    with hooks_afterwards(is_allowed=allow_hooks) as after:
        report, cloned = sync_here_or_there(
            directory, lambda: loop.run(_sync(directory, show, after))
        )
        say_outcome(report, as_json, cloned, done, acted_on=acted_on)


def say_outcome(
    report: Report,
    as_json: bool,
    cloned: int = 0,
    done: Mapping[str, object] | None = None,
    *,
    acted_on: Collection[RecordPath] = (),
) -> None:
    """Report, and exit with the matching code."""
    if as_json:
        say_json({**report_json(report, cloned), **(done or {}), **halt_json(report)})
    else:
        say_report(report, cloned, _done_before(report, acted_on))
    if report.halted is not None:
        fail(report.halted)
    raise click.exceptions.Exit(exit_code(report))


def _done_before(report: Report, acted_on: Collection[RecordPath]) -> list[RecordPath]:
    """Return those of `acted_on` that a whole sync found settled already."""
    if report.halted is not None:
        return []
    named: set[str] = {*report.pushed, *report.pulled, *report.merged, *report.adopted}
    named.update(report.unsent, (item.path for item in report.conflicts))
    named.update(item.path for item in report.problems)
    named.update(item.path for item in report.held)
    named.update(item.path for item in report.pending)
    return sorted(path for path in acted_on if path not in named)


async def _preview(directory: Path) -> tuple[Report, Named]:
    async with open_to_look(directory, listeners()) as mirror:
        report, root = await mirror.preview(), mirror.folder.root
        return report, Named(root, _prefix_of(root), mirror.config)


def _prefix_of(root: Path) -> str:
    """Return where a folder is below the top of its git repository; empty if it is in none."""
    repository = find_repository(root)
    return "" if repository is None else repository.prefix


def publish(root: Path, file: Path | None, output: Output, *, allow_hooks: bool) -> NoReturn:
    """Publish the branch checked out at `root`, or show what that would do; then exit."""
    from syncd.mirror.branch import marks as kept  # noqa: PLC0415 (no mirror needs them)
    from syncd.mirror.branch.publication import (  # noqa: PLC0415
        at_the_pds,
        preview_branch,
        publish_branch,
    )

    marks = kept.RemoteMarks() if file is None else kept.FileMarks(file)
    if output.is_dry_run:
        done = loop.run(preview_branch(root, marks, at_the_pds(listeners())))
        _say_publication(root, done, output)
    with hooks_afterwards(is_allowed=allow_hooks) as after:
        # An error may come before HEAD's settings are read.
        with after.noting_errors(root, load_config(root / FILE_NAME, os.environ)):
            done = loop.run(publish_branch(root, marks, at_the_pds(listeners())))
        after.note(root, done.config, done.report, Report())
        _say_publication(root, done, output)


def _say_publication(root: Path, done: Published, output: Output) -> NoReturn:
    """Report, and exit with the matching code."""
    from syncd.cli.screen.published import (  # noqa: PLC0415 (no mirror needs them)
        published_json,
        say_plan_of,
        say_published,
    )

    if output.is_dry_run and not output.as_json:
        say_plan_of(done, output.shown_as, Named(root, _prefix_of(root), done.config))
    elif output.as_json:
        say_json({**report_json(done.report), **published_json(done), **halt_json(done.report)})
    else:
        say_published(done)
    if done.report.halted is not None:
        fail(done.report.halted)
    raise click.exceptions.Exit(exit_code(done.report))


async def _sync(directory: Path, show: progress.Show, after: Afterwards) -> tuple[Report, int]:
    async with open_mirror(directory, listeners()) as mirror:
        started = time.time()
        conflicts, problems, held = for_a_person(mirror.state.waiting())
        before = Report(conflicts=conflicts, problems=problems, held=held)
        with show(mirror), after.noting_errors(mirror.folder.root, mirror.config):
            report = await mirror.sync()
        after.note(mirror.folder.root, mirror.config, report, before)
        keep_last_cycle(mirror.state, report, started, mirror.cloned)
        keep_served(mirror.workspace)
        return report, mirror.cloned


def report_json(report: Report, cloned: int = 0) -> dict[str, object]:
    """Return the JSON object of `sync` and of `clone`."""
    return {
        **counts(report, cloned),
        **waiting_json(report.conflicts, report.problems, report.held, report.pending),
        "told": list(report.remarks),
        "requests": report.requests,
        "head": head_json(report.head),
    }


def halt_json(report: Report) -> dict[str, object]:
    """Return the part of the JSON object about an error that ended the pushes early."""
    return {} if report.halted is None else {"error": error_json(report.halted)}


def say_report(report: Report, cloned: int = 0, before: Sequence[RecordPath] = ()) -> None:
    """Print the results of a sync, and what was settled `before` it began.

    A running daemon may have done it, or there was nothing to do: a draft that equals its record.
    """
    for path in before:
        say(f"done      {path}, before this sync")
    say_effects(report)
    say_waiting(report.conflicts, report.problems, report.held)
    say_pending([pending_json(item) for item in report.pending])
    head = report.head.rev if report.head else "unknown"
    say(f"{_summary(report, cloned, len(before))}; head {head}")


def _summary(report: Report, cloned: int, before: int) -> str:
    """Count what was done and what waits."""
    deleted = set(report.deleted)
    numbers = {
        "done before": before,
        "pulled": cloned + len(set(report.pulled) - deleted),
        "pushed": len(set(report.pushed) - deleted),
        "deleted": len(deleted),
        "adopted": len(report.adopted),
        "merged": len(report.merged),
    }
    done = ", ".join(f"{count} {name}" for name, count in numbers.items() if count)
    left = [_unsent_words(report), later_words(report), waiting_words(report)]
    nothing = "nothing done" if any(left) or report.halted is not None else "nothing to do"
    return "; ".join(filter(None, (done or nothing, *left)))


def _unsent_words(report: Report) -> str:
    """Count the changes that could not be sent, in words; empty if there are none."""
    count = len(report.unsent)
    return f"{many(count, 'change')} could not be sent" if count else ""


def _say_plan(report: Report, named: Named, as_json: bool, shown_as: str | None) -> None:
    if as_json:
        say_json({**report_json(report), "plan": plan_json(report)})
    elif shown_as is not None:
        say_review(report, plan_words(report), shown_as, named)
    else:
        say_steps(report)
        say_waiting((), report.problems, report.held)
        say_pending([pending_json(item) for item in report.pending])
        say(plan_words(report))
    raise click.exceptions.Exit(exit_code(report))
