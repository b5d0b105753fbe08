"""`syncd log` and `syncd restore`: what was replaced or deleted, and bringing it back.

`restore` writes the file and nothing else; the push follows as for any edit, by this or a running
syncd's next cycle.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path

import click

from syncd.cli.arguments.places import standing
from syncd.cli.screen.output import (
    NEEDS_A_PERSON,
    cid_json,
    many,
    say,
    say_json,
    short,
    tell_notice,
)
from syncd.mirror.git_versions import Committed
from syncd.mirror.names import check_known, read_name, read_names, record_meant, record_named
from syncd.mirror.offline import open_files
from syncd.mirror.restore import Restored, Wish, plan_restore, restore_all
from syncd.mirror.restore import restore as restore_version
from syncd.mirror.timeline import read_timeline
from syncd.mirror.times import read_moment, rfc3339
from syncd.model import Side
from syncd.state import Push, Superseded

ASKED_ABOVE = 10
"""So many records are restored without a question on a terminal."""


@click.command()
@click.argument("path", required=False, metavar="[PATH]")
@click.option("-n", "count", type=click.IntRange(1), default=50, help="How many at most (50).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def log(directory: Path, path: str | None, count: int, as_json: bool) -> None:
    """List what syncd did to records, newest first.

    PATH is a record, its file, a directory, an at:// URI or a pattern. For one record, the git
    commits that changed its file follow.

    \b
    Examples:
      syncd log app.bsky.actor.profile/self
      syncd log 'com.example.*/*' -n 5
    """
    with open_files(directory) as workspace:
        name = None if path is None else read_name(workspace, path, standing(directory))
        found = read_timeline(workspace, name, count, tell_notice)
        if name is not None and not (found.superseded or found.pushes or found.commits):
            check_known(workspace, name)
    if as_json:
        events = [_json(event, found.push_of(event)) for event in found.superseded]
        newest = [_push_json(push) for push in islice(found.pushes.values(), count)]
        git = [_commit_json(version) for version in found.commits]
        say_json({"events": events, "pushed": newest, "git": git})
        return
    lines = [(event.at, _line(event, found.push_of(event))) for event in found.superseded]
    lines += [(push.at, _created(push)) for push in found.pushes.values() if push.is_new]
    for _, line in sorted(lines, key=itemgetter(0), reverse=True)[:count]:
        say(line)
    for version in found.commits:
        say(_commit_line(version))
    if not (lines or found.commits):
        say("nothing was replaced or deleted" + (f" at {path}" if path else " yet"))


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--cid", "wanted", help="Which version: a CID of `syncd log`, or its last letters.")
@click.option("--deleted", is_flag=True, help="Only records that have no file any more.")
@click.option("--before", metavar="TIME", help="The versions of TIME: 2h, 3d, 2030-01-02T03:04Z.")
@click.option("--dry-run", is_flag=True, help="Print what would be restored, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def restore(
    directory: Path,
    paths: tuple[str, ...],
    wanted: str | None,
    deleted: bool,
    before: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write superseded versions of PATH (the newest, or --cid) into the folder.

    PATH is a record, its file, a directory, an at:// URI or a pattern. With --cid, versions that
    are in git on any branch count too.

    \b
    Examples:
      syncd restore app.bsky.actor.profile/self
      syncd restore app.bsky.actor.profile/self --cid yaqjkzzvfu
      syncd restore 'com.example.*' --deleted --before 2h
    """
    is_plain = not (deleted or before or dry_run)
    with open_files(directory) as workspace:
        names = read_names(workspace, paths, standing(directory))
        if wanted is not None and (len(names) > 1 or not is_plain):
            raise click.UsageError("--cid names one version of one PATH")
        if is_plain and len(names) == 1 and (wanted or record_meant(workspace, names[0])):
            record = record_named(workspace, paths[0], standing(directory))
            _say_restored(restore_version(workspace, record, wanted, tell_notice), as_json)
            return
        moment = None if before is None else read_moment(before, workspace.now())
        events = plan_restore(workspace, Wish(names, deleted, moment), tell_notice)
        if not events:
            for name in names:
                check_known(workspace, name)
        if dry_run:
            _say_plan(events, as_json)
        elif _is_wanted(len(events)):
            _say_all(restore_all(workspace, events), as_json)


