"""Print notices of an open mirror to stderr, and with `--verbose` each request too.

A request is a line with its name, status and time. Never shows the content of a request: it may be
a password.
"""

from __future__ import annotations

import click

from syncd.cli.screen.output import tell, tell_notice
from syncd.mirror.online import Listeners


def listeners() -> Listeners:
    """Return the listeners of this command: for notices always, for requests with --verbose."""
    context = click.get_current_context(silent=True)
    is_wanted = context is not None and context.find_root().params.get("verbose")
    return Listeners(tell_notice, _tell_request if is_wanted else None)


def _tell_request(nsid: str, status: int | None, seconds: float) -> None:
    tell(f"request   {nsid}: {status or 'no answer'}, {seconds * 1000:.0f} ms")
