"""The form of a person's file outlives the content that the repo gives it."""

from __future__ import annotations

import json
import random
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.data import MAX_TEXT_BYTES, Record, cid_of, encode, to_json
from syncd.atproto.inexact import file_of
from syncd.atproto.jsontext import format_record, parse_record
from syncd.atproto.restyle import restyled
from tests.chance import THOROUGH

from .inexact import COLLECTION, INEXACT
from .values import ANY_VALUES, EXACT_RECORDS, KEYS, LARGE, nested

STYLES = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 1, 2, 4, "\t"]),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (",", ": "), (" , ", " : ")]),
    }
)
FORMS = st.tuples(st.sampled_from(["", "\ufeff"]), st.sampled_from(["\n", "\r\n"]),
                  st.sampled_from(["", "\n", "\n\n"]))  # fmt: skip


def typed(record: Record) -> Record:
    return {"$type": COLLECTION, **record}


def shuffled(value: Any, chance: random.Random) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [shuffled(item, chance) for item in value]
    if isinstance(value, dict):
        pairs = [(key, shuffled(item, chance)) for key, item in value.items()]
        return dict(chance.sample(pairs, len(pairs)))
    return value


def dumped(value: Any, style: dict[str, Any], form: tuple[str, str, str]) -> bytes:  # noqa: ANN401
    """A file as the standard library writes it, with other line ends."""
    if style["indent"] is not None:
        style = {**style, "separators": (",", style["separators"][1])}
    text = json.dumps(value, **style) + form[2]
    return (form[0] + text.replace("\n", form[1])).encode()


@THOROUGH
@given(EXACT_RECORDS, STYLES, FORMS, st.randoms(use_true_random=False))
def test_the_same_record_keeps_every_byte(
    record: Record, style: dict[str, Any], form: tuple[str, str, str], chance: random.Random
) -> None:
    record = typed(record)
    text = dumped(shuffled(to_json(record), chance), style, form)
    is_ascii_shown = style["ensure_ascii"] and not text.isascii()
    found = restyled(text, encode(record), COLLECTION)
    assert parse_record(found, COLLECTION) == record
    if b"\\u" not in text and b"\x7f" not in text and not is_ascii_shown:
        assert found == text


