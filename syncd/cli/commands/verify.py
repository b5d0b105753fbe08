"""Recompute everything and report every disagreement (`syncd verify`). Never changes a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from syncd.cli import loop
from syncd.cli.host.counting import counting
from syncd.cli.screen.blobs import blobs_line, count_json
from syncd.cli.screen.lexicons import lexicons_json, lexicons_line
from syncd.cli.screen.output import (
    NEEDS_A_PERSON,
    head_json,
    many,
    pending_json,
    problem_json,
    say,
    say_json,
    say_pending,
    say_waiting,
    waiting_json,
)
from syncd.cli.screen.verbose import listeners
from syncd.cycle.decide.doubt import HINT
from syncd.cycle.served import Served, verify_served
from syncd.cycle.verify import Verified, verify_mirror
from syncd.errors import StateDamaged, StateWrong
from syncd.mirror.blobs.getting import served_findings
from syncd.mirror.blobs.rows import BlobCount, blob_findings
from syncd.mirror.lexicons.counting import Counted
from syncd.mirror.offline import known_account, open_files
from syncd.mirror.online import open_to_look
from syncd.model import Arrival, Departure, Head, Pending, Problem, Retry, Waiting
from syncd.plan import for_a_person
from syncd.state import History
from syncd.state.notes import Doubt
from syncd.values import dataclass


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--remote",
    "is_remote",
    is_flag=True,
    help="Also download the repo, to check that the PDS serves all of it.",
)
@click.pass_obj
def verify(directory: Path, as_json: bool, is_remote: bool) -> None:
    """Recompute files, base, tree, root and signature, and say what does not agree.

    \b
    Examples:
      syncd verify
      syncd verify --remote
      syncd -C ~/notes verify --json
    """
    with open_files(directory) as files:
        account = known_account(files.state, files.config)
        if account is None:
            raise StateWrong("the account's signing key is not known yet", hint="syncd sync")
        with counting(files, files.state.collection_sizes()) as beside:
            found = verify_mirror(files, account, beside)
            blobs, missing = blob_findings(files)
            lexicons = beside.count()
        more = (*_doubt_findings(files.doubt), *_history_findings(files.history), *missing)
        found = replace(found, findings=(*found.findings, *more))
        head = files.state.head()
    served = loop.run(_ask(directory)) if is_remote else None
    if served is not None:
        found = replace(found, findings=(*found.findings, *served.findings))
    _say(_Seen(found, head, served, lexicons, blobs), as_json)
    raise click.exceptions.Exit(0 if found.is_sound else NEEDS_A_PERSON)


async def _ask(directory: Path) -> Served:
    async with open_to_look(directory, listeners()) as mirror:
        served = await verify_served(mirror.state, mirror.pds)
        absent = await served_findings(mirror.workspace, mirror.pds)
        return replace(served, findings=(*served.findings, *absent))


@dataclass(frozen=True, slots=True)
class _Seen:
    """The recomputed mirror, its head, and the blocks that the PDS serves, if asked."""

    found: Verified
    head: Head | None
    served: Served | None
    lexicons: Counted
    blobs: BlobCount


def _doubt_findings(doubt: Doubt | None) -> tuple[Problem, ...]:
    return () if doubt is None else (Problem("folder", doubt.reason, HINT),)


def _history_findings(history: History) -> tuple[Problem, ...]:
    try:
        history.check()
    except StateDamaged as error:
        hint = "run syncd log: it sets the file aside and keeps what can be read"
        return (Problem("history", error.message, hint),)
    return ()


def _say(seen: _Seen, as_json: bool) -> None:
    found, served = seen.found, seen.served
    conflicts, problems, held = for_a_person(found.waiting)
    pending = [item for item in found.waiting if isinstance(item, Pending)]
    unfinished = [p for item in found.waiting if (p := _unfinished(item)) is not None]
    problems = (*problems, *unfinished)
    if as_json:
        say_json(
            {
                "records": found.records,
                "agree": found.agree,
                "head": head_json(seen.head),
                "findings": [problem_json(finding) for finding in found.findings],
                **waiting_json(conflicts, problems, held, pending),
                "lexicons": lexicons_json(seen.lexicons),
                "blobs": count_json(seen.blobs),
                "served": None if served is None else {"blocks": served.blocks},
            }
        )
        return
    say_waiting(conflicts, (*found.findings, *problems), held)
    say_pending([pending_json(item) for item in pending])
    say(_summary(found, seen.head))
    if known := lexicons_line(lexicons_json(seen.lexicons)):
        say(f"lexicons: {known}")
    if known := blobs_line(count_json(seen.blobs)):
        say(f"blobs: {known}; each file was hashed")
    if served is not None and not served.findings:
        say(f"the PDS serves all blocks of the repo: {served.blocks}")


def _unfinished(item: Waiting) -> Problem | None:
    """Return a step that the last sync did not finish, as a problem that the next one may end."""
    match item:
        case Retry():
            return Problem(item.path, item.reason, "syncd sync")
        case Arrival() | Departure():
            return Problem(item.path, "a sync was interrupted in this folder", "syncd sync")
        case _:
            return None


def _summary(found: Verified, head: Head | None) -> str:
    rev = head.rev if head else "none"
    what = f"files, base, tree, root and signature, at rev {rev}"
    waits = len({item.path for item in found.waiting})
    if found.agree == found.records and not waits:
        agree = many(found.records, "record") + (" agrees" if found.records == 1 else " agree")
        return f"{agree}: {what}" if not found.findings else f"{agree} in the folder and the tree"
    verb = "agrees" if found.agree == 1 else "agree"
    wait = f", {waits} {'waits' if waits == 1 else 'wait'}" if waits else ""
    return f"{found.agree} of {many(found.records, 'record')} {verb}{wait}: {what}"
