"""What becomes of a conflict: an edit is kept, two edits are merged or wait for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.dagcbor import Value, encode
from syncd.atproto.jsontext import format_record, parse_record
from syncd.errors import BadJson
from syncd.merge import Merged, changed, is_edit_kept, marked, merge, settle
from syncd.merge.sequences import merge_text
from syncd.model import Policy, RecordPath, Step, Verdict

A, B, C = (cid_of_block(name) for name in (b"a", b"b", b"c"))


def test_a_value_that_both_sides_made_a_map_of_collides_whole() -> None:
    merged = merge({"x": 1}, {"x": {"a": 1}}, {"x": {"b": 1}})
    assert merged.collisions == ("/x",)


def test_records_of_different_types_collide_at_every_key_that_differs() -> None:
    merged = merge({"$type": "a.b.c"}, {"$type": "a.b.c", "x": 1, "y": 1}, {"$type": "d", "y": 1})
    assert merged.record is None
    assert merged.collisions == ("/$type", "/x")


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize(
    ("local", "remote", "expected"), [(None, C, Verdict.PULL), (B, None, Verdict.PUSH)]
)
def test_no_policy_drops_an_edit_for_a_deletion(
    policy: Policy, local: Cid | None, remote: Cid | None, expected: Verdict
) -> None:
    step = Step(RecordPath("a.b.c/d"), Verdict.CONFLICT, A, local, remote, "both")
    found = settle(step, policy)
    assert found.verdict is expected
    assert is_edit_kept(found)
    assert (found.local, found.remote) == (local, remote)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy.HOLD, Verdict.CONFLICT),
        (Policy.MERGE, Verdict.CONFLICT),
        (Policy.LOCAL, Verdict.PUSH),
        (Policy.REMOTE, Verdict.PULL),
    ],
)
def test_two_edits_go_as_the_policy_says(policy: Policy, expected: Verdict) -> None:
    step = Step(RecordPath("a.b.c/d"), Verdict.CONFLICT, A, B, C, "both")
    assert settle(step, policy).verdict is expected
    assert not is_edit_kept(settle(step, policy))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "b\nc\n"])
    | st.sampled_from([b"", bytes(A)])
    | st.sampled_from([A, B])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "c", "text", "facets"]), VALUES, max_size=4)
Plain = dict[str, Value]


def same(one: object, other: object) -> bool:
    return encode(one) == encode(other)  # type: ignore[arg-type]


@given(RECORDS, RECORDS, st.booleans())
def test_one_edit_is_the_merge(base: Plain, edit: Plain, text: bool) -> None:
    for local, remote in ((edit, base), (base, edit), (edit, edit)):
        merged = merge(base, local, remote, text=text)
        assert same(merged.record, edit)


@given(RECORDS, RECORDS, RECORDS, st.booleans())
def test_a_merge_is_symmetric(base: Plain, local: Plain, remote: Plain, text: bool) -> None:
    one, other = merge(base, local, remote, text=text), merge(base, remote, local, text=text)
    assert one.collisions == other.collisions
    if one.record is not None:
        assert same(one.record, other.record)


@given(RECORDS, RECORDS, RECORDS)
def test_a_merge_can_be_merged_again_without_change(
    base: Plain, local: Plain, remote: Plain
) -> None:
    """A stop after the file was written, before base moved, comes to the same end."""
    merged = merge(base, local, remote).record
    if merged is not None:
        assert same(merge(base, merged, remote).record, merged)


@given(RECORDS, RECORDS, RECORDS)
def test_a_merge_has_no_shape_that_neither_side_allows(
    base: Plain, local: Plain, remote: Plain
) -> None:
    merged = merge(base, local, remote).record
    if merged is not None:
        assert_allowed(base, local, remote, merged)


def assert_allowed(base: object, local: object, remote: object, merged: object) -> None:
    """At any depth: what is there was on a side, and what is not was taken away by one."""
    if same(merged, local) or same(merged, remote):
        return
    if isinstance(merged, list):
        assert isinstance(local, list)
        assert isinstance(remote, list)
        assert {encode(item) for item in merged} <= {encode(item) for item in (*local, *remote)}
        return
    assert isinstance(local, dict)
    assert isinstance(remote, dict)
    assert isinstance(merged, dict)
    start = base if isinstance(base, dict) else {}
    assert merged.keys() <= local.keys() | remote.keys()
    for key in (local.keys() | remote.keys()) - merged.keys():
        assert key in start
        assert key not in local or key not in remote
    for key, value in merged.items():
        there = [side[key] for side in (local, remote) if key in side]
        assert_allowed(start.get(key), there[0], there[-1], value)


EDIT = st.tuples(st.sampled_from(["mine", "theirs"]), st.booleans(), SCALARS)
"""Who edits a field; whether it is taken away; what it becomes if not."""


def edited(record: Plain, edits: Mapping[str, tuple[str, bool, Value]], *whose: str) -> Plain:
    found = dict(record)
    for key, (who, is_removed, value) in edits.items():
        if who in whose and is_removed:
            found.pop(key, None)
        elif who in whose:
            found[key] = value
    return found


@given(
    st.dictionaries(st.sampled_from("abcd"), SCALARS, min_size=2),
    st.dictionaries(st.sampled_from("abcd"), EDIT, min_size=2),
    st.integers(0, 3),
)
def test_disjoint_edits_are_both_present(
    base: Plain, edits: dict[str, tuple[str, bool, Value]], depth: int
) -> None:
    sides = [("mine",), ("theirs",), ("mine", "theirs")]
    views = [base, *(edited(base, edits, *whose) for whose in sides)]
    for level in range(depth):
        views = [{"deeper": view, "level": level} for view in views]
    start, local, remote, both = views
    assert same(merge(start, local, remote).record, both)


RULES: list[tuple[str, Any, Any, Any, Any]] = [
    ("different fields", {"a": 1}, {"a": 2}, {"a": 1, "b": 3}, {"a": 2, "b": 3}),
    ("fields of a map", {"m": {"a": 1, "b": 1}}, {"m": {"a": 2, "b": 1}}, {"m": {"a": 1, "b": 2}},
     {"m": {"a": 2, "b": 2}}),
    ("the same field", {"a": 1}, {"a": 2}, {"a": 3}, ["/a"]),
    ("edited and removed", {"a": 1}, {"a": 2}, {}, ["/a"]),
    ("both appended", {"l": [1]}, {"l": [1, 2]}, {"l": [1, 3]}, {"l": [1, 2, 3]}),
    ("appended and removed", {"l": [1, 2]}, {"l": [1, 2, 3]}, {"l": [2]}, {"l": [2, 3]}),
    ("both appended the same", {"l": []}, {"l": [7, 1]}, {"l": [1]}, {"l": [1, 7]}),
    ("reordered", {"l": [1, 2]}, {"l": [2, 1]}, {"l": [1, 2, 3]}, ["/l"]),
    ("not distinct", {"l": [1]}, {"l": [1, 1]}, {"l": [1, 2]}, ["/l"]),
    ("a text and its facets", {"text": "a", "facets": []}, {"text": "b", "facets": []},
     {"text": "a", "facets": [1]}, ["/facets", "/text"]),
    ("a map of another type", {"e": {"$type": "x", "a": 1}}, {"e": {"$type": "y", "a": 1}},
     {"e": {"$type": "x", "a": 2}}, ["/e"]),
    ("both created", None, {"a": 1, "s": 0}, {"b": 2, "s": 0}, {"a": 1, "b": 2, "s": 0}),
    ("a number and true", {"a": 0}, {"a": 1}, {"a": True}, ["/a"]),
    ("bytes and a CID", {"a": 0}, {"a": bytes(A)}, {"a": A}, ["/a"]),
    ("a key with a slash", {"a/b": {"~": 1}}, {"a/b": {"~": 2}}, {"a/b": {"~": 3}}, ["/a~1b/~0"]),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule[0]))
def test_the_rules_of_the_merge(rule: tuple[str, Any, Any, Any, Any]) -> None:
    _, base, local, remote, expected = rule
    merged = merge(base, local, remote)
    if isinstance(expected, list):
        assert list(merged.collisions) == expected
    else:
        assert same(merged.record, expected)


def test_changed_fields_are_named_by_pointer() -> None:
    before: Plain = {"a": 1, "m": {"x": 1, "y/": [1]}, "gone": 0}
    after: Plain = {"a": True, "m": {"x": 1, "y/": [2]}, "new": None}
    assert changed(before, after) == ("/a", "/gone", "/m/y~1", "/new")
    assert changed(before, before) == ()


def test_fields_of_a_blob_are_never_mixed() -> None:
    def blob(cid: Cid, size: int) -> dict[str, Any]:
        return {"a": {"$type": "blob", "ref": cid, "mimeType": "image/png", "size": size}}

    assert merge(blob(A, 1), blob(B, 1), blob(A, 2)).collisions == ("/a",)


TEXT = "one\ntwo\nthree\nfour\nfive\n"


@pytest.mark.parametrize(
    ("local", "remote", "expected"),
    [
        (TEXT.replace("one", "1"), TEXT.replace("five", "5"), "1\ntwo\nthree\nfour\n5\n"),
        ("zero\n" + TEXT, TEXT + "six\n", "zero\n" + TEXT + "six\n"),
        (TEXT.replace("two\n", ""), TEXT.replace("four\n", ""), "one\nthree\nfive\n"),
        (TEXT.replace("two", "2"), TEXT.replace("two", "II"), None),
        (TEXT.replace("two", "2"), TEXT.replace("three", "3"), None),
        ("x\n" + TEXT, "y\n" + TEXT, None),
        ("x\n" + TEXT, "x\n" + TEXT + "y\n", "x\n" + TEXT + "y\n"),
    ],
)
def test_texts_are_merged_by_line_where_asked_for(
    local: str, remote: str, expected: str | None
) -> None:
    assert merge_text(TEXT, local, remote) == expected
    assert merge_text(TEXT, remote, local) == expected
    records: list[Plain] = [{"t": text} for text in (TEXT, local, remote)]
    assert merge(*records).collisions == ("/t",)
    assert merge(*records, text=True).record == (None if expected is None else {"t": expected})


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n"]), max_size=6).map("".join)


@given(LINES, LINES, LINES)
def test_a_merge_of_texts_is_symmetric_and_keeps_one_edit(base: str, one: str, other: str) -> None:
    assert merge_text(base, one, other) == merge_text(base, other, one)
    assert merge_text(base, one, base) == one == merge_text(base, one, one)


TYPED: Plain = {"$type": "a.b.c", "a": 1, "m": {"x": 1, "z": [1]}, "n": 5}


def test_a_merge_is_marked_for_the_editor() -> None:
    local: Plain = {**TYPED, "m": {"x": 2, "z": [1]}, "n": 6}
    remote: Plain = {**TYPED, "m": {"x": {"deep": [1, 2]}, "z": [1]}, "n": 7, "a": 9}
    assert marked(merge(TYPED, local, remote)).decode() == MARKED
    with pytest.raises(BadJson, match="git conflict"):
        parse_record(MARKED.encode(), "a.b.c")


MARKED = """\
{
  "$type": "a.b.c",
  "a": 9,
  "m": {
<<<<<<< folder
    "x": 2,
=======
    "x": {
      "deep": [
        1,
        2
      ]
    },
>>>>>>> repo
    "z": [
      1
    ]
  },
<<<<<<< folder
  "n": 6
=======
  "n": 7
>>>>>>> repo
}
"""


@given(RECORDS, RECORDS, RECORDS)
def test_taking_one_side_of_every_mark_gives_a_record(
    base: Plain, local: Plain, remote: Plain
) -> None:
    typed: list[Plain] = [{**record, "zz": 1, "$type": "a.b.c"} for record in (base, local, remote)]
    merged = merge(*typed)
    text = marked(merged).decode()
    for keep_local in (True, False):
        found = parse_record(one_side(text, keep_local).encode(), "a.b.c")
        for pointer in merged.collisions:
            if pointer.count("/") == 1:
                side = typed[1] if keep_local else typed[2]
                key = pointer[1:]
                assert (key in found) == (key in side)
                assert key not in side or same(found[key], side[key])


def one_side(text: str, keep_local: bool) -> str:
    """What a person leaves who takes one side everywhere; a comma too many is removed."""
    lines, side = [], None
    for line in text.split("\n"):
        if line == "<<<<<<< folder":
            side = True
        elif line == "=======":
            side = False
        elif line == ">>>>>>> repo":
            side = None
        elif side is None or side is keep_local:
            lines.append(line)
    kept = [
        line.rstrip(",") if following.strip() in ("}", "},") else line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
    ]
    return "\n".join(kept)


def test_a_placeholder_in_the_record_confuses_nobody() -> None:
    base: Plain = {"a": 0, "b": "\ue0000"}
    merged = merge(base, {**base, "a": 1}, {**base, "a": 2})
    text = marked(merged).decode()
    assert json.loads(one_side(text, True)) == {"a": 1, "b": "\ue0000"}


def test_a_clean_merge_is_written_in_syncds_own_form() -> None:
    merged = Merged({"b": 1, "$type": "a.b.c"})
    assert marked(merged) == format_record({"$type": "a.b.c", "b": 1})


def test_policies_and_sides_are_a_complete_table() -> None:
    for policy, local, remote in product(Policy, (B, None), (C, None)):
        if local or remote:
            step = Step(RecordPath("a.b.c/d"), Verdict.CONFLICT, A, local, remote, "both")
            assert settle(step, policy).reason.startswith("both")
