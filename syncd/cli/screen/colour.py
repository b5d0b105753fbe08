"""Decide whether a stream takes colour. Never writes to it.

Source: https://no-color.org, and terminfo(5) for the terminal `dumb`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO


def is_drawn(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether `stream` is a terminal on which lines can change, in colour or without."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def has_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether `stream` is a terminal that takes colour and lines that change.

    False if `NO_COLOR` is present and not empty, or if `TERM` is `dumb`.
    """
    return is_drawn(stream, environ) and not environ.get("NO_COLOR")
