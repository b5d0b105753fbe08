"""Read the web address of a record, as sites show it, as an at:// URI. Pure; asks no site.

A site that writes repo, collection and key into its address is read whatever its name; of a few
others the table below knows which collection they show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from syncd.atproto.syntax import parse_at_identifier, parse_nsid
from syncd.errors import BadSyntax

AT: Final = "at://"

_OF_PROFILE: Final[Mapping[str, str]] = {
    "post": "app.bsky.feed.post",
    "feed": "app.bsky.feed.generator",
    "lists": "app.bsky.graph.list",
}
"""What follows `/profile/ACTOR/` on bsky.app and on each other client that has its addresses."""
_AFTER: Final[Mapping[str, str]] = {
    "starter-pack": "app.bsky.graph.starterpack",
    "start": "app.bsky.graph.starterpack",
    "whtwnd.com": "com.whtwnd.blog.entry",
}
"""What a site shows at `/ACTOR/RKEY` after this word, which may be its host."""
_WEB = re.compile(r"https?://|(www\.)?(bsky\.app|whtwnd\.com)/", re.IGNORECASE)
_INSIDE = re.compile(r"at:/{1,2}(?=[a-z0-9])", re.IGNORECASE)


def is_web_address(text: str) -> bool:
    """Return whether `text` is meant for a browser."""
    return _WEB.match(text) is not None


def uri_of_address(text: str) -> str | None:
    """Return the at:// URI of the record or collection that an address shows.

    None if it does not say which one: the page of an account does not stand for all its records.
    """
    uri = _uri_of(text)
    return uri if uri is not None and "/" in uri.removeprefix(AT) else None


def _uri_of(text: str) -> str | None:
    plain = unquote(text)
    if inside := _INSIDE.search(plain):
        return AT + re.split(r"[?#&]", plain[inside.end() :])[0].rstrip("/")
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError:
        return None
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if "repo" in asked:
        named = (asked[name] for name in ("repo", "collection", "rkey") if name in asked)
        return AT + "/".join(named)
    host = parts.netloc.lower().removeprefix("www.")
    return next(_read([host, *filter(None, unquote(parts.path).split("/"))]), None)


def _read(words: Sequence[str]) -> Iterator[str]:
    """Yield what the words of an address can mean, the surest first."""
    for at, (one, other) in enumerate(pairwise(words)):
        if _is(parse_at_identifier, one) and _is(parse_nsid, other) and at:
            yield AT + "/".join(words[at : at + 3])
    for at, word in enumerate(words):
        actor, rest = "".join(words[at + 1 : at + 2]).removeprefix("@"), words[at + 2 :]
        if not _is(parse_at_identifier, actor):
            continue
        if word == "profile" and len(rest) > 1 and rest[0] in _OF_PROFILE:
            yield f"{AT}{actor}/{_OF_PROFILE[rest[0]]}/{rest[1]}"
        if word in _AFTER and len(rest) == 1:
            yield f"{AT}{actor}/{_AFTER[word]}/{rest[0]}"


def _is(parse: Callable[[str], object], text: str) -> bool:
    with suppress(BadSyntax):
        parse(text)
        return True
    return False
