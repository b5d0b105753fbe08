"""`syncd blob`: list the blobs that records name, and get those that are not here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from syncd.atproto.cid import parse_cid
from syncd.blobs.bring import Brought
from syncd.blobs.words import size_words
from syncd.cli import loop
from syncd.cli.arguments.places import standing
from syncd.cli.commands.blobs.adding import add, location, replace
from syncd.cli.screen.blobs import row_json
from syncd.cli.screen.output import NEEDS_A_PERSON, fail, many, say, say_json
from syncd.cli.screen.progress import Meter
from syncd.cli.screen.suggest import Suggesting
from syncd.cli.screen.verbose import listeners
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, SyncdError
from syncd.mirror.blobs.getting import get_blobs
from syncd.mirror.blobs.pushing import PUSH_HINT, PushedBlobs, push_missing
from syncd.mirror.blobs.rows import BlobRow, blob_rows
from syncd.mirror.names import read_name
from syncd.mirror.offline import open_files
from syncd.mirror.online import open_to_look
from syncd.mirror.publishing import check_writable
from syncd.pds import HttpPds


@click.group(cls=Suggesting)
def blob() -> None:
    """List, fetch and add the pictures and other files that records name.

    They are in blobs/, each named by its hash. There is no need to edit them there.

    \b
    Examples:
      syncd blob ls
      syncd blob get --all
      syncd blob add me.jpg --to app.bsky.actor.profile/self#/avatar
    """


@blob.command()
@click.argument("record", required=False, metavar="[RECORD]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def ls(directory: Path, record: str | None, as_json: bool) -> None:
    """List the blobs that records name: size, type, file, and what is missing.

    RECORD is a record, a collection or a pattern. Exits with 3 if the PDS did not send a blob.

    \b
    Examples:
      syncd blob ls
      syncd blob ls app.bsky.actor.profile/self
      syncd -C ~/notes blob ls --json
    """
    with open_files(directory) as workspace:
        rows = blob_rows(
            workspace, None if record is None else _meant(workspace, directory, record)
        )
    if as_json:
        say_json({"blobs": [row_json(row) for row in rows]})
    else:
        _say_rows(rows)
    is_short = any(row.is_not_given for row in rows)
    raise click.exceptions.Exit(NEEDS_A_PERSON if is_short else 0)


for command in (add, replace, location):
    blob.add_command(command)


def _meant(workspace: Workspace, directory: Path, text: str) -> list[str]:
    """Return the records that `text` names. Raises BadSyntax, SyncdError."""
    name = read_name(workspace, text, standing(directory))
    paths = list(workspace.state.base())
    whole = name.record_among({str(path) for path in paths})
    found = [str(path) for path in paths if name.covers(path)] if whole is None else [str(whole)]
    if not found:
        raise SyncdError(f"{text} is not a record that was synced", hint="syncd status")
    return found


def _say_rows(rows: Sequence[BlobRow]) -> None:
    for row in rows:
        place = row.file or str(row.ref.cid)
        say(f"{size_words(row.ref.size):>8}  {row.ref.mime_type:<24} {place}", indent=10)
        for path in row.records:
            say(f"          named by {path}")
        if row.missing:
            say(f"          missing: {row.missing}")
            say(f"          next: {row.hint}")
    here = sum(row.file is not None for row in rows)
    size = sum(max(0, row.ref.size) for row in rows if row.file is not None)
    say(f"{many(len(rows), 'blob')}, {here} here with {size_words(size)}")


@blob.command()
@click.argument("what", required=False, metavar="[CID|RECORD]")
@click.option("--all", "everything", is_flag=True, help="Every blob that a record names.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def get(directory: Path, what: str | None, everything: bool, as_json: bool) -> None:
    """Fetch missing blobs, whatever the settings and their limits say.

    RECORD is a record, a collection or a pattern. Needs no password, and works beside a running
    daemon.

    \b
    Examples:
      syncd blob get app.bsky.actor.profile/self
      syncd blob get --all
    """
    if (what is None) != everything:
        raise click.UsageError("name a CID or a record, or use --all")
    with open_files(directory, is_checked=False) as workspace:
        # A slip of the pen needs no PDS.
        _wanted(workspace, directory, what)
    rows, brought = loop.run(_get(directory, what, as_json=as_json))
    found = brought.stamps
    failed = len(brought.absent) + len(brought.refused) + len(brought.left)
    if as_json:
        with open_files(directory) as workspace:
            say_json({"fetched": len(found), "blobs": _rows_now(workspace, rows)})
    else:
        size = sum(stamp.size for stamp in found.values())
        here = len(rows) - len(found) - failed
        were = f"; {here} {'was' if here == 1 else 'were'} here already" if here else ""
        say(f"fetched {many(len(found), 'blob')}, {size_words(size)}{were}")
        for ref in brought.absent:
            say(f"missing   {ref.cid}: the PDS does not send it")
        for cid, reason in brought.refused.items():
            say(f"refused   {cid}: {reason}")
    if brought.halted is not None:
        fail(brought.halted)
        raise click.exceptions.Exit(brought.halted.exit_code)
    raise click.exceptions.Exit(NEEDS_A_PERSON if failed else 0)


@blob.command()
@click.option(
    "--missing", is_flag=True, required=True, help="The blobs that the PDS says it lacks."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def push(directory: Path, missing: bool, as_json: bool) -> None:  # noqa: ARG001 (named for later)
    """Upload blobs that the PDS lacks.

    It does after the account has moved there with its repo. Their bytes are those in blobs/, or
    of any file in the folder. Needs a login, and works beside a running daemon. Exits with 3 if
    some are nowhere here.

    \b
    Example:
      syncd blob push --missing
    """
    found = loop.run(_push(directory))
    if as_json:
        say_json(
            {
                "uploaded": [str(ref.cid) for ref in found.sent],
                "absent": [str(cid) for cid in found.absent],
                "failed": {str(cid): reason for cid, reason in found.failed.items()},
            }
        )
    else:
        _say_pushed(found)
    if found.halted is not None:
        fail(found.halted)
        raise click.exceptions.Exit(found.halted.exit_code)
    raise click.exceptions.Exit(0 if found.is_whole else NEEDS_A_PERSON)


async def _push(directory: Path) -> PushedBlobs:
    async with open_to_look(directory, listeners()) as mirror:
        check_writable(mirror.workspace)
        pds = mirror.pds
        assert isinstance(pds, HttpPds)
        return await push_missing(mirror.workspace, mirror.home, await pds.fetch_missing_blobs())


def _say_pushed(found: PushedBlobs) -> None:
    for cid, reason in found.failed.items():
        say(f"refused   {cid}: {reason}")
    for cid in found.absent:
        say(f"missing   {cid}: its bytes are not in this folder")
        say(f"          next: {PUSH_HINT}")
    size = sum(ref.size for ref in found.sent)
    say(f"uploaded {many(len(found.sent), 'blob')}, {size_words(size)}")


def _rows_now(workspace: Workspace, rows: Sequence[BlobRow]) -> list[dict[str, Any]]:
    wanted = {row.ref.cid for row in rows}
    return [row_json(row) for row in blob_rows(workspace) if row.ref.cid in wanted]


async def _get(
    directory: Path, what: str | None, *, as_json: bool
) -> tuple[list[BlobRow], Brought]:
    async with open_to_look(directory, listeners()) as mirror:
        rows = _wanted(mirror.workspace, directory, what)
        lacking = [row.ref for row in rows if row.file is None]
        with nullcontext() if as_json else Meter().shown() as meter:
            note = (lambda _: None) if meter is None else meter.note
            return rows, await get_blobs(mirror.workspace, mirror.pds, lacking, note)


def _wanted(workspace: Workspace, directory: Path, what: str | None) -> list[BlobRow]:
    """Return the blobs that a person means. Raises BadSyntax, SyncdError."""
    if what is None:
        return blob_rows(workspace)
    try:
        cid = parse_cid(what.removeprefix("blobs/").partition(".")[0])
    except BadSyntax:
        return blob_rows(workspace, _meant(workspace, directory, what))
    found = [row for row in blob_rows(workspace) if row.ref.cid == cid]
    if not found:
        raise SyncdError(f"no record of this mirror names the blob {cid}", hint="syncd blob ls")
    return found
