"""A schema of a lexicon refuses nothing that syncd accepts, and most of what it does not."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from syncd.atproto.data import from_json
from syncd.atproto.lexicon.blank import begin_record
from syncd.atproto.lexicon.catalog import Catalog
from syncd.atproto.lexicon.document import Lexicon, parse_lexicon
from syncd.atproto.lexicon.jsonschema import record_schema
from syncd.lexicons.bundle import load_bundle
from tests.chance import seeded, times

from .mutations import BLOB, LINK, RECORDS, mutants
from .test_differential import is_record

NAME, OTHER = "com.example.thing", "com.example.other"
NOW = "2030-01-02T03:04:05.678Z"
POST = "app.bsky.feed.post"


def lexicon(name: str = NAME, /, **definitions: object) -> Lexicon:
    return parse_lexicon({"lexicon": 1, "id": name, "defs": definitions})


def record(required: tuple[str, ...] = (), **properties: object) -> dict[str, object]:
    inner = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "record", "key": "any", "record": inner}


def schema_of(*lexicons: Lexicon) -> dict[str, Any]:
    return record_schema(lexicons[0], {str(each.id): each for each in lexicons}.get)


@cache
def shipped(collection: str) -> Draft202012Validator:
    bundle = load_bundle()
    found = bundle.find(collection)
    assert found is not None
    return Draft202012Validator(record_schema(found, bundle.find))


def accepts(definition: object, value: object, **others: object) -> bool:
    schema = schema_of(lexicon(main=record(x=definition), **others))
    return bool(Draft202012Validator(schema).is_valid({"x": value}))


@pytest.mark.parametrize("collection", load_bundle().record_types())
def test_the_schema_of_every_shipped_lexicon_is_one_and_takes_a_new_record(collection: str) -> None:
    schema = shipped(collection).schema
    Draft202012Validator.check_schema(schema)
    bundle = load_bundle()
    found = bundle.find(collection)
    assert found is not None
    begun = begin_record(found, bundle.find, NOW)
    if not Catalog(bundle.find).check(collection, "self", begun):
        assert shipped(collection).is_valid(begun)


@pytest.mark.parametrize(("rkey", "value"), RECORDS)
def test_good_records_are_valid_also_without_their_type(rkey: str, value: Any) -> None:  # noqa: ANN401
    bare = {key: each for key, each in value.items() if key != "$type"}
    assert shipped(value["$type"]).is_valid(value)
    assert shipped(value["$type"]).is_valid(bare)


def test_nothing_is_refused_that_syncd_accepts_and_most_is_of_what_it_does_not() -> None:
    catalog, bad, found = Catalog(load_bundle().find), 0, 0
    for rkey, each in mutants(seeded(28), times(4_000)):
        if not is_record(each):
            continue
        faults = [f for f in catalog.check(each["$type"], rkey, from_json(each)) if not f.is_note]
        errors = [*shipped(each["$type"]).iter_errors(each)]
        assert faults or not errors, (each, errors[0].message)
        bad, found = bad + bool(faults), found + bool(errors)
    assert found > bad * 0.6


@pytest.mark.parametrize(
    ("definition", "good", "bad"),
    [
        ({"type": "string", "maxLength": 4}, ["éé", "\U0001f600"], ["abcde"]),
        ({"type": "string", "minLength": 5}, ["\U0001f600x"], ["x"]),
        ({"type": "string", "minGraphemes": 2}, ["ab"], ["a"]),
        ({"type": "string", "maxGraphemes": 1}, ["\N{MAN}\u200d\N{WOMAN}"], [1]),
        ({"type": "string", "knownValues": ["a"]}, ["a", "b"], [1]),
        ({"type": "string", "enum": ["a"]}, ["a"], ["b"]),
        ({"type": "string", "format": "datetime"}, [NOW, "2026-02-30T00:00:00Z"], ["today"]),
        ({"type": "string", "format": "language"}, ["anything"], [None]),
        ({"type": "integer", "minimum": 0, "maximum": 2}, [0, 2], [-1, 3, 1.5, "1"]),
        ({"type": "boolean", "const": True}, [True], [False]),
        ({"type": "bytes"}, [{"$bytes": "YQ"}], ["YQ", {}]),
        ({"type": "cid-link"}, [{"$link": LINK}], [LINK]),
        ({"type": "unknown"}, [{"a": 1}], [1]),
        ({"type": "array", "items": {"type": "integer"}, "maxLength": 1}, [[], [1]], [[1, 2]]),
        ({"type": "blob", "accept": ["image/*", "a/b+c.d"]},
         [BLOB, {**BLOB, "mimeType": "a/b+c.d"}],
         [{**BLOB, "mimeType": "a/bbcxd"}, {**BLOB, "mimeType": "video/mp4"}]),
        ({"type": "blob", "accept": ["*/*"], "maxSize": 1234}, [BLOB], [{**BLOB, "size": 1235}]),
        ({"type": "union", "refs": []}, [{"$type": "any.thing.at"}], [1, {}]),
        ({"type": "ref", "ref": "com.example.lost#x"}, [1, {}, None], []),
    ],
)  # fmt: skip
def test_each_kind_of_definition(definition: object, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not accepts(definition, value)] == []
    assert [value for value in bad if accepts(definition, value)] == []


def test_a_union_asks_for_what_its_kind_needs_and_an_open_one_takes_other_kinds() -> None:
    one = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    for closed in (False, True):
        union = {"type": "union", "refs": ["#one", f"{OTHER}#two"], "closed": closed}
        assert accepts(union, {"$type": f"{NAME}#one", "n": 1}, one=one)
        assert not accepts(union, {"$type": f"{NAME}#one"}, one=one)
        assert accepts(union, {"$type": f"{OTHER}#two", "any": 1}, one=one)
        assert accepts(union, {"$type": "com.example.else"}, one=one) is not closed


def test_definitions_that_refer_to_each_other_have_any_name() -> None:
    odd = "a/b~c%20#\N{SNOWMAN}"
    tree = {"type": "object", "properties": {"x": {"type": "ref", "ref": f"#{odd}"}}}
    definition = {"type": "ref", "ref": f"#{odd}"}
    assert accepts(definition, {"x": {"x": {}}}, **{odd: tree})
    assert not accepts(definition, {"x": {"x": 1}}, **{odd: tree})


def test_a_token_is_its_own_full_name() -> None:
    reference = {"type": "ref", "ref": "#red"}
    assert accepts(reference, f"{NAME}#red", red={"type": "token"})
    assert not accepts(reference, "red", red={"type": "token"})


def test_descriptions_and_tokens_are_there_for_editors() -> None:
    schema = shipped("app.bsky.graph.list").schema
    assert isinstance(schema, dict)
    purpose = next(each for each in schema["$defs"].values() if "anyOf" in each)
    known = purpose["anyOf"][0]
    assert "app.bsky.graph.defs#curatelist" in known["enum"]
    assert all(known["enumDescriptions"])


def test_a_document_of_ten_thousand_definitions_gives_what_is_used() -> None:
    many = {f"d{n}": {"type": "object", "properties": {}} for n in range(10_000)}
    found = lexicon(main=record(x={"type": "ref", "ref": "#d7"}), **many)
    assert len(schema_of(found)["$defs"]) == 1
