"""`syncd status`: where the mirror stands, from this disk alone; offline and beside a daemon."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from syncd.budget import DAY, HOUR, Ledger, batch_points
from syncd.cli.screen import display
from syncd.cli.screen.output import (
    NEEDS_A_PERSON,
    head_json,
    rfc3339,
    say,
    say_json,
    say_waiting,
    waiting_json,
)
from syncd.cli.screen.standing import Seen
from syncd.cycle.observe.local import look_everywhere
from syncd.cycle.push.ledger import read_ledger
from syncd.cycle.workspace import Workspace
from syncd.errors import OtherVersion, SyncdError
from syncd.lock import holder
from syncd.mirror.offline import known_account, open_files
from syncd.model import Change, Conflict, Waiting
from syncd.plan import for_a_person, touched
from syncd.state.notes import DaemonState, KnownGuards, LastCycle, Trouble, Unwatched
from syncd.typedjson import plain

ANSWER_SECONDS = 0.5
"""So long a running daemon is waited for; what it noted last is shown then."""


@dataclass(frozen=True, slots=True)
class DaemonSeen:
    """The daemon of a mirror: its process, what it is at and what is wrong; None: none runs."""

    pid: int | None = None
    phase: str | None = None
    trouble: Trouble | None = None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--watch", is_flag=True, help="Show it until Ctrl-C, as it changes.")
@click.pass_obj
def status(directory: Path, as_json: bool, watch: bool) -> None:
    """Where the mirror stands: head, what is pending, and what waits for you.

    \b
    Examples:
      syncd status
      syncd status --watch
      syncd -C ~/repo status --json
    """
    plain = _say_json if as_json else _say_plain
    if watch:
        display.watch(lambda: look(directory), plain, is_json=as_json)
    seen = look(directory)
    if not watch:
        (plain if as_json else partial(display.show, plain=plain))(seen)
    is_halted = seen[0]["daemon"]["phase"] == "halted"
    raise click.exceptions.Exit(NEEDS_A_PERSON if is_halted or any(seen[1]) else 0)


def look(directory: Path) -> Seen:
    """Return what `status` shows, and what waits for a person."""
    with open_files(directory, is_checked=False) as files:
        return _status(files), for_a_person(files.state.waiting())


def _say_json(seen: Seen) -> None:
    say_json(seen[0])


def _say_plain(seen: Seen) -> None:
    _say(seen[0])
    say_waiting(*seen[1])


def _status(files: Workspace) -> dict[str, Any]:
    state = files.state
    account = known_account(state)
    pds = (account.pds if account else files.config.pds) or ""
    unpushed, now = _unpushed(files), int(time.time())
    conflicts, problems, held = for_a_person(state.waiting())
    return {
        "account": {
            "did": files.config.did,
            "handle": account.handle if account else files.config.handle,
            "pds": pds or None,
        },
        "folder": str(files.root),
        "daemon": (daemon := plain(_daemon(files))),
        "watch": plain(state.note(Unwatched)) if daemon["pid"] else None,
        "head": head_json(state.head()),
        "records": state.count_in(files.config.covers),
        "guards": _guards(state.note(KnownGuards), pds),
        "pending": {"push": len(unpushed), "pull": _pending_pulls(state.waiting())},
        **waiting_json(conflicts, problems, held),
        "budget": _budget(read_ledger(state, pds, now), unpushed, now),
        "last_cycle": plain(state.note(LastCycle)),
    }


def _daemon(files: Workspace) -> DaemonSeen:
    """Return what the daemon says itself; if it does not answer, what it noted last."""
    noted, pid = files.state.note(DaemonState), holder(files.root)
    # A command that syncs has the folder too, and its process is not the one that noted. Where no
    # note can be read, only the socket says whether it is a daemon.
    if pid is None or (noted is not None and noted.pid != pid):
        return DaemonSeen()
    said = DaemonSeen() if noted is None else DaemonSeen(pid, noted.phase, noted.trouble)
    return _asked(files.root, said)


def _asked(root: Path, noted: DaemonSeen) -> DaemonSeen:
    from syncd.cli.open.delegate import ask_daemon  # noqa: PLC0415 (only where a daemon runs)
    from syncd.cli.open.wire import StatusAnswer  # noqa: PLC0415

    try:
        said = ask_daemon(root, "status", StatusAnswer, seconds=ANSWER_SECONDS)
    except OtherVersion as error:
        # What it noted is of that version too; that it has to be restarted comes first.
        trouble = Trouble(error.message, error.hint)
        return DaemonSeen(noted.pid or holder(root), noted.phase or "unknown", trouble)
    except SyncdError:
        return noted
    return noted if said is None else DaemonSeen(said.pid, said.phase, said.trouble)


def _guards(known: KnownGuards | None, pds: str) -> bool | None:
    """Return whether the PDS at `pds` refuses what replaces more than it names; None: not known."""
    return None if known is None or known.pds != pds else known.honoured


def _unpushed(files: Workspace) -> list[Change]:
    """Return where files differ from what was synchronized last, and stand for a record.

    A missing file is left out while a person has to say what that means.
    """
    state = files.state
    found = look_everywhere(files, (), time.time_ns())
    base, local = found.base, {path: seen.cid for path, seen in found.look.seen.items()}
    paths = touched(base, local, (), found.look.absent)
    _, problems, held = for_a_person(state.waiting())
    asked = {problem.path for problem in problems} | {item.path for item in held}
    undecided = asked - state.decisions().keys()
    changes = (Change(path, base.get(path), local.get(path)) for path in sorted(paths))
    return [c for c in changes if c.after is not None or c.path not in undecided]


def _pending_pulls(waiting: tuple[Waiting, ...]) -> int:
    return sum(1 for item in waiting if isinstance(item, Conflict))


def _budget(ledger: Ledger, unpushed: Sequence[Change], now: int) -> dict[str, Any]:
    """Return what may still be written, and when all that waits will have been."""
    windows = {
        name: {
            "left": ledger.left(window, now),
            "resets_at": rfc3339(ledger.resets_at(window, now)),
        }
        for name, window in (("hour", HOUR), ("day", DAY))
    }
    done_at = rfc3339(ledger.done_at(batch_points(unpushed), now)) if unpushed else None
    return {**windows, "counted": ledger.is_counted, "push_done_at": done_at}


def _say(found: Mapping[str, Any]) -> None:
    account, head, daemon = found["account"], found["head"], found["daemon"]
    say(f"account  {account['handle'] or account['did']} on {account['pds']}")
    say(f"folder   {found['folder']}")
    say(
        f"daemon   {daemon['phase']} (pid {daemon['pid']})"
        if daemon["pid"]
        else "daemon   not running"
    )
    if daemon["trouble"]:
        say(f"         {daemon['trouble']['message']}")
        if daemon["trouble"]["hint"]:
            say(f"         next: {daemon['trouble']['hint']}")
    if found["watch"]:
        say(f"watch    every few seconds: {found['watch']['problem']}")
        say(f"         next: {found['watch']['hint']}")
    say(
        f"head     {head['cid']} at rev {head['rev']}"
        if head
        else "head     none yet: run syncd sync"
    )
    say(f"records  {found['records']}, {found['pending']['push']} to push")
    if found["budget"]["counted"]:
        _say_budget(found["budget"])
    if found["guards"] is False:
        say("guards   this PDS ignores them: syncd looks before and after each write instead")
    if found["last_cycle"]:
        say(f"last     {found['last_cycle']['at']}")


def _say_budget(budget: Mapping[str, Any]) -> None:
    hour, day = budget["hour"]["left"], budget["day"]["left"]
    say(f"budget   {hour} write points left this hour, {day} today")
    if budget["push_done_at"]:
        say(f"         what is to push is done by {budget['push_done_at']}")
