"""Run the command line, and end the process: each failure is a sentence and an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from syncd.cli.screen.output import SPOKEN, fail, fail_json, take_any_text
from syncd.cli.screen.suggest import explained
from syncd.cli.screen.waits import show_waits
from syncd.errors import BadUsage, Interrupted, SyncdError
from syncd.trouble import refusal


def end_with(cli: click.Group) -> NoReturn:
    """Run `cli` on the words of this process, and exit."""
    take_any_text()
    show_waits()
    SPOKEN.is_said = False
    try:
        sys.exit(cli(prog_name="syncd", standalone_mode=False) or 0)
    except (click.Abort, KeyboardInterrupt):
        _say_error(Interrupted("interrupted"))
        sys.exit(Interrupted.exit_code)
    except click.ClickException as error:
        error = explained(error, cli)
        error.show()
        _say_error(BadUsage(error.format_message()))
        sys.exit(error.exit_code)
    except SyncdError as error:
        code = fail(error)
        _say_error(error)
        sys.exit(code)
    except OSError as error:
        code = fail(refusal(error))
        _say_error(refusal(error))
        sys.exit(code)


def _say_error(error: SyncdError) -> None:
    """Print an error as JSON too, if the command line asks for JSON, as far as it can be read."""
    words = sys.argv[1:]
    if "--json" in words[: words.index("--") if "--" in words else None]:
        fail_json(error)
