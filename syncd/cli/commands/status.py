"""`syncd status`: where the mirror stands, from this disk alone; offline and beside a daemon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncd.budget import DAY, HOUR
from syncd.cli.screen import display
from syncd.cli.screen.blobs import (
    blobs_line,
    count_json,
    pictures_line,
    uploads_json,
    uploads_line,
)
from syncd.cli.screen.lexicons import lexicons_json, lexicons_line
from syncd.cli.screen.output import (
    NEEDS_A_PERSON,
    error_json,
    head_json,
    say,
    say_json,
    say_pending,
    say_waiting,
    waiting_json,
)
from syncd.cli.screen.seen import Seen
from syncd.config import FILE_NAME
from syncd.cycle.decide.doubt import HINT
from syncd.errors import FolderWrong
from syncd.folder.root import OWN, find_root
from syncd.mirror.offline import open_files
from syncd.mirror.standing import Standing, read_standing
from syncd.mirror.times import rfc3339
from syncd.typedjson import plain

if TYPE_CHECKING:
    from syncd.mirror.every.overview import Glance

_fact = partial(say, indent=9)
"""Print a fact; where it needs more lines, the later ones begin where its words do."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--watch", is_flag=True, help="Keep showing it as it changes, until Ctrl-C.")
@click.option("--ignored", is_flag=True, help="List the files that are not records, and why.")
@click.option("--all", "of_all", is_flag=True, help="Show all your mirrors, a row for each.")
@click.pass_obj
def status(directory: Path, as_json: bool, watch: bool, ignored: bool, of_all: bool) -> None:
    """Show where the mirror stands: head, what is pending, and what needs you.

    Outside of a mirror, and with --all, it shows every mirror of yours: those that SYNCD_CONFIG
    lists, those that a syncd runs for, and those of installed units.

    \b
    Examples:
      syncd status
      syncd status --all --watch
      syncd status --watch
      syncd status --ignored
      syncd -C ~/repo status --json
    """
    if of_all and ignored:
        raise click.UsageError("--ignored needs one mirror: name it with -C DIR")
    if watch and ignored:
        raise click.UsageError("--ignored lists the files once: leave --watch out")
    if of_all or (not ignored and _is_elsewhere(directory)):
        _show_all(directory, as_json, watch)
        return
    if ignored:
        _list_ignored(directory, as_json)
        return
    show = _say_json if as_json else say_plain
    if watch:
        display.watch(lambda: look(directory), show, is_json=as_json)
    seen = look(directory)
    if not watch:
        (show if as_json else partial(display.show, plain=show))(seen)
    raise click.exceptions.Exit(NEEDS_A_PERSON if seen[0]["needs_a_person"] else 0)


def _is_elsewhere(directory: Path) -> bool:
    """Return whether a person is outside any mirror, present or former, and named none."""
    context = click.get_current_context(silent=True)
    if context is not None and context.find_root().params.get("directory") is not None:
        return False
    places = (directory.absolute(), *directory.absolute().parents)
    return not any((place / name).exists() for place in places for name in (OWN, FILE_NAME))


def _show_all(directory: Path, as_json: bool, watch: bool) -> None:
    """Show all mirrors, once or as they change."""
    from syncd.cli.screen.overview import say_overview  # noqa: PLC0415 (seldom shown)

    show = say_json if as_json else say_overview
    with suppress(KeyboardInterrupt):
        if watch:
            display.watch_all(lambda: _look_at_all(directory), show)
    found = _look_at_all(directory)
    if not watch:
        show(found)
    raise click.exceptions.Exit(NEEDS_A_PERSON if found["needs_a_person"] else 0)


def _look_at_all(directory: Path) -> dict[str, Any]:
    """Return the JSON object of `status --all`. Raises FolderWrong if no mirror is known."""
    from syncd.mirror.every.find import find_mirrors  # noqa: PLC0415 (not for one mirror)
    from syncd.mirror.every.overview import look_at_all  # noqa: PLC0415

    here = None
    with suppress(FolderWrong):
        here = find_root(directory)
    mirrors = find_mirrors(os.environ, here)
    if not mirrors:
        raise FolderWrong(
            f"{directory} is not in a mirror, and syncd knows no other mirror of yours: "
            "SYNCD_CONFIG lists none, no syncd is running, and no unit is installed",
            hint="name one with -C DIR, or make one with `syncd clone`",
        )
    glances = look_at_all(mirrors)
    needs = any(glance.needs_a_person for glance in glances)
    return {"mirrors": [_glance_json(glance) for glance in glances], "needs_a_person": needs}


def _glance_json(glance: Glance) -> dict[str, Any]:
    error, standing = glance.error, glance.standing
    return {
        "folder": str(glance.known.folder),
        "sources": list(glance.known.sources),
        "error": None if error is None else error_json(error),
        "status": None if standing is None else status_json(standing),
    }


def _list_ignored(directory: Path, as_json: bool) -> None:
    """Show the status with each file that is no record, or these files alone as text."""
    with open_files(directory, is_checked=False) as workspace:
        found = read_standing(workspace)
    if as_json:
        say_json({**status_json(found), "ignored": [plain(item) for item in found.no_records]})
        return
    for item in found.no_records:
        say(f"ignored   {item.path}: {item.reason}")
        if item.hint:
            say(f"  next: {item.hint}")
    if not found.no_records:
        say(
            "every file is a record, or will be one after the next sync"
            if not found.problems
            else "no file is ignored; those that syncd cannot take are in: syncd status"
        )


