"""Rate limits in the headers of a server, as durations and moments. Pure; never reads a clock.

Moments of the server are measured against its own Date header, so a wrong clock on either side
does not stretch a pause. Sources: RFC 9110 §10.2.3, IETF draft ratelimit-headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from syncd.values import dataclass

DEFAULT_RETRY_SECONDS: Final = 30.0
"""The pause after a rate limit without a duration."""

MIN_RETRY_SECONDS: Final = 1.0
MAX_RETRY_SECONDS: Final = 86_400.0
"""The longest pause: a day, the longest window of a PDS. Longer demands are cut to it."""

_EPOCH_SECONDS = 1_000_000_000
"""A RateLimit-Reset of this or more counts from 1970; a smaller number counts from now."""

_EPOCH_MILLISECONDS = 1_000_000_000_000
"""One of this or more counts thousandths of seconds from 1970."""

_NUMBER = re.compile(r"[0-9]{1,100}", re.ASCII)
_PARAMETER = re.compile(r"\s*([a-z]+)\s*=\s*([0-9]{1,100})\s*", re.ASCII)
_IN_WORDS = re.compile(
    r"\b(?:again|retry|wait|locked) (?:in |after |for )?([0-9]{1,5}) (second|minute|hour)s?\b",
    re.ASCII | re.IGNORECASE,
)
_UNITS: Final = {"second": 1, "minute": 60, "hour": 3_600}
_PREFIXES: Final = ("ratelimit-", "x-ratelimit-")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The bucket with the fewest points left. `reset_at` is in unix seconds of our own clock.

    `window_seconds` identifies the bucket (300, 3600 or 86400); None if the server omits it.
    `others` are the other buckets of the same answer.
    """

    limit: int
    remaining: int
    reset_at: float
    window_seconds: int | None
    others: tuple[RateLimit, ...] = ()


