"""`syncd blob add`, `replace` and `location`: files of a person as blobs. Asks no PDS."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any, Final

import click

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.data import to_json
from syncd.blobs.consent import consent_of, location_here
from syncd.blobs.files import UNALLOWED
from syncd.cli.arguments.places import standing
from syncd.cli.screen.output import NEEDS_A_PERSON, many, say, say_json, tell
from syncd.config import FILE_NAME, LOCATION_KEEP, LOCATION_STRIP, Config, load_config
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, SyncdError
from syncd.folder.problems import printable
from syncd.mirror.blobs.adding import Added, add_file
from syncd.mirror.blobs.placing import Placed, Replaced, place, replace_blob, target_of
from syncd.mirror.names import read_name
from syncd.mirror.offline import known_account, open_files, root_around
from syncd.mirror.publishing import check_writable
from syncd.model import RecordPath

_SHOWN: Final = 4
"""How many commands are named at once."""
_STRIP = click.option(
    "--strip", "location", flag_value=LOCATION_STRIP, help="Remove where it was made."
)
_AS_IS = click.option(
    "--as-is",
    "location",
    flag_value=LOCATION_KEEP,
    help="Publish where it was made.",
)
_FILE = click.argument("file", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@_FILE
@click.option(
    "--to",
    "record",
    metavar="RECORD[#/POINTER]",
    help="Write the reference into this record or draft.",
)
@_STRIP
@_AS_IS
@_JSON
@click.pass_obj
def add(
    directory: Path, file: Path, record: str | None, location: str | None, as_json: bool
) -> None:
    """Copy FILE into blobs/ and print its reference.

    With --to, write the reference into the file of that record or draft, in its own style.
    #/POINTER says where: #/avatar, or #/images/- for the end of a list. Without it, the place
    that the lexicon has for a file.

    Needs no network. FILE is uploaded with the record that names it, by the next sync.

    \b
    Examples:
      syncd blob add me.jpg --to app.bsky.actor.profile/self#/avatar
      syncd blob add --strip ~/Pictures/hill.jpg
    """
    with open_files(directory) as workspace:
        check_writable(workspace)
        name, _, pointer = (record or "").partition("#")
        meant = None if record is None else read_name(workspace, name, standing(directory))
        target = None if meant is None else target_of(workspace, meant)
        added = add_file(workspace, file, location)
        placed = None if target is None else place(workspace, target, added, pointer)
        if as_json:
            say_json({**_added_json(added), "to": None if placed is None else _placed_json(placed)})
        else:
            _say_added(workspace, added, placed)


@click.command()
@click.argument("cid", metavar="CID")
@_FILE
@_STRIP
@_AS_IS
@_JSON
@click.pass_obj
def replace(directory: Path, cid: str, file: Path, location: str | None, as_json: bool) -> None:
    """Put FILE in the place of the blob CID, in every record and draft that names it.

    Each record and draft changes as by an edit of its file; history keeps what it held.

    \b
    Example:
      syncd blob replace bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku new.jpg
    """
    with open_files(directory) as workspace:
        check_writable(workspace)
        old = blob_named(cid)
        added = add_file(workspace, file, location)
        if added.ref.cid == old:
            raise SyncdError(
                f"{printable(str(file))} already is that blob", hint="name another file"
            )
        found, config = replace_blob(workspace, old, added.ref), workspace.config
    if as_json:
        failed = {name: error.message for name, error in found.failed.items()}
        say_json({**_added_json(added), "files": list(found.files), "failed": failed})
    else:
        _say_replaced(config, added, found)
    raise click.exceptions.Exit(NEEDS_A_PERSON if found.failed else 0)


@click.command()
@click.argument("answer", required=False, type=click.Choice(["allow", "forbid"]))
@click.pass_obj
def location(directory: Path, answer: str | None) -> None:
    """Allow or forbid to publish where pictures were made.

    Say what counts on this machine: location = "keep" under [blobs] in syncd.toml may come from
    another person, so it counts here after "allow".

    \b
    Examples:
      syncd blob location
      syncd blob location allow
    """
    root = root_around(directory)
    config = load_config(root / FILE_NAME, os.environ)
    if answer == "allow":
        consent_of(config, root).allow(LOCATION_KEEP)
    elif answer == "forbid":
        consent_of(config, root).forbid()
    say(_LOCATIONS[location_here(config, root)])


_LOCATIONS: Final = {
    "hold": "a file that says where it was made is not uploaded",
    "strip": "a picture that says where it was made is uploaded without its metadata",
    "keep": "a file that says where it was made is uploaded as it is; allowed here",
    UNALLOWED: (
        'a file that says where it was made is not uploaded: location = "keep" in syncd.toml '
        "counts here after syncd blob location allow"
    ),
}


def blob_named(text: str) -> Cid:
    """Return the CID that a person typed, alone or as a file of `blobs/`. Raises BadSyntax."""
    try:
        return parse_cid(text.rpartition("/")[2].partition(".")[0])
    except BadSyntax:
        message = f"{text!r} is not the CID of a blob"
        raise BadSyntax(
            message, hint="list the blobs: syncd blob ls; or name a file in blobs/"
        ) from None


def _say_added(workspace: Workspace, added: Added, placed: Placed | None) -> None:
    if added.is_stripped:
        tell(
            f"syncd: the copy in {added.file} has no metadata any more; the file itself is "
            "unchanged"
        )
    if not added.is_of_known_kind:
        tell(f"syncd: the kind of this file is not known, so its type is {added.ref.mime_type}")
    if placed is None:
        say(json.dumps(to_json(added.ref.value)))
        tell(
            f"syncd: copied to {added.file}; put this into a record, and syncd uploads the "
            "file with it"
        )
        return
    say(f"{printable(placed.file)}:{placed.line}:{placed.column}: {placed.pointer}")
    if "/blobs/" in placed.pointer:
        _say_address(workspace, added)
    follows = _next(workspace.config, placed.path, placed.file)
    tell(f"syncd: {added.file} is uploaded with the record: {follows}")


def _next(config: Config, path: RecordPath | None, file: str) -> str:
    """Return the command that sends a record; `path` is None for a draft."""
    if path is not None and not config.asks_before_push(path):
        return "syncd sync"
    return f"syncd publish {printable(shlex.quote(path or file))}"


def _say_address(workspace: Workspace, added: Added) -> None:
    """Print how a text shows a picture that its record names: by the address at the PDS."""
    account = known_account(workspace.state, workspace.config)
    if account is not None:
        query = f"did={account.did}&cid={added.ref.cid}"
        tell("syncd: write it into the text like this, once it is uploaded:")
        say(f"![]({account.pds}/xrpc/com.atproto.sync.getBlob?{query})")


def _say_replaced(config: Config, added: Added, found: Replaced) -> None:
    for file in found.files:
        say(f"changed   {printable(file)}")
    for file, error in found.failed.items():
        say(f"kept      {printable(file)}: {error.message}")
        if error.hint:
            say(f"          next: {error.hint}")
    files = many(len(found.files), "file")
    steps = sorted({_next(config, path, file) for file, path in found.done.items()}, reverse=True)
    more = ["syncd publish PATH"] if len(steps) > _SHOWN else []
    steps = [*steps[: _SHOWN - 1], *more] if more else steps
    tell(f"syncd: {added.file} is uploaded with the records of {files}: {'; '.join(steps)}")


def _added_json(added: Added) -> dict[str, Any]:
    return {
        "ref": to_json(added.ref.value),
        "file": added.file,
        "stripped": added.is_stripped,
    }


def _placed_json(placed: Placed) -> dict[str, Any]:
    return {
        "path": placed.path,
        "file": placed.file,
        "pointer": placed.pointer,
        "line": placed.line,
        "column": placed.column,
    }
