"""Times as text, and text as times. Never asks a clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from syncd.errors import BadSyntax

_AGO = re.compile(r"((?:[0-9]{1,9}[smhdw] ?)+)(?:ago)?", re.ASCII)
_PART = re.compile(r"([0-9]+)([smhdw])", re.ASCII)
_DAYS_AGO = {"today": 0, "yesterday": 1}
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

    A day begins, and a time without an offset is, in this machine's time zone. Raises BadSyntax.
    """
    said = text.strip()
    if (ago := _AGO.fullmatch(said)) is not None:
        return now - sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(ago[1]))
    try:
        if said in _DAYS_AGO:
            day = datetime.fromtimestamp(now).astimezone().date() - timedelta(_DAYS_AGO[said])
            return int(datetime.combine(day, time()).timestamp())
        return int(datetime.fromisoformat(said).timestamp())
    except (ValueError, OverflowError, OSError):
        hint = "write 2030-01-02, 2030-01-02T03:04:05Z, yesterday, or how long ago: 90m, 2h, 3d"
        raise BadSyntax(f"{text!r} is not a time", hint=hint) from None


def read_past(text: str, now: int) -> int:
    """Return the same of a moment that has passed. Raises BadSyntax for one that is to come."""
    moment = read_moment(text, now)
    if moment > now:
        raise BadSyntax(f"{text} is in the future", hint="name a TIME that has passed: 2h, 3d")
    return moment
