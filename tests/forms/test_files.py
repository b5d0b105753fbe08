"""Files to upload that a page names in its front matter."""

from __future__ import annotations

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import encode
from syncd.blobs.words import Spoken
from syncd.errors import BadData, BadJson
from syncd.forms.markdown_form import MarkdownForm

NOTE = "com.example.note"
FORM = MarkdownForm(NOTE, (("content",),))
REF = BlobRef(cid_of_blob(b"one"), "image/png", 3)


def given(name: str) -> BlobRef:
    if name != "one.png":
        raise BadData(f"there is no {name}", hint="name another")
    return REF


def page(front: str) -> bytes:
    return f"---\n{front}\n---\n\nA text.\n".encode()


@pytest.mark.parametrize(
    "front",
    [
        "cover: {$type: blob, $file: one.png}",
        'cover: {"$file": "one.png", "$type": "blob"}',
        "cover:\n  $type: blob\n  $file: one.png",
    ],
)
def test_a_page_names_a_file_and_keeps_its_own_style(front: str) -> None:
    text = page(f"# mine\ntitle: A title\n{front}\ntags: [a, b]")
    record = FORM.parse(text, NOTE, given)
    assert (record["cover"], record["title"]) == (REF.value, "A title")
    with pytest.raises(BadJson, match="malformed blob"):
        FORM.parse(text, NOTE)
    written = FORM.restyled(text, encode(record), NOTE)
    assert FORM.parse(written, NOTE) == record
    assert b"# mine\ntitle: A title\ncover:" in written
    assert b"\ntags: [a, b]\n---\n\nA text.\n" in written


def test_a_diff_of_a_page_says_what_it_names_and_leaves_the_rest() -> None:
    uploaded = f"{{$type: blob, ref: {{$link: {REF.cid}}}, mimeType: image/png, size: 3}}"
    text = page(f"# mine\ntitle: x\ncover: {uploaded}\nimages:\n  - {{$type: blob, $file: a.png}}")
    assert FORM.ordered(text, Spoken()) == page(
        f"# mine\ntitle: x\ncover: blobs/{REF.cid}.png (image/png, 3 B)\n"
        "images:\n  - a.png, to be uploaded"
    )
    assert FORM.ordered(text) == text


@pytest.mark.parametrize("front", ["title: x\ntags: [a,   b]", "title: [x", "n: 0.5"])
def test_a_diff_of_a_page_that_names_nothing_shows_it_as_it_is(front: str) -> None:
    assert FORM.ordered(page(front), Spoken()) == page(front)


def test_a_list_of_maps_names_files() -> None:
    text = page("images:\n  - alt: x\n    image: {$type: blob, $file: one.png}\nn: 1")
    record = FORM.parse(text, NOTE, given)
    assert record["images"] == [{"alt": "x", "image": REF.value}]


@pytest.mark.parametrize(
    ("front", "place"),
    [
        ("title: x\ncover: {$type: blob, $file: two.png}", (3, 9)),
        ("title: x\ncover:\n  $type: blob\n  $file: two.png", (4, 3)),
        ("cover: {$type: blob, $file: one.png}\nn: 0.5", (3, 4)),
    ],
)
def test_what_is_wrong_with_a_file_or_beside_it_has_a_place(
    front: str, place: tuple[int, int]
) -> None:
    with pytest.raises(BadJson) as caught:
        FORM.parse(page(front), NOTE, given)
    assert (caught.value.line, caught.value.column) == place


def test_a_json_file_of_the_same_collection_names_files_too() -> None:
    text = b'{"cover": {"$type": "blob", "$file": "one.png"}}'
    assert FORM.parse(text, NOTE, given)["cover"] == REF.value
