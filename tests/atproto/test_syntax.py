"""The laws of the parsers. The public vectors are run by tests/conformance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.nsid import is_nsid
from syncd.atproto.syntax import (
    AtUri,
    is_rkey,
    make_tid,
    parse_at_identifier,
    parse_at_uri,
    parse_did,
    parse_handle,
    parse_nsid,
    parse_rkey,
    parse_tid,
    tid_microseconds,
)
from syncd.errors import BadSyntax

MICROSECONDS = st.integers(0, 2**53 - 1)
CLOCKS = st.integers(0, 2**10 - 1)

VALID: dict[Callable[[str], object], list[str]] = {
    parse_did: ["did:plc:7iza6de2dwap2sbkpav7c6c6", "did:web:localhost%3A1234", "did:m:" + "v" * 9],
    parse_handle: ["alice.test", "xn--ls8h.test", "a.co"],
    parse_nsid: ["com.example.fooBar", "a.b.c", "Com.Example.thing", "cn.8.lex.stuff"],
    parse_rkey: ["self", "a", "...", ".a", "~", "-", ":", "A" * 512, "3jzfcijpj2z2a"],
    parse_tid: ["2222222222222", "jzzzzzzzzzzzz"],
    parse_at_identifier: ["did:plc:abc", "alice.test"],
}
INVALID: dict[Callable[[str], object], list[str]] = {
    parse_did: ["did:plc", "did:PLC:a", "did:plc:a:", "did:plc:a%", "did:m:" + "v" * 2043],
    parse_handle: ["alice", "alice.", ".alice.test", "alice.0", "al_ice.test", "a." * 127 + "aa"],
    parse_nsid: ["com.example", "com.example.4", "com.example.a-b", "com.exa_mple.a"],
    parse_rkey: [".", "..", "a/b", "a b", "a%b", "é", "A" * 513],
    parse_tid: ["zzzzzzzzzzzzz", "2222222222221", "222222222222", "3jzf-cij-pj2z-2a"],
    parse_at_identifier: ["DID:plc:abc", "did:plc", "alice"],
    parse_at_uri: [
        "at://",
        "at://did:plc:a/",
        "at://did:plc:a/b",
        "at://a.b#c",
        "at://a.b/a.b.c/d/e",
    ],
}


def pairs(table: dict[Callable[[str], object], list[str]]) -> list[tuple[object, str]]:
    return [(parse, text) for parse, texts in table.items() for text in texts]


@pytest.mark.parametrize(("parse", "text"), pairs(VALID))
def test_a_valid_identifier_is_itself(parse: Callable[[str], str], text: str) -> None:
    assert parse(text) == text


@pytest.mark.parametrize(("parse", "text"), pairs(INVALID))
def test_an_invalid_identifier_is_refused(parse: Callable[[str], str], text: str) -> None:
    with pytest.raises(BadSyntax):
        parse(text)


@pytest.mark.parametrize(("parse", "text"), pairs(VALID))
@pytest.mark.parametrize("stain", ["\n", "\0", " ", "\u200b", "é", "/", "\r\n"])
def test_one_foreign_character_spoils_an_identifier(
    parse: Callable[[str], str], text: str, stain: str
) -> None:
    for spoilt in (text + stain, stain + text, text[:1] + stain + text[1:]):
        with pytest.raises(BadSyntax):
            parse(spoilt)


@pytest.mark.parametrize("parse", [*VALID, parse_at_uri])
def test_the_empty_text_is_no_identifier(parse: Callable[[str], str]) -> None:
    with pytest.raises(BadSyntax):
        parse("")


def test_a_handle_is_folded_to_lower_case_and_nothing_else_is() -> None:
    assert parse_handle("Alice.TEST") == "alice.test"
    assert parse_at_identifier("Alice.TEST") == "alice.test"
    assert parse_did("did:plc:ABC") == "did:plc:ABC"
    assert parse_rkey("Self") == "Self"


def test_a_refusal_names_the_text_and_the_form_but_never_a_page_of_it() -> None:
    with pytest.raises(BadSyntax, match=r"^'x y' is not a record key: it needs the form letters"):
        parse_rkey("x y")
    with pytest.raises(BadSyntax, match=r"\(100000 characters\)") as refusal:
        parse_did("x" * 100_000)
    assert len(refusal.value.message) < 200


@given(MICROSECONDS, CLOCKS)
def test_a_tid_tells_its_time(microseconds: int, clock: int) -> None:
    tid = make_tid(microseconds, clock)
    assert parse_tid(tid) == tid
    assert tid_microseconds(tid) == microseconds


@given(st.lists(st.tuples(MICROSECONDS, CLOCKS), max_size=8))
def test_tids_sort_as_their_times_do(moments: list[tuple[int, int]]) -> None:
    assert sorted(make_tid(*moment) for moment in moments) == [
        make_tid(*moment) for moment in sorted(moments)
    ]


def test_a_known_tid_has_a_known_time() -> None:
    assert make_tid(0, 0) == "2222222222222"
    assert make_tid(2**53 - 1, 2**10 - 1) == "bzzzzzzzzzzzz"
    assert tid_microseconds(parse_tid("3jzfcijpj2z2a")) == 1688137381887007


@pytest.mark.parametrize(("microseconds", "clock"), [(-1, 0), (2**53, 0), (0, -1), (0, 1024)])
def test_a_time_or_clock_that_a_tid_cannot_hold_is_refused(microseconds: int, clock: int) -> None:
    with pytest.raises(BadSyntax):
        make_tid(microseconds, clock)


@pytest.mark.parametrize(
    "text",
    ["at://did:plc:a", "at://alice.test/com.example.a", "at://did:plc:a/com.example.a/self"],
)
def test_an_at_uri_survives_parsing(text: str) -> None:
    assert str(parse_at_uri(text)) == text


def test_an_at_uri_has_parts() -> None:
    did, collection, rkey = parse_did("did:plc:a"), parse_nsid("a.b.c"), parse_rkey("self")
    assert parse_at_uri("at://did:plc:a/a.b.c/self") == AtUri(did, collection, rkey)
    assert parse_at_uri("at://did:plc:a/a.b.c") == AtUri(did, collection)
    assert parse_at_uri("at://did:plc:a") == AtUri(did)


@given(st.text(max_size=20) | st.sampled_from(["A" * 512, "A" * 513, ".", "..", "a/b", "self"]))
def test_what_is_a_record_key_is_what_can_be_parsed_as_one(text: str) -> None:
    try:
        is_one = bool(parse_rkey(text))
    except BadSyntax:
        is_one = False
    assert is_rkey(text) is is_one


@pytest.mark.parametrize(
    "text", [*VALID[parse_nsid], *INVALID[parse_nsid], "", "a.b.c\n", "com.example." + "a" * 64]
)
def test_a_name_is_asked_for_as_it_is_parsed(text: str) -> None:
    try:
        is_one = bool(parse_nsid(text))
    except BadSyntax:
        is_one = False
    assert is_nsid(text) is is_one


def test_a_name_that_is_too_long_is_none() -> None:
    labels = ".".join(["a" * 63] * 4)
    assert is_nsid(f"{labels}.{'a' * 61}")
    assert not is_nsid(f"{labels}.{'a' * 62}")
