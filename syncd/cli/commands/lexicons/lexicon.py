"""Look at lexicons, check files against them, and resolve them (`syncd lexicon`).

Asks no account. Only `update` asks the network.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from syncd.atproto.syntax import parse_nsid
from syncd.cli.arguments.places import standing
from syncd.cli.screen.output import NEEDS_A_PERSON, many, say, say_json, say_lines
from syncd.cli.screen.suggest import Suggesting
from syncd.config import FILE_NAME, load_config
from syncd.cycle.lexicons.library import Found
from syncd.errors import BadSyntax, SyncdError
from syncd.lexicons.bundle import load_bundle
from syncd.mirror.lexicons.linter import (
    Checked,
    Finding,
    check_files,
    find_lexicon,
    lexicons_of,
    place_around,
)
from syncd.mirror.names import path_of_uri, uri_in
from syncd.prepared.offer import offer_lexicons
from syncd.slips import names_below, near_name

FORMATS: Final = ("text", "json", "github")


@click.group(cls=Suggesting)
def lexicon() -> None:
    """Look at lexicons, and check record files against them, also without an account.

    \b
    Examples:
      syncd lexicon ls
      syncd lexicon check
    """


@lexicon.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="How to print.")
@click.pass_obj
def check(directory: Path, paths: tuple[str, ...], as_json: bool, form: str) -> None:
    """Check record files against their lexicons: all of the folder, or those of PATH.

    The folder need not be a mirror. Exits with 3 if a file breaks its lexicon.

    \b
    Examples:
      syncd lexicon check
      syncd lexicon check app.bsky.feed.post
      syncd -C ~/notes lexicon check --format=github
    """
    root, portable, forms = place_around(directory)
    names = [_below(root, directory, path) for path in paths]
    found = check_files(root, names, portable=portable, forms=forms)
    _PRINTERS["json" if as_json else form](found)
    raise click.exceptions.Exit(NEEDS_A_PERSON if found.faults else 0)


def _below(root: Path, directory: Path, path: str) -> str:
    """Return `path` as it lies below `root`: a name there, a URI, or a file around `directory`."""
    if not path:
        raise BadSyntax("the name of a record cannot be empty", hint="name it as collection/rkey")
    if (uri := uri_in(path)) is not None:
        return path_of_uri(uri, _authorities(root))
    around = root.resolve()
    for place in standing(directory):
        file = (place / path).resolve()
        if file.exists() and file.is_relative_to(around):
            return str(file.relative_to(around))
    return path


def _authorities(root: Path) -> tuple[str | None, ...]:
    """Return the names of the mirrored repo; none if the folder is no mirror."""
    with suppress(SyncdError):
        config = load_config(root / FILE_NAME, {})
        return config.did, config.handle
    return ()


def _say_text(found: Checked) -> None:
    for each in found.findings:
        say(f"{_place(each)}: {'note: ' if each.fault.is_note else ''}{each.fault}")
    bad = len({each.file for each in found.faults})
    unknown = sum(found.unknown.values())
    rest = f", {unknown} of them without a lexicon" if unknown else ""
    verdict = f"{many(bad, 'file')} with faults" if bad else "no fault"
    say(f"{many(found.files, 'file')} checked{rest}: {verdict}")


def _place(found: Finding) -> str:
    return ":".join([found.file, *map(str, found.place or ())])


def _say_json(found: Checked) -> None:
    say_json(
        {
            "files": found.files,
            "without_lexicon": found.unknown,
            "faults": [_finding_json(each) for each in found.findings if not each.fault.is_note],
            "notes": [_finding_json(each) for each in found.findings if each.fault.is_note],
        }
    )


def _finding_json(found: Finding) -> dict[str, Any]:
    line, column = found.place or (None, None)
    return {
        "file": found.file,
        "line": line,
        "column": column,
        "pointer": found.fault.json_pointer,
        "kind": found.fault.kind.value,
        "reason": found.fault.reason,
        "lexicon": found.lexicon or None,
    }


def _say_github(found: Checked) -> None:
    """Print workflow commands, which GitHub shows at the lines of a pull request."""
    for each in found.findings:
        line, column = each.place or (1, 1)
        level = "notice" if each.fault.is_note else "error"
        where = f"file={_escaped(each.file, ':,')},line={line},col={column}"
        say(f"::{level} {where}::{_escaped(str(each.fault))}")


def _escaped(text: str, more: str = "") -> str:
    """Escape the characters that end a workflow command or one of its properties."""
    for mark in f"%\r\n{more}":
        text = text.replace(mark, f"%{ord(mark):02X}")
    return text


_PRINTERS: Final[Mapping[str, Callable[[Checked], None]]] = {
    "text": _say_text,
    "json": _say_json,
    "github": _say_github,
}


@lexicon.command("ls")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def list_lexicons(directory: Path, as_json: bool) -> None:
    """List the collections of the folder, and where the lexicon of each is from.

    \b
    Examples:
      syncd lexicon ls
    """
    root, portable, forms = place_around(directory)
    known = lexicons_of(root, portable=portable, forms=forms)
    bundle, now = load_bundle(), time.time()
    if as_json:
        about = {
            "package": bundle.package,
            "version": bundle.version,
            "published": bundle.published,
            "is_old": bundle.is_old(now),
        }
        rows = [{"collection": name, **_found_json(found)} for name, found in known.items()]
        say_json({"collections": rows, "bundle": about})
        return
    width = max(map(len, known), default=0)
    for name, found in known.items():
        say(f"{name:<{width}}  {_origin(found)}")
    age = many(bundle.age_days(now), "day")
    old = ", so syncd only warns where the PDS checks records itself" if bundle.is_old(now) else ""
    say(f"the bundle is {bundle.package} {bundle.version} of {bundle.published}, {age} old{old}")


def _origin(found: Found | None) -> str:
    if found is None:
        return "no lexicon"
    if found.problems:
        return f"no lexicon: {found.file}: {found.problems[0].reason}"
    return f"{found.origin.value} {found.file}".rstrip()


def _found_json(found: Found | None) -> dict[str, Any]:
    return {
        "origin": None if found is None else found.origin.value,
        "file": found.file or None if found else None,
        "problem": found.problems[0].reason if found and found.problems else None,
    }


@lexicon.command()
@click.argument("nsid")
@click.pass_obj
def show(directory: Path, nsid: str) -> None:
    """Print the lexicon NSID as JSON, as a check uses it.

    \b
    Examples:
      syncd lexicon show app.bsky.feed.post
    """
    root, portable, forms = place_around(directory)
    found = find_lexicon(root, parse_nsid(nsid), portable=portable, forms=forms)
    if found is None or found.lexicon is None:
        reason = f": {found.file}: {found.problems[0].reason}" if found else ""
        known = offer_lexicons(directory, "")
        below = ", ".join(names_below(nsid, known))
        meant = None if found else below or near_name(nsid, known)
        hint = f"did you mean {meant}?" if meant else "syncd lexicon ls"
        raise SyncdError(f"there is no lexicon {nsid}{reason}", hint=hint)
    document = {"lexicon": 1, "id": nsid, "defs": found.lexicon.definitions}
    say_lines(json.dumps(document, ensure_ascii=False, indent=2))


@lexicon.command()
@click.argument("nsids", nargs=-1, metavar="[NSID]...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def update(directory: Path, nsids: tuple[str, ...], as_json: bool) -> None:
    """Resolve lexicons over the network, prove them, and keep them for checks.

    Without NSID: those of the mirror's collections that the folder has no document of, and all that
    were resolved before. Each is proven by DNS, DID and signature. What could not be resolved stays
    as it was. Exits with 3 if one could not be resolved, with 69 if nobody answered.

    \b
    Examples:
      syncd lexicon update
      syncd lexicon update com.example.thing
    """
    # What asks the network takes long to import, and a check needs none of it.
    from syncd.cli.commands.lexicons.update import update_and_say  # noqa: PLC0415

    raise click.exceptions.Exit(update_and_say(directory, nsids, is_json=as_json))
