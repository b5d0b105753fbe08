"""`syncd status`: where the mirror stands, from this disk alone; offline and beside a daemon."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from syncd.budget import DAY, HOUR, Ledger
from syncd.cli.opened import Files, known_account, open_files
from syncd.cli.output import NEEDS_A_PERSON, head_json, say, say_json, say_waiting, waiting_json
from syncd.folder.root import Folder
from syncd.folder.scan import scan
from syncd.lock import holder
from syncd.model import Conflict, Waiting, for_a_person
from syncd.plan import touched


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def status(directory: Path, as_json: bool) -> None:
    """Where the mirror stands: head, what is pending, and what waits for you.

    \b
    Examples:
      syncd status
      syncd -C ~/repo status --json
    """
    with open_files(directory) as files:
        found = _status(files)
        waiting = for_a_person(files.state.waiting())
    if as_json:
        say_json(found)
    else:
        _say(found)
        say_waiting(*waiting)
    raise click.exceptions.Exit(NEEDS_A_PERSON if any(waiting) else 0)


def _status(files: Files) -> dict[str, Any]:
    state = files.state
    account = known_account(state)
    conflicts, problems, held = for_a_person(state.waiting())
    return {
        "account": {
            "did": files.config.did,
            "handle": account.handle if account else files.config.handle,
            "pds": account.pds if account else files.config.pds,
        },
        "folder": str(files.root),
        "daemon": _daemon(files),
        "head": head_json(state.head()),
        "records": state.count(),
        "pending": {"push": _pending_pushes(files), "pull": _pending_pulls(state.waiting())},
        **waiting_json(conflicts, problems, held),
        "budget": _budget(Ledger(state.spent(int(time.time()) - DAY.seconds)), int(time.time())),
        "last_cycle": state.note("last_cycle"),
    }


def _daemon(files: Files) -> dict[str, Any]:
    note = files.state.note("daemon") or {}
    pid = holder(files.root)
    is_running = pid is not None and pid == note.get("pid")
    return {"pid": pid if is_running else None, "phase": note.get("phase") if is_running else None}


def _pending_pushes(files: Files) -> int:
    """How many files differ from what was synchronized last, and stand for a record."""
    base = files.state.base()
    look = scan(
        Folder(files.root, files.state.marker),
        known=files.state.seen(),
        now_ns=time.time_ns(),
        in_scope=files.config.covers,
    )
    local = {path: seen.cid for path, seen in look.seen.items()}
    return len(touched(base, local, (), look.absent))


def _pending_pulls(waiting: tuple[Waiting, ...]) -> int:
    return sum(1 for item in waiting if isinstance(item, Conflict))


def _budget(ledger: Ledger, now: int) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "left": ledger.left(window, now),
            "resets_at": rfc3339(ledger.resets_at(window, now)),
        }
        for name, window in (("hour", HOUR), ("day", DAY))
    }


def rfc3339(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def _say(found: Mapping[str, Any]) -> None:
    account, head, daemon = found["account"], found["head"], found["daemon"]
    say(f"account  {account['handle'] or account['did']} on {account['pds']}")
    say(f"folder   {found['folder']}")
    say(
        f"daemon   {daemon['phase']} (pid {daemon['pid']})"
        if daemon["pid"]
        else "daemon   not running"
    )
    say(
        f"head     {head['cid']} at rev {head['rev']}"
        if head
        else "head     none yet: run syncd sync"
    )
    say(f"records  {found['records']}, {found['pending']['push']} to push")
    if found["last_cycle"]:
        say(f"last     {found['last_cycle']['at']}")
