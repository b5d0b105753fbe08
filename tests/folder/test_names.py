"""Record path <-> file path: every legal rkey there and back, and nothing else accepted."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.atproto.syntax import Nsid, Rkey, parse_rkey
from syncd.errors import BadSyntax
from syncd.folder.names import (
    COMPONENT_BYTES,
    conflict_name,
    draft_name,
    drafted_name,
    file_name,
    former_file_name,
    is_draft,
    is_plain,
    is_record_like,
    meant_path,
    parse_file_name,
    record_path_of,
    relative_path,
)
from syncd.forms import USUAL, Form
from syncd.forms.markdown_form import MarkdownForm
from syncd.model import RecordPath
from tests.chance import THOROUGH, times

ALPHABET = string.ascii_letters + string.digits + "_~.:-"
RKEYS = st.text(ALPHABET, min_size=1, max_size=512).filter(lambda text: text not in (".", ".."))
LONG_RKEYS = st.integers(240, 512).flatmap(
    lambda length: st.text(ALPHABET, min_size=length, max_size=length)
)
MARKDOWN = MarkdownForm("com.example.post", (("text",),))
BOTH = pytest.mark.parametrize("portable", [False, True])


@pytest.mark.parametrize(
    ("rkey", "plain", "portable"),
    [
        ("3jzfcijpj2z2a", "3jzfcijpj2z2a.json", "3jzfcijpj2z2a.json"),
        ("self", "self.json", "self.json"),
        ("x.json", "x.json.json", "x.json.json"),
        (".hidden", "%2ehidden.json", "%2ehidden.json"),
        ("..json", "%2e.json.json", "%2e.json.json"),
        ("...", "%2e...json", "%2e...json"),
        ("a:b", "a:b.json", "a%3ab.json"),
        ("Ab", "Ab.json", "%41b.json"),
        ("con", "con.json", "%63on.json"),
        ("con.x", "con.x.json", "%63on.x.json"),
        ("CON", "CON.json", "%43%4f%4e.json"),
        ("lpt1", "lpt1.json", "%6cpt1.json"),
        ("console", "console.json", "console.json"),
        ("~", "~.json", "~.json"),
        ("x.draft", "x%2edraft.json", "x%2edraft.json"),
        (".draft", "%2edraft.json", "%2edraft.json"),
        ("..draft", "%2e%2edraft.json", "%2e%2edraft.json"),
        ("con.draft", "con%2edraft.json", "con%2edraft.json"),
        ("x.draft.draft", "x.draft%2edraft.json", "x.draft%2edraft.json"),
        ("x.draft.json", "x.draft.json.json", "x.draft.json.json"),
        ("-rf", "-rf.json", "-rf.json"),
        ("a" * 250, "a" * 250 + ".json", "a" * 250 + ".json"),
        ("a" * 251, "a" * 180 + "%/" + "a" * 71 + ".json", "a" * 180 + "%/" + "a" * 71 + ".json"),
        ("a" * 180 + "." * 71, "a" * 180 + "%/%2e" + "." * 70 + ".json", None),
    ],
)
def test_the_spelling_of_a_record_key(rkey: str, plain: str, portable: str | None) -> None:
    assert file_name(Rkey(rkey)) == plain
    assert file_name(Rkey(rkey), portable=True) == (portable or plain)


@BOTH
@THOROUGH
@given(rkey=RKEYS | LONG_RKEYS)
def test_every_record_key_comes_back_from_its_file_name(rkey: str, portable: bool) -> None:
    name = file_name(Rkey(rkey), portable=portable)
    assert parse_file_name(name, portable=portable) == rkey


@BOTH
@THOROUGH
@given(rkey=RKEYS | LONG_RKEYS)
def test_every_component_fits_a_file_system_and_is_not_hidden(rkey: str, portable: bool) -> None:
    for component in file_name(Rkey(rkey), portable=portable).split("/"):
        assert 0 < len(component.encode()) <= COMPONENT_BYTES
        assert not component.startswith(".")


@THOROUGH
@given(one=RKEYS | LONG_RKEYS, other=RKEYS | LONG_RKEYS)
def test_portable_names_differ_also_where_case_does_not_count(one: str, other: str) -> None:
    names = [file_name(Rkey(rkey), portable=True).lower() for rkey in (one, other)]
    assert (names[0] == names[1]) == (one == other)


@THOROUGH
@given(name=st.text(ALPHABET + "%/", max_size=20).map(lambda text: text + ".json"))
def test_a_file_name_is_accepted_only_in_the_one_right_spelling(name: str) -> None:
    for portable in (False, True):
        try:
            rkey = parse_file_name(name, portable=portable)
        except BadSyntax:
            continue
        assert file_name(rkey, portable=portable) == name


@pytest.mark.parametrize(
    "name",
    [
        "%41.json",
        "%2Ehidden.json",
        "a%2eb.json",
        "%61.json",
        "a%/b.json",
        "a%3ab.json",
        "%63on.json",
        "a%/" + "a" * 250 + ".json",
    ],
)
def test_an_escape_that_syncd_would_not_write_is_refused_and_the_right_name_told(name: str) -> None:
    with pytest.raises(BadSyntax) as caught:
        parse_file_name(name)
    meant = meant_path(Nsid("com.example.thing"), name)
    assert meant is not None
    assert caught.value.hint == f"rename it to {file_name(Rkey(meant.partition('/')[2]))}"


@pytest.mark.parametrize(
    "name",
    [
        *("", ".json", "..json", "...json", "x", "x.JSON", "x.json~", "my post.json", "%.json"),
        *("%2.json", "%2f.json", "%00.json", "a%2fb.json", "%zz.json", "x\n.json", "é.json"),
        *("../x.json", "x/y.json", "/x.json", "%/x.json%", "%2e.json", "%2e%2e.json", "+x.json"),
        "a" * 513 + ".json",
    ],
)
def test_a_name_that_no_record_has_is_refused(name: str) -> None:
    with pytest.raises(BadSyntax):
        parse_file_name(name)
    assert meant_path(Nsid("com.example.thing"), name) is None


def test_a_forged_record_path_never_becomes_a_path() -> None:
    forged = ["../x", "com.example.thing/..", "com.example.thing/a/b", "/etc/passwd", "a.b/c", "."]
    for path in (*forged, "com.example.thing/", "com.example.thing/x\0", ".git/config"):
        with pytest.raises(BadSyntax):
            relative_path(RecordPath(path))


@THOROUGH
@given(st.text(max_size=30))
def test_no_text_leads_outside_its_collection(text: str) -> None:
    try:
        relative = relative_path(RecordPath(f"com.example.thing/{text}"))
    except BadSyntax:
        return
    assert parse_rkey(text)
    assert relative.startswith("com.example.thing/")
    assert not {".", "..", ""} & set(relative.split("/"))


def test_a_record_path_comes_back_from_its_file_path() -> None:
    for rkey in ("self", "Con", ".a:b", "X" * 512):
        path = RecordPath(f"com.example.thing/{rkey}")
        for portable in (False, True):
            relative = relative_path(path, portable=portable)
            assert record_path_of(relative, portable=portable) == path


@pytest.mark.parametrize("relative", ["x.json", "notes/x.json", "a.b.c", ".git/x.json", "a.b.c/"])
def test_a_file_outside_a_collection_is_no_record(relative: str) -> None:
    with pytest.raises(BadSyntax):
        record_path_of(relative)


@pytest.mark.parametrize(
    ("name", "is_like"),
    [
        *(("x.json", True), ("my post.json", True), ("%41.json", True), (".hidden.json", True)),
        *(("x (copy).json", True), ("x.json~", False), (".x.json.swp", False), ("4913", False)),
        *(("#x.json#", False), (".#x.json", False), ("x.json.tmp.123", False), (".json", False)),
        *(("+new.json", False), (".syncd-w-0.json", False), ("x.json.orig", False), ("", False)),
    ],
)
def test_what_editors_leave_behind_is_not_taken_for_a_record(name: str, is_like: bool) -> None:
    assert is_record_like(name) == is_like


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *(("+my post.json", True), ("+.json", True), ("x.draft.json", True), ("+notes.txt", False)),
        *(("x.json", False), (".draft.json", False), (".x.draft.json", True), ("x.draft", False)),
        *((".#x.draft.json", False), (".syncd-w-0.draft.json", False), ("draft.json", False)),
        *(("my post.draft.json", True), ("x.draft.json~", False), ("x.DRAFT.json", False)),
    ],
)
def test_what_is_a_draft(name: str, is_one: bool) -> None:
    assert is_draft(name) == is_one
    assert not (is_one and is_record_like(name))


@pytest.mark.parametrize("form", [USUAL.default, MARKDOWN])
@given(st.text("aZ0.-+_~:%/d", max_size=12), st.sampled_from(["", ".draft", ".syncd-", "+"]))
@settings(max_examples=times(100))
def test_a_name_that_shows_it_at_once_is_the_file_of_a_record(
    form: Form, stem: str, odd: str
) -> None:
    for name in (f"{stem}{odd}{form.ending}", f"{odd}{stem}{form.ending}", f"{odd}{stem}.JSON"):
        if is_plain(name, form):
            rkey = name.removesuffix(form.ending)
            assert set(rkey) <= set(ALPHABET)
            assert not rkey.startswith(".")
            assert not rkey.endswith(".draft")
            assert is_record_like(name, form)
            assert not is_draft(name, form)


@pytest.mark.parametrize("name", ["a.draft.json", "+a.json", ".a.json", ".syncd-a.json", "a.md"])
def test_no_draft_and_no_file_of_an_editor_shows_it_at_once(name: str) -> None:
    assert not is_plain(name)
    assert is_plain("3jzfcijpj2z2a.json")


@BOTH
@THOROUGH
@given(rkey=RKEYS | LONG_RKEYS | RKEYS.map(lambda key: f"{key}.draft"[-512:]))
def test_no_record_has_the_name_of_a_draft_and_every_record_can_have_one(
    rkey: str, portable: bool
) -> None:
    key = Rkey(rkey)
    name = file_name(key, portable=portable)
    draft = draft_name(key, portable=portable)
    assert parse_file_name(name, portable=portable) == rkey
    assert not is_draft(name.rpartition("/")[2])
    assert is_draft(draft.rpartition("/")[2])
    assert drafted_name(draft) == rkey
    assert all(len(part) <= COMPONENT_BYTES for part in draft.split("/"))
    for setting in (False, True):
        with pytest.raises(BadSyntax):
            parse_file_name(draft, portable=setting)


@BOTH
@THOROUGH
@given(rkey=RKEYS | LONG_RKEYS | RKEYS.map(lambda key: f"{key}.draft"[-512:]))
def test_only_a_key_that_ends_like_a_draft_has_a_former_name(rkey: str, portable: bool) -> None:
    former = former_file_name(Rkey(rkey), portable=portable)
    drafty = rkey.endswith(".draft") and rkey != ".draft"
    assert (former is not None) == drafty
    if former is not None:
        assert is_draft(former.rpartition("/")[2])
        assert f"{drafted_name(former)}.draft" == rkey
        assert former.replace("/", "").replace("%", "") != file_name(Rkey(rkey), portable=portable)


@BOTH
@THOROUGH
@given(one=RKEYS | LONG_RKEYS, other=RKEYS)
def test_conflict_names_fit_and_tell_records_apart(one: str, other: str, portable: bool) -> None:
    cid = str(cid_of_block(b"\xa0"))
    names = [conflict_name(Rkey(rkey), cid, portable=portable) for rkey in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    for component in "/".join(names).split("/"):
        assert 0 < len(component) <= COMPONENT_BYTES
    assert names[0].endswith(f".{cid}.json")
