"""Records against lexicons: every fault, its rule and its place; and what is never a fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_blob, cid_of_block
from syncd.atproto.data import MAX_DEPTH, Value, from_json
from syncd.atproto.lexicon import strings
from syncd.atproto.lexicon.catalog import Catalog
from syncd.atproto.lexicon.document import Lexicon, document_faults, parse_lexicon
from syncd.atproto.lexicon.fault import Fault, Kind, new_faults
from syncd.atproto.lexicon.graphemes import count_graphemes
from syncd.atproto.syntax import parse_at_uri
from tests.chance import times

NAME = "com.example.thing"
OTHER = "com.example.other"
BLOB: dict[str, Value] = {
    "$type": "blob",
    "ref": {"$link": str(cid_of_blob(b"a"))},
    "mimeType": "image/png",
    "size": 9,
}
LINK = cid_of_block(b"\xa0")
FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"


def lexicon(name: str = NAME, /, **definitions: object) -> Lexicon:
    return parse_lexicon({"lexicon": 1, "id": name, "defs": definitions})


def record(key: str = "any", required: tuple[str, ...] = (), **properties: object) -> object:
    inner = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "record", "key": key, "record": inner}


def catalog(*lexicons: Lexicon) -> Catalog:
    return Catalog({each.id: each for each in lexicons}.get)  # type: ignore[arg-type]


def faults_of(definition: object, value: Value, *more: Lexicon, **others: object) -> list[Fault]:
    """The faults of a field `x` that is defined so, seen from the field."""
    found = catalog(lexicon(main=record(x=definition), **others), *more)
    faults = found.check(NAME, "a", {"$type": NAME, "x": value})
    assert all(fault.pointer[0] == "x" for fault in faults)
    return [Fault(fault.kind, fault.reason, fault.pointer[1:]) for fault in faults]


def string(**rules: object) -> dict[str, object]:
    return {"type": "string", **rules}


STRUCT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
UNION = {"type": "union", "refs": ["#struct"]}

GOOD: list[tuple[object, Value]] = [
    ({"type": "boolean"}, False),
    ({"type": "boolean", "const": True}, True),
    ({"type": "integer", "minimum": 1, "maximum": 3}, 1),
    ({"type": "integer", "enum": [1, 2]}, 2),
    (string(minLength=2, maxLength=4), "éé"),
    (string(maxGraphemes=1), FAMILY),
    (string(minGraphemes=2, maxGraphemes=2), "\r\na"),
    (string(knownValues=["a"]), "b"),
    (string(enum=["a"]), "a"),
    ({"type": "bytes", "minLength": 1, "maxLength": 2}, b"ab"),
    ({"type": "cid-link"}, LINK),
    ({"type": "blob"}, BLOB),
    ({"type": "blob", "accept": ["image/*"], "maxSize": 9}, BLOB),
    ({"type": "blob", "accept": ["*/*"]}, BLOB),
    ({"type": "blob", "accept": ["image/png"]}, BLOB),
    ({"type": "array", "items": {"type": "integer"}, "minLength": 0, "maxLength": 2}, [1, 2]),
    ({"type": "unknown"}, {"anything": [1, {"$type": "any.at.all"}]}),
    ({"type": "ref", "ref": "#struct"}, {"n": 1}),
    ({"type": "ref", "ref": f"{NAME}#struct"}, {"$type": f"{NAME}#struct", "n": 1, "more": 2}),
    ({"type": "ref", "ref": f"lex:{NAME}#struct"}, {"n": 1}),
    ({"type": "ref", "ref": "#absent"}, 5),
    ({"type": "ref", "ref": "com.example.absent"}, 5),
    ({"type": "ref", "ref": "#token"}, f"{NAME}#token"),
    (UNION, {"$type": f"{NAME}#struct", "n": 1}),
    (UNION, {"$type": "com.example.unknown", "n": "x"}),
    ({**UNION, "closed": True}, {"$type": f"{NAME}#struct", "n": 1}),
    ({"type": "object", "properties": {"a": string()}}, {"a": "b"}),
]
BAD: list[tuple[object, Value, Kind, tuple[str | int, ...]]] = [
    ({"type": "boolean"}, 1, Kind.TYPE, ()),
    ({"type": "boolean"}, None, Kind.TYPE, ()),
    ({"type": "boolean", "const": True}, False, Kind.VALUE, ()),
    ({"type": "integer"}, True, Kind.TYPE, ()),
    ({"type": "integer"}, "1", Kind.TYPE, ()),
    ({"type": "integer"}, 2**53, Kind.TYPE, ()),
    ({"type": "integer", "minimum": 1}, 0, Kind.RANGE, ()),
    ({"type": "integer", "maximum": 1}, 2, Kind.RANGE, ()),
    ({"type": "integer", "const": 1}, 2, Kind.VALUE, ()),
    ({"type": "integer", "enum": [1, 2]}, 3, Kind.VALUE, ()),
    (string(), 1, Kind.TYPE, ()),
    (string(), LINK, Kind.TYPE, ()),
    (string(minLength=3), "é", Kind.LENGTH, ()),
    (string(maxLength=3), "éé", Kind.LENGTH, ()),
    (string(minGraphemes=2), FAMILY, Kind.LENGTH, ()),
    (string(maxGraphemes=1), FAMILY * 2, Kind.LENGTH, ()),
    (string(enum=["a", "b"]), "c", Kind.VALUE, ()),
    (string(enum=list("abcdefghij")), "c" * 99, Kind.VALUE, ()),
    (string(enum=[]), "c", Kind.VALUE, ()),
    (string(format="did"), "c", Kind.FORMAT, ()),
    ({"type": "bytes"}, LINK, Kind.TYPE, ()),
    ({"type": "bytes"}, "abc", Kind.TYPE, ()),
    ({"type": "bytes", "minLength": 3}, b"ab", Kind.LENGTH, ()),
    ({"type": "bytes", "maxLength": 1}, b"ab", Kind.LENGTH, ()),
    ({"type": "cid-link"}, str(LINK), Kind.TYPE, ()),
    ({"type": "cid-link"}, b"ab", Kind.TYPE, ()),
    ({"type": "blob"}, "a", Kind.TYPE, ()),
    ({"type": "blob"}, {}, Kind.BLOB, ()),
    ({"type": "blob"}, {**BLOB, "size": -1}, Kind.BLOB, ()),
    ({"type": "blob"}, {**BLOB, "mimeType": "png"}, Kind.BLOB, ()),
    ({"type": "blob", "accept": ["video/*"]}, BLOB, Kind.BLOB, ()),
    ({"type": "blob", "accept": []}, BLOB, Kind.BLOB, ()),
    ({"type": "blob", "maxSize": 8}, BLOB, Kind.BLOB, ()),
    ({"type": "array", "items": string()}, {}, Kind.TYPE, ()),
    ({"type": "array", "items": string(), "maxLength": 1}, ["a", "b"], Kind.LENGTH, ()),
    ({"type": "array", "items": string(), "minLength": 1}, [], Kind.LENGTH, ()),
    ({"type": "array", "items": string()}, ["a", 1], Kind.TYPE, (1,)),
    ({"type": "unknown"}, [], Kind.TYPE, ()),
    ({"type": "ref", "ref": "#struct"}, {}, Kind.MISSING, ()),
    ({"type": "ref", "ref": "#struct"}, {"$type": NAME, "n": 1}, Kind.VALUE, ("$type",)),
    ({"type": "ref", "ref": "#struct"}, [], Kind.TYPE, ()),
    ({"type": "ref", "ref": "#token"}, "token", Kind.VALUE, ()),
    ({"type": "ref", "ref": "#token"}, 1, Kind.TYPE, ()),
    (UNION, {"n": 1}, Kind.UNION, ()),
    (UNION, 1, Kind.TYPE, ()),
    (UNION, {"$type": f"{NAME}#struct", "n": "x"}, Kind.TYPE, ("n",)),
    ({**UNION, "closed": True}, {"$type": "com.example.unknown"}, Kind.UNION, ()),
    ({"type": "union", "refs": [], "closed": True}, {"$type": "a.b.c"}, Kind.UNION, ()),
    ({"type": "object", "properties": {"a": string()}}, {"a": 1}, Kind.TYPE, ("a",)),
]
AROUND = {"struct": STRUCT, "token": {"type": "token"}}


def in_record(value: Value) -> Value:
    """The value as a record has it: a blob's link is a Cid."""
    return from_json({"x": value})["x"] if isinstance(value, dict) else value


