"""Who hears of what happens while a mirror is open: a person, on stderr.

`--verbose` adds a line for each request, with its name, answer and time, and nothing else: what is
in a request is never shown, for it may be a password.
"""

from __future__ import annotations

import click

from syncd.cli.screen.output import tell, tell_notice
from syncd.mirror.online import Listeners


def listeners() -> Listeners:
    """Return who listens for this command: to notices always, to requests with --verbose."""
    context = click.get_current_context(silent=True)
    is_wanted = context is not None and context.find_root().params.get("verbose")
    return Listeners(tell_notice, _tell_request if is_wanted else None)


def _tell_request(nsid: str, status: int | None, seconds: float) -> None:
    tell(f"request   {nsid}: {status or 'no answer'}, {seconds * 1000:.0f} ms")
