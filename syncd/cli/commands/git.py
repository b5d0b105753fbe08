"""Register syncd with git for merges and diffs, and run them when git calls (`syncd git`).

`checkout_taken` also turns a fresh checkout into a mirror for `syncd sync`. Never needs credentials
or a PDS.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from syncd.atproto.syntax import Nsid, parse_nsid
from syncd.blobs.words import Spoken
from syncd.cli.screen.changes import sentences
from syncd.cli.screen.output import say, say_lines, tell
from syncd.cli.screen.suggest import Suggesting
from syncd.config import FILE_NAME, Config, load_config
from syncd.cycle.git.checkout import adopt_checkout, find_checkout
from syncd.errors import BadData, BadJson, BadSyntax, ConfigWrong, FileProblem, GitFailed
from syncd.folder.names import CONTINUED, record_path_of
from syncd.folder.root import OWN
from syncd.forms import USUAL, Forms, every_form
from syncd.forms.by_line import by_line
from syncd.git.commits import Worktree
from syncd.git.drivers import install as install_drivers
from syncd.git.drivers import uninstall as uninstall_drivers
from syncd.git.program import Git
from syncd.git.repository import find_repository
from syncd.merge.texts import merge_texts


@click.group(cls=Suggesting)
def git() -> None:
    """Let git merge records field by field, and show their diffs in a stable order.

    \b
    Examples:
      syncd git install
      syncd git uninstall
    """


@git.command()
@click.pass_obj
def install(directory: Path) -> None:
    """Register the merge driver and the diff driver in this clone of a git repository.

    \b
    Example:
      syncd -C ~/notes git install
    """
    work = _worktree(directory)
    forms = _forms_in(work.repository.top / work.repository.prefix)
    pattern = install_drivers(work, _command(), forms)
    say(f"git now merges and shows {pattern} with syncd, in this clone only")


@git.command()
@click.pass_obj
def uninstall(directory: Path) -> None:
    """Remove both drivers.

    \b
    Example:
      syncd -C ~/notes git uninstall
    """
    # By any setting: it may be another one than when they were registered.
    was_there = uninstall_drivers(_worktree(directory), every_form())
    say("git now merges and shows record files without syncd" if was_there else "nothing to remove")


@git.command(hidden=True)
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("ours", type=click.Path(path_type=Path))
@click.argument("theirs", type=click.Path(path_type=Path))
@click.argument("mark_length", type=int)
@click.argument("path")
def merge(base: Path, ours: Path, theirs: Path, mark_length: int, path: str) -> None:
    """Merge three versions of the file at PATH into OURS; git calls this."""
    texts = [file.read_bytes() for file in (base, ours, theirs)]
    config, name = _settings_of(path)
    try:
        collection = _collection(path)
        merged, collisions = merge_texts(
            *(texts[0], texts[1], texts[2], collection),
            form=USUAL.of(collection) if config is None else config.forms.of(collection),
            text=_merges_lines(config, name),
            mark_length=mark_length,
        )
    except (BadJson, BadData, BadSyntax) as error:
        tell(f"syncd: {path} is merged by lines: {error.message}")
        raise click.exceptions.Exit(_merge_lines(base, ours, theirs, mark_length)) from None
    ours.write_bytes(merged)
    if collisions:
        tell(f"syncd: {path}: both sides changed {', '.join(collisions)}")
    raise click.exceptions.Exit(1 if collisions else 0)


@git.command(hidden=True)
@click.argument("file", type=click.Path(path_type=Path))
def show(file: Path) -> None:
    """Print the record in FILE for a diff: keys in order, texts by line, blobs by file and size.

    git calls this.
    """
    form = every_form().of_file(file.name)
    shown = by_line(form, form.ordered(file.read_bytes(), Spoken()))
    lines = shown.decode("utf-8", "backslashreplace").split("\n")
    # Of a long line that changed in one word, git shows the whole.
    say_lines("\n".join(piece for line in lines for piece in sentences(line)))


def _forms_in(folder: Path) -> Forms:
    """Return the forms of a folder's files; the usual ones if its settings cannot be read."""
    with suppress(ConfigWrong, FileProblem):
        return load_config(folder / FILE_NAME, {}).forms
    return USUAL


