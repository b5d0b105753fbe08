"""Serve editors with schemas of records and settings (`syncd editor`). Asks no account."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from syncd.cli.screen.output import many, say
from syncd.cli.screen.suggest import Suggesting
from syncd.config import FILE_NAME, load_config
from syncd.errors import ConfigWrong
from syncd.mirror.editors.install import install as install_for
from syncd.mirror.editors.install import read_made
from syncd.mirror.editors.install import uninstall as uninstall_from
from syncd.mirror.editors.kinds import EDITORS, SCHEMAS
from syncd.mirror.lexicons.updating import Mirrored
from syncd.mirror.offline import root_around
from syncd.trouble import refusal


@click.group(cls=Suggesting)
def editor() -> None:
    """Have editors complete, explain and check records while you type, by their lexicons.

    \b
    Examples:
      syncd editor install --vscode
      syncd editor uninstall
    """


def _flags(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, each in reversed([*EDITORS.items()]):
        option = click.option(f"--{name}", is_flag=True, help=f"For {each.title}: {each.file}.")
        command = option(command)
    return command


@editor.command()
@_flags
@click.pass_obj
def install(directory: Path, /, **chosen: bool) -> None:
    """Write JSON Schemas into .syncd/schemas, and name them in the editor's settings here.

    Without an option: for each editor that is on this machine. syncd makes the schemas anew when
    lexicons or collections change. Your settings stay, comments included.

    \b
    Examples:
      syncd editor install
      syncd editor install --vscode --helix
    """
    root = root_around(directory)
    config = load_config(root / FILE_NAME, os.environ)
    names = [name for name, is_chosen in chosen.items() if is_chosen] or _found(root)
    try:
        done = install_for(Mirrored(root, config.is_portable, config.forms), names)
    except OSError as error:
        raise refusal(error) from None
    what = many(len(done.collections), "collection")
    say(f"schemas of {what} and of {FILE_NAME} are in {SCHEMAS}")
    for file in done.changed:
        say(f"changed  {file}")
    for name in names:
        if EDITORS[name].needs:
            say(f"{EDITORS[name].title} needs {EDITORS[name].needs}")
    if not done.collections:
        say("no collection has a lexicon yet: syncd lexicon ls")


def _found(root: Path) -> Sequence[str]:
    """Return the editors that were served before, or are on this machine."""
    made = read_made(root)
    found = [
        name
        for name, each in EDITORS.items()
        if (made is not None and name in made.editors) or any(map(shutil.which, each.programs))
    ]
    if not found:
        options = " or ".join(f"--{name}" for name in EDITORS)
        raise ConfigWrong(
            "syncd found no editor that it can set up on this machine", hint=f"name it: {options}"
        )
    return found


@editor.command()
@click.pass_obj
def uninstall(directory: Path) -> None:
    """Take out of all settings here what `install` put in, and remove the schemas.

    \b
    Examples:
      syncd editor uninstall
    """
    root = root_around(directory)
    try:
        changed = uninstall_from(root)
    except OSError as error:
        raise refusal(error) from None
    for file in changed:
        say(f"changed  {file}")
    if not changed:
        say("no settings in this folder name the schemas of syncd")
