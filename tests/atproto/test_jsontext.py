from __future__ import annotations

import json
from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_blob, cid_of_block
from syncd.atproto.data import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_TEXT_BYTES,
    Record,
    Value,
    cid_of,
    to_json,
)
from syncd.atproto.jsontext import (
    _LABELS,
    _ORDERS,
    SMALL_TEXT_BYTES,
    _decode,
    _reread,
    format_in_lines,
    format_record,
    parse_as,
    parse_record,
)
from syncd.errors import BadData, BadJson
from tests.chance import THOROUGH, times

from .values import ANY_VALUES, EXACT_RECORDS, EXACT_VALUES, LARGE, is_same, nested

HERE = "com.example.thing"
LINK, BLOB = cid_of_block(b"a"), cid_of_blob(b"a")
JSON = EXACT_VALUES.map(to_json)
MARK = "longer than any text that Hypothesis draws here"


def refusal(text: str | bytes) -> BadJson:
    with pytest.raises(BadJson) as found:
        parse_record(text if isinstance(text, bytes) else text.encode(), HERE)
    return found.value


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column of an offset, counted in another way than the module does."""
    lines = text[:at].split("\n")
    return len(lines), len(lines[-1]) + 1


# --- What is accepted -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (b"{}", {}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'\r\n{\r\n\t"a":\r\n1\r\n}\r\n', {"a": 1}),
        (b'{"a": [1.0, 1e2, -0, -0.0, 1E+2, 100e-2, 12.50e1]}', {"a": [1, 100, 0, 0, 100, 1, 125]}),
        (b'{"a": [9007199254740991, -9007199254740991]}', {"a": [MAX_INTEGER, -MAX_INTEGER]}),
        (b'{"a": "\\ud83d\\ude00 \\u0000 \xc3\xa9", "": null}', {"a": "😀 \0 é", "": None}),
        (b'{"\\u0061": true, "$foo": {"$bar": []}}', {"a": True, "$foo": {"$bar": []}}),
        (b'{"a": {"$link": "%s"}}' % str(LINK).encode(), {"a": LINK}),
        (b'{"a": {"$bytes": "QQ=="}}', {"a": b"A"}),
        (b'{"a": "<<<<<<< HEAD [[[ {{{ \\" \\\\"}', {"a": '<<<<<<< HEAD [[[ {{{ " \\'}),
    ],
    ids=ascii,
)
def test_text_stands_for_a_record(text: bytes, record: Record) -> None:
    assert is_same(parse_record(text, HERE), record | {"$type": HERE})


def test_a_type_that_is_there_stays_the_only_one() -> None:
    assert parse_record(b'{"$type": "com.example.thing"}', HERE) == {"$type": HERE}


@THOROUGH
@given(EXACT_RECORDS)
def test_a_formatted_record_is_read_back(record: Record) -> None:
    whole = record | {"$type": HERE}
    assert is_same(parse_record(format_record(whole), HERE), whole)
    assert is_same(parse_record(format_record(record), HERE), whole)


@THOROUGH
@given(EXACT_RECORDS, st.booleans(), st.sampled_from([None, 0, 1, "\t"]), st.booleans())
def test_no_form_of_the_same_json_makes_a_difference(
    record: Record, is_ascii: bool, indent: int | str | None, is_crlf: bool
) -> None:
    text = json.dumps(to_json(record), ensure_ascii=is_ascii, indent=indent)
    raw = text.replace("\n", "\r\n" if is_crlf else "\n").encode()
    assert is_same(parse_record(raw, HERE), record | {"$type": HERE})
    assert is_same(_reread(_decode(raw), HERE), record | {"$type": HERE})


# --- What is refused, and where -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        (b"", 1, 1, "the file is empty"),
        (b"\xef\xbb\xbf \r\n", 1, 1, "the file is empty"),
        (bytes(4096), 1, 1, "the file holds only NUL bytes"),
        (b"\xff\xfe{\x00}\x00", 1, 1, "UTF-16, not UTF-8"),
        ('{"é": 1}'.encode("utf-16-be"), 1, 1, "UTF-16, not UTF-8"),
        ('{"é": 1}'.encode("utf-16-le"), 1, 1, "UTF-16, not UTF-8"),
        ("\ufeff{}".encode("utf-16-be"), 1, 1, "UTF-16, not UTF-8"),
        ('{"é": 1}'.encode("utf-32"), 1, 1, "UTF-32, not UTF-8"),
        ("{}".encode("utf-32-be"), 1, 1, "UTF-32, not UTF-8"),
        ("{}".encode("utf-32-le"), 1, 1, "UTF-32, not UTF-8"),
        ('{"a": "é"}'.encode("latin-1"), 1, 8, "Latin-1"),
        (b'{\r\n"\xc3\xa9":"\xc3("}', 2, 6, "not UTF-8"),
        (b'\xef\xbb\xbf{"a":\xff}', 1, 6, "not UTF-8"),
        (b'{"\xed\xa0\x80":1}', 1, 3, "not UTF-8"),
        (b"{", 1, 2, "not JSON: a key in double quotes is missing"),
        (b'{"a": 1', 1, 8, "not JSON: a comma or a closing bracket is missing"),
        (b'{"a": 1}\n}', 2, 1, "not JSON: there is more text"),
        (b'{"a":\n "b\n"}', 2, 4, "closing quotation mark missing"),
        (b'{"a":\n "b}', 2, 2, "has no closing quotation mark"),
        (b"{'a': 1}", 1, 2, "not JSON"),
        (b'{"a" 1}', 1, 6, "not JSON: a colon is missing"),
        (b'{"a": 01}', 1, 8, "not JSON"),
        (b'{"a": +1}', 1, 7, "not JSON: a value is missing"),
        (b'{"a": undefined}', 1, 7, "not JSON"),
        (b'{"a": 1 // one\n}', 1, 9, "not JSON"),
        ('{"a":\u00a01}'.encode(), 1, 6, "not JSON"),
        (b'{\n "a": 1,\n<<<<<<< HEAD\n "b": 1\n=======\n', 3, 1, "unresolved git conflict"),
        (b"{\r\n<<<<<<<\r\n", 2, 1, "unresolved git conflict"),
        (b'{"a": 1.5,\n "a": 1,\n>>>>>>> topic\n}', 3, 1, "unresolved git conflict"),
        (b"[]", 1, 1, "must be a JSON object"),
        (b' \n "a"', 2, 2, "must be a JSON object"),
        (b" null", 1, 2, "must be a JSON object"),
        (b' {"$bytes": ""}', 1, 2, "must be a JSON object"),
        (
            b'{"a": 1,\n  "$type": "com.example.other"}',
            2,
            12,
            '"$type" must be "com.example.thing"',
        ),
        (b'{"$type": ""}', 1, 11, '"$type" must be "com.example.thing"'),
        (b'{"$type": null}', 1, 11, '"$type" must be "com.example.thing"'),
        (b'{"a": {"$type": "com.example.thing", "a": 1, "a": 1}}', 1, 46, "given twice"),
        (b'{"a": 1, "\\u0061": 1}', 1, 10, "given twice"),
        (b'{"a": {"__proto__": 1}}', 1, 8, "__proto__"),
        (b'{"a": {"\\u005f_proto__": 1}}', 1, 8, "__proto__"),
        (b'{"a": "\\ud800"}', 1, 7, "lone surrogate"),
        (b'{"a": "\\ude00\\ud83d"}', 1, 7, "lone surrogate"),
        (b'{"a": {"\\udc00": 1}}', 1, 8, "lone surrogate"),
        (b'{"a": 9007199254740990.5}', 1, 7, "not a whole number"),
        (b'{"a": 1e-9999999999999999999}', 1, 7, "not a whole number"),
        (b'{"a": 0.1e1, "b": 1e400}', 1, 19, "must be whole"),
        (b'{"a": -%s}' % (b"9" * 9999), 1, 7, "must be whole"),
        (b'{"a": -Infinity}', 1, 7, "-Infinity"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_text_is_refused_at_its_place(text: bytes, line: int, column: int, reason: str) -> None:
    found = refusal(text)
    assert (found.line, found.column) == (line, column)
    assert reason in found.message


@THOROUGH
@given(
    JSON,
    JSON,
    st.lists(st.tuples(JSON, JSON), max_size=3),
    st.sampled_from([None, 0, 3]),
    st.sampled_from(
        [
            ("?", 0),
            ("1.5", 0),
            ("-0.5e0", 0),
            ("1e16", 0),
            ("9007199254740992", 0),
            ("NaN", 0),
            ('"\\udfff"', 0),
            ('"\\ud800 \\\\udc00"', 0),
            ('{"$link": "."}', 0),
            ('{"$link": "' + str(LINK) + '", "a": 1}', 0),
            ('{"$bytes": "QQ="}', 0),
            ('{"a":1, "a":1}', 8),
            ('{"a":{"b":1}, "__proto__":1}', 14),
            ('{"$type": ""}', 0),
            ('{"$type": "blob", "ref": 1}', 0),
            ('{"cid": "' + str(BLOB) + '", "mimeType": "image/png"}', 0),
            ("[" * MAX_DEPTH + "]" * MAX_DEPTH, None),
        ]
    ),
)
def test_an_error_is_found_where_it_was_planted(
    before: object,
    after: object,
    around: list[tuple[object, object]],
    indent: int | None,
    planted: tuple[str, int | None],
) -> None:
    obj: Any = {"a": before, "b": MARK, "c": after}
    for left, right in around:
        obj = {"x": left, "y": [left, obj, right]}
    text = json.dumps(obj, indent=indent, ensure_ascii=False)
    at = text.index(f'"{MARK}"')
    error, offset = planted
    if offset is None:
        offset = MAX_DEPTH - 1 - 2 * len(around)
    spoilt = text.replace(f'"{MARK}"', error)
    found = refusal(spoilt)
    assert (found.line, found.column) == place(spoilt, at + offset)


@THOROUGH
@given(EXACT_RECORDS, st.data())
def test_a_damaged_text_is_read_or_refused_at_a_place_that_it_has(
    record: Record, data: st.DataObject
) -> None:
    text = format_record(record).decode()
    at = data.draw(st.integers(0, len(text)))
    damage = data.draw(st.sampled_from([*'"\\{}[]:,1.-eut\n', "", "\\ud800", "null", "1.5", "NaN"]))
    damaged = text[:at] + damage + text[at + data.draw(st.integers(0, 2)) :]
    lines = damaged.split("\n")
    try:
        record = parse_record(damaged.encode(), HERE)
    except BadJson as refused:
        line, column = refused.line or 0, refused.column or 0
    else:
        assert is_same(parse_record(format_record(record), HERE), record)
        return
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


@THOROUGH
@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    for text in (raw, b'{"a": "' + raw + b'"}', b'{"a": ' + raw + b"}"):
        try:
            assert is_same(parse_record(text, HERE), _reread(_decode(text), HERE))
        except BadJson:
            continue


@pytest.mark.parametrize("depth", [MAX_DEPTH, 990, 1500, 100_000])
def test_a_text_of_any_depth_is_refused_without_a_crash(depth: int) -> None:
    for text in ('{"a":' * depth, '{"a":\n' + "[" * depth, '{"a":\n' + "[" * depth + "]" * depth):
        assert refusal(text).message
    found = refusal('{"a":\n' + "[" * depth)
    assert (found.line, found.column) == (2, MAX_DEPTH)


def test_an_unfinished_string_of_brackets_and_escapes_takes_no_time() -> None:
    open_text = refusal('{"a": "' + '\\"[{' * 100_000)
    assert "no closing quotation mark" in open_text.message
    assert refusal('{"a": "' + '\\"[{' * 100_000 + "\\").line == 1


@pytest.mark.parametrize("leaf", [None, {}, b"", LINK], ids=repr)
def test_the_deepest_record_is_read_back(leaf: Value) -> None:
    record: Record = {"$type": HERE, "a": nested(MAX_DEPTH - 1 - (leaf is not None), leaf)}
    text = format_record(record)
    assert is_same(parse_record(text, HERE), record)
    assert is_same(_reread(_decode(text), HERE), record)
    with pytest.raises(BadData, match="deep"):
        format_record({"a": record})


def test_a_hint_says_what_to_do() -> None:
    assert refusal('{"a": 1.5}').hint == "write it as a string, or scale it to a whole number"
    assert "markers" in refusal("<<<<<<< HEAD\n").hint


# --- What is written ------------------------------------------------------------------------------


def test_a_record_file_is_laid_out_for_people() -> None:
    record: Record = {
        "text": "é\u2028\0\n",
        "langs": ["en"],
        "é": {},
        "aaa": [],
        "b": {"zz": LINK, "$type": "a", "c": b"A"},
        "$type": HERE,
    }
    assert format_record(record).decode() == (
        "{\n"
        f'  "$type": "{HERE}",\n'
        '  "b": {\n'
        '    "$type": "a",\n'
        '    "c": {\n'
        '      "$bytes": "QQ"\n'
        "    },\n"
        '    "zz": {\n'
        f'      "$link": "{LINK}"\n'
        "    }\n"
        "  },\n"
        '  "é": {},\n'
        '  "aaa": [],\n'
        '  "text": "é\u2028\\u0000\\n",\n'
        '  "langs": [\n'
        '    "en"\n'
        "  ]\n"
        "}\n"
    )


@THOROUGH
@given(EXACT_RECORDS)
def test_a_record_file_has_the_layout_of_the_standard_library(record: Record) -> None:
    text = format_record(record).decode()
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"


@THOROUGH
@given(EXACT_RECORDS)
def test_keys_are_in_order_at_every_level(record: Record) -> None:
    def check(pairs: list[tuple[str, object]]) -> None:
        keys = [key for key, _ in pairs]
        others = [key for key in keys if key != "$type"]
        assert others == sorted(others, key=lambda key: (len(key.encode()), key.encode()))
        assert "$type" not in keys[1:]

    json.loads(format_record(record | {"$type": HERE}), object_pairs_hook=check)


@THOROUGH
@given(st.dictionaries(st.text(max_size=3), ANY_VALUES, max_size=3))
def test_a_record_that_json_cannot_say_is_written_to_be_shown(record: Record) -> None:
    floats: Any = record | {"a": [1.5, 1e300, -0.0, 2**64 - 1]}
    assert json.loads(format_record(floats)) == to_json(floats)


@pytest.mark.parametrize("value", [float("nan"), "\ud800", {"\ud800": 1}, Ellipsis], ids=ascii)
def test_what_json_has_no_form_for_is_not_written(value: object) -> None:
    record: Any = {"a": [value]}
    with pytest.raises(BadData):
        format_record(record)


@pytest.mark.parametrize("type_", ["", '"$type": "com.example.other", '])
def test_a_text_is_read_as_a_record_of_another_collection(type_: str) -> None:
    text = f'{{{type_}"text": "a"}}'.encode()
    assert parse_as(text, "com.example.note") == {"text": "a", "$type": "com.example.note"}
    assert parse_as(text, "com.example.note") == parse_record(
        b'{"$type": "com.example.note", "text": "a"}', "com.example.note"
    )


@pytest.mark.parametrize("text", [b"", b"[]", b'"a"', b"{", b"\xff", b'{"a": 1.5}', b"[" * 9999])
def test_a_text_that_is_no_record_is_one_of_no_collection(text: bytes) -> None:
    with pytest.raises((BadJson, BadData)):
        parse_as(text, "com.example.note")


# --- How large a file is --------------------------------------------------------------------------


def laid_out(value: Any, lines: int, depth: int = 0) -> str:  # noqa: ANN401
    """`value` as ASCII whose lists and maps have lines of their own down to a depth of `lines`."""
    if depth >= lines or not value or not isinstance(value, list | dict):
        return json.dumps(value)
    before, after = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    if isinstance(value, list):
        items = [laid_out(item, lines, depth + 1) for item in value]
        return "[" + before + ("," + before).join(items) + after + "]"
    items = [f"{json.dumps(k)}: {laid_out(v, lines, depth + 1)}" for k, v in value.items()]
    return "{" + before + ("," + before).join(items) + after + "}"


def most(value: object) -> int:
    """How many bytes the file of `value` may have."""
    compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return max(3 * len(compact.encode()), 64 * 1024)


@settings(max_examples=times(100))
@given(
    st.none() | st.integers(0, 999) | st.just(b"") | st.lists(st.just([])),
    st.integers(0, 70),
    st.integers(1, 80),
    st.integers(0, 70),
    st.booleans(),
)
def test_a_file_has_as_many_lines_as_its_size_allows(
    value: Value, outside: int, count: int, inside: int, is_map: bool
) -> None:
    inner = nested(inside, value)
    many = {str(at): inner for at in range(count)} if is_map else [inner] * count
    record: Record = {"$type": HERE, "a": nested(outside, many)}
    text = format_record(record)
    shown = json.loads(text)
    assert shown == to_json(record)
    too_deep = bisect_left(
        range(MAX_DEPTH + 1), x=True, key=lambda n: len(laid_out(shown, n)) >= most(shown)
    )
    assert text.decode() == laid_out(shown, too_deep - 1) + "\n"


@pytest.mark.parametrize("name", LARGE)
def test_the_file_of_a_large_record_is_bounded_and_read_back(name: str) -> None:
    record: Record = {"$type": HERE, **LARGE[name]}
    text = format_record(record)
    assert len(text) <= min(most(to_json(record)), MAX_TEXT_BYTES)
    assert cid_of(parse_record(text, HERE)) == cid_of(record)


def test_a_record_whose_json_no_file_may_have_is_not_written() -> None:
    with pytest.raises(BadData, match="more than the file of a record may have"):
        format_record({"a": "\0" * 2_700_000})


def test_a_small_file_has_a_line_for_each_item() -> None:
    record: Record = {"$type": HERE, "a": nested(170, [1, 2, 3])}
    text = format_record(record)
    assert 10 * len(text) > SMALL_TEXT_BYTES > len(text) > 3 * len(json.dumps(to_json(record)))
    assert text.decode() == json.dumps(to_json(record), indent=2) + "\n"


def test_the_keys_that_were_seen_take_little_memory() -> None:
    for at in range(300):
        format_record({"k" * 100_000 + str(at): 1, "$type": HERE})
    for at in range(10_000):
        format_record({f"{at}": 1, "$type": HERE})
    kept = [key for keys in (_ORDERS, _LABELS) for key in keys]
    assert len(kept) <= 8_192
    assert max(map(len, kept)) <= 100


def test_a_text_with_all_its_lines_is_no_larger_than_any_file() -> None:
    deep: Record = {"a": nested(200, [[0]] * 4_000)}
    assert json.loads(format_in_lines(deep)) == deep
    assert len(format_in_lines(deep)) > 3 * len(format_record(deep))
    with pytest.raises(BadData):
        format_in_lines({"a": nested(250, [[]] * 40_000)})


def test_a_text_that_has_no_room_for_white_space_has_none() -> None:
    compact = len(b'{"a":["",""],"b":""}\n')
    record: Record = {"a": ["", ""], "b": "x" * (MAX_TEXT_BYTES - compact)}
    text = format_record(record)
    assert len(text) == MAX_TEXT_BYTES
    assert text.startswith(b'{"a":["",""],"b":"x')