@pytest.mark.parametrize(("definition", "value"), GOOD)
def test_a_value_that_its_definition_allows_has_no_fault(definition: object, value: Value) -> None:
    assert faults_of(definition, in_record(value), **AROUND) == []


@pytest.mark.parametrize(("definition", "value", "kind", "pointer"), BAD)
def test_a_value_that_breaks_a_rule_has_one_fault_at_its_place(
    definition: object, value: Value, kind: Kind, pointer: tuple[str | int, ...]
) -> None:
    (fault,) = faults_of(definition, in_record(value), **AROUND)
    assert (fault.kind, fault.pointer) == (kind, pointer)
    assert not fault.is_note


def test_all_faults_of_a_record_are_found_at_once() -> None:
    things = {"type": "array", "items": {"type": "ref", "ref": "#struct"}}
    known = catalog(
        lexicon(main=record("tid", ("a", "b"), a=string(), list=things, b=string()), struct=STRUCT)
    )
    wrong: dict[str, Any] = {"$type": NAME, "a": 1, "list": [{"n": 1}, {}, {"n": "x"}]}
    found = known.check(NAME, "nokey", wrong)
    assert [(fault.kind, fault.json_pointer) for fault in found] == [
        (Kind.KEY, ""),
        (Kind.TYPE, "/a"),
        (Kind.MISSING, "/list/1"),
        (Kind.TYPE, "/list/2/n"),
        (Kind.MISSING, ""),
    ]
    assert str(found[3]).startswith("list[2].n: ")
    assert '"b"' in str(found[4])


