"""Run the daemon in the foreground for one or more mirrors (`syncd run`). Never forks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click

from syncd.cli import loop
from syncd.cli.host.journal import (
    LogEntry,
    Voice,
    is_journaled,
    journal,
    say_json_line,
    say_named_text,
    say_text,
)
from syncd.cli.host.process import Running
from syncd.cli.host.reporter import ALIKE
from syncd.cli.screen.output import fail, say
from syncd.config import read_list
from syncd.daemon.fleet import Fleet
from syncd.errors import FileProblem, SyncdError
from syncd.notify import find_notifier
from syncd.trouble import at_home, refusal

_STOPS = (signal.SIGTERM, signal.SIGINT)


@click.command()
@click.argument("directories", nargs=-1, type=click.Path(path_type=Path), metavar="[DIR...]")
@click.option(
    "--log",
    "form",
    type=click.Choice(["auto", "text", "json", "journal"]),
    default="auto",
    help="Format of the log; auto: journald's fields under systemd, else text.",
)
@click.option("--once", is_flag=True, help="Sync each mirror once, in turn, and end.")
@click.pass_obj
def run(directory: Path, directories: tuple[Path, ...], form: str, once: bool) -> None:
    """Keep one or more mirrors in sync until SIGTERM or Ctrl-C.

    SIGHUP (systemctl reload) reads the settings again. Without DIR, the mirrors are those of the
    file that SYNCD_CONFIG names, which holds mirrors = ["DIR", ...]; else the one around the
    current directory.

    \b
    Examples:
      syncd run
      syncd run ~/alice ~/bob
      SYNCD_CONFIG=~/.config/syncd.toml syncd run --log json
      SYNCD_CONFIG=~/.config/syncd.toml syncd run --once
    """
    listed = mirrors_of(directory, directories, os.environ)
    if once:
        raise click.exceptions.Exit(max(_sync_once(folder) for folder in listed()))
    raise click.exceptions.Exit(loop.run(_run(listed, form)))


def _sync_once(folder: Path) -> int:
    """Sync one mirror as `syncd sync` does; report a failure without stopping the others."""
    say(f"{folder}:")
    command = import_module("syncd.cli.commands.sync").sync
    try:
        # Of a command that is not alone, main() returns the exit code.
        return int(command.main([], standalone_mode=False, obj=folder) or 0)
    except SyncdError as error:
        return fail(error)
    except OSError as error:
        return fail(refusal(error))


async def _run(listed: Callable[[], Sequence[Path]], form: str) -> int:
    notifier = find_notifier(os.environ)
    if form == "auto":
        form = "journal" if is_journaled(os.environ) else "text"
    voice = _voice(form, is_one=len(listed()) == 1)
    running = Running(voice, notifier, alike=ALIKE if form == "text" else None)
    fleet = Fleet(running.open, listed, running.is_changed, running.failed, notifier)
    running.reload = fleet.reload
    _catch_signals(fleet)
    return await fleet.run()


def _catch_signals(fleet: Fleet) -> None:
    """Stop at the first signal, and let a second one kill the process.

    SIGHUP stops a daemon with a terminal, and makes any other daemon read its settings again. If
    SIGHUP is ignored (nohup), it stays ignored.
    """
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for signum in _STOPS:
            loop.remove_signal_handler(signum)
        fleet.stop()

    for signum in _STOPS:
        loop.add_signal_handler(signum, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, stop if sys.stdin.isatty() else fleet.reload)


def _voice(form: str, *, is_one: bool) -> Voice:
    text = say_text if is_one else say_named_text
    return _steady({"journal": journal(), "json": say_json_line}.get(form, text))


def _steady(voice: Voice) -> Voice:
    """Return `voice` for a process that survives its listeners: a full disk ends no mirror."""

    def say(entry: LogEntry) -> None:
        with suppress(OSError, FileProblem):
            voice(entry)

    return say


def mirrors_of(
    directory: Path, directories: Sequence[Path], environ: Mapping[str, str]
) -> Callable[[], Sequence[Path]]:
    """Return a function that lists the mirrors to run, for each reload; see `run`.

    The function raises ConfigWrong if the file in SYNCD_CONFIG is not a list of mirrors.
    """
    named = environ.get("SYNCD_CONFIG")
    if directories or not named:
        found = tuple(dict.fromkeys(directories or (directory,)))
        return lambda: found
    file = at_home(named).absolute()
    return lambda: read_list(file)
