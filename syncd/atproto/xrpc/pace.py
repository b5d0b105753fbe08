"""Rate limits in the headers of a server, as durations and moments. Pure; never reads a clock.

Moments of the server are measured against its own Date header, so a wrong clock on either side
does not stretch a pause. Sources: RFC 9110 §10.2.3, IETF draft ratelimit-headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Final

DEFAULT_RETRY_SECONDS: Final = 30.0
"""The pause after a rate limit without a duration."""

MIN_RETRY_SECONDS: Final = 1.0
MAX_RETRY_SECONDS: Final = 86_400.0
"""The longest pause: a day, the longest window of a PDS. Longer demands are cut to it."""

_EPOCH_SECONDS = 1_000_000_000
"""A RateLimit-Reset of this or more counts from 1970; a smaller number counts from now."""

_NUMBER = re.compile(r"[0-9]{1,100}", re.ASCII)
_WINDOW = re.compile(r"(?:^|[;,\s])w=([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The bucket with the fewest points left. `reset_at` is in unix seconds of our own clock.

    `window_seconds` identifies the bucket (300, 3600 or 86400); None if the server omits it.
    """

    limit: int
    remaining: int
    reset_at: float
    window_seconds: int | None


def read_rate_limit(headers: Mapping[str, str], *, now: float) -> RateLimit | None:
    """Read the RateLimit-* headers (lower-case names); None unless all three numbers are there."""
    numbers = [_number(headers.get(f"ratelimit-{name}")) for name in ("limit", "remaining")]
    reset_seconds = _reset_seconds(headers, now)
    if numbers[0] is None or numbers[1] is None or reset_seconds is None:
        return None
    window = _WINDOW.search(headers.get("ratelimit-policy", ""))
    reset_at = now + _capped(reset_seconds)
    return RateLimit(numbers[0], numbers[1], reset_at, int(window[1]) if window else None)


def retry_seconds(headers: Mapping[str, str], *, now: float) -> float:
    """Return the pause: Retry-After, else RateLimit-Reset, else a default; 1 second to 1 day."""
    asked = _retry_after(headers, now)
    seconds = _reset_seconds(headers, now) if asked is None else asked
    return _capped(DEFAULT_RETRY_SECONDS if seconds is None else seconds)


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None:
        return float(seconds)
    moment = _moment(text)
    return None if moment is None else moment - _server_now(headers, now)


def _reset_seconds(headers: Mapping[str, str], now: float) -> float | None:
    reset = _number(headers.get("ratelimit-reset"))
    if reset is None:
        return None
    return reset - _server_now(headers, now) if reset >= _EPOCH_SECONDS else float(reset)


def _server_now(headers: Mapping[str, str], now: float) -> float:
    moment = _moment(headers.get("date", ""))
    return now if moment is None else moment


def _moment(text: str) -> float | None:
    """Convert an HTTP-date to unix seconds; None for other text."""
    try:
        parts = parsedate_tz(text)
        return None if parts is None else float(mktime_tz(parts))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _number(text: str | None) -> int | None:
    """Read a whole number of a header; None for other text."""
    return int(text) if text is not None and _NUMBER.fullmatch(text.strip()) else None


def _capped(seconds: float) -> float:
    return min(max(seconds, MIN_RETRY_SECONDS), MAX_RETRY_SECONDS)
