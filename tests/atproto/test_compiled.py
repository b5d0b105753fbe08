"""Compiled libraries: what they say of a record is what the modules in Python say, or nothing."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest

from syncd.atproto import compiled
from syncd.atproto.cid import cid_of_blob, cid_of_block
from syncd.atproto.compiled import block_of, meaning_of, record_of, text_of
from syncd.atproto.dagcbor import read_cbor
from syncd.atproto.data import MAX_INTEGER, Record, decode, encode, from_json
from syncd.atproto.inexact import file_of, written
from syncd.atproto.jsontext import format_record, parse_record
from syncd.errors import BadData, BadJson
from syncd.forms import USUAL, cid_of_text, meaning_at_once
from tests.chance import seeded, times

from .values import nested

HERE = "com.example.thing"
PLAIN: Record = {
    "$type": HERE,
    "text": "hi",
    "when": 5,
    "to": {"$type": "a.b.c#d", "x": [None, {}]},
}


@pytest.fixture(autouse=True)
def loaded() -> None:
    """Both libraries are installed with the tests, and worth to be loaded by now."""
    for _ in range(compiled.WORTH):
        block_of(b"", HERE)


def slow_text(block: bytes) -> bytes | None:
    try:
        return written(block)
    except BadData:
        return None


def slow_block(text: bytes) -> bytes | None:
    try:
        return encode(parse_record(text, HERE))
    except (BadData, BadJson):
        return None


def slow_record(block: bytes) -> object:
    """The record in a block, if each of its values is its own JSON."""
    try:
        record = decode(block)
        return record if isinstance(record, dict) and from_json(record) == record else None
    except BadData:
        return None


def test_a_plain_record_is_read_and_written_by_them() -> None:
    block = encode({**PLAIN, "to": [None, {}]})
    assert record_of(block) == decode(block)
    block = encode(PLAIN)
    assert text_of(block) == written(block) == file_of(block)
    assert block_of(written(block), HERE) == block
    assert meaning_at_once(USUAL.default, written(block), HERE) == (block, PLAIN)


@pytest.mark.parametrize(
    "value",
    [
        cid_of_block(b"a"),
        cid_of_blob(b"a"),
        b"bytes",
        {"$type": "blob", "ref": cid_of_blob(b"a"), "mimeType": "a/b", "size": 1},
        2**53,
        -(2**53),
        2**63 - 1,
        {"__proto__": 1},
        {"$type": ""},
        {"$type": 5},
        {"$type": "blob"},
        {"$link": "no"},
        {"$bytes": "no"},
        {"cid": str(cid_of_blob(b"a")), "mimeType": "a/b"},
        nested(255),
        nested(400),
        "x" * compiled.MAX_BYTES,
    ],
    ids=repr,
)
def test_what_they_might_say_otherwise_is_left_to_the_slower_way(value: Any) -> None:  # noqa: ANN401
    try:
        block = encode({"$type": HERE, "value": value})
    except BadData:
        block = b"\xa2" + b"evalue" + b"\x81" * 400 + b"\xf6" + b"e$type" + encode(HERE)
    text = slow_text(block)
    assert record_of(block) in (None, slow_record(block))
    assert text_of(block) in (None, text)
    assert text is None or block_of(text, HERE) in (None, slow_block(text))


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\x01",
        b"\xa1aa\x18\x01",
        b"\xa2ab\x01aa\x02",
        b"\xa2aa\x01aa\x02",
        b"\xbfaa\x01\xff",
        b"\xa1aa\xf7",
        b"\xa1aa\xf9\x3c\x00",
        b"\xa1aa\xfb\x3f\xf0\0\0\0\0\0\0",
        b"\xa1aa\x01\x00",
        b"\xa1aa\x1b" + b"\xff" * 8,
        b"\xa1aa\x3b" + b"\xff" * 8,
        b"\xa1aa\x61\xff",
        b"\xa1aa\xc1\x01",
        b"\xa1aa" + b"\x81" * 100_000 + b"\x01",
    ],
)
def test_a_block_that_no_pds_makes_has_the_same_file(block: bytes) -> None:
    assert record_of(block) in (None, slow_record(block))
    assert text_of(block) in (None, slow_text(block))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"when": 5', '"when": 5.0'),
        ('"when": 5', '"when": 5e0'),
        ('"when": 5', '"when": -0'),
        ('"when": 5', '"when": 05'),
        ('"when": 5', '"when": NaN'),
        ('"when": 5', '"when": 5,\n  "when": 5'),
        ('"when": 5', f'"when": {MAX_INTEGER + 1}'),
        ('"when": 5', f'"when": {10**30}'),
        ('"when": 5', '"\\u0024type": "com.example.thing"'),
        ('"hi"', '"\\u0068i"'),
        ('"hi"', '"\\ud83d\\ude00"'),
        ('"hi"', '"\\ud83d"'),
        ('"hi"', '"\\"$type\\": 5"'),
        ('"text"', '"a\\"$type"'),
        ('"hi"', '"\x00"'),
        ('"com.example.thing"', '"com.example.other"'),
        ('"com.example.thing"', "5"),
        ("  ", "\t"),
        ("\n", "\r\n"),
        ("{\n", "\ufeff{\n"),
        ("{\n", "// no\n{\n"),
        ("\n}\n", "\n}"),
        ("\n}\n", "\n}\n\n"),
        ("\n}\n", "\n}}\n"),
    ],
)
def test_a_text_that_a_person_changed_means_the_same(old: str, new: str) -> None:
    text = format_record(PLAIN).decode()
    assert old in text
    changed = text.replace(old, new).encode("utf-8", "surrogatepass")
    assert block_of(changed, HERE) in (None, slow_block(changed))


def drawn(random: random.Random, room: int) -> object:
    """A value such as records have, and now and then one that only odd ones have."""
    kind = random.randrange(14 if room else 9)
    if kind < 5:
        return "".join(random.choices('abc \n"\\\x00\x7f/é\u2028😀{}[]:,0', k=random.randrange(12)))
    if kind < 8:
        edges = (0, 23, 24, 255, 2**16, 2**32, MAX_INTEGER, 2**53, 2**63 - 1)
        return random.choice((1, -1)) * (random.choice(edges) - random.randrange(2))
    if kind < 9:
        odd = [None, True, False, 1.5, 2.0, b"b", cid_of_block(b"c"), cid_of_blob(b"d")]
        return random.choice(odd)
    if kind < 11:
        return [drawn(random, room - 1) for _ in range(random.randrange(4))]
    keys = ["$type", "$link", "cid", "mimeType", "ref", "size", "a", "bb", "é", "ab", "__proto__"]
    weights = [4, 0.2, 1, 0.3, 1, 1, 9, 9, 2, 9, 0.2]
    chosen = random.choices(keys, weights, k=random.randrange(5))
    return {key: drawn(random, room - 1) for key in chosen}


def test_both_ways_give_the_same_block_text_and_verdict() -> None:
    random = seeded()
    told = {"text": 0, "block": 0, "record": 0}
    for _ in range(times(100_000)):
        record = {str(number): drawn(random, 3) for number in range(random.randrange(5))}
        record = dict(sorted([*record.items(), ("$type", HERE)], key=lambda item: len(item[0])))
        try:
            block = encode(record)  # type: ignore[arg-type]
        except BadData:
            continue
        text = slow_text(block)
        quick = text_of(block)
        assert quick in (None, text)
        told["text"] += quick is not None
        fields = record_of(block)
        assert fields is None or repr(fields) == repr(slow_record(block))
        told["record"] += fields is not None
        if text is not None:
            found = block_of(text, HERE)
            assert found is None or found == slow_block(text)
            told["block"] += found is not None
            meant = meaning_of(text, HERE)
            assert (None if meant is None else meant[0]) == found
            assert meant is None or repr(meant[1]) == repr(parse_record(text, HERE))
    # Else the test would say nothing of what they say.
    assert min(told.values()) > times(100_000) / 20


def test_a_block_with_any_byte_changed_has_the_same_file() -> None:
    random, block = seeded(1), encode(PLAIN)
    for _ in range(times(50_000)):
        at = random.randrange(len(block))
        changed = block[:at] + bytes([random.randrange(256)]) + block[at + 1 :]
        assert text_of(changed) in (None, slow_text(changed))
        assert record_of(changed) in (None, slow_record(changed))


def test_a_text_with_any_byte_changed_means_the_same() -> None:
    random, text = seeded(2), format_record(PLAIN)
    for _ in range(times(50_000)):
        at = random.randrange(len(text))
        changed = text[:at] + bytes([random.choice(b'"\\{}[]:,. 05enul\n$')]) + text[at + 1 :]
        assert block_of(changed, HERE) in (None, slow_block(changed))


@pytest.mark.parametrize("missing", ["orjson", "libipld"])
def test_syncd_does_without_them(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    block = encode(PLAIN)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, missing, None)
        compiled._libraries.cache_clear()
        assert text_of(block) is None
        assert record_of(block) is None
        assert block_of(written(block), HERE) is None
        assert file_of(block) == written(block)
        assert cid_of_text(USUAL.default, written(block), HERE) == cid_of_block(block)
    compiled._libraries.cache_clear()
    assert text_of(block) == written(block)


def test_the_cid_of_a_file_is_the_same_both_ways() -> None:
    text = written(encode(PLAIN))
    styled = text.replace(b"\n", b"\r\n")
    for file in (text, styled):
        assert cid_of_text(USUAL.default, file, HERE) == cid_of_block(encode(PLAIN))


def test_a_few_records_load_no_library() -> None:
    program = f"""
import sys
from syncd.atproto import inexact
inexact.file_of(bytes.fromhex({encode(PLAIN).hex()!r}))
assert "orjson" not in sys.modules and "libipld" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_read_cbor_reads_what_they_write() -> None:
    text = format_record(PLAIN)
    block = block_of(text, HERE)
    assert block is not None
    assert read_cbor(block) == PLAIN