@THOROUGH
@given(EXACT_RECORDS, EXACT_RECORDS, STYLES, FORMS, st.randoms(use_true_random=False))
def test_another_record_is_exactly_itself_in_the_old_form(
    old: Record,
    new: Record,
    style: dict[str, Any],
    form: tuple[str, str, str],
    chance: random.Random,
) -> None:
    old, new = typed(old), typed({**new, **dict(chance.sample(list(old.items()), len(old) // 2))})
    text = dumped(shuffled(to_json(old), chance), style, form)
    found = restyled(text, encode(new), COLLECTION)
    assert encode(parse_record(found, COLLECTION)) == encode(new)
    before, after = (
        list(json.loads(text.decode("utf-8-sig"))),
        list(json.loads(found.decode("utf-8-sig"))),
    )
    assert [key for key in before if key in new] == [key for key in after if key in old]
    if style["indent"] is None:
        assert found.count(b"\n") == text.count(b"\n")
    assert (b"\r\n" in found) == (b"\r\n" in text) or b"\n" not in text


@THOROUGH
@given(EXACT_RECORDS, EXACT_RECORDS)
def test_a_file_in_syncds_own_form_stays_in_it(old: Record, new: Record) -> None:
    old, new = typed(old), typed(new)
    assert restyled(format_record(old), encode(new), COLLECTION) == format_record(new)


@THOROUGH
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), EXACT_RECORDS)
def test_whatever_the_old_file_was_the_new_record_is_exact(old: bytes, new: Record) -> None:
    found = restyled(old, encode(typed(new)), COLLECTION)
    assert encode(parse_record(found, COLLECTION)) == encode(typed(new))


@THOROUGH
@given(st.dictionaries(KEYS, ANY_VALUES, max_size=5))
def test_a_record_that_no_file_can_say_gets_its_ordinary_file_or_an_exact_one(
    record: Record,
) -> None:
    block = encode(typed(record))
    found = restyled(b'{"a":1}', block, COLLECTION)
    if found != file_of(block):
        assert encode(parse_record(found, COLLECTION)) == block


@pytest.mark.parametrize("name", INEXACT)
def test_what_json_cannot_say_is_not_restyled(name: str) -> None:
    assert restyled(b'{"a":1}', INEXACT[name], COLLECTION) == file_of(INEXACT[name])


ROOMY = (
    "{\n" + " " * 500 + '"a": 1\n}',
    '{"a" : [' + " " * 500 + "[ [1]" + " " * 900 + "] ]}",
    '{\n\t"a": [ [1] ,  2 ]\r\n}\n',
    "{" + "\n" * 70_000 + ' "a": 1}',
)
"""Old files with more white space than a large record can have throughout."""

NEW: Record = {
    "$type": COLLECTION, "text": "new", "tags": ["a", "b", "c"], "n": 2,
    "size": {"w": 1, "h": 2}, "langs": ["é"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            '{\n    "text": "old",\n    "tags": ["a", "b"],\n    "n": 1\n}\n',
            (
                f'{{\n    "$type": "{COLLECTION}",\n    "text": "new",\n    "langs": [\n'
                '        "é"\n    ],\n    "tags": ["a", "b", "c"],\n    "n": 2,\n    "size": {\n'
                '        "h": 2,\n        "w": 1\n    }\n}\n'
            ),
        ),
        (
            '{"text":"old","$type":"x","n":1}',
            (
                f'{{"text":"new","langs":["é"],"$type":"{COLLECTION}","n":2,'
                '"size":{"h":2,"w":1},"tags":["a","b","c"]}'
            ),
        ),
        (
            '{ "size": { "w": 0, "h": 0 }, "text": "\\u00e9" }',
            (
                f'{{ "$type": "{COLLECTION}", "n": 2, "size": {{ "w": 1, "h": 2 }}, '
                '"tags": ["a", "b", "c"], "text": "new", "langs": ["\\u00e9"] }'
            ),
        ),
        (
            '{\r\n\t"tags": [\r\n\t\t"a"\r\n\t],\r\n\t"gone": 1\r\n}',
            (
                f'{{\r\n\t"$type": "{COLLECTION}",\r\n\t"n": 2,\r\n\t"size": {{\r\n\t\t"h": 2,'
                '\r\n\t\t"w": 1\r\n\t},\r\n\t"tags": [\r\n\t\t"a",\r\n\t\t"b",\r\n\t\t"c"\r\n\t],'
                '\r\n\t"text": "new",\r\n\t"langs": [\r\n\t\t"é"\r\n\t]\r\n}'
            ),
        ),
    ],
)
def test_the_form_of_a_persons_file(old: str, new: str) -> None:
    assert restyled(old.encode(), encode(NEW), COLLECTION).decode() == new


@pytest.mark.parametrize("old", [b"[]", b"7", b"", b"\xff", b"{"])
def test_where_no_record_was_the_new_one_has_syncds_own_form(old: bytes) -> None:
    new = typed({"a": 1})
    assert restyled(old, encode(new), COLLECTION) == format_record(new)


@pytest.mark.parametrize(("name", "old"), list(zip(LARGE, cycle(ROOMY), strict=False)))
def test_a_large_record_gets_a_bounded_file_whatever_the_old_style(name: str, old: str) -> None:
    record = typed(LARGE[name])
    found = restyled(old.encode(), encode(record), COLLECTION)
    compact = json.dumps(to_json(record), ensure_ascii=False, separators=(",", ":"))
    assert len(found) <= min(max(3 * len(compact.encode()), 64 * 1024), MAX_TEXT_BYTES)
    assert cid_of(parse_record(found, COLLECTION)) == cid_of(record)


def test_a_file_that_a_person_made_large_stays_in_their_style() -> None:
    old = typed({"a": [[at, [at]] for at in range(2_000)]})
    new = typed({"a": [[at, [at]] for at in range(2_100)]})
    text = json.dumps(old, indent=9) + "\n"
    assert len(text) > max(5 * len(json.dumps(old)), 64 * 1024)
    assert restyled(text.encode(), encode(new), COLLECTION).decode() == (
        json.dumps(new, indent=9) + "\n"
    )


def test_a_large_file_in_syncds_own_style_stays_in_it() -> None:
    old, new = typed({"a": nested(200, [[0]] * 900)}), typed({"a": nested(200, [[0]] * 4_000)})
    assert len(format_record(new).splitlines()) < 4_000
    assert restyled(format_record(old), encode(new), COLLECTION) == format_record(new)
    assert restyled(format_record(new), encode(old), COLLECTION) == format_record(old)
