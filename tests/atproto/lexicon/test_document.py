"""Lexicon documents: parsed, or refused with every fault and its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import syncd.lexicons
from syncd.atproto.lexicon.document import BadLexicon, document_faults, parse_lexicon

STRING = {"type": "string"}
OBJECT = {"type": "object", "properties": {"a": STRING}}


def document(**definitions: object) -> dict[str, Any]:
    return {"lexicon": 1, "id": "com.example.thing", "defs": definitions}


def record(inner: object = OBJECT, key: object = "tid") -> dict[str, object]:
    return {"type": "record", "key": key, "record": inner}


def query(**more: object) -> dict[str, object]:
    return {"type": "query", **more}


GOOD = [
    document(),
    document(main=record(), other=STRING),
    {**document(), "revision": 2, "description": "x", "more": [1]},
    document(main=record({**OBJECT, "required": ["a"], "nullable": ["a"]}, "literal:self")),
    document(main=query(parameters={"type": "params", "properties": {"q": STRING}})),
    document(main=query(output={"encoding": "application/json", "schema": OBJECT})),
    document(main={"type": "procedure", "input": {"encoding": "*/*"}, "errors": [{"name": "A"}]}),
    document(main={"type": "subscription", "message": {"schema": {"type": "union", "refs": []}}}),
    document(a={"type": "array", "items": {"type": "object", "properties": {}}}),
]
BAD: list[tuple[object, str]] = [
    ([], ""),
    ({}, ""),
    (document(**{"": STRING}), "/defs/"),
    (document(a=1), "/defs/a"),
    (document(a={}), "/defs/a"),
    ({**document(), "defs": []}, "/defs"),
    (document(main={"type": "unknown"}), "/defs/main/type"),
    (document(a={"type": "string", "format": "no"}), "/defs/a/format"),
    (document(a={"type": "string", "maxLength": "3"}), "/defs/a/maxLength"),
    (document(a={"type": "integer", "enum": [1, "x"]}), "/defs/a/enum/1"),
    (document(a={"type": "array"}), "/defs/a"),
    (document(a={"type": "array", "items": {"type": "array"}}), "/defs/a/items/type"),
    (document(a={"type": "object"}), "/defs/a"),
    (document(a={"type": "object", "properties": []}), "/defs/a/properties"),
    (document(a={**OBJECT, "required": ["b"]}), "/defs/a/required"),
    (document(a={**OBJECT, "required": "a"}), "/defs/a/required"),
    (document(a={"type": "object", "properties": {"p/q": {}}}), "/defs/a/properties/p~1q"),
    (document(main=record(key="no")), "/defs/main/key"),
    (document(main=record(key="literal:")), "/defs/main/key"),
    (document(main=record(key="literal:..")), "/defs/main/key"),
    (document(main=record(key=5)), "/defs/main/key"),
    (document(main=record(STRING)), "/defs/main/record/type"),
    (document(main=query(output={"encoding": "a, b"})), "/defs/main/output/encoding"),
    (document(main=query(errors=[{}])), "/defs/main/errors/0"),
]


@pytest.mark.parametrize("good", GOOD)
def test_a_document_that_follows_the_rules_is_a_lexicon(good: dict[str, Any]) -> None:
    assert document_faults(good) == ()
    assert parse_lexicon(good).definitions == good["defs"]


@pytest.mark.parametrize(("bad", "pointer"), BAD)
def test_a_document_that_breaks_one_is_refused_at_the_place(bad: object, pointer: str) -> None:
    with pytest.raises(BadLexicon) as refused:
        parse_lexicon(bad)
    assert pointer in [fault.json_pointer for fault in refused.value.faults]


def test_all_faults_of_a_document_are_found() -> None:
    wrong = document(main=record(key="no"), a={"type": "string", "enum": [1, 2]})
    assert [fault.json_pointer for fault in document_faults(wrong)] == [
        "/defs/main/key",
        "/defs/a/enum/0",
        "/defs/a/enum/1",
    ]


def test_only_a_record_type_has_a_key() -> None:
    assert parse_lexicon(document(main=record())).key == "tid"
    assert parse_lexicon(document(main=query())).key is None
    assert parse_lexicon(document(a=STRING)).key is None


def test_every_document_of_the_bundle_is_a_lexicon() -> None:
    bundle = Path(syncd.lexicons.__file__).with_name("bundle.json")
    for each in json.loads(bundle.read_bytes())["lexicons"]:
        assert document_faults(each) == (), each["id"]
