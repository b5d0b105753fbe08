"""A record is begun with the fields that its lexicon requires, and with nothing invented."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.atproto.lexicon.blank import MAX_DEPTH, MAX_VALUES, begin_record
from syncd.atproto.lexicon.catalog import Catalog
from syncd.atproto.lexicon.document import Lexicon, parse_lexicon
from syncd.atproto.syntax import Nsid
from syncd.lexicons.bundle import load_bundle

NOW = "2030-01-02T03:04:05.678Z"
NSID = Nsid("com.example.thing")
RECORDS = sorted(
    nsid
    for nsid, document in load_bundle().documents.items()
    if document["defs"].get("main", {}).get("type") == "record"
)


def lexicon(properties: dict[str, Any], **more: Any) -> Lexicon:  # noqa: ANN401
    """A record type that requires all of `properties`; `more` are other definitions."""
    record = {"type": "object", "required": list(properties), "properties": properties}
    main = {"type": "record", "key": "any", "record": record}
    return parse_lexicon({"lexicon": 1, "id": NSID, "defs": {"main": main, **more}})


def begun(properties: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    own = lexicon(properties, **more)
    return begin_record(own, lambda nsid: own if nsid == NSID else None, NOW)


@pytest.mark.parametrize(
    ("definition", "value"),
    [
        ({"type": "string"}, ""),
        ({"type": "string", "format": "datetime"}, NOW),
        ({"type": "string", "format": "datetime", "const": "1999-01-01T00:00:00Z"},
         "1999-01-01T00:00:00Z"),
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"type": "string", "knownValues": ["b", "a"]}, ""),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "integer"}, 0),
        ({"type": "integer", "minimum": 7}, 7),
        ({"type": "integer", "minimum": 7, "default": 9}, 9),
        ({"type": "integer", "enum": [3, 4]}, 3),
        ({"type": "boolean"}, False),
        ({"type": "boolean", "const": True}, True),
        ({"type": "boolean", "default": False}, False),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
          "required": ["b"]}, {"b": 0}),
        ({"type": "ref", "ref": "#other"}, {"x": ""}),
        ({"type": "ref", "ref": "com.example.thing#word"}, ""),
    ],
)  # fmt: skip
def test_a_required_field_gets_the_plainest_value(definition: dict[str, Any], value: Any) -> None:  # noqa: ANN401
    other = {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}
    word = {"type": "string"}
    assert begun({"it": definition}, other=other, word=word) == {"$type": NSID, "it": value}


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "blob"},
        {"type": "bytes"},
        {"type": "cid-link"},
        {"type": "unknown"},
        {"type": "union", "refs": ["#other"]},
        {"type": "ref", "ref": "com.example.elsewhere"},
        {"type": "ref", "ref": "#none"},
    ],
)
def test_what_only_a_person_can_say_is_left_out(definition: dict[str, Any]) -> None:
    assert begun({"it": definition, "n": {"type": "integer"}}) == {"$type": NSID, "n": 0}


def test_what_is_not_required_is_left_out_and_what_may_be_null_is() -> None:
    record = {
        "type": "object",
        "required": ["a"],
        "nullable": ["a"],
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    }
    main = {"type": "record", "key": "any", "record": record}
    own = parse_lexicon({"lexicon": 1, "id": NSID, "defs": {"main": main}})
    assert begin_record(own, lambda _: None, NOW) == {"$type": NSID, "a": None}


def test_an_object_that_requires_itself_ends() -> None:
    deep = {
        "type": "object",
        "required": ["in"],
        "properties": {"in": {"type": "ref", "ref": "#deep"}},
    }
    value = begun({"in": {"type": "ref", "ref": "#deep"}}, deep=deep)
    depth = 0
    while "in" in value:
        value, depth = value["in"], depth + 1
    assert 1 < depth <= MAX_DEPTH


@pytest.mark.parametrize("nsid", RECORDS)
def test_what_is_begun_lacks_only_what_a_person_has_to_say(nsid: str) -> None:
    bundle = load_bundle()
    own = bundle.find(nsid)
    assert own is not None
    assert own.record is not None
    record = begin_record(own, bundle.find, NOW)
    missing = set(own.record["record"].get("required", ())) - record.keys()
    types = {own.record["record"]["properties"][name]["type"] for name in missing}
    assert types <= {"union", "ref", "blob", "unknown", "bytes", "cid-link"}
    # Whatever is there has the right type: no fault says that it is another one.
    faults = Catalog(bundle.find).check(nsid, "self", record)
    assert [str(each) for each in faults if "must be a" in str(each)] == []


def test_a_lexicon_that_requires_millions_of_values_begins_a_short_record() -> None:
    fields = {f"f{number}": {"type": "ref", "ref": "#many"} for number in range(100)}
    many = {"type": "object", "required": list(fields), "properties": fields}

    def count(value: object) -> int:
        return 1 + sum(map(count, value.values())) if isinstance(value, dict) else 1

    assert count(begun(fields, many=many)) <= MAX_VALUES + 3