def test_a_pointer_escapes_what_json_pointers_escape() -> None:
    assert Fault(Kind.TYPE, "", ("a/b", "c~d", 0)).json_pointer == "/a~1b/c~0d/0"


def test_null_is_a_value_only_where_it_is_allowed() -> None:
    inner = {"type": "object", "properties": {"a": string()}, "required": ["a"]}
    assert faults_of({**inner, "nullable": ["a"]}, {"a": None}) == []
    assert [fault.kind for fault in faults_of({**inner, "nullable": ["a"]}, {"a": 1})] == [
        Kind.TYPE
    ]
    assert [fault.kind for fault in faults_of(inner, {"a": None})] == [Kind.TYPE]
    assert [fault.kind for fault in faults_of({**inner, "nullable": ["a"]}, {})] == [Kind.MISSING]


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("any", "a:b", None),
        ("tid", "3jzfcijpj2z2a", "hello"),
        ("nsid", "com.example.a", "a"),
        ("literal:self", "self", "Self"),
    ],
)
def test_a_record_key_is_of_the_kind_that_the_lexicon_says(
    key: str, good: str, bad: str | None
) -> None:
    known = catalog(lexicon(main=record(key)))
    assert known.check(NAME, good, {"$type": NAME}) == ()
    if bad is not None:
        assert [fault.kind for fault in known.check(NAME, bad, {"$type": NAME})] == [Kind.KEY]


def test_what_nobody_knows_has_no_fault() -> None:
    known = catalog(lexicon(main={"type": "query"}), lexicon(OTHER, main={"type": "token"}))
    for name in (NAME, OTHER, "com.example.unknown"):
        assert not known.knows(name)
        assert known.check(name, "hello", {"$type": name, "x": 1}) == ()
    assert catalog(lexicon(main=record())).knows(NAME)


def test_a_reference_leads_to_another_document() -> None:
    other = lexicon(OTHER, main=STRUCT, list={"type": "array", "items": STRUCT})
    assert [f.pointer for f in faults_of({"type": "ref", "ref": OTHER}, {"n": ""}, other)] == [
        ("n",)
    ]
    main = {"type": "ref", "ref": f"{OTHER}#main"}
    assert faults_of(main, {"$type": OTHER, "n": 1}, other) == []
    deep = faults_of({"type": "ref", "ref": f"{OTHER}#list"}, [{"n": ""}], other)
    assert [fault.pointer for fault in deep] == [(0, "n")]


def test_a_method_is_no_rule_for_values() -> None:
    other = lexicon(OTHER, main={"type": "query"})
    assert faults_of({"type": "ref", "ref": OTHER}, 5, other) == []


