"""Pause the search for garbage in cycles while very many small values are made. Never ends it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the search for garbage in cycles until the `with` ends.

    The values of a clone are tuples of text and bytes, which are freed without it. Each search
    would look at all that syncd has imported, once for some thousand records.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # Of two clones in one process that overlap, whoever found it on puts it on again.
        if was_on:
            gc.enable()
