"""Ask a person yes or no, wherever a command is. Decides nothing itself."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import click


def confirm(question: str, *, abort: bool = False) -> bool:
    """Ask on the terminal, and return the answer. Raises Abort for Ctrl-C; with `abort`, for no."""
    with _interruptible():
        return click.confirm(question, abort=abort, err=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the question: an event loop notes the first one, and waits for an answer."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