def test_definitions_in_a_circle_follow_a_record_to_any_depth() -> None:
    tree = {
        "type": "object",
        "properties": {
            "child": {"type": "union", "refs": ["#tree"]},
            "all": {"type": "array", "items": {"type": "ref", "ref": "#tree"}},
            "n": {"type": "integer"},
        },
    }
    value: Value = {"n": "x"}
    for at in range((MAX_DEPTH - 4) // 2):
        around: dict[str, Value] = {"all": [value]}
        value = around if at % 2 else {"child": {"$type": f"{NAME}#tree", **around}}
    (fault,) = faults_of({"type": "ref", "ref": "#tree"}, value, tree=tree)
    assert fault.pointer[-1] == "n"
    assert len(fault.pointer) > 200


def test_of_ten_thousand_definitions_only_those_that_are_used_are_compiled() -> None:
    many = {f"d{n}": {"type": "ref", "ref": f"#d{n + 1}"} for n in range(10_000)}
    objects = {
        name: {"type": "object", "properties": {"next": each}} for name, each in many.items()
    }
    known = catalog(lexicon(main=record(x={"type": "ref", "ref": "#d0"}), **objects))
    assert known.check(NAME, "a", {"$type": NAME, "x": {"next": {"next": {}}}}) == ()
    assert len(known._compiled) == 4


# --- Slips ---------------------------------------------------------------------------------------


def test_an_unknown_field_is_no_fault() -> None:
    known = catalog(lexicon(main=record(langs=string(), text=string())))
    assert known.check(NAME, "a", {"$type": NAME, "mood": "good", "langs": "x"}) == ()


@pytest.mark.parametrize("name", ["lang", "langss", "lnags", "Langs", "langx"])
def test_a_field_one_letter_off_is_noted_and_no_fault(name: str) -> None:
    known = catalog(lexicon(main=record(langs=string(), text=string())))
    (note,) = known.check(NAME, "a", {"$type": NAME, name: "x"})
    assert note.is_note
    assert note.pointer == (name,)
    assert '"langs"' in note.reason


def test_a_field_beside_the_one_that_it_looks_like_is_no_slip_of_it() -> None:
    known = catalog(lexicon(main=record(langs=string())))
    assert known.check(NAME, "a", {"$type": NAME, "lang": "x", "langs": "y"}) == ()


# --- What base had -------------------------------------------------------------------------------


def fault(*pointer: str | int, kind: Kind = Kind.TYPE, reason: str = "bad") -> Fault:
    return Fault(kind, reason, pointer)


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ([], [fault("a")], [fault("a")]),
        ([fault("a")], [fault("a")], []),
        ([fault("a")], [fault("a", reason="worse")], []),
        ([fault("a")], [fault("a", kind=Kind.LENGTH)], [fault("a", kind=Kind.LENGTH)]),
        ([fault("a")], [fault("a"), fault("b")], [fault("b")]),
        ([fault("a", 1)], [fault("a", 2)], []),
        ([fault("a", 1)], [fault("a", 1), fault("a", 2)], [fault("a", 2)]),
        ([fault("a", 1, "b")], [fault("a", 1)], [fault("a", 1)]),
    ],
)
def test_a_fault_that_the_record_had_is_not_new(
    before: list[Fault], now: list[Fault], new: list[Fault]
) -> None:
    assert list(new_faults(before, now)) == new


# --- Strings -------------------------------------------------------------------------------------

FORMATS: list[tuple[str, str, bool]] = [
    ("datetime", "2024-02-30T00:00:00Z", True),
    ("datetime", "2024-02-32T00:00:00Z", False),
    ("datetime", "2024-02-03T00:00:00", False),
    ("datetime", "2024-02-03T00:00:00-00:00", False),
    ("datetime", "0000-01-01T00:00:00+01:00", False),
    ("datetime", "0000-01-01T00:00:00Z", True),
    ("datetime", f"2024-02-03T00:00:00.{'1' * 43}Z", True),
    ("datetime", f"2024-02-03T00:00:00.{'1' * 44}Z", False),
    ("uri", "https://exämple.com/ü", True),
    ("uri", "coap+tcp://a", True),
    ("uri", "1_x:y", True),
    ("uri", "https://a b", False),
    ("uri", "https://a\ufeff", False),
    ("uri", "no uri", False),
    ("at-uri", "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/com.example.a/b", True),
    ("at-uri", "at://example.com/com.example.a/b#/text", True),
    ("at-uri", "at://example.com#text", False),
    ("at-uri", "at://example.com/com.example.a/b/c", False),
    ("cid", str(LINK), True),
    ("cid", str(cid_of_blob(b"a")), True),
    ("cid", "Qmbxv1BYZmTVTWRFYGJyR6YSEp1B6mCHf7E3gkTXYxGL2p", True),
    ("cid", "zdpuAmQRuDyYXJFx5ErsAdb5BHcq7SRG6ZV4ASxtj4LcQwNM9", True),
    ("cid", "baaaaaaaa", False),
    ("cid", "bb", False),
    ("cid", "b" + "a" * 9, False),
    ("cid", str(LINK)[:-1], False),
    ("cid", "b77777777", False),
    ("cid", "123", False),
    ("language", "de", True),
    ("language", "german!", False),
    ("tid", "3jzfcijpj2z2a", True),
    ("record-key", ".", False),
    ("at-identifier", "example.com", True),
    ("handle", "example", False),
    ("nsid", "com.example.a", True),
]


