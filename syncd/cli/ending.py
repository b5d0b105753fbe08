"""Run the command line, and end the process: each failure is a sentence and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from syncd.cli.screen.output import SPOKEN, fail, fail_json, take_any_text, tell
from syncd.cli.screen.suggest import explained
from syncd.cli.screen.waits import show_waits
from syncd.errors import BadUsage, Interrupted, SyncdError
from syncd.trouble import refusal


def end_with(cli: click.Group) -> NoReturn:
    """Run `cli` on the words of this process, and exit."""
    take_any_text()
    show_waits()
    SPOKEN.is_said = False
    code = _run(cli)
    _let_go_of_output()
    sys.exit(code)


def _run(cli: click.Group) -> int:
    """Run `cli`; print its error, and return the exit code."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return cli(prog_name="syncd", standalone_mode=False) or 0
    except (click.Abort, KeyboardInterrupt):
        _say_error(Interrupted("interrupted"))
        return Interrupted.exit_code
    except click.ClickException as error:
        return _refuse_usage(explained(error, cli))
    except SyncdError as error:
        return _fail(error)
    except OSError as error:
        return _fail(refusal(error))


def _refuse_usage(error: click.ClickException) -> int:
    if isinstance(error, NoArgsIsHelpError):
        with suppress(OSError):
            error.show()
        return error.exit_code
    if isinstance(error, click.UsageError) and error.ctx is not None:
        _tell_usage(error.ctx)
    tell(f"Error: {error.format_message()}")
    _say_error(BadUsage(error.format_message()))
    return error.exit_code


def _tell_usage(ctx: click.Context) -> None:
    """Print how the command is used, as click does, and where its help is."""
    for line in ctx.get_usage().split("\n"):
        tell(line)
    if ctx.command.get_help_option(ctx) is not None:
        option = max(ctx.command.get_help_option_names(ctx), key=len)
        tell(f"Try '{ctx.command_path} {option}' for help.")
    tell("")


def _fail(error: SyncdError) -> int:
    code = fail(error)
    _say_error(error)
    return code


def _let_go_of_output() -> None:
    """Keep Python from reporting output that failed when it flushes at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _say_error(error: SyncdError) -> None:
    """Print an error as JSON too, if the command line asks for JSON, as far as it can be read."""
    words = sys.argv[1:]
    if "--json" in words[: words.index("--") if "--" in words else None]:
        with suppress(OSError, SyncdError):
            fail_json(error)
