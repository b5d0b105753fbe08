"""`syncd pause`, `resume`, `now`, `reload` and `stop`: tell a running daemon what to do."""

from __future__ import annotations

from pathlib import Path

import click

from syncd.cli.commands.sync import say_outcome
from syncd.cli.screen.output import say, say_json
from syncd.mirror.delegate import need_daemon
from syncd.mirror.wire import DaemonAnswer, SyncAnswer

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@_AS_JSON
@click.pass_obj
def pause(directory: Path, as_json: bool) -> None:
    """Pause the running daemon until `syncd resume`, even if it restarts.

    \b
    Example:
      syncd pause && git rebase main && syncd resume
    """
    _tell(directory, as_json, "pause", "paused")


@click.command()
@_AS_JSON
@click.pass_obj
def resume(directory: Path, as_json: bool) -> None:
    """Resume a paused daemon; it then checks the whole folder and the repo.

    \b
    Example:
      syncd -C ~/notes resume
    """
    _tell(directory, as_json, "resume", "resumed")


@click.command()
@_AS_JSON
@click.pass_obj
def stop(directory: Path, as_json: bool) -> None:
    """Stop the running daemon, as SIGTERM does; its process keeps syncing other mirrors.

    \b
    Example:
      syncd -C ~/notes stop
    """
    _tell(directory, as_json, "stop", "stopping")


@click.command()
@_AS_JSON
@click.pass_obj
def reload(directory: Path, as_json: bool) -> None:
    """Make the running process read the settings of all its mirrors again, as SIGHUP does.

    \b
    Example:
      syncd -C ~/notes reload
    """
    _tell(directory, as_json, "reload", "reloading")


@click.command()
@_AS_JSON
@click.pass_obj
def now(directory: Path, as_json: bool) -> None:
    """Make the running daemon sync now, even while it is paused, and print what it did.

    \b
    Examples:
      syncd now
      syncd -C ~/notes now --json
    """
    say_outcome(need_daemon(directory, "sync", SyncAnswer).report.report, as_json)


def _tell(directory: Path, as_json: bool, what: str, done: str) -> None:
    answer = need_daemon(directory, what, DaemonAnswer)
    if as_json:
        say_json({"pid": answer.pid, "phase": answer.phase})
    else:
        say(f"{done} (pid {answer.pid})")