@pytest.mark.parametrize(("name", "text", "is_good"), FORMATS)
def test_a_format_is_what_the_specification_or_the_pds_takes(
    name: str, text: str, is_good: bool
) -> None:
    assert (faults_of(string(format=name), text) == []) is is_good


@given(st.from_regex(strings._COMMON_AT_URI, fullmatch=True))
@settings(max_examples=times(200))
def test_the_common_form_of_an_at_uri_is_one(text: str) -> None:
    parse_at_uri(text)


@given(st.text("\r\nab\u0301\u200d\U0001f1e9\U0001f1ea\U0001f469e", max_size=12))
@settings(max_examples=times(500))
def test_a_text_has_no_more_graphemes_than_characters_and_no_fewer_than_its_parts(
    text: str,
) -> None:
    count = count_graphemes(text)
    assert (count > 0) == bool(text)
    assert count <= len(text)
    assert count_graphemes(text + "\n" + text) <= 2 * count + 1


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("abc", 3),
        ("\r\n", 1),
        ("e\u0301", 1),
        (FAMILY, 1),
        ("\U0001f1e9\U0001f1ea\U0001f1e9\U0001f1ea", 2),
        ("\U0001f3f3\ufe0f\u200d\U0001f308", 1),
        ("각", 1),
        ("\u1100\u1161\u11a8", 1),
        ("क्षि", 1),
    ],
)
def test_graphemes_are_what_people_see_as_characters(text: str, count: int) -> None:
    assert count_graphemes(text) == count


@pytest.mark.parametrize("kind", ["ref", "union", "list"])
@pytest.mark.parametrize("depth", [10, MAX_DEPTH // 2 - 2, 3_000])
def test_a_record_of_any_depth_is_checked_or_passes(kind: str, depth: int) -> None:
    """A check that is nested as deep as the record would else end in an error of Python."""
    inner = {"ref": {"type": "ref", "ref": "#o"}, "union": {"type": "union", "refs": ["#o"]}}
    inner["list"] = {"type": "array", "items": inner["union"]}
    again = {"type": "object", "properties": {"a": inner[kind]}, "nullable": ["a"]}
    found = catalog(lexicon(main=record(a=inner[kind]), o=again))
    value: Value = 1
    for _ in range(depth):
        value = {"$type": f"{NAME}#o", "a": [value] if kind == "list" else value}
    faults = found.check(NAME, "a", {"$type": NAME, "a": [value] if kind == "list" else value})
    assert len(faults) == (1 if depth < MAX_DEPTH else 0)


def test_a_document_that_is_nested_without_end_is_no_lexicon() -> None:
    definition: dict[str, object] = {"type": "object", "properties": {}}
    for _ in range(3_000):
        definition = {"type": "object", "properties": {"a": definition}}
    document = {"lexicon": 1, "id": NAME, "defs": {"main": definition}}
    assert [fault.kind for fault in document_faults(document)] == [Kind.VALUE]


@pytest.mark.parametrize(
    ("kind", "is_noted"),
    [
        (f"{NAME}#strukt", True),
        (f"{NAME}#Struct", True),
        (f"{NAME}#structs", True),
        (f"{NAME}#other", False),
        ("com.example.elsewhere", False),
        (f"{NAME}#struct2", False),
    ],
)
def test_a_misspelt_type_in_an_open_union_is_a_note_and_no_fault(kind: str, is_noted: bool) -> None:
    found = faults_of(UNION, {"$type": kind, "n": 1}, struct=STRUCT)
    assert [(fault.kind, fault.pointer) for fault in found] == (
        [(Kind.UNKNOWN, ("$type",))] if is_noted else []
    )
    assert all(fault.is_note and f"{NAME}#struct" in fault.reason for fault in found)
