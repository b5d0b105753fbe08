"""`syncd log` and `syncd restore`: what was replaced or deleted, and bringing it back.

`restore` writes the file and nothing else; the push follows as for any edit, by this or a running
syncd's next cycle.
"""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from pathlib import Path

import click

from syncd.cli.arguments.places import standing
from syncd.cli.screen.output import cid_json, say, say_json, short, tell_notice
from syncd.mirror.git_versions import Committed
from syncd.mirror.names import check_known, read_name, record_named
from syncd.mirror.offline import open_files
from syncd.mirror.restore import restore as restore_version
from syncd.mirror.timeline import read_timeline
from syncd.mirror.times import rfc3339
from syncd.model import Side
from syncd.state import Push, Superseded


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
@click.argument("path", metavar="PATH")
@click.option("--cid", "wanted", help="Which version: a CID of `syncd log`, or its last letters.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def restore(directory: Path, path: str, wanted: str | None, as_json: bool) -> None:
    """Write a superseded version of PATH (the newest, or --cid) into the folder.

    With --cid, versions that are in git on any branch count too.

    \b
    Examples:
      syncd restore app.bsky.actor.profile/self
      syncd restore app.bsky.actor.profile/self --cid yaqjkzzvfu
    """
    with open_files(directory) as workspace:
        record = record_named(workspace, path, standing(directory))
        event = restore_version(workspace, record, wanted, tell_notice)
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
