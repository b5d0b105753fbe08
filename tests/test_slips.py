"""Which names are one slip apart, and which people give on purpose."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.syntax import parse_nsid
from syncd.cycle.decide.lexicons import KNOWN
from syncd.slips import (
    copied_names,
    extended_by,
    is_aside,
    is_passing,
    is_slip,
    names_below,
    near_name,
    slip_of,
)
from tests.chance import times

POST = "app.bsky.feed.post"
WORDS = st.text("abcdefgh", min_size=4, max_size=8)
NAMES = st.lists(WORDS, min_size=3, max_size=5).map(".".join)


@pytest.mark.parametrize(
    "name",
    [
        *("app.bsky.feed.posts", "app.bsky.feed.pots", "app.bsky.feed.pst", "app.bsky.feed.poost"),
        *("app.bsky.feed.Post", "App.bsky.feed.post", "app.bsky.feeds.post", "app.bksy.feed.post"),
        *("app.bsky.fed.post", "app.bskyfeed.post", "app.bsky.feedpost", "apps.bsky.feed.post"),
        *("app.bsky.feedd.post", "bsky.app.feed.post", "app.bsky.post.feed", "app.bskyf.eed.post"),
        *("app.bsky.feed.ppost", "app.sky.feed.post"),
    ],
)
def test_a_misspelt_name_is_a_slip_both_ways(name: str) -> None:
    assert is_slip(name, POST)
    assert is_slip(POST, name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("com.example.story", "com.example.stories"),
        ("com.example.match", "com.example.matches"),
        ("com.example.tag", "com.example.tags"),
        ("com.example.longNameOfIt", "com.example.longnameofit"),
        ("com.exmaple.note", "com.example.note"),
    ],
)
def test_plurals_and_other_segments_count_too(one: str, other: str) -> None:
    assert is_slip(one, other)
    assert is_slip(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("com.example.a", "com.example.b"),
        ("com.example.note.a", "com.example.note.b"),
        ("com.example.note.v1", "com.example.note.v2"),
        ("com.example.v1", "com.example.v10"),
        ("com.example.note1", "com.example.note2"),
        ("com.example.note", "com.example.note2"),
        ("com.example1.note", "com.example2.note"),
        ("com.example.cat", "com.example.bat"),
        ("com.example.en", "com.example.de"),
        ("com.example.x.note", "com.example.y.note"),
        ("com.example.a.b", "com.example.b.a"),
        ("com.example.a.b", "com.example.ab"),
        ("com.example.note", "com.example.vote"),
        ("com.example.note", "com.example.page"),
        ("com.example.note", "org.example.note"),
        ("app.bsky.graph.list", "app.bsky.graph.listitem"),
        ("app.bsky.feed.post", "app.bsky.feed.repost"),
        ("app.bsky.feed.post", "app.bsky.feed.postgate"),
        ("com.example.note", "com.example.note.draft"),
        ("com.example.note", "com.example.note"),
    ],
)
def test_names_of_a_family_are_no_slips(one: str, other: str) -> None:
    assert not is_slip(one, other)
    assert not is_slip(other, one)


def test_no_known_name_is_a_slip_of_another_and_all_are_names() -> None:
    for name in KNOWN:
        assert parse_nsid(name) == name
        assert not [other for other in KNOWN if is_slip(name, other)]


def test_the_known_names_are_those_of_the_published_lexicons_and_more() -> None:
    models = import_module("atproto_client.models.type_conversion")
    published = set(models.RECORD_TYPE_TO_MODEL_CLASS)
    assert len(published) > 30
    assert published <= KNOWN


def test_a_wrong_letter_in_a_short_word_counts_only_where_it_is_asked_for() -> None:
    assert slip_of("app.bsky.feed.poat", [POST]) is None
    assert slip_of("app.bsky.feed.poat", [POST], likely=4) == POST
    assert slip_of("app.bsky.feed.geneXator", ["app.bsky.feed.generator"]) is not None


def test_a_name_that_is_known_itself_is_no_slip() -> None:
    assert slip_of(POST, [POST, f"{POST}s"]) is None
    assert slip_of(f"{POST}s", [POST]) == POST
    assert slip_of("com.example.note", []) is None


@settings(max_examples=times(200))
@given(NAMES, NAMES)
def test_a_slip_goes_both_ways_and_is_never_of_itself(one: str, other: str) -> None:
    assert is_slip(one, other) == is_slip(other, one)
    assert not is_slip(one, one)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("app.bsky.feed.poost", POST),
        ("app.bsky.feed.pots", POST),
        ("app.bsky.feeds.post", POST),
        ("app.bsky.graph.starterpcak", "app.bsky.graph.starterpack"),
        ("app.bsky.graph.startrpacks", "app.bsky.graph.starterpack"),
        ("com.example.nothing.alike", None),
        ("app.bsky.feed.note", None),
        (POST, None),
        ("x", None),
    ],
)
def test_a_near_name_is_suggested_and_no_name_that_only_begins_alike(
    name: str, meant: str | None
) -> None:
    known = (POST, "app.bsky.feed.like", "app.bsky.graph.starterpack")
    assert near_name(name, known) == meant
    assert near_name(name, ()) is None


@pytest.mark.parametrize(
    ("name", "added"),
    [
        (f"{POST}.bak", "bak"),
        (f"{POST}Old2", "Old2"),
        ("App.Bsky.Feed.Post.old", "old"),
        ("app.bsky.feed.posting", "ing"),
        (POST, None),
        ("app.bsky.feed.like.old", None),
        ("app.bsky", None),
    ],
)
def test_what_a_name_adds_to_another_is_its_end(name: str, added: str | None) -> None:
    assert extended_by(name, POST) == added


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        *(
            (word, True)
            for word in ("bak", "old", "Old2", "BACKUP", "copy3", "20261129bak", "orig")
        ),
        *((word, False) for word in ("ing", "gate", "template", "older", "", "v2", "2")),
    ],
)
def test_only_words_that_people_add_to_what_they_put_aside_say_so(
    added: str, expected: bool
) -> None:
    assert is_aside(added) is expected


@pytest.mark.parametrize(
    ("name", "of"),
    [
        *(
            (f"post{end}", ["post"])
            for end in (
                *("-backup", "_copy", ".bak", "-old", "Copy", "-copy2", "-Kopie", "--COPIA-3"),
                *("-2026-11-30", ".20261130", "-2026-11-30T10-15", "-20261130-101500"),
            )
        ),
        *((f"{start}post", ["post"]) for start in ("Copy-of-", "kopie_von_", "old-", "copy2-")),
        ("post-old-copy", ["post", "post-old"]),
        ("old-post-old", ["old-post", "post-old"]),
        *(
            (name, [])
            for name in ("post", "post-2", "post2", "old", "-old", "copy-", "older", "1-2")
        ),
        ("-" * 512, []),
    ],
)
def test_a_name_says_which_file_it_is_a_copy_of(name: str, of: list[str]) -> None:
    assert copied_names(name) == of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("tmp", "TMP", "temp2", "tmp.4711", "tmp.aX3kd9QpLm", "out")),
        *((name, True) for name in ("post.tmp", "post-temp", "post_new", "post.new.2", "output-1")),
        *((name, False) for name in ("new", "newest", "template", "outdoors", "tempo", "post")),
        *((name, False) for name in ("tmpl", "renew", "-new", "outlook-1", "results")),
        ("-" * 500 + "tmpx", False),
    ],
)
def test_a_name_says_whether_its_file_soon_takes_the_place_of_another(
    name: str, expected: bool
) -> None:
    assert is_passing(name) is expected


def test_a_namespace_is_what_names_begin_with_and_not_part_of_a_segment() -> None:
    known = ["app.feed.post", "app.feed", "app.feeds.post", "app.feed.like", "app.feed.a.b"]
    assert names_below("app.feed", known) == ["app.feed.a.b", "app.feed.like", "app.feed.post"]
    assert names_below("app.feed.post", known) == []
