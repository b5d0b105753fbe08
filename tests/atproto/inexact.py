"""Blocks that a repo may hold and no JSON file can say, each with where and why."""

from __future__ import annotations

import cbor2
from cbor2 import CBORTag

from syncd.atproto.cid import cid_of_blob

COLLECTION = "com.example.note"
LINK = str(cid_of_blob(b"a"))


def block(**fields: object) -> bytes:
    """A record in its canonical order, but with any value that CBOR has."""
    entries = {"$type": COLLECTION, "text": "hello", **fields}
    return cbor2.dumps({key: entries[key] for key in sorted(entries, key=lambda k: (len(k), k))})


def nested(depth: int) -> bytes:
    """A record with lists nested so deep, the map around them not counted."""
    text = b"\x64text\x65hello" + b"\x65$type\x70" + COLLECTION.encode()
    return b"\xa3\x61d" + b"\x81" * depth + b"\xf5" + text


UNTELLABLE: dict[str, tuple[bytes, str]] = {
    "a float": (block(n=1.5), "a floating-point number at /n"),
    "a whole float": (block(n=2.0), "a floating-point number at /n"),
    "a float far inside": (block(list=[{"a/b": [0, 0.1]}]), "at /list/0/a~1b/1"),
    "an integer beyond 2^53": (block(n=2**53), "an integer beyond ±(2**53 - 1) at /n"),
    "the least integer": (block(n=-(2**63)), "an integer beyond ±(2**53 - 1) at /n"),
    "a map like a link": (block(n={"$link": LINK}), "would read as a link or as bytes at /n"),
    "a map like bytes": (block(n=[{"$bytes": "AA"}]), "would read as a link or as bytes at /n/0"),
    "a map like a bad link": (block(n={"$link": "x"}), "no valid form for at /n"),
    "a map like a bad blob": (block(n={"$type": "blob"}), "no valid form for at /n"),
    "an old blob": (block(n={"cid": LINK, "mimeType": "a/b"}), "no valid form for at /n"),
    "an old blob of an old link": (
        block(n={"cid": "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR", "mimeType": "a/b"}),
        "no valid form for at /n",
    ),
    "a link that is cut off": (block(n=CBORTag(42, b"\0\x01\x71\x12\x20ab")), "not a CID at /n"),
    "a link longer than a PDS reads": (
        block(n=[CBORTag(42, b"\0\x01\x55\x00\x4d" + bytes(77))]),
        "not a CID at /n/0",
    ),
    "a key that no PDS takes": (block(n={"__proto__": 1}), "no valid form for at /n"),
    "a type of another kind": (block(n={"$type": 7}), "no valid form for at /n"),
    "another type": (cbor2.dumps({"text": "hello", "$type": "com.example.other"}), "at /$type"),
    "no type": (cbor2.dumps({"text": "hello"}), "at /$type"),
}
"""Records whose file is another record, or none, when it is read as JSON."""

REPAIRED: dict[str, dict[str, object]] = {
    "a float": {"n": "1.5"},
    "a whole float": {"n": 2},
    "a float far inside": {"list": [{"a/b": [0, "0.1"]}]},
    "an integer beyond 2^53": {"n": str(2**53)},
    "the least integer": {"n": [str(-(2**63))]},
    "a map like a link": {"n": LINK},
    "a map like bytes": {"n": ["AA"]},
    "a map like a bad link": {"n": {"$link": LINK}},
    "a map like a bad blob": {
        "n": {"$type": "blob", "ref": {"$link": LINK}, "mimeType": "a/b", "size": 1}
    },
    "an old blob": {"n": {"$type": "blob", "ref": {"$link": LINK}, "mimeType": "a/b", "size": 1}},
    "an old blob of an old link": {"n": None},
    "a link that is cut off": {"n": {"$link": LINK}},
    "a link longer than a PDS reads": {"n": [{"$link": LINK}]},
    "a key that no PDS takes": {"n": {"proto": 1}},
    "a type of another kind": {"n": {"$type": "7"}},
    "another type": {"$type": COLLECTION},
    "no type": {"$type": COLLECTION},
}
"""What of each can be said instead, where that was which could not."""

ENCODED: dict[str, bytes] = {
    "keys out of order": cbor2.dumps({"$type": COLLECTION, "text": "hello", "n": 1}),
    "a long integer": block(n=1).replace(b"\x61n\x01", b"\x61n\x18\x01"),
    "an indefinite list": block(n=[1]).replace(b"\x61n\x81\x01", b"\x61n\x9f\x01\xff"),
    "bytes after the record": block(n=1) + b"\x00",
}
"""Records of which JSON says everything, in blocks that nobody would make of it."""

DEEP: dict[str, bytes] = {f"{depth} lists": nested(depth) for depth in (256, 900, 1500, 20_000)}
"""Records that are too deep to be read, and are shown all the same."""

INEXACT: dict[str, bytes] = {
    **{name: found for name, (found, _) in UNTELLABLE.items()},
    **ENCODED,
    **DEEP,
}
