"""Values that syncd passes around: what they say of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.errors import (
    BadSyntax,
    CredentialsElsewhere,
    CredentialsRefused,
    Locked,
    RateLimited,
    Unreachable,
)
from syncd.model import (
    Memory,
    Problem,
    RecordPath,
    Report,
    Retry,
    Side,
    find_record_path,
    parse_record_path,
)
from syncd.model.addresses import is_web_address, uri_of_address
from syncd.model.brake import Brake, Tally

NOTE = RecordPath("com.example.note/one")
DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
POST = "app.bsky.feed.post/3m2k7tz4x2c2a"


@pytest.mark.parametrize("text", ["", "com.example.note", "note/one", "com.example.note/a/b", "/"])
def test_a_text_that_is_no_record_path_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse_record_path(text)
    assert find_record_path(text) is None


def test_a_record_path_is_read_as_it_is() -> None:
    assert parse_record_path("com.example.note/one") == NOTE
    assert find_record_path("com.example.note/one") == NOTE


def test_a_report_says_whether_it_is_settled_unfinished_or_to_be_paused() -> None:
    assert Report().is_settled
    assert not Report().is_unfinished
    assert not Report(problems=(Problem(NOTE, "it is a link"),)).is_settled
    assert Report(retries=(Retry(NOTE, "the answer was lost"),)).is_unfinished
    assert not Report(halted=Unreachable("no answer")).needs_a_pause
    for error in (RateLimited("too many", retry_seconds=1), CredentialsRefused("expired")):
        assert Report(halted=error).is_unfinished
        assert Report(halted=error).needs_a_pause


def test_of_two_cycles_what_was_done_adds_up_and_what_waits_is_the_later_ones() -> None:
    problem = Problem(NOTE, "it is a link")
    first = Report(pushed=(NOTE,), problems=(problem,), requests=2, remarks=("one",))
    both = first.followed_by(Report(pulled=(NOTE,), requests=1, remarks=("two",)))
    assert (both.pushed, both.pulled, both.problems) == ((NOTE,), (NOTE,), ())
    assert (both.requests, both.remarks) == (3, ("one", "two"))


def test_a_lock_names_who_has_it() -> None:
    assert Locked("in use", pid=7).pid == 7
    assert Locked("in use", pid=None, hint="stop it").hint == "stop it"


def test_credentials_of_another_server_name_both_origins_and_end_with_77() -> None:
    made_at, asked = "https://one.example.com", "https://two.example.com"
    error = CredentialsElsewhere("did:plc:x", made_at=made_at, asked=asked)
    assert isinstance(error, CredentialsRefused)
    assert (error.made_at, error.asked, error.exit_code) == (made_at, asked, 77)
    assert made_at in error.message
    assert asked in error.message
    assert "syncd login did:plc:x" in error.hint


A, B, C = (b"\xa1aa%d" % n for n in range(3))
CID_A, CID_B, CID_C = map(cid_of_block, (A, B, C))
OTHER = RecordPath("com.example.note/two")


@pytest.mark.parametrize(
    ("base", "blocks"),
    [
        ({}, {NOTE: A}),
        ({OTHER: CID_B}, {NOTE: A}),
        ({NOTE: CID_A}, {NOTE: A}),
        ({NOTE: CID_B}, {}),
        ({NOTE: None}, {}),
    ],
    ids=["nothing later", "another path", "the same version", "another version", "deleted"],
)
def test_of_two_memories_a_block_stays_for_as_long_as_base_is_its_version(
    base: dict[RecordPath, Cid | None], blocks: dict[RecordPath, bytes]
) -> None:
    first = Memory(base={NOTE: CID_A}, blocks={NOTE: A})
    both = first.and_then(Memory(base=base))
    assert both.base == {NOTE: CID_A, **base}
    assert both.blocks == blocks


@pytest.mark.parametrize("is_whole", [True, False])
def test_of_two_memories_a_whole_tree_replaces_the_nodes_that_were_added_before(
    is_whole: bool,
) -> None:
    first = Memory(added_nodes={CID_A: A, CID_B: B}, decided=(NOTE,))
    later = Memory(
        added_nodes={CID_C: C}, dropped_nodes={CID_B}, is_whole_tree=is_whole, decided=(OTHER,)
    )
    both = first.and_then(later)
    assert both.added_nodes == ({CID_C: C} if is_whole else {CID_A: A, CID_C: C})
    assert both.is_whole_tree is is_whole
    assert CID_B in both.dropped_nodes
    assert set(both.decided) == {NOTE, OTHER}


def test_the_place_of_a_problem_says_what_is_known_of_it() -> None:
    places = [
        Problem("a", "b", "", line, column).place for line in (None, 3) for column in (None, 5)
    ]
    assert places == ["", "column 5", "line 3", "line 3, column 5"]


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("https://bsky.app/profile/me.example.com/post/3m2k7tz4x2c2a", f"me.example.com/{POST}"),
        (f"https://deer.social/profile/{DID}/post/3m2k7tz4x2c2a?ref=x#y", f"{DID}/{POST}"),
        (
            "HTTPS://www.bsky.app/profile/@me.example.com/post/3m2k7tz4x2c2a/",
            f"me.example.com/{POST}",
        ),
        (
            "bsky.app/profile/me.example.com/feed/cats",
            "me.example.com/app.bsky.feed.generator/cats",
        ),
        ("https://bsky.app/profile/a.test/lists/one", "a.test/app.bsky.graph.list/one"),
        ("https://bsky.app/starter-pack/a.test/one", "a.test/app.bsky.graph.starterpack/one"),
        ("https://whtwnd.com/a.test/3m2k7tz4x2c2a", "a.test/com.whtwnd.blog.entry/3m2k7tz4x2c2a"),
        (f"https://pdsls.dev/at://{DID}/{NOTE}#record", f"{DID}/{NOTE}"),
        (f"https://pdsls.dev/at%3A%2F%2F{DID}/{NOTE}/", f"{DID}/{NOTE}"),
        (f"https://atp.tools/at:/{DID}/{NOTE}", f"{DID}/{NOTE}"),
        (f"https://browser.test/at/{DID}/{NOTE}", f"{DID}/{NOTE}"),
        (f"https://browser.test/at/{DID}/com.example.note", f"{DID}/com.example.note"),
        (
            f"http://[::1]:2583/xrpc/x.y.z?collection=com.example.note&rkey=one&repo={DID}",
            f"{DID}/{NOTE}",
        ),
    ],
)
def test_the_address_of_a_page_is_read_as_what_the_page_shows(address: str, uri: str) -> None:
    assert is_web_address(address)
    assert uri_of_address(address) == f"at://{uri}"


@pytest.mark.parametrize(
    "address",
    ["https://example.com/", "https://bsky.app/profile/me.example.com/followers",
     "https://bsky.app/profile/me.example.com/post", "https://whtwnd.com/a.test/entries/Title",
     "https://bsky.app/profile/nobody/post/3m2k7tz4x2c2a", "https://[::1/profile",
     "https://bsky.app/profile/me.example.com", f"https://pdsls.dev/at://{DID}",
     f"https://pds.test/xrpc/com.atproto.sync.getRepo?repo={DID}"],
)  # fmt: skip
def test_an_address_that_does_not_say_which_record_it_shows_is_none(address: str) -> None:
    assert is_web_address(address)
    assert uri_of_address(address) is None


@pytest.mark.parametrize("name", [NOTE, f"at://{DID}/{NOTE}", "./x", "com.example.https://", ""])
def test_a_name_is_no_web_address(name: str) -> None:
    assert not is_web_address(name)


NOTES, OTHERS = "com.example.note", "com.example.other"


@pytest.mark.parametrize(
    ("renamed", "what"),
    [
        ({}, "12 of 20 records of com.example.note were deleted in the folder within 10 minutes;"),
        (
            {NOTES: 12},
            "12 of 20 records of com.example.note were renamed in the folder within 10 minutes;",
        ),
        (
            {NOTES: 5},
            f"12 of 20 records of {NOTES} were deleted in the folder within 10 minutes, 5 of them ",
        ),
    ],
)
def test_the_brake_counts_renames_and_says_that_they_are_some(
    renamed: Mapping[str, int], what: str
) -> None:
    by_side = Counter({(name, Side.LOCAL): count for name, count in renamed.items()})
    tally = Tally(Counter({(NOTES, Side.LOCAL): 12}), by_side, {NOTES: 20, OTHERS: 5})
    assert tally.is_over(NOTES, Side.LOCAL, Brake())
    assert not tally.is_over(OTHERS, Side.LOCAL, Brake())
    assert tally.reason(NOTES, Side.LOCAL, Brake()).startswith(what)


@pytest.mark.parametrize(("renamed", "how"), [(25, "renamed"), (20, "deleted"), (0, "deleted")])
def test_of_a_whole_mirror_the_brake_counts_the_renames_of_all_collections(
    renamed: int, how: str
) -> None:
    deleted = Counter({(NOTES, Side.REMOTE): 20, (OTHERS, Side.REMOTE): 5})
    by_side = {25: deleted, 20: Counter({(NOTES, Side.REMOTE): 20})}.get(renamed, Counter())
    tally = Tally(deleted, by_side, {NOTES: 20, OTHERS: 5})
    reason = tally.reason(OTHERS, Side.REMOTE, Brake(window_seconds=60))
    assert reason.startswith(f"all 25 records of the mirror were {how} in the repo within 1 minute")
    assert ("20 of them" in reason) == (renamed == 20)
