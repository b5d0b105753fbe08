"""Make a record file with a fresh TID as its name (`syncd new`). Never replaces a file."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from syncd.atproto.data import Record, cid_of
from syncd.atproto.jsontext import format_record, parse_record
from syncd.atproto.syntax import Nsid, Rkey, make_tid, parse_nsid
from syncd.cli.screen.output import say, say_json
from syncd.cycle.pull.supersede import Successor, put
from syncd.cycle.workspace import Workspace
from syncd.errors import FileChanged, FileProblem
from syncd.folder.names import relative_path
from syncd.mirror.offline import open_files
from syncd.model import RecordPath, make_record_path


@click.command()
@click.argument("collection")
@click.argument("source", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def new(directory: Path, collection: str, source: Path | None, as_json: bool) -> None:
    """Make a record file in COLLECTION, empty but for $type and createdAt, or with FILE's content.

    \b
    Examples:
      $EDITOR "$(syncd new com.example.note)"
      syncd new app.bsky.feed.post draft.json
    """
    nsid = parse_nsid(collection)
    record = _record(nsid, source)
    with open_files(directory) as files:
        path = _write(files, nsid, record)
        file = files.root / relative_path(path, portable=files.config.is_portable)
    if as_json:
        say_json({"path": path, "file": str(file)})
    else:
        say(str(file))


def _write(workspace: Workspace, collection: Nsid, record: Record) -> RecordPath:
    """Write the record under a fresh key; try a second key if the first is taken."""
    try:
        return _make(workspace, _fresh(collection), record)
    except FileChanged:
        return _make(workspace, _fresh(collection), record)


def _make(workspace: Workspace, path: RecordPath, record: Record) -> RecordPath:
    text, cid = format_record(record), cid_of(record)
    put(workspace, Successor(path, None, cid, None, "made by syncd new", text))
    return path


def _fresh(collection: Nsid) -> RecordPath:
    tid = make_tid(time.time_ns() // 1000, secrets.randbelow(1024))
    return make_record_path(collection, Rkey(tid))


def _record(collection: Nsid, source: Path | None) -> Record:
    if source is None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"$type": collection, "createdAt": now}
    try:
        text = source.read_bytes()
    except OSError as error:
        raise FileProblem(f"{source} cannot be read: {error.strerror}") from None
    return parse_record(text, collection)
