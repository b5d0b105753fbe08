"""Recompute everything and report every disagreement (`syncd verify`). Never changes a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from syncd.cli.screen.output import (
    NEEDS_A_PERSON,
    head_json,
    many,
    problem_json,
    say,
    say_json,
    say_waiting,
)
from syncd.cycle.decide.doubt import HINT
from syncd.cycle.verify import Verified, verify_mirror
from syncd.errors import StateDamaged, StateWrong
from syncd.mirror.offline import known_account, open_files
from syncd.model import Head, Problem
from syncd.state import History
from syncd.state.notes import Doubt


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def verify(directory: Path, as_json: bool) -> None:
    """Recompute files, base, tree, root and signature, and say what does not agree.

    \b
    Examples:
      syncd verify
      syncd -C ~/notes verify --json
    """
    with open_files(directory) as files:
        account = known_account(files.state)
        if account is None:
            raise StateWrong("the account's signing key is not known yet", hint="syncd sync")
        found = verify_mirror(files, account)
        more = (*_doubt_findings(files.doubt), *_history_findings(files.history))
        found = replace(found, findings=(*found.findings, *more))
        head = files.state.head()
    _say(found, head, as_json)
    raise click.exceptions.Exit(NEEDS_A_PERSON if found.findings else 0)


def _doubt_findings(doubt: Doubt | None) -> tuple[Problem, ...]:
    return () if doubt is None else (Problem("folder", doubt.reason, HINT),)


def _history_findings(history: History) -> tuple[Problem, ...]:
    try:
        history.check()
    except StateDamaged as error:
        hint = "syncd log sets the file aside and keeps what can be read"
        return (Problem("history", error.message, hint),)
    return ()


def _say(found: Verified, head: Head | None, as_json: bool) -> None:
    if as_json:
        findings = [problem_json(finding) for finding in found.findings]
        say_json({"records": found.records, "head": head_json(head), "findings": findings})
        return
    say_waiting([], found.findings, [])
    if not found.findings:
        rev = head.rev if head else "none"
        agree = many(found.records, "record") + (" agrees" if found.records == 1 else " agree")
        say(f"{agree}: files, base, tree, root and signature, at rev {rev}")
