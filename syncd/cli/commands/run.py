"""Run the daemon in the foreground for one or more mirrors (`syncd run`). Never forks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click
import tomli

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
from syncd.daemon.fleet import Fleet
from syncd.errors import ConfigWrong, FileProblem
from syncd.notify import find_notifier
from syncd.trouble import at_home

_STOPS = (signal.SIGTERM, signal.SIGINT)


@click.command()
@click.argument("directories", nargs=-1, type=click.Path(path_type=Path), metavar="[DIR...]")
@click.option(
    "--log",
    "form",
    type=click.Choice(["auto", "text", "json", "journal"]),
    default="auto",
    help="How it tells what it does; auto: journald's fields under systemd, else text.",
)
@click.pass_obj
def run(directory: Path, directories: tuple[Path, ...], form: str) -> None:
    """Keep one or more mirrors in sync until SIGTERM or Ctrl-C.

    SIGHUP (systemctl reload) reads the settings again. Without DIR, the mirrors are those of the
    file that SYNCD_CONFIG names, which holds mirrors = ["DIR", ...]; else the one around the
    current directory.

    \b
    Examples:
      syncd run
      syncd run ~/alice ~/bob
      SYNCD_CONFIG=~/.config/syncd.toml syncd run --log json
    """
    listed = mirrors_of(directory, directories, os.environ)
    raise click.exceptions.Exit(asyncio.run(_run(listed, form)))


async def _run(listed: Callable[[], Sequence[Path]], form: str) -> int:
    notifier = find_notifier(os.environ)
    running = Running(_voice(form, is_one=len(listed()) == 1), notifier)
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
    if form == "auto":
        form = "journal" if is_journaled(os.environ) else "text"
    text = say_text if is_one else say_named_text
    return _steady({"journal": journal(), "json": say_json_line}.get(form, text))


def _steady(voice: Voice) -> Voice:
    """Return `voice` for a process that outlives its listeners: a full disk ends no mirror."""

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
    return lambda: _read_list(file)


def _read_list(file: Path) -> Sequence[Path]:
    hint = 'it holds one line such as mirrors = ["~/alice", "/srv/bob"]'
    try:
        listed = tomli.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"SYNCD_CONFIG names {file}, which cannot be read: {error.strerror}"
        raise ConfigWrong(message, hint=hint) from None
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise ConfigWrong(f"{file}: {error}", hint=hint) from None
    match listed:
        case {"mirrors": [str(), *_] as names, **rest} if not rest:
            if all(isinstance(name, str) for name in names):
                return tuple(dict.fromkeys(file.parent / at_home(n) for n in names))
    raise ConfigWrong(f"{file} does not hold a list of mirrors, and nothing else", hint=hint)
