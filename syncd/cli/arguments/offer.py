"""What Tab offers after a command: records, what waits, drafts, collections, accounts.

Imports no command and opens nothing but names, so that a Tab is fast. It never fails: where the
names cannot be read, the shell offers files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from syncd.atproto.syntax import parse_nsid
from syncd.cli.arguments.pages import find_pages
from syncd.errors import BadSyntax, SyncdError
from syncd.folder.names import is_draft
from syncd.folder.root import OWN, find_root
from syncd.forms import every_form
from syncd.private import state_directory
from syncd.state.peek import NAMERS, RECORDS, WENT, Names, offers, waiting

Offer = Callable[[Path, str], list[str]]
"""Returns how a word that begins with a text can continue, in the mirror at a directory."""


class Offering(click.Command):
    """A command as Tab sees it: the names that it takes. Its options are asked of the command."""

    def __init__(self, name: str, module: str) -> None:
        argument = click.Argument(["names"], nargs=-1, shell_complete=offered(OFFERS[name]))
        settings = {"ignore_unknown_options": True}
        super().__init__(name, params=[argument], context_settings=settings, add_help_option=False)
        self.module = module

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the options; click asks the arguments themselves."""
        # `help` is a name of Python's own.
        name = "help_" if self.name == "help" else self.name or ""
        command: click.Command = getattr(import_module(self.module), name)
        return command.shell_complete(click.Context(command, parent=ctx.parent), incomplete)


def offered(
    offer: Offer,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return what Tab asks for the words of an argument."""

    def complete(ctx: click.Context, _: click.Parameter, start: str) -> list[CompletionItem]:
        directory = ctx.find_root().params.get("directory") or Path()
        found: list[str] = []
        with suppress(SyncdError, OSError):
            found = offer(Path(directory), start)
        # The shell knows files better, and a file names its record as well.
        return [CompletionItem(name) for name in found] or [CompletionItem(start, type="file")]

    return complete


def _names(*where: Names) -> Offer:
    def offer(directory: Path, start: str) -> list[str]:
        own = find_root(directory) / OWN
        return sorted({name for names in where for name in offers(own, names, start)})

    return offer


def _publishable(directory: Path, start: str) -> list[str]:
    drafts = (name for name in _drafts(find_root(directory)) if name.startswith(start))
    return sorted({*drafts, *_names(waiting("pending"))(directory, start)})


def _drafts(root: Path) -> Iterator[str]:
    # A name is offered before the settings are read.
    every = every_form()
    forms = (every.default, *(form for _, form in every.chosen))
    for collection in os.scandir(root):
        if "." in collection.name.strip(".") and collection.is_dir(follow_symlinks=False):
            names = (entry.name for entry in os.scandir(collection))
            yield from (
                f"{collection.name}/{name}"
                for name in names
                if any(is_draft(name, form) for form in forms)
            )


def _collections(directory: Path, start: str) -> list[str]:
    return _directories(find_root(directory), start)


def _directories(root: Path, start: str) -> list[str]:
    names = (entry.name for entry in os.scandir(root) if entry.is_dir())
    return sorted(name for name in names if name.startswith(start) and _is_nsid(name))


def _is_nsid(name: str) -> bool:
    try:
        parse_nsid(name)
    except BadSyntax:
        return False
    return True


def _accounts(_: Path, start: str) -> list[str]:
    """Return the DIDs that this user logged in with."""
    kept = (state_directory() / "credentials").glob("did:*.session")
    return sorted(file.stem for file in kept if file.name.startswith(start))


def offer_lexicons(directory: Path, start: str) -> list[str]:
    """Return the NSIDs of the bundle, of the folder's documents and of its collections."""
    from syncd.lexicons.bundle import load_bundle  # noqa: PLC0415 (a Tab elsewhere needs none)

    names = set(load_bundle().documents)
    with suppress(OSError):
        try:
            root = find_root(directory)
        except SyncdError:
            # A lexicon is shown and checked in any folder.
            root = directory
        names.update(_directories(root, start))
        names.update(_documents(root))
    return sorted(name for name in names if name.startswith(start))


def _documents(root: Path) -> Iterator[str]:
    """Yield the NSIDs of the documents in a folder, wherever it keeps some."""
    files = ((root / directory).glob("*.json") for directory in (_SCHEMAS, f"{OWN}/lexicons"))
    yield from (file.stem for each in files for file in each)
    nested = (root / "lexicons").rglob("*.json")
    for file in nested:
        yield ".".join(file.relative_to(root / "lexicons").with_suffix("").parts)


def offer_files(directory: Path, start: str) -> list[str]:
    """Return what a file can be put into: records, and drafts."""
    drafts = (name for name in _drafts(find_root(directory)) if name.startswith(start))
    return [*drafts, *_names(RECORDS)(directory, start)]


def offer_checked(directory: Path, start: str) -> list[str]:
    """Return what `lexicon check` takes: collections, and records."""
    return [*_collections(directory, start), *_names(RECORDS)(directory, start)]


offer_namers = _names(NAMERS)
"""Returns the records that name a blob."""


def _topics(_: Path, start: str) -> list[str]:
    """Return the commands and the pages of the documentation."""
    from syncd.cli import COMMANDS  # noqa: PLC0415 (it imports this module)

    pages = (name.lower() for name in find_pages() if not name.endswith(".md"))
    return sorted(name for name in {*COMMANDS, *pages} if name.startswith(start))


_SCHEMAS = "com.atproto.lexicon.schema"

OFFERS: Mapping[str, Offer] = {
    "diff": _names(RECORDS, waiting("conflict", "held", "moved", "problem", "pending")),
    "log": _names(RECORDS, WENT),
    "restore": _names(WENT),
    "resolve": _names(waiting("conflict")),
    "conflicts": _names(waiting("conflict")),
    "held": _names(waiting("held")),
    "approve": _names(waiting("held", "moved")),
    "reject": _names(waiting("held", "moved")),
    "publish": _publishable,
    "unpublish": _names(RECORDS),
    "new": _collections,
    "login": _accounts,
    "logout": _accounts,
    "clone": _accounts,
    "help": _topics,
}
"""What each command takes."""
