"""Run an embedded PDS on the loopback, for tests (`syncd sandbox`). Never listens elsewhere."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from syncd.cli.screen.output import say
from syncd.errors import ConfigWrong
from syncd.sandbox import Sandbox

if TYPE_CHECKING:
    from syncd.sandbox.http.server import ServingThread


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 means any free port.")
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="Keep accounts here.")
def sandbox(port: int, data: Path | None) -> None:
    """Run an embedded PDS on the loopback until Ctrl-C. Not for data that matters.

    \b
    Examples:
      syncd sandbox --port 2600
      syncd sandbox --data ~/.cache/sandbox
    """
    host = Sandbox(data=data)
    try:
        running = served(host, port)
    except OSError as error:
        hint = "name another with --port, or leave --port out to use a free one"
        message = f"port {port} cannot be used: {error.strerror}"
        raise ConfigWrong(message, hint=hint) from None
    with running:
        say(f"PDS and PLC directory at {running.url}")
        _say_account(host, running.url)
        _wait_for_signal()


def served(host: Sandbox, port: int = 0) -> ServingThread:
    """Serve `host` from a thread; port 0 means any free port.

    Raises:
        ConfigWrong: The extra `sandbox` is not installed.
        OSError: The port is taken.
    """
    try:
        from syncd.sandbox.http.server import start  # noqa: PLC0415 (only this needs the extra)
    except ImportError:
        raise ConfigWrong(
            "the sandbox needs a web server that is not installed",
            hint="in a checkout of syncd: pip install '.[sandbox]'",
        ) from None
    return start(host, port)


def _say_account(host: Sandbox, url: str) -> None:
    known = sorted(account.handle for account in host.accounts)
    if known:
        say(f"accounts: {', '.join(known)}")
        return
    login = host.create_account("alice")
    say(f"account {login.handle} ({login.did}), app password {login.password}")
    say(f"try: syncd login {login.handle} --pds {url} --plc {url}")
    say(f"     syncd clone {login.handle} --pds {url} --plc {url}")


def _wait_for_signal() -> None:
    ended = Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: ended.set())
    ended.wait()
