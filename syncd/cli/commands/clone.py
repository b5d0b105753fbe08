"""`syncd clone`: make a folder a verified mirror of a repo."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import rmtree

import click

from syncd.cli import loop
from syncd.cli.asking import confirm
from syncd.cli.commands.login import PDS_HELP, PLC_HELP, resolved
from syncd.cli.commands.sync import halt_json, report_json
from syncd.cli.screen import progress
from syncd.cli.screen.output import (
    exit_code,
    fail,
    many,
    pending_json,
    say,
    say_json,
    say_notes,
    say_pending,
    say_waiting,
    tell,
    tell_notice,
    tell_step,
)
from syncd.cli.screen.verbose import listeners
from syncd.config import (
    DEFAULT_PLC,
    FETCH_ALL,
    FETCH_NONE,
    FILE_NAME,
    PORTABLE,
    Config,
    check_pattern,
    lines_for,
    load_config,
    render_config,
)
from syncd.cycle.clone.clone import goes_on, is_unfinished
from syncd.errors import CredentialsRefused, FolderWrong, LoginWanted, SyncdError
from syncd.folder.probe import is_empty, probe
from syncd.folder.root import OWN, initialise, read_marker, unmade
from syncd.lock import FolderLock
from syncd.mirror.credentials import close_state_directory, credentials_of
from syncd.mirror.held import end_adoption, held_creations
from syncd.mirror.last_cycle import keep_last_cycle
from syncd.mirror.offline import STATE_FILE, open_files
from syncd.mirror.online import open_mirror
from syncd.model import Account, Report
from syncd.neighbours.autosave import HINT, find_autosave
from syncd.neighbours.sharing import find_sharing
from syncd.pds import HttpPds
from syncd.state import create_state, set_aside
from syncd.state.consent import Adoption
from syncd.state.note import Note
from syncd.state.notes import Filenames, KnownAccount, MarkdownFiles, Overtaken, UnfinishedClone

Agree = Callable[[Mapping[str, int]], bool]
"""Whether a person agrees to publish so many records of each collection."""


@click.command()
@click.argument("account")
@click.argument("target", required=False, type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--collection", "collections", multiple=True, metavar="PATTERN",
              help="Only these collections, such as 'app.bsky.*'; may be repeated.")  # fmt: skip
@click.option("--read-only", is_flag=True, help="Never write to the repo; needs no login.")
@click.option(
    "--no-blobs", is_flag=True, help="Do not fetch the pictures and other files of records."
)
@click.option("--adopt", is_flag=True, help="Use a DIR that already holds files; none is lost.")
@click.option("--yes", is_flag=True, help="With --adopt: publish what is there, without asking.")
@click.option("--pds", metavar="URL", envvar="SYNCD_PDS", help=PDS_HELP)
@click.option("--plc", metavar="URL", envvar="SYNCD_PLC_URL", help=PLC_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def clone(
    directory: Path,
    account: str,
    target: Path | None,
    collections: tuple[str, ...],
    read_only: bool,
    no_blobs: bool,
    adopt: bool,
    yes: bool,
    pds: str | None,
    plc: str | None,
    as_json: bool,
) -> None:
    """Make DIR (absent or empty) a verified mirror of ACCOUNT's repo.

    A clone that was interrupted continues when the same command is run again.
    With --adopt, files that the repo does not have are published once you agree; else they wait.

    \b
    Examples:
      syncd clone alice.example.com
      syncd clone did:plc:abc… notes --collection 'com.example.*' --read-only
    """
    if yes and not adopt:
        raise click.UsageError("--yes needs --adopt")
    patterns = tuple(check_pattern(pattern) for pattern in collections)
    found = resolved(account, plc=plc or DEFAULT_PLC, pds=pds)
    root = (directory / (target or Path(found.handle or found.did))).absolute()
    config = Config(
        did=found.did,
        handle=found.handle,
        pds=pds,
        plc=plc or DEFAULT_PLC,
        read_only=read_only,
        collections=patterns,
        blobs_fetch=FETCH_NONE if no_blobs else FETCH_ALL,
    )
    if not _is_begun(root, found):
        _check_target(root, adopt)
        loop.run(_check_access(found, read_only))
        with _undone(root):
            _lay_out(root, config, found, is_adopted=adopt)
    _warn_of_neighbours(root, read_only=read_only)
    show: progress.Show = nullcontext if as_json else progress.show_progress
    agree = partial(_agree, yes=yes) if adopt else None
    report, cloned = loop.run(_first_sync(root, show, agree, pds))
    _say(report, cloned, found, root, as_json)
    _warn_of_empty(root, patterns)
    _offer_markdown(root)
    raise click.exceptions.Exit(exit_code(report))


def _warn_of_neighbours(root: Path, *, read_only: bool) -> None:
    """Name the programs that share the folder or save in it automatically."""
    for sharing in find_sharing(root):
        tell_step(sharing.reason, sharing.hint)
    if not read_only and (editors := find_autosave(root)):
        what = " and ".join(editors)
        tell_step(f"{what} may save by itself here, and what is saved is pushed", HINT)


def _warn_of_empty(root: Path, patterns: Sequence[str]) -> None:
    """Name each pattern that no collection of the repo fits: most are slips."""
    with open_files(root) as files:
        config, collections = files.config, files.state.collection_sizes()
    for pattern in patterns:
        alone = replace(config, collections=(pattern,))
        if not any(map(alone.covers, collections)):
            tell(
                f"syncd: the repo has no collection {pattern} yet; syncd brings it once there "
                "is one"
            )
            if not pattern.endswith("*"):
                tell(f"  next: to name all collections below it: --collection '{pattern}.*'")


def _offer_markdown(root: Path) -> None:
    """Print the setting for Markdown files, if the repo has long texts and nothing says how."""
    with open_files(root) as files:
        lines = [] if files.config.markdown else lines_for(files.state.collection_sizes())
    if lines:
        tell(
            "syncd: it holds long texts; to edit them as Markdown files, put these lines into "
            f"{FILE_NAME}:"
        )
        for line in lines:
            tell(f"  {line}")


def _is_begun(root: Path, account: Account) -> bool:
    """Return whether a clone of this account was begun in `root` and not finished."""
    if not (root / STATE_FILE).exists() or _has_lost_its_marker(root):
        return False
    with open_files(root) as files:
        return files.state.did == account.did and is_unfinished(files.state)


def _check_target(root: Path, adopt: bool) -> None:
    if (root / ".syncd").exists() and not (adopt and _has_lost_its_marker(root)):
        read_marker(root)
        raise FolderWrong(f"{root} is a mirror already", hint=f"syncd -C {root} sync")
    if root.exists() and not root.is_dir():
        raise FolderWrong(f"{root} is not a directory", hint="name another DIR")
    if root.exists() and not is_empty(root) and not adopt:
        hint = "name another DIR, or keep the files of this one: add --adopt"
        raise FolderWrong(f"{root} is not empty", hint=hint)


def _has_lost_its_marker(root: Path) -> bool:
    try:
        read_marker(root)
    except FolderWrong:
        return True
    return False


async def _check_access(account: Account, read_only: bool) -> None:
    """Raise what a clone of the account would fail with, before anything is made.

    Raises CredentialsRefused (no password is stored) and what `Pds.fetch_latest` raises.
    """
    if not read_only:
        # First: a password that others could read until now would be refused.
        close_state_directory(tell_notice)
        if credentials_of(account.did).source() is None:
            name = account.handle or account.did
            raise CredentialsRefused(
                f"no password for {name} is stored here",
                hint=f"syncd login {name}, or clone with --read-only",
            )
    async with HttpPds(account, None) as pds:
        try:
            await pds.fetch_latest()
        except LoginWanted:
            # The mirror asks with its token.
            if read_only:
                raise


@contextmanager
def _undone(root: Path) -> Iterator[None]:
    """Remove an unfinished mirror from an empty folder if the block fails.

    Else the same command would find half a mirror the next time, and refuse it.
    """
    is_ours = not root.exists() or is_empty(root)
    try:
        yield
    except SyncdError:
        if is_ours:
            with suppress(OSError):
                (root / FILE_NAME).unlink(missing_ok=True)
            rmtree(root / OWN, ignore_errors=True)
        raise


def _lay_out(root: Path, config: Config, account: Account, *, is_adopted: bool = False) -> None:
    marker = secrets.token_hex(16)
    try:
        root.mkdir(parents=True, exist_ok=True)
        config = _fitted(root, config)
        settings = root / FILE_NAME
        if not settings.exists():
            settings.write_text(render_config(config), encoding="utf-8")
    except OSError as error:
        raise unmade(root, error) from None
    is_marked_anew = (root / ".syncd").is_dir()
    with FolderLock(root) if is_marked_anew else nullcontext():
        _mark(root, config, account, marker, (Adoption(),) if is_adopted else ())


def _mark(
    root: Path, config: Config, account: Account, marker: str, more: tuple[Note, ...]
) -> None:
    """Make the folder a mirror. Set a state file aside from before it lost its marker."""
    state_file = root / STATE_FILE
    if state_file.exists():
        set_aside(state_file)
    initialise(root, marker)
    with create_state(state_file, did=config.did, marker=marker) as state:
        naming = Filenames(config.filenames), Overtaken(())
        if not more:
            # Files that are there already may be written by another setting: the first sync sees.
            state.keep(MarkdownFiles(config.markdown_text))
        known = KnownAccount.of(account, plc=config.plc, pds=config.pds)
        state.keep(known, UnfinishedClone(), *naming, *more)


def _fitted(root: Path, config: Config) -> Config:
    """Return `config` with file names that the file system of `root` can hold.

    Raises FolderWrong if settings that are there already ask for others.
    """
    settings = root / FILE_NAME
    if settings.exists():
        found = load_config(settings, {})
        config = replace(config, filenames=found.filenames, markdown=found.markdown)
    traits = probe(root)
    if traits.is_short:
        tell(
            f"syncd: the file system of {root} allows names of up to {traits.name_bytes} "
            "bytes; syncd reports each record that needs a longer one"
        )
    if not traits.lack or config.is_portable:
        return config
    reason = f"the file system of {root} {traits.lack}"
    if settings.exists():
        hint = f'set filenames = "portable" in [mirror] of {settings}'
        raise FolderWrong(reason, hint=hint)
    tell(f'syncd: {reason}: filenames = "portable" is set in {FILE_NAME}')
    return replace(config, filenames=PORTABLE)


async def _first_sync(
    root: Path, show: progress.Show, agree: Agree | None, pds: str | None
) -> tuple[Report, int]:
    """Finish the clone, and then sync what changed meanwhile; with `agree`, the whole folder.

    `agree` is asked before anything is published that the folder had. `pds` is the PDS that the
    command names.
    """
    async with open_mirror(root, listeners(), pds=pds) as mirror:
        started = time.time()
        try:
            with show(mirror):
                report = await mirror.sync(None if agree else ())
            # Until here, and after a stop until here, the note `Adoption` holds all that is new.
            # A read-only mirror holds nothing, so nobody can be asked before it is writable.
            is_asked = agree and not mirror.config.read_only
            if agree and is_asked and mirror.state.note(Adoption) is not None:
                found = held_creations(report.held)
                agreed = not found or agree(found)
                end_adoption(mirror.workspace, published=agreed)
                if found and agreed:
                    with show(mirror):
                        report = report.followed_by(await mirror.sync())
        except SyncdError:
            if goes_on(mirror.workspace):
                tell("syncd: run the same command again to continue from here")
            raise
        keep_last_cycle(mirror.state, report, started, mirror.cloned)
        return report, mirror.cloned


def _agree(found: Mapping[str, int], *, yes: bool) -> bool:
    """Show what would be published, by collection, and ask. Without a terminal, nobody agrees."""
    if yes:
        return True
    tell("syncd: these files are not in the repo yet; once published, everybody can read them:")
    for collection, count in sorted(found.items()):
        tell(f"  {many(count, 'record'):<12} {collection}")
    agreed = can_ask() and confirm("Publish them?")
    if not agreed:
        tell("syncd: nothing was published; the files wait")
        tell(
            "  next: publish all: syncd approve --all; or one collection: syncd approve COLLECTION"
        )
        tell("        list what you never want to publish in .syncdignore")
    return agreed


def can_ask() -> bool:
    """Return whether a person can read a question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _say(report: Report, cloned: int, account: Account, root: Path, as_json: bool) -> None:
    if as_json:
        say_json({**report_json(report, cloned), **halt_json(report)})
    else:
        rev = report.head.rev if report.head else "unknown"
        count = cloned + len(report.pulled) + len(report.adopted)
        name = account.handle or account.did
        say(f"cloned {many(count, 'record')} of {name} into {root}, rev {rev}")
        say("verified: the hash of every block, the whole tree, the signature of the commit")
        say_notes(report)
        say_waiting(report.conflicts, report.problems, report.held)
        say_pending([pending_json(item) for item in report.pending])
    if report.halted is not None:
        fail(report.halted)