def look(directory: Path) -> Seen:
    """Return the values that `status` shows, and the items that wait for a person."""
    with open_files(directory, is_checked=False) as workspace:
        found = read_standing(workspace)
    return status_json(found), (found.conflicts, found.problems, found.held)


def status_json(found: Standing) -> dict[str, Any]:
    """Return the JSON object of `status --json`."""
    return {
        "account": {"did": found.did, "handle": found.handle, "pds": found.pds or None},
        "folder": str(found.folder),
        "daemon": plain(found.daemon),
        "disk": plain(found.unwritable),
        "doubted_rev": plain(found.doubted_rev),
        "doubt": None if found.doubt is None else {"reason": found.doubt.reason, "hint": HINT},
        "shared": [{"reason": one.reason, "hint": one.hint} for one in found.shared],
        "watch": plain(found.unwatched),
        "head": head_json(found.head),
        "records": found.records,
        "drafts": found.drafts,
        "no_records": sum(not item.pictures for item in found.no_records),
        "pictures": sum(item.pictures for item in found.no_records),
        "lexicons": lexicons_json(found.lexicons),
        "blobs": count_json(found.blobs),
        "uploads": uploads_json(found.uploads),
        "guards": found.guards,
        "pending": {"push": len(found.unpushed), "pull": len(found.conflicts)},
        **waiting_json(found.conflicts, found.problems, found.held, found.waiting),
        "budget": _budget_json(found),
        "last_cycle": plain(found.last_cycle),
        "needs_a_person": found.needs_a_person,
    }


def _budget_json(found: Standing) -> dict[str, Any]:
    ledger, done_at = found.ledger, found.push_done_at
    windows = {
        name: {
            "left": ledger.left(window, found.at),
            "resets_at": rfc3339(ledger.resets_at(window, found.at)),
        }
        for name, window in (("hour", HOUR), ("day", DAY))
    }
    done = None if done_at is None else rfc3339(done_at)
    return {**windows, "counted": ledger.is_counted, "push_done_at": done}


def _say_json(seen: Seen) -> None:
    say_json(seen[0])


def say_plain(seen: Seen) -> None:
    """Print the status without a terminal."""
    _say(seen[0])
    say_waiting(*seen[1])
    say_pending(seen[0]["waiting"])


def _say(found: Mapping[str, Any]) -> None:
    account, head, daemon = found["account"], found["head"], found["daemon"]
    _fact(f"account  {account['handle'] or account['did']} on {account['pds']}")
    _fact(f"folder   {found['folder']}")
    _fact(
        f"daemon   {daemon['phase']} (pid {daemon['pid']})"
        if daemon["pid"]
        else "daemon   not running"
    )
    if daemon["trouble"]:
        _fact(f"         {daemon['trouble']['message']}")
        if daemon["trouble"]["hint"]:
            _fact(f"         next: {daemon['trouble']['hint']}")
    _say_warnings(found)
    if found["watch"]:
        _fact(f"watch    looks every few seconds: {found['watch']['problem']}")
        _fact(f"         next: {found['watch']['hint']}")
    _fact(
        f"head     {head['cid']} at rev {head['rev']}"
        if head
        else "head     none yet: run syncd sync"
    )
    _fact(f"records  {found['records']}, {found['pending']['push']} to push")
    _say_others(found)
    if found["budget"]["counted"]:
        _say_budget(found["budget"])
    if found["guards"] is False:
        _fact("guards   this PDS ignores them: syncd looks before and after each write instead")
    if found["last_cycle"]:
        _fact(f"last     {found['last_cycle']['at']}")
        _say_refusal(found["last_cycle"]["refused"])


def _say_warnings(found: Mapping[str, Any]) -> None:
    said = [("repo", found["doubted_rev"]), ("doubt", found["doubt"])]
    said += [("shared", shared) for shared in found["shared"]]
    if found["disk"]:
        said.insert(0, ("disk", {"reason": found["disk"]["message"], **found["disk"]}))
    for name, warning in said:
        if warning:
            _fact(f"{name:<8} {warning['reason']}")
            _fact(f"         next: {warning['hint']}")


def _say_refusal(refused: Mapping[str, str] | None) -> None:
    if refused:
        _fact(f"refused  {refused['message']}")
        _fact(f"         next: {refused['hint']}")


def _say_others(found: Mapping[str, Any]) -> None:
    if found["drafts"]:
        _fact(f"drafts   {found['drafts']}, only in the folder: syncd publish PATH")
    if found["no_records"]:
        _fact(f"others   {found['no_records']} are not records: syncd status --ignored")
    if words := pictures_line(found["pictures"]):
        _fact(f"pictures {words}")
    if known := lexicons_line(found["lexicons"]):
        _fact(f"lexicons {known}")
    if known := blobs_line(found["blobs"]):
        _fact(f"blobs    {known}")
        if found["blobs"]["next"]:
            _fact(f"         next: {found['blobs']['next']}")
    if known := uploads_line(found["uploads"]):
        _fact(f"uploads  {known}")


def _say_budget(budget: Mapping[str, Any]) -> None:
    hour, day = budget["hour"]["left"], budget["day"]["left"]
    _fact(f"budget   {hour} write points are left for this hour, {day} for today")
    if budget["push_done_at"]:
        _fact(f"         what is to push will be pushed by {budget['push_done_at']}")
