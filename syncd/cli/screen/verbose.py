"""Log each request to stderr with `--verbose`: name, status and time.

Never shows the content of a request: it may be a password.
"""

from __future__ import annotations

import click

from syncd.cli.screen.output import tell
from syncd.pds.http import OnRequest


def find_listener() -> OnRequest | None:
    """Return the function that logs a request; None without --verbose."""
    context = click.get_current_context(silent=True)
    is_wanted = context is not None and context.find_root().params.get("verbose")
    return _tell if is_wanted else None


def _tell(nsid: str, status: int | None, seconds: float) -> None:
    tell(f"request   {nsid}: {status or 'no answer'}, {seconds * 1000:.0f} ms")
