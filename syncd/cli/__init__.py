"""The command line: one function per subcommand, text or JSON, exit codes. Nothing else prints.

Commands are imported when they are called, so that none waits for the imports of another.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from syncd.cli.screen.suggest import Suggesting

COMMANDS: dict[str, tuple[str, str]] = {
    "login": ("login", "Check an app password and store it."),
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
    "held": ("held", "List the changes that need your approval."),
    "approve": ("held", "Carry out held changes."),
    "reject": ("held", "Undo held changes: bring back the repo's records."),
    "log": ("log", "Show what was pulled, pushed and replaced."),
    "restore": ("log", "Bring a superseded version back into the folder."),
    "new": ("new", "Make a draft of a new record."),
    "publish": ("publish", "Make records of drafts and send them."),
    "unpublish": ("publish", "Turn a record into a draft and delete the record."),
    "blob": ("blobs.blob", "List, fetch and add the files that records name."),
    "git": ("git", "Let git merge records and show their diffs."),
    "lexicon": ("lexicons.lexicon", "Check records against lexicons."),
    "editor": ("lexicons.editor", "Set up editors to check and complete records."),
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

LOOKING = {"sync": 1, "status": 2}
"""Commands that look at all files first, and the processes that list these during the imports.

Those of `sync` take longer than one process needs; a second one would only take time from them.
"""
_USUAL_ROOM = 52
"""The least columns of a terminal for which click lays out help."""
_BOTH_WAYS = "'syncd sync' sends your changes and brings those of others"
MEANT: dict[str, str] = {
    **dict.fromkeys(("push", "pull", "fetch", "update", "commit"), _BOTH_WAYS),
    **dict.fromkeys(("init", "create"), "'syncd clone ACCOUNT' makes a mirror"),
    **dict.fromkeys(("add", "edit"), "save a file in the folder, or make one: 'syncd new'"),
    **dict.fromkeys(("rm", "remove", "delete"), "delete the file, then 'syncd sync'"),
    **dict.fromkeys(("mv", "rename"), "rename the file, then 'syncd sync'"),
    **dict.fromkeys(("ls", "list", "info"), "see 'syncd status'"),
    **dict.fromkeys(
        ("config", "settings", "set"), "edit syncd.toml: see 'syncd help configuration'"
    ),
    **dict.fromkeys(("start", "daemon", "watch"), "'syncd run' keeps a mirror in sync"),
    **dict.fromkeys(("check", "lint", "validate"), "see 'syncd lexicon check', 'syncd doctor'"),
    **dict.fromkeys(("undo", "revert", "checkout"), "see 'syncd restore'"),
    **dict.fromkeys(("history", "show"), "see 'syncd log'"),
    "merge": "see 'syncd resolve --merge'",
    "version": "see 'syncd --version'",
}
"""What to say to who types the name that another program has for something."""


class Commands(Suggesting):
    """A group that imports a command's module when the command is used.

    Attributes:
        is_process: This process is here for the command alone.
    """

    meant = MEANT
    is_process = False

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401
    ) -> click.Context:
        """Begin a command; its help keeps to a terminal that is narrower than click's least."""
        if room := _narrow():
            extra.setdefault("terminal_width", room)
        return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name in LOOKING and not ctx.resilient_parsing:
            _begin_to_look(ctx, LOOKING[cmd_name])
        import_ = _imported if self.is_process else import_module
        module = import_(f"syncd.cli.commands.{COMMANDS[cmd_name][0]}")
        # `help` is a name of Python's own.
        command = getattr(module, "help_" if cmd_name == "help" else cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _narrow() -> int | None:
    """Return the room for help on a narrow terminal; None on any other, and in a pipe."""
    with suppress(OSError, ValueError):
        found = os.get_terminal_size(sys.stdout.fileno()).columns
        room = int(os.environ.get("COLUMNS") or found)
        return room if 0 < room < _USUAL_ROOM else None
    return None


def _begin_to_look(ctx: click.Context, processes: int) -> None:
    """Start to list the files of a large mirror while this process imports its modules."""
    share, nearest = map(import_module, ("syncd.folder.share", "syncd.folder.top.nearest"))
    top = nearest.nearest_top(ctx.params.get("directory") or Path.cwd())
    if top is not None:
        share.begin(top, processes)
        ctx.call_on_close(share.end)


def _imported(name: str) -> ModuleType:
    """Import a module, and keep its objects out of garbage collection."""
    if name in sys.modules or not gc.isenabled():
        return import_module(name)
    gc.disable()
    try:
        module = import_module(name)
    finally:
        gc.enable()
    gc.freeze()
    return module


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
    """Run the command line. Every failure is a sentence and an exit code."""
    Commands.is_process = True
    import_module("syncd.cli.ending").end_with(cli)