def _command() -> str:
    """Return the command of this very syncd: git may call it with another PATH and directory."""
    return f"{shlex.quote(sys.executable)} -P -m syncd"


def _worktree(directory: Path) -> Worktree:
    """Find the mirror around `directory`, or the only one below; else the top of the worktree."""
    directory = directory.absolute()
    repository = find_repository(directory)
    if repository is None:
        hint = "run git init there first, or name another directory with -C DIR"
        raise GitFailed(f"{directory} is not in a git repository", hint=hint)
    folder = (
        _nearest_settings(directory, repository.top)
        or _settings_below(repository.top)
        or repository.top
    )
    return Worktree.at(find_repository(folder) or repository)


def _settings_below(top: Path) -> Path | None:
    """Find the only folder below `top` with versioned settings. Raises GitFailed if several."""
    repository = find_repository(top)
    if repository is None:
        return None
    work = Worktree.at(repository)
    names = sorted(n for n in work.files(work.tip().commit) if n.endswith(f"/{FILE_NAME}"))
    if len(names) > 1:
        hint = f"name one of them: syncd -C {top / names[0].removesuffix(FILE_NAME)} git install"
        raise GitFailed(f"there are {len(names)} mirrors below {top}", hint=hint)
    return (top / names[0]).parent if names else None


def _nearest_settings(start: Path, top: Path) -> Path | None:
    inside = (folder for folder in (start, *start.parents) if folder.is_relative_to(top))
    return next((folder for folder in inside if (folder / FILE_NAME).is_file()), None)


def _collection(path: str) -> Nsid:
    """Return the collection of a file, wherever the mirror's folder is in the worktree."""
    directories = [part for part in path.split("/")[:-1] if not part.endswith(CONTINUED)]
    return parse_nsid(directories[-1] if directories else "")


def _settings_of(path: str) -> tuple[Config | None, str]:
    """Return the settings of the file's mirror, if they can be read, and its name in the mirror."""
    file = Path(path).absolute()
    folder = _nearest_settings(file.parent, Path.cwd())
    if folder is not None:
        with suppress(ConfigWrong):
            return load_config(folder / FILE_NAME, {}), file.relative_to(folder).as_posix()
    return None, ""


def _merges_lines(config: Config | None, name: str) -> bool:
    """Return whether the settings of the file's mirror ask to merge its strings by line."""
    if config is None:
        return False
    with suppress(BadSyntax):
        path = record_path_of(name, portable=config.is_portable, forms=config.forms)
        return config.merges_lines(path)
    return False


def _merge_lines(base: Path, ours: Path, theirs: Path, mark_length: int) -> int:
    """Merge as git merges any text; return the exit code of a merge driver (gitattributes(5))."""
    labels = [word for name in ("ours", "base", "theirs") for word in ("-L", name)]
    files = (str(file) for file in (ours, base, theirs))
    try:
        marks = f"--marker-size={mark_length}"
        Git(Path.cwd()).run("merge-file", "--quiet", marks, *labels, *files)
    except GitFailed:
        return 1
    return 0


@contextmanager
def checkout_taken(directory: Path, *, only_now: bool) -> Iterator[None]:
    """Turn the checkout around `directory` into a mirror, if its settings are versioned.

    With `only_now`, only while inside: what was made is removed again.
    """
    root = find_checkout(directory)
    # A `.syncd` that lost its marker may still hold history, which nothing can bring back.
    is_made_here = root is not None and not os.path.lexists(root / OWN)
    if root is not None:
        said = _take(root)
        if not only_now:
            tell(said)
    try:
        yield
    finally:
        if root is not None and only_now and is_made_here:
            shutil.rmtree(root / OWN, ignore_errors=True)


def _take(root: Path) -> str:
    """Make the folder a mirror; return the message about it."""
    adopted = adopt_checkout(root, lambda: secrets.token_hex(16))
    said = "syncd knows of no earlier sync, so nothing counts as deleted"
    if adopted.anchor is not None:
        published = adopted.anchor.published
        said = f"{adopted.count} records are known from the sync at rev {published.rev}"
    return f"syncd: {root} is now a mirror of {adopted.config.did}; {said}"
