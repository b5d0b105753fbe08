"""Records of the types that the reference PDS knows, and how to break one at random."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from syncd.atproto.cid import cid_of_blob, cid_of_block

Json: TypeAlias = Any
NOW = "2026-11-29T10:00:00.000Z"
LINK = str(cid_of_block(b"\xa0"))
RAW = str(cid_of_blob(b"a"))
REF = {"uri": "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/3jzfcijpj2z2a", "cid": LINK}
BLOB = {"$type": "blob", "ref": {"$link": RAW}, "mimeType": "image/png", "size": 1234}
DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
LABELS = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "porn"}]}

RECORDS: Sequence[tuple[str, Json]] = (
    (
        "3jzfcijpj2z2a",
        {
            "$type": "app.bsky.feed.post",
            "text": "Hällo \N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}",
            "langs": ["en", "de-CH"],
            "tags": ["one", "two"],
            "labels": LABELS,
            "createdAt": NOW,
            "reply": {"root": REF, "parent": REF},
            "facets": [
                {
                    "index": {"byteStart": 0, "byteEnd": 5},
                    "features": [
                        {"$type": "app.bsky.richtext.facet#link", "uri": "https://example.com/ü"},
                        {"$type": "app.bsky.richtext.facet#mention", "did": DID},
                        {"$type": "com.example.other#feature", "x": 1},
                    ],
                }
            ],
            "embed": {
                "$type": "app.bsky.embed.images",
                "images": [{"alt": "a", "image": BLOB, "aspectRatio": {"width": 4, "height": 3}}],
            },
        },
    ),
    (
        "3jzfcijpj2z2b",
        {
            "$type": "app.bsky.feed.post",
            "text": "",
            "createdAt": NOW,
            "embed": {
                "$type": "app.bsky.embed.recordWithMedia",
                "record": {"record": REF},
                "media": {
                    "$type": "app.bsky.embed.external",
                    "external": {
                        "uri": "https://example.com",
                        "title": "t",
                        "description": "d",
                        "thumb": BLOB,
                    },
                },
            },
        },
    ),
    ("3jzfcijpj2z2c", {"$type": "app.bsky.feed.like", "subject": REF, "createdAt": NOW}),
    ("3jzfcijpj2z2d", {"$type": "app.bsky.graph.follow", "subject": DID, "createdAt": NOW}),
    (
        "self",
        {
            "$type": "app.bsky.actor.profile",
            "displayName": "Alice",
            "description": "x" * 200,
            "avatar": BLOB,
            "pinnedPost": REF,
            "labels": LABELS,
            "createdAt": NOW,
        },
    ),
    (
        "3jzfcijpj2z2e",
        {
            "$type": "app.bsky.graph.list",
            "purpose": "app.bsky.graph.defs#curatelist",
            "name": "names",
            "createdAt": NOW,
        },
    ),
    (
        "3jzfcijpj2z2a",
        {
            "$type": "app.bsky.feed.threadgate",
            "post": REF["uri"],
            "allow": [
                {"$type": "app.bsky.feed.threadgate#mentionRule"},
                {"$type": "app.bsky.feed.threadgate#listRule", "list": REF["uri"]},
            ],
            "hiddenReplies": [REF["uri"]],
            "createdAt": NOW,
        },
    ),
    (
        "3jzfcijpj2z2f",
        {
            "$type": "app.bsky.graph.verification",
            "subject": DID,
            "handle": "alice.example.com",
            "displayName": "Alice",
            "createdAt": NOW,
        },
    ),
    (
        "feed",
        {
            "$type": "app.bsky.feed.generator",
            "did": "did:web:example.com",
            "displayName": "Feed",
            "contentMode": "app.bsky.feed.defs#contentModeVideo",
            "acceptsInteractions": True,
            "createdAt": NOW,
        },
    ),
    ("self", {"$type": "chat.bsky.actor.declaration", "allowIncoming": "none"}),
    ("com.example.thing", {"$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": "x"}),
)
VALUES: Sequence[Json] = (
    *(None, True, 0, 1, -1, 2**53 - 1, 5_000_000, "", "x", "x" * 65, "x" * 301, "é" * 1501),
    *("e\u0301" * 300, "\N{MAN}\u200d\N{WOMAN}" * 65, "\r\n" * 301, "\U0001f1e9" * 301),
    *([], ["x"], ["en"] * 4, [None], {}, {"a": 1}, {"$type": "com.example.x"}, REF, BLOB),
    *({"$link": LINK}, {"$link": RAW}, {"$bytes": "YWI="}, LINK, RAW, DID, NOW, "en", "self"),
    *("2026-02-30T00:00:00Z", "2026-11-29", "2026-11-29T10:00:00", "2026-11-29T24:00:00Z"),
    *("2026-11-29T10:00:60Z", "2026-13-01T10:00:00Z", "0000-01-01T00:00:00+23:59"),
    *("9999-12-31T23:59:59Z", f"2026-11-29T10:00:00.{'1' * 30}Z", "2026-11-29T10:00:00-00:00"),
    *("http:/", "https://", "https:a", "a:b", "mailto:a@b", "data:,x y", "1:2", "ü:x", "x" * 9000),
    *("at://example.com", "at://example.com/", REF["uri"] + "#/text", REF["uri"] + "?q"),
    *("at://example.com/com.example.a/../b", "at://nobody", "did:web:", "did:plc:A b", "DID:a:b"),
    *("en-US", "EN", "german", "x-y", "i-klingon", "de-1901-1901", "zh-min-nan", "a", "i-none"),
    *("Qmbxv1BYZmTVTWRFYGJyR6YSEp1B6mCHf7E3gkTXYxGL2p", LINK[:-1], LINK.upper(), "b" + "a" * 40),
    *("bafkreigaknpexyvxt76zgkitavbwx6ejgfheup5oybpm77f3pxzrvwpfdi", "zb2rhe", "f0171"),
    *({**BLOB, "mimeType": "video/mp4"}, {**BLOB, "mimeType": "png"}, {**BLOB, "size": 2_000_001}),
    *({**BLOB, "size": 0}, {**BLOB, "mimeType": "image/"}),
    *("app.bsky.graph.defs#modlist", "app.bsky.graph.defs#no", "all", "following"),
)
KEYS = (
    "self",
    "hello",
    "3jzfcijpj2z2a",
    "com.example.thing",
    "a:b",
    "3jzfcijpj2z2",
    "zjzfcijpj2z2a",
)


def mutants(pick: random.Random, count: int) -> Iterator[tuple[str, Json]]:
    """Keys and records, of which each differs from a good one in one place, or in two."""
    for _ in range(count):
        rkey, record = pick.choice(RECORDS)
        changed = copy.deepcopy(record)
        for _ in range(pick.choice((1, 1, 1, 2))):
            _change(changed, pick)
        yield (pick.choice(KEYS) if pick.random() < 0.05 else rkey), changed


def _change(record: Json, pick: random.Random) -> None:
    # A record without its $type is another question, which no lexicon is asked.
    places = [
        (inner, key) for inner, key in _places(record) if inner is not record or key != "$type"
    ]
    if not places:
        return
    inner, key = pick.choice(places)
    match pick.randrange(6):
        case 0 if isinstance(inner, dict):
            del inner[key]
        case 0 if len(inner) < 200:
            inner.extend(copy.deepcopy(inner) * pick.randrange(1, 60))
        case 1 if isinstance(inner, dict):
            inner["more"] = copy.deepcopy(pick.choice(VALUES))
        case 2 if isinstance(inner[key], str):
            inner[key] = _edited(inner[key], pick)
        case 3 if isinstance(inner[key], int):
            inner[key] = pick.choice((-1, 0, 2_000_000, 2_000_001, 100_000_001))
        case _:
            inner[key] = copy.deepcopy(pick.choice(VALUES))


def _places(value: Json) -> Iterator[tuple[Json, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list) and item:
            yield from _places(item)


def _edited(text: str, pick: random.Random) -> str:
    at = pick.randrange(len(text) + 1)
    letter = pick.choice("aZ09 .:-_/#?%é\u200d\n\x00\U0001f600")
    return pick.choice((text[:at] + letter + text[at:], text[:at] + text[at + 1 :], text * 2))
