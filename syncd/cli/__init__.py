"""The command line: one function per subcommand, text or JSON, exit codes. Nothing else prints.

Commands are imported when they are called, so that `syncd --help` stays fast.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

import click

from syncd import __version__
from syncd.cli.output import fail
from syncd.errors import SyncdError

COMMANDS: dict[str, tuple[str, str]] = {
    "login": ("login", "Check an app password and keep it."),
    "logout": ("login", "End the session and forget the password."),
    "clone": ("clone", "Make a folder a verified mirror of a repo."),
    "sync": ("sync", "Sync once, both ways."),
    "run": ("run", "Keep folders in sync, in the foreground."),
    "now": ("control", "Have the running daemon sync at once."),
    "pause": ("control", "Have the running daemon do nothing for a while."),
    "resume": ("control", "Have a paused daemon go on."),
    "stop": ("control", "Have the running daemon end."),
    "status": ("status", "Where the mirror stands."),
    "diff": ("diff", "What differs between base, local and remote."),
    "conflicts": ("conflicts", "List the conflicts that wait for a decision."),
    "resolve": ("conflicts", "Decide conflicts."),
    "held": ("held", "List the deletions held by the brake."),
    "approve": ("held", "Let held deletions happen."),
    "reject": ("held", "Bring back the records of held deletions."),
    "log": ("log", "What was replaced or deleted, when and why."),
    "restore": ("log", "Bring a superseded version back into the folder."),
    "new": ("new", "Make a new record file with a fresh TID."),
    "verify": ("verify", "Recompute everything and say what does not agree."),
    "service": ("service", "Run the mirror as a systemd service."),
    "sandbox": ("sandbox", "Run an embedded PDS on the loopback."),
    "demo": ("demo", "See the whole thing work, without an account."),
}
"""Command name -> (module in syncd.cli, one line of help)."""


class Commands(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"syncd.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            ctx.fail(_unknown(args[0]))
        return super().resolve_command(ctx, args)


def _unknown(name: str) -> str:
    near = get_close_matches(name, COMMANDS, n=1)
    return f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="syncd")
@click.option(
    "-C", "directory", type=click.Path(path_type=Path), metavar="DIR", help="The mirror's folder."
)
@click.pass_context
def cli(ctx: click.Context, directory: Path | None) -> None:
    """Keep a folder of JSON files and an AT Protocol repo identical, both ways.

    Try it without an account: syncd demo
    """
    ctx.obj = directory or Path.cwd()


def main() -> None:
    """Run the command line. Every failure is a sentence on stderr and an exit code."""
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SyncdError as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
