"""The command line: one function per subcommand, text or JSON, exit codes. Nothing else prints.

Commands are imported when they are called, so that `syncd --help` stays fast.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from syncd.cli.screen.output import SPOKEN, fail, fail_json, take_any_text
from syncd.cli.screen.suggest import Suggesting, explained
from syncd.cli.screen.waits import show_waits
from syncd.errors import BadUsage, Interrupted, SyncdError
from syncd.trouble import refusal

COMMANDS: dict[str, tuple[str, str]] = {
    "login": ("login", "Check an app password and keep it."),
    "logout": ("login", "End the session and forget the password."),
    "clone": ("clone", "Make a folder a verified mirror of a repo."),
    "sync": ("sync", "Sync once, both ways."),
    "run": ("run", "Keep folders in sync, in the foreground."),
    "now": ("control", "Tell the running daemon to sync now."),
    "pause": ("control", "Pause the running daemon."),
    "resume": ("control", "Resume a paused daemon."),
    "reload": ("control", "Tell the running daemon to read its settings again."),
    "stop": ("control", "Stop the running daemon."),
    "status": ("status", "Show the state of the mirror."),
    "diff": ("diff", "Show what differs between base, local and remote."),
    "conflicts": ("conflicts", "List the open conflicts."),
    "resolve": ("conflicts", "Decide conflicts."),
    "held": ("held", "List the deletions held by the brake."),
    "approve": ("held", "Carry out held changes."),
    "reject": ("held", "Undo held changes: bring back the repo's records."),
    "log": ("log", "Show what came in, went out and was replaced."),
    "restore": ("log", "Bring a superseded version back into the folder."),
    "new": ("new", "Make a draft of a new record."),
    "publish": ("publish", "Make records of drafts and send them."),
    "unpublish": ("publish", "Turn a record into a draft and delete the record."),
    "blob": ("blobs.blob", "See, get and add the files that records name."),
    "git": ("git", "Let git merge records and show their diffs."),
    "lexicon": ("lexicons.lexicon", "Check records against lexicons."),
    "editor": ("lexicons.editor", "Have editors check and complete records."),
    "hooks": ("hooks", "Show and allow the programs that run after a sync."),
    "verify": ("verify", "Recompute everything and report what differs."),
    "doctor": ("doctor", "Find problems and suggest fixes."),
    "metrics": ("metrics", "Print metrics for Prometheus."),
    "service": ("service", "Run the mirror as a systemd service."),
    "sandbox": ("sandbox", "Run an embedded PDS on the loopback."),
    "help": ("shell", "Show the help of a command, or a page of the documentation."),
    "completion": ("shell", "Print the completion script of a shell."),
    "man": ("shell", "Print the manual page."),
    "demo": ("demo", "Watch syncd work, without an account."),
}
"""Command name -> (module in syncd.cli.commands, one line of help)."""


_BOTH_WAYS = "'syncd sync' sends your changes and brings those of others"
MEANT: dict[str, str] = {
    **dict.fromkeys(("push", "pull", "fetch", "update", "commit"), _BOTH_WAYS),
    **dict.fromkeys(("init", "create"), "'syncd clone ACCOUNT' makes a mirror"),
    **dict.fromkeys(("add", "edit"), "save a file in the folder, or make one: 'syncd new'"),
    **dict.fromkeys(("rm", "remove", "delete"), "delete the file, then 'syncd sync'"),
    **dict.fromkeys(("mv", "rename"), "rename the file, then 'syncd sync'"),
    **dict.fromkeys(("ls", "list", "info"), "see 'syncd status'"),
    **dict.fromkeys(("start", "daemon", "watch"), "'syncd run' keeps a mirror in sync"),
    **dict.fromkeys(("check", "lint", "validate"), "see 'syncd lexicon check', 'syncd doctor'"),
    **dict.fromkeys(("undo", "revert", "checkout"), "see 'syncd restore'"),
    **dict.fromkeys(("history", "show"), "see 'syncd log'"),
    "merge": "see 'syncd resolve --merge'",
    "version": "see 'syncd --version'",
}
"""What to say to who types the name that another program has for something."""


class Commands(Suggesting):
    """A group that imports a command's module when the command is used."""

    meant = MEANT

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        place = f"syncd.cli.commands.{COMMANDS[cmd_name][0]}"
        if ctx.resilient_parsing:
            # Only a Tab needs what it offers; it would double the time of --help.
            from syncd.cli.arguments.offer import OFFERS, Offering  # noqa: PLC0415

            if cmd_name in OFFERS:
                return Offering(cmd_name, place)
        module = import_module(place)
        # `help` is a name of Python's own.
        command = getattr(module, "help_" if cmd_name == "help" else cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and options; no command is imported for it, so that a Tab is fast."""
        found = (
            (name, line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)
        )
        items = [CompletionItem(name, help=line) for name, line in found]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


def _say_versions(ctx: click.Context, _param: click.Parameter, is_asked: bool) -> None:
    if is_asked and not ctx.resilient_parsing:
        import_module("syncd.cli.screen.about").say_versions()
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_versions,
    help="Show the versions of syncd and of what it uses.",
)
@click.option(
    "-C", "directory", type=click.Path(path_type=Path), metavar="DIR", help="The mirror's folder."
)
@click.option("-v", "--verbose", is_flag=True, help="Log each request to stderr.")
@click.pass_context
def cli(ctx: click.Context, directory: Path | None, verbose: bool) -> None:  # noqa: ARG001
    """Keep a folder of JSON files and an AT Protocol repo identical, both ways.

    Try it without an account: syncd demo

    Read the documentation, also offline: syncd help topics
    """
    ctx.obj = directory or Path.cwd()
    # Only commands need it, and the import would slow down --help. A Python without ctypes, or a
    # process that may map no code (MemoryDenyWriteExecute= with an old libffi), does without.
    with suppress(ImportError, OSError, MemoryError, AttributeError):
        import_module("syncd.cli.screen.dead_disk").say_of_a_dead_disk(ctx.obj)


def main() -> None:
    """Run the command line. Every failure is a sentence on stderr and an exit code."""
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