def _is_wanted(count: int) -> bool:
    """Return whether to restore so many; asks where a person can answer."""
    asks = count > ASKED_ABOVE and sys.stdin.isatty() and sys.stderr.isatty()
    return not asks or click.confirm(f"Restore {count} records?", err=True)


def _say_plan(events: Sequence[Superseded], as_json: bool) -> None:
    if as_json:
        say_json({"restore": [_version_json(event) for event in events]})
        return
    for event in events:
        say(f"restore   {event.path} as it was until {rfc3339(event.at)} ({short(event.cid)})")
    say(f"{many(len(events), 'record')} to restore; nothing was done")


def _say_all(restored: Restored, as_json: bool) -> None:
    """Report, and end with 3 if something could not be restored."""
    if as_json:
        failed = [
            {"path": path, "reason": error.message, "hint": error.hint}
            for path, error in restored.failed.items()
        ]
        say_json({"restored": [_version_json(e) for e in restored.done], "failed": failed})
    else:
        for event in restored.done:
            say(f"restored  {event.path} as it was until {rfc3339(event.at)} ({short(event.cid)})")
        for path, error in restored.failed.items():
            say(f"problem   {path}: {error.message}")
            say(f"  next: {error.hint}")
        left = f"; {len(restored.failed)} could not be" if restored.failed else ""
        say(f"{many(len(restored.done), 'record')} restored{left}")
    raise click.exceptions.Exit(NEEDS_A_PERSON if restored.failed else 0)


def _version_json(event: Superseded) -> dict[str, str]:
    return {"path": event.path, "cid": str(event.cid)}


def _say_restored(event: Superseded, as_json: bool) -> None:
    if as_json:
        say_json({"path": event.path, "cid": str(event.cid)})
    else:
        when = event.reason if event.content else f"until {rfc3339(event.at)}"
        say(f"restored {event.path} as it was {when} ({short(event.cid)})")


def _deed(event: Superseded) -> str:
    verb = "deleted" if event.after is None else "replaced"
    return f"{verb} in the {'folder' if event.side is Side.LOCAL else 'repo'}"


def _line(event: Superseded, push: Push | None) -> str:
    change = f"{short(event.cid)} -> {short(event.after)}"
    why = f"({event.reason}{_found(push)})"
    return f"{rfc3339(event.at)}  {_deed(event):<22} {event.path}  {change}  {why}"


def _created(push: Push) -> str:
    why = f"(created in the folder{_found(push)})"
    deed = "created in the repo"
    return f"{rfc3339(push.at)}  {deed:<22} {push.path}  - -> {short(push.cid)}  {why}"


def _found(push: Push | None) -> str:
    """Return the PDS's answer about the record's lexicon, as the end of a remark."""
    return f"; lexicon {push.validation}" if push and push.validation else ""


def _push_json(push: Push) -> dict[str, object]:
    return {
        "at": rfc3339(push.at),
        "path": push.path,
        "cid": str(push.cid),
        "deed": "created" if push.is_new else "replaced",
        "rev": push.rev,
        "validation": push.validation,
    }


def _json(event: Superseded, push: Push | None) -> dict[str, object]:
    return {
        "at": rfc3339(event.at),
        "path": event.path,
        "side": event.side.value,
        "deed": "deleted" if event.after is None else "replaced",
        "cid": str(event.cid),
        "after": cid_json(event.after),
        "reason": event.reason,
        "rev": event.rev,
        "origin": event.origin.value,
        "validation": push.validation if push else None,
    }


def _commit_line(version: Committed) -> str:
    found = version.found
    verb = "deleted in git" if found.content is None else "committed to git"
    said = f"({found.commit[:10]} {found.author}: {found.subject})"
    return f"{rfc3339(found.at)}  {verb:<22} {version.path}  {short(version.cid)}  {said}"


def _commit_json(version: Committed) -> dict[str, object]:
    found = version.found
    return {
        "at": rfc3339(found.at),
        "path": version.path,
        "commit": found.commit,
        "author": found.author,
        "subject": found.subject,
        "cid": cid_json(version.cid),
    }
