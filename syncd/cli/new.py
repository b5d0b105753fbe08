"""`syncd new`: a record file with a fresh TID as its name, ready for an editor."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from syncd.atproto.data import Record, cid_of
from syncd.atproto.jsontext import format_record, parse_record
from syncd.atproto.syntax import Nsid, Rkey, make_tid, parse_nsid
from syncd.cli.opened import open_files
from syncd.cli.output import say, say_json
from syncd.errors import FileProblem
from syncd.folder.names import relative_path
from syncd.folder.write import write
from syncd.model import make_record_path


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
    rkey = Rkey(make_tid(time.time_ns() // 1000, secrets.randbelow(1024)))
    path = make_record_path(nsid, rkey)
    record = _record(nsid, source)
    with open_files(directory) as files:
        folder = files.folder
        write(folder, path, format_record(record), expect=None, cid=cid_of(record))
        file = files.root / relative_path(path)
    if as_json:
        say_json({"path": path, "file": str(file)})
    else:
        say(str(file))


def _record(collection: Nsid, source: Path | None) -> Record:
    if source is None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"$type": collection, "createdAt": now}
    try:
        text = source.read_bytes()
    except OSError as error:
        raise FileProblem(f"{source} cannot be read: {error.strerror}") from None
    return parse_record(text, collection)
