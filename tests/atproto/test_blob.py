"""Which maps are references to blobs, and in what order they are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.blob import BlobRef, blob_refs, file_named
from syncd.atproto.cid import cid_of_blob, cid_of_block, cid_of_digest, parse_link
from syncd.atproto.data import MAX_INTEGER, Value, decode, encode, from_json, to_json
from syncd.atproto.jsontext import parse_record
from syncd.errors import BadData, BadJson
from syncd.sandbox.repo.references import references

ONE, TWO = (BlobRef(cid_of_blob(name), "image/png", 3) for name in (b"one", b"two"))
EITHER = parse_link("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG")


def test_references_are_found_in_the_order_of_the_record() -> None:
    value: Value = {"b": [{"image": ONE.value}, {"image": TWO.value}], "a": ONE.value}
    assert blob_refs(value) == (ONE, TWO, ONE)
    assert blob_refs(ONE.value) == (ONE,)


@pytest.mark.parametrize(
    "change",
    [
        {"alt": "a picture"},
        {"ref": str(ONE.cid)},
        {"ref": None},
        {"size": True},
        {"size": -2},
        {"size": MAX_INTEGER + 1},
        {"size": "3"},
        {"mimeType": "png"},
        {"mimeType": 1},
        {"$type": "Blob"},
        {"ref": cid_of_block(b"a record")},
        {"ref": EITHER},
    ],
)
def test_a_map_that_is_nearly_a_reference_is_a_map(change: dict[str, Value]) -> None:
    assert blob_refs([ONE.value | change, TWO.value]) == (TWO,)


@pytest.mark.parametrize("key", ["$type", "ref", "mimeType", "size"])
def test_a_reference_has_all_four_keys(key: str) -> None:
    assert blob_refs({name: value for name, value in ONE.value.items() if name != key}) == ()


def test_a_map_that_is_nearly_a_reference_may_hold_one() -> None:
    assert blob_refs(ONE.value | {"ref": TWO.value}) == (TWO,)


def test_a_size_that_nobody_stated_counts() -> None:
    assert blob_refs(ONE.value | {"size": -1}) == (BlobRef(ONE.cid, "image/png", -1),)


def test_no_depth_is_too_deep() -> None:
    value: Value = ONE.value
    for _ in range(5_000):
        value = [value]
    assert blob_refs(value) == (ONE,)


REFS = st.builds(
    BlobRef,
    st.binary(min_size=32, max_size=32).map(cid_of_digest),
    st.sampled_from(["image/png", "text/plain; charset=x", "*/*"]),
    st.integers(-1, MAX_INTEGER),
)
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.one_of(st.none(), st.integers(-9, 9), st.text(max_size=3), REFS.map(lambda ref: ref.value)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_a_record_names_the_same_blobs_to_syncd_and_to_a_pds(value: Value) -> None:
    """To the one in order, to the other from the end, and both as JSON and as a block."""
    record: dict[str, Value] = {"v": value}
    found = blob_refs(record)
    assert sorted(found, key=repr) == sorted(blob_refs(decode(encode(record))), key=repr)
    assert found == blob_refs(from_json(to_json(record)))
    theirs = [BlobRef(r.cid, r.mime_type, r.size) for r in references(record)]  # type: ignore[arg-type]
    assert sorted(found, key=repr) == sorted(theirs, key=repr)


# --- Files to upload ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ({"$type": "blob", "$file": "a.png"}, "a.png"),
        ({"$file": "", "$type": "blob"}, ""),
        ({"$type": "blob", "$file": "a.png", "alt": "x"}, None),
        ({"$type": "picture", "$file": "a.png"}, None),
        ({"$type": "blob", "$file": 1}, None),
        ({"$file": "a.png"}, None),
    ],
)
def test_a_map_of_two_keys_names_a_file(entries: dict[str, object], name: str | None) -> None:
    assert file_named(entries) == name


def give(name: str) -> BlobRef:
    if name != "one.png":
        raise BadData(f"there is no {name}", hint="name another")
    return ONE


TEXT = b'{"n": 1, "v": [{"$type": "blob", "$file": "one.png"}]}'


def test_a_text_that_names_files_is_a_record_once_somebody_says_what_they_are() -> None:
    record = parse_record(TEXT, "com.example.note", give)
    assert record == {"$type": "com.example.note", "n": 1, "v": [ONE.value]}
    with pytest.raises(BadJson, match="malformed blob"):
        parse_record(TEXT, "com.example.note")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (TEXT.replace(b"one", b"two"), (1, 16)),
        (b'{"ok": {"$type": "blob", "$file": "one.png"},\n "x": 0.5}', (2, 7)),
        (b'{"ok": {"$type": "blob", "$file": "one.png"},\n "ok": 1}', (2, 2)),
        (b'{"$type": "blob", "$file": "one.png"}', (1, 11)),
        (b'{"v": {"$type": "blob", "$file": 1}}', (1, 7)),
    ],
)
def test_what_is_wrong_beside_a_file_or_with_it_has_a_place(
    text: bytes, place: tuple[int, int]
) -> None:
    with pytest.raises(BadJson) as caught:
        parse_record(text, "com.example.note", give)
    assert (caught.value.line, caught.value.column) == place
