"""`syncd log` and `syncd restore`: what was replaced or deleted, and bringing it back.

`restore` writes the file and nothing else; the push follows as for any edit, by this or a running
syncd's next cycle.
"""

from __future__ import annotations

import time
from contextlib import suppress
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

import click

from syncd.atproto.inexact import file_of, what_json_cannot_say
from syncd.cli.opened import Files, open_files
from syncd.cli.output import cid_json, say, say_json, short, tell
from syncd.cli.status import rfc3339
from syncd.cli.versions import committed, superseded_in_git
from syncd.cycle.keep import keep_file
from syncd.errors import BadSyntax, StateDamaged, SyncdError
from syncd.folder.write import write
from syncd.model import RecordPath, Side, parse_record_path, split_record_path
from syncd.state import Superseded


@click.command()
@click.argument("path", required=False)
@click.option("-n", "count", type=click.IntRange(1), default=50, help="How many at most (50).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def log(directory: Path, path: str | None, count: int, as_json: bool) -> None:
    """List what syncd replaced or deleted, newest first. PATH may be a pattern.

    For one record, the git commits that changed its file follow.

    \b
    Examples:
      syncd log app.bsky.actor.profile/self
      syncd log 'com.example.*/*' -n 5
    """
    with open_files(directory) as files:
        found = _events(files, path, count)
        in_git = committed(files, path)[:count]
    if as_json:
        git = [version.json() for version in in_git]
        say_json({"events": [_json(event) for event in found], "git": git})
        return
    for event in found:
        say(_line(event))
    for version in in_git:
        say(version.line())
    if not (found or in_git):
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


def _events(files: Files, pattern: str | None, count: int) -> list[Superseded]:
    with suppress(BadSyntax):
        return _read(files, parse_record_path(pattern) if pattern else None, count)
    found = (e for e in _read(files, None, -1) if fnmatchcase(e.path, pattern or "*"))
    return list(islice(found, count))


def _read(files: Files, path: RecordPath | None, count: int) -> list[Superseded]:
    """Events, newest first, after mending the file if that is needed."""
    try:
        files.history.check()
        return files.history.events(path, count)
    except StateDamaged as error:
        aside = files.history.mend()
        tell(f"syncd: {error.message}; it was set aside as {aside.name}")
        tell("  next: nothing; every version that could still be read was kept")
        return files.history.events(path, count)


def _wanted(files: Files, path: RecordPath, wanted: str | None) -> Superseded:
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


def _write_back(files: Files, event: Superseded) -> None:
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


def _line(event: Superseded) -> str:
    change = f"{short(event.cid)} -> {short(event.after)}"
    return f"{rfc3339(event.at)}  {_deed(event):<22} {event.path}  {change}  ({event.reason})"


def _json(event: Superseded) -> dict[str, object]:
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
    }
