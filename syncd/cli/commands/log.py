"""`syncd log` and `syncd restore`: what was replaced or deleted, and bringing it back.

`restore` writes the file and nothing else; the push follows as for any edit, by this or a running
syncd's next cycle.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import islice
from operator import itemgetter
from pathlib import Path

import click

from syncd.atproto.inexact import file_of, what_json_cannot_say
from syncd.cli.open.files import open_files
from syncd.cli.open.git_versions import committed, superseded_in_git
from syncd.cli.screen.output import cid_json, rfc3339, say, say_json, short, tell
from syncd.cycle.pull.archive import keep_file
from syncd.cycle.push.receipts import PUSHES
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, StateDamaged, SyncdError
from syncd.folder.root import OWN
from syncd.folder.write import write
from syncd.model import RecordPath, Side, parse_record_path, split_record_path
from syncd.state import Push, Pushes, Superseded


@click.command()
@click.argument("path", required=False)
@click.option("-n", "count", type=click.IntRange(1), default=50, help="How many at most (50).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def log(directory: Path, path: str | None, count: int, as_json: bool) -> None:
    """List what syncd did to records, newest first. PATH may be a pattern.

    For one record, the git commits that changed its file follow.

    \b
    Examples:
      syncd log app.bsky.actor.profile/self
      syncd log 'com.example.*/*' -n 5
    """
    with open_files(directory) as files:
        found = _events(files, path, count)
        pushes = _pushes(files, path)
        in_git = committed(files, path)[:count]
    if as_json:
        events = [_json(event, _push_of(event, pushes)) for event in found]
        newest = [_push_json(push) for push in islice(pushes.values(), count)]
        git = [version.json() for version in in_git]
        say_json({"events": events, "pushed": newest, "git": git})
        return
    lines = [(event.at, _line(event, _push_of(event, pushes))) for event in found]
    lines += [(push.at, _created(push)) for push in pushes.values() if push.is_new]
    for _, line in sorted(lines, key=itemgetter(0), reverse=True)[:count]:
        say(line)
    for version in in_git:
        say(version.line())
    if not (lines or in_git):
        say("nothing was replaced or deleted" + (f" at {path}" if path else " yet"))


@click.command()
@click.argument("path")
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
    with open_files(directory) as files:
        event = _wanted(files, parse_record_path(path), wanted)
        _write_back(files, event)
    if as_json:
        say_json({"path": event.path, "cid": str(event.cid)})
    else:
        when = event.reason if event.content else f"until {rfc3339(event.at)}"
        say(f"restored {event.path} as it was {when} ({short(event.cid)})")


def _events(files: Workspace, pattern: str | None, count: int) -> list[Superseded]:
    with suppress(BadSyntax):
        return _read(files, parse_record_path(pattern) if pattern else None, count)
    found = (e for e in _read(files, None, -1) if fnmatchcase(e.path, pattern or "*"))
    return list(islice(found, count))


def _pushes(files: Workspace, pattern: str | None) -> dict[RecordPath, Push]:
    """How each record was pushed last, newest first."""
    found = Pushes(files.root / OWN / PUSHES).read().values()
    wanted = (p for p in found if pattern is None or fnmatchcase(p.path, pattern))
    return {push.path: push for push in sorted(wanted, key=_newest_first)}


def _newest_first(push: Push) -> tuple[int, str]:
    return -push.at, push.path


def _push_of(event: Superseded, pushes: Mapping[RecordPath, Push]) -> Push | None:
    """The push that replaced this version, if it is still the last one of its record."""
    push = pushes.get(event.path)
    is_it = push is not None and event.side is Side.REMOTE and push.cid == event.after
    return push if is_it else None


def _read(files: Workspace, path: RecordPath | None, count: int) -> list[Superseded]:
    """Events, newest first, after mending the file if that is needed."""
    try:
        files.history.check()
        return files.history.events(path, count)
    except StateDamaged as error:
        aside = files.history.mend()
        tell(f"syncd: {error.message}; it was set aside as {aside.name}")
        tell("  next: nothing; every version that could still be read was kept")
        return files.history.events(path, count)


def _wanted(files: Workspace, path: RecordPath, wanted: str | None) -> Superseded:
    ending = (wanted or "").removeprefix("…")
    found = [e for e in _read(files, path, -1) if str(e.cid).endswith(ending)]
    if not found and ending:
        found = list(superseded_in_git(files, path, ending))
    if not found:
        which = f" that ends in {wanted}" if wanted else ""
        hint = "syncd log lists what can be restored"
        raise SyncdError(f"there is no superseded version of {path}{which}", hint=hint)
    if len({event.cid for event in found}) > 1 and wanted:
        raise SyncdError(f"{wanted} fits several versions of {path}", hint="give more of the CID")
    return found[0]


def _write_back(files: Workspace, event: Superseded) -> None:
    content = event.content or files.history.content(event.cid)
    if content is None:
        hint = "syncd log lists the others"
        raise SyncdError(f"the version {event.cid} is not readable any more", hint=hint)
    _check_tellable(event, content)
    folder = files.folder
    base = files.state.base_of([event.path]).get(event.path)
    now = int(time.time())
    seen = keep_file(
        files.history, folder, event.path, base, after=event.cid, at=now, reason="restored"
    )
    text = file_of(content) if event.cid.is_block else content
    if seen is None or seen.cid != event.cid:
        write(folder, event.path, text, expect=seen, cid=event.cid)


def _check_tellable(event: Superseded, content: bytes) -> None:
    """No PDS takes back what JSON cannot say: from a file, it would become another record."""
    collection = split_record_path(event.path)[0]
    place = what_json_cannot_say(content, collection) if event.cid.is_block else None
    if place is not None:
        raise SyncdError(
            f"the version {event.cid} of {event.path} cannot be restored: it holds {place}",
            hint="no file can say it, and no PDS takes it from syncd; it stays in history",
        )


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
    """What the PDS said of the record's lexicon, as the end of a remark."""
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
