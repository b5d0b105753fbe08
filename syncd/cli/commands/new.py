"""`syncd new`: make a draft, begun by its lexicon. Never replaces a file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from syncd.atproto.data import Record
from syncd.atproto.syntax import Nsid, parse_nsid
from syncd.cli.arguments.places import standing
from syncd.cli.asking import confirm
from syncd.cli.commands.conflicts import carry_out
from syncd.cli.commands.publish import publish_all
from syncd.cli.screen.editor import run_editor
from syncd.cli.screen.output import say, say_json, tell
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, BadSyntax, FileProblem, SyncdError
from syncd.folder.names import record_of_draft
from syncd.forms import Form
from syncd.forms.imported import import_post
from syncd.mirror.by_lexicon import begin, fields_of, with_records
from syncd.mirror.names import place_named
from syncd.mirror.offline import open_files
from syncd.mirror.publishing import check_writable, make_draft
from syncd.model import RecordPath
from syncd.prepared.offer import offer_lexicons
from syncd.slips import names_below, near_name

_NAMED: Final = 8
"""So many collections of a namespace are named."""


@click.command()
@click.argument("collection")
@click.argument("source", required=False, type=click.Path(path_type=Path), metavar="[FILE]")
@click.option("--edit", is_flag=True, help="Open the draft in $VISUAL or $EDITOR, then ask.")
@click.option("--publish", is_flag=True, help="Make the record at once, without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def new(
    directory: Path, collection: str, source: Path | None, edit: bool, publish: bool, as_json: bool
) -> None:
    """Make a draft in COLLECTION, with the fields that its lexicon requires, or from FILE.

    Where COLLECTION has Markdown files, FILE may be a post of Hugo, Astro, Eleventy, Jekyll or
    Obsidian: syncd keeps title, date, description and tags, and lists the fields it left out.

    Print its path from the top of the mirror. It stays in the folder until you publish it.
    COLLECTION/RKEY names the draft, and the record if the lexicon allows that key.

    \b
    Examples:
      syncd new com.example.note --edit
      syncd new com.example.recipe/bread
      syncd new app.bsky.feed.post post.json --publish
      syncd new com.whtwnd.blog.entry ~/blog/content/a-walk.md
    """
    with open_files(directory) as workspace:
        named, key = place_named(workspace, collection, standing(directory))
        nsid = _collection(workspace, directory, named)
        _question(workspace, directory, nsid)
        form = workspace.folder.forms.of(nsid)
        content = _content(workspace, nsid, source, form)
        if publish:
            check_writable(workspace)
        draft = make_draft(workspace, nsid, content, key)
        if as_json and not publish:
            say_json({"path": record_of_draft(draft, workspace.folder.forms), "file": draft})
        elif not as_json:
            say(draft)
        if edit:
            _edit(workspace, draft)
        if not (publish or (edit and _is_wanted(draft))):
            return
        done = publish_all(workspace, [draft], is_quiet=as_json)
    acted_on = [RecordPath(item["path"]) for item in done]
    carry_out(directory, as_json, {"published": done}, acted_on=acted_on)


def _collection(workspace: Workspace, directory: Path, named: str) -> Nsid:
    """Parse a collection. Raises BadSyntax; of a namespace, it names the collections below it."""
    try:
        return parse_nsid(named)
    except BadSyntax as error:
        namespace = named.rstrip(".")
        inside = with_records(workspace, names_below(namespace, offer_lexicons(directory, "")))
        if not inside:
            raise
        hint = f"name a collection; below {namespace} are {_some(inside)}"
        raise BadSyntax(error.message, hint=hint) from None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _question(workspace: Workspace, directory: Path, collection: Nsid) -> None:
    """Ask whether another collection was meant, if this one is unknown; make it all the same.

    A record of it waits to be published if the collection is one slip away from another.
    """
    known = offer_lexicons(directory, "")
    if collection in known and with_records(workspace, [collection]):
        return
    unknown = f"syncd: {collection} has no lexicon and no records here"
    where, namespace = "below", str(collection)
    if collection in known:
        unknown = f"syncd: the lexicon {collection} describes no records"
        where, namespace = "beside", collection.rpartition(".")[0]
    if inside := with_records(workspace, names_below(namespace, known)):
        tell(f"{unknown}; collections {where} it: {_some(inside)}")
        tell("  next: if you meant one of these, delete this draft, then syncd new COLLECTION")
    elif (meant := near_name(collection, known)) is not None:
        tell(f"{unknown}: did you mean {meant}?")


def _edit(workspace: Workspace, draft: str) -> None:
    """Open the draft in an editor. Raises SyncdError, which says that the draft stays."""
    try:
        run_editor(workspace.root / draft)
    except SyncdError as error:
        stays = f"the draft stays; when it is ready: syncd publish {shlex.quote(draft)}"
        error.hint = "; ".join(filter(None, (error.hint, stays)))
        raise


def _is_wanted(draft: str) -> bool:
    """Ask whether to publish the edit; without a person, it stays a draft."""
    return sys.stdin.isatty() and confirm(f"Publish {draft} now?")


def _content(workspace: Workspace, collection: Nsid, source: Path | None, form: Form) -> bytes:
    if source is None:
        return form.begun(begin(workspace, collection, _now()))
    return form.format(_record(workspace, collection, source, form))


def _record(workspace: Workspace, collection: Nsid, source: Path, form: Form) -> Record:
    try:
        text = source.read_bytes()
    except OSError as error:
        hint = "name a file that holds a record, or leave FILE out"
        raise FileProblem(f"{source} cannot be read: {error.strerror}", hint=hint) from None
    try:
        return _taken_over(workspace, collection, source, text, form)
    except (BadData, BadJson) as error:
        where = str(source)
        if isinstance(error, BadJson) and error.line is not None:
            where += f":{error.line}:{error.column}"
        raise FileProblem(f"{where}: {error.message}", hint=error.hint) from None


def _taken_over(
    workspace: Workspace, collection: Nsid, source: Path, text: bytes, form: Form
) -> Record:
    """Return the record of a post or of a record's file; report what is left out."""
    found = None
    if source.suffix in _MARKDOWN:
        begun = begin(workspace, collection, _now())
        found = import_post(text, form, begun, fields_of(workspace, collection))
    if found is None:
        return form.parse(text, collection)
    if found.left:
        tell(f"syncd: {source}: fields without a place in the record: {', '.join(found.left)}")
    return found.record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_MARKDOWN = frozenset({".md", ".markdown", ".mdx"})
