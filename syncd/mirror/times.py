"""Times as text, and text as times. Never asks a clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from syncd.errors import BadSyntax

_AGO = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def rfc3339(seconds: float) -> str:
    """Format unix seconds as RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def local_time(seconds: float) -> str:
    """Format unix seconds for a person at this machine, in its time zone, to the second."""
    return datetime.fromtimestamp(int(seconds)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def local_of(text: str) -> str:
    """Return the local time of an RFC 3339 time; `text` itself if it is none."""
    try:
        return local_time(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return text


def read_moment(text: str, now: int) -> int:
    """Return the unix second of `text`: a time, a day, or a duration before now.

    A time without an offset is one of this machine's time zone. Raises BadSyntax.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return now - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return int(datetime.fromisoformat(text.strip()).timestamp())
    except (ValueError, OverflowError, OSError):
        hint = "write 2030-01-02, 2030-01-02T03:04:05Z, or how long ago: 90m, 2h, 3d"
        raise BadSyntax(f"{text!r} is not a time", hint=hint) from None