@dataclass(frozen=True, slots=True)
class _Bucket:
    """What the headers say of one bucket; `reset_seconds` counts from now."""

    limit: int | None
    remaining: int | None
    reset_seconds: float | None
    window_seconds: int | None


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of a list, with its parameters: `5000;w=3600`, `"hour";q=5000;w=3600`."""

    name: str
    parameters: Mapping[str, int]

    @property
    def quota(self) -> int | None:
        """The limit of a policy."""
        return self.parameters.get("q", _number(self.name))


def read_rate_limit(headers: Mapping[str, str], *, now: float) -> RateLimit | None:
    """Return the rate limit of an answer (`headers` by lower-case names), if all of it is there.

    Servers say it in `RateLimit-Limit`, `-Remaining` and `-Reset`, in the same three with `X-`, or
    in one `RateLimit` (`limit=100, remaining=9, reset=60`, or `"name";r=9;t=60`).
    """
    found = [
        RateLimit(b.limit, b.remaining, now + _capped(b.reset_seconds), b.window_seconds)
        for b in _buckets(headers, now)
        if b.limit is not None and b.remaining is not None and b.reset_seconds is not None
    ]
    if not found:
        return None
    first, *others = sorted(found, key=lambda limit: limit.remaining)
    return replace(first, others=tuple(others))


def retry_seconds(headers: Mapping[str, str], *, now: float, words: str = "") -> float:
    """Return the pause, of 1 s to 1 day.

    Retry-After says it, else the reset of a bucket, else the `words` of the answer ("try again in
    15 minutes"), else it is a default.
    """
    asked = asked_seconds(headers, now=now, words=words)
    return DEFAULT_RETRY_SECONDS if asked is None else asked


def asked_seconds(headers: Mapping[str, str], *, now: float, words: str = "") -> float | None:
    """Return the same; None if the answer says of no pause how long it is to be."""
    asked = _retry_after(headers, now)
    if asked is not None:
        return _capped(asked)
    # A bucket with points left is not the one that was empty.
    empty = [bucket for bucket in _buckets(headers, now) if not bucket.remaining]
    resets = [b.reset_seconds for b in empty if b.reset_seconds is not None]
    found = max(resets) if resets else _in_words(words)
    return None if found is None else _capped(found)


def _in_words(words: str) -> float | None:
    found = _IN_WORDS.search(words)
    return int(found[1]) * _UNITS[found[2].lower()] if found else None


def _buckets(headers: Mapping[str, str], now: float) -> list[_Bucket]:
    policies = _items(headers.get("ratelimit-policy", headers.get("x-ratelimit-policy", "")))
    three = [_of_three_headers(headers, prefix, policies, now) for prefix in _PREFIXES]
    one = _of_one_header(_items(headers.get("ratelimit", "")), policies)
    return [bucket for bucket in three if bucket is not None] or one


def _of_three_headers(
    headers: Mapping[str, str], prefix: str, policies: Sequence[_Item], now: float
) -> _Bucket | None:
    """Read the bucket of three headers; None if they are not there.

    The limit may have its policies behind it: `100, 100;w=60, 5000;w=3600`.
    """
    texts = [headers.get(prefix + name) for name in ("limit", "remaining", "reset")]
    if texts == [None, None, None]:
        return None
    limits = _items(texts[0] or "")
    limit = _number(limits[0].name) if limits else None
    window = _window(limit, [*policies, *limits[1:]])
    reset = _reset_seconds(_number(texts[2]), headers, now)
    return _Bucket(limit, _number(texts[1]), reset, window)


def _of_one_header(items: Sequence[_Item], policies: Sequence[_Item]) -> list[_Bucket]:
    if not items:
        return []
    if not items[0].name:
        values = {name: value for item in items for name, value in item.parameters.items()}
        limit, window = values.get("limit"), _window(values.get("limit"), policies)
        return [_Bucket(limit, values.get("remaining"), values.get("reset"), window)]
    return [_named(item, policies) for item in items]


def _named(item: _Item, policies: Sequence[_Item]) -> _Bucket:
    """Read `"name";r=9;t=60`; take quota and window from the policy of that name."""
    policy = next((each for each in policies if each.name == item.name), item)
    values = {**policy.parameters, **item.parameters}
    return _Bucket(values.get("q"), values.get("r"), values.get("t"), values.get("w"))


def _window(limit: int | None, policies: Sequence[_Item]) -> int | None:
    """Return the window of the only policy, or of the policy with that limit."""
    fitting = [each for each in policies if each.quota == limit] if len(policies) > 1 else policies
    windows = {each.parameters.get("w") for each in fitting}
    return windows.pop() if len(windows) == 1 else None


def _items(text: str) -> list[_Item]:
    return [_item(part) for part in text.split(",") if part.strip()]


def _item(text: str) -> _Item:
    """Read one item; ignore a part that is neither a name nor a parameter with a number."""
    parts = text.split(";")
    found = [_PARAMETER.fullmatch(part) for part in parts]
    name = "" if found[0] else parts[0].strip()
    return _Item(name, {each[1]: int(each[2]) for each in found if each})


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is not None:
        return float(seconds)
    moment = _moment(text)
    return None if moment is None else moment - _server_now(headers, now)


def _reset_seconds(reset: int | None, headers: Mapping[str, str], now: float) -> float | None:
    if reset is None or reset < _EPOCH_SECONDS:
        return reset
    moment = reset / 1000 if reset >= _EPOCH_MILLISECONDS else reset
    return moment - _server_now(headers, now)


def _server_now(headers: Mapping[str, str], now: float) -> float:
    moment = _moment(headers.get("date", ""))
    return now if moment is None else moment


def _moment(text: str) -> float | None:
    """Convert an HTTP-date to unix seconds; None for other text."""
    # It brings sockets and charsets along, and what reads no answer needs no date.
    from email.utils import mktime_tz, parsedate_tz  # noqa: PLC0415

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
