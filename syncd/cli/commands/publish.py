"""`syncd publish` and `syncd unpublish`: make records of drafts, send what waits, make drafts.

The file is renamed here; whichever syncd has the folder, this one or a running daemon, sends it at
once. Without a connection it waits to be sent.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from syncd.atproto.syntax import Rkey, parse_rkey
from syncd.cli.arguments.places import standing
from syncd.cli.asking import confirm
from syncd.cli.commands.conflicts import carry_out
from syncd.cli.screen.output import say
from syncd.cycle.workspace import Workspace
from syncd.folder.problems import printable
from syncd.mirror.names import read_name, read_names, record_named, unknown
from syncd.mirror.offline import open_files
from syncd.mirror.publishing import (
    Chosen,
    Publication,
    check_writable,
    choose,
    choose_all,
    drafts_of,
    is_record,
    prepare,
)
from syncd.mirror.publishing import publish as make_record_of
from syncd.mirror.publishing import unpublish as make_draft_of
from syncd.mirror.waiting import publish_waiting
from syncd.model import RecordPath


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--key", metavar="RKEY", help="The record key, for one PATH.")
@click.option("--all", "everything", is_flag=True, help="Every change that waits, but no draft.")
@click.option("--drafts", is_flag=True, help="Every draft, after asking.")
@click.option("--yes", is_flag=True, help="Agree without being asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def publish(
    directory: Path,
    paths: tuple[str, ...],
    key: str | None,
    everything: bool,
    drafts: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make records of drafts, and send them and changes that wait at once.

    A draft is COLLECTION/NAME.draft.json or COLLECTION/+anything.json. NAME becomes the record's
    key; a draft whose name begins with + gets a fresh one.

    What waits is in `syncd status`. Many deletions are still held after --all or a pattern.

    \b
    Examples:
      syncd publish com.example.note/3m2k7tz4x2c2a.draft.json
      syncd publish com.example.note/+first.json --key first
      syncd publish com.example.note/first
      syncd publish --all
    """
    if not (paths or everything or drafts) or (paths and (everything or drafts)):
        raise click.UsageError("name what to publish, or use --all or --drafts")
    if key is not None and len(paths) != 1:
        raise click.UsageError("--key needs exactly one PATH")
    rkey = None if key is None else parse_rkey(key)
    with open_files(directory) as workspace:
        check_writable(workspace)
        chosen = Chosen()
        if paths:
            chosen = choose(workspace, read_names(workspace, paths, standing(directory)))
        if everything:
            chosen = choose_all(workspace)
        if drafts:
            chosen = replace(chosen, drafts=tuple(drafts_of(workspace)))
        if rkey is not None and (len(chosen.drafts) != 1 or chosen.waiting):
            raise click.UsageError("--key needs exactly one draft")
        if drafts and not yes:
            _ask(f"publish {', '.join(map(printable, chosen.drafts)) or 'nothing'}?")
        done = publish_all(workspace, chosen.drafts, rkey, is_quiet=as_json)
        publish_waiting(workspace, chosen.waiting, named=chosen.named)
    done += [{"path": item.path} for item in chosen.waiting]
    acted_on = [RecordPath(item["path"]) for item in done]
    carry_out(directory, as_json, {"published": done}, acted_on=acted_on)


@click.command()
@click.argument("path", metavar="PATH")
@click.option("--yes", is_flag=True, help="Agree without being asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def unpublish(directory: Path, path: str, yes: bool, as_json: bool) -> None:
    """Make a draft of a record's file, and delete the record in the repo.

    \b
    Example:
      syncd unpublish com.example.note/first
    """
    with open_files(directory) as workspace:
        check_writable(workspace)
        record = record_named(workspace, path, standing(directory))
        if not is_record(workspace, record):
            raise unknown(workspace, read_name(workspace, path, standing(directory)))
        if not yes:
            _ask(f"syncd will delete {record} in the repo, and blobs that no other record names.")
        draft = make_draft_of(workspace, record)
    if not as_json:
        say(f"{record}: now the draft {printable(draft)}")
    done = {"unpublished": [{"path": record, "draft": printable(draft)}]}
    carry_out(directory, as_json, done, acted_on=[record])


def publish_all(
    workspace: Workspace, drafts: Sequence[str], key: Rkey | None = None, *, is_quiet: bool
) -> list[dict[str, str]]:
    """Make a record of each of `drafts`, or of none if one of them cannot be published."""
    publications = [prepare(workspace, draft, key) for draft in drafts]
    check_distinct(publications)
    done = []
    for publication in publications:
        make_record_of(workspace, publication)
        draft, path = printable(publication.draft), publication.path
        done.append({"draft": draft, "path": path})
        if not is_quiet:
            say(f"{draft}: now the record {path}")
    return done


def check_distinct(publications: Sequence[Publication]) -> None:
    """Raise UsageError if two drafts would become one record."""
    seen: dict[RecordPath, str] = {}
    for item in publications:
        if item.path in seen:
            both = f"{printable(seen[item.path])} and {printable(item.draft)}"
            raise click.UsageError(f"{both} would both be {item.path}: publish one, or use --key")
        seen[item.path] = item.draft


def _ask(sentence: str) -> None:
    """Ask a person to confirm. Raises UsageError without a terminal, Abort for a no."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{sentence} To agree without a terminal, add --yes")
    confirm(f"{sentence} Continue?", abort=True)
