"""What a commit says, and what is believed of what one says."""

from __future__ import annotations

from dataclasses import replace
from textwrap import indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.cid import cid_of_block
from syncd.atproto.syntax import Did, Tid
from syncd.git.message import MANY, Published, make_message, parse_blocks, parse_message
from syncd.model import RecordPath

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
ONE, TWO = RecordPath("com.example.note/one"), RecordPath("com.example.note/Two")
LIKE = RecordPath("com.example.like/x")
SAID = Published(DID, Tid("3n2umyb3l7e2i"), cid_of_block(b"x"), "a" * 40)


@pytest.mark.parametrize(
    ("moved", "subject"),
    [
        ({}, "Published at rev 3n2umyb3l7e2i"),
        ({TWO: "pulled"}, "Pulled com.example.note/Two"),
        ({ONE: "pushed", TWO: "pushed"}, "Pushed 2 records of com.example.note"),
        ({ONE: "pushed", LIKE: "pushed"}, "Pushed 2 records"),
        (
            {ONE: "pushed", TWO: "pulled", LIKE: "pulled"},
            "Pulled 2 records, pushed com.example.note/one",
        ),
    ],
)
def test_the_subject_is_for_people(moved: dict[RecordPath, str], subject: str) -> None:
    assert make_message(moved, SAID).splitlines()[0] == subject


def test_the_trailers_are_as_git_reads_them() -> None:
    trailers = (
        f"Atproto-Repo: {DID}\nAtproto-Rev: {SAID.rev}\nAtproto-Commit: {SAID.commit}\n"
        f"Atproto-Tree: {'a' * 40}\n"
    )
    body = "pulled    com.example.note/one"
    assert make_message({ONE: "pulled"}, SAID).split("\n\n")[1:] == [body, trailers]


@given(
    st.dictionaries(st.sampled_from([ONE, TWO, LIKE]), st.sampled_from(["pulled", "pushed"])),
    st.frozensets(st.sampled_from([ONE, TWO, LIKE])),
)
def test_what_is_said_is_what_is_read(
    moved: dict[RecordPath, str], unpublished: frozenset[RecordPath]
) -> None:
    said = Published(DID, SAID.rev, SAID.commit, SAID.tree, unpublished)
    assert parse_message(make_message(moved, said)) == said


def test_a_commit_with_very_many_unpublished_records_vouches_for_nothing() -> None:
    paths = frozenset(RecordPath(f"com.example.note/{n}") for n in range(MANY + 1))
    text = make_message({}, Published(DID, SAID.rev, SAID.commit, SAID.tree, paths))
    assert len(text) < 1000
    assert parse_message(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Subject\n\nAtproto-Rev: 3n2umyb3l7e2i\n",
        make_message({}, SAID).replace("Atproto-Tree", "\nAtproto-Tree"),
        make_message({}, SAID).partition("Atproto-Commit")[0],
        make_message({}, SAID).replace("Atproto-", "> Atproto-"),
        f"{make_message({}, SAID).rstrip()}\n{make_message({}, SAID).splitlines()[-1]}\n",
        make_message({}, SAID).replace(DID, "did:alice"),
        make_message({}, SAID).replace("3n2um", "3N2UM"),
        make_message({}, SAID) + "Atproto-Rev: 3n2umyb3l7e2i\n",
        make_message({}, replace(SAID, unpublished=frozenset({ONE, TWO}))).rpartition("Atproto-")[
            0
        ],
        make_message({}, SAID) + "Atproto-Unpublished: ../../etc\n",
    ],
)
def test_anything_else_is_not_believed(text: str) -> None:
    assert parse_message(text) is None


WORDS = make_message({}, SAID)
LATER = replace(SAID, rev=Tid("3n2umyb3l7e2k"), tree="b" * 40, unpublished=frozenset({ONE}))
BLOCK, NEXT = (make_message({}, said).split("\n\n")[-1] for said in (SAID, LATER))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{WORDS}\nChange-Id: I0123\n", (SAID,)),
        (f"{WORDS}\nA paragraph of a hook,\nof two lines.\n\n# and a comment\n", (SAID,)),
        (f"A ticket\n\n{WORDS}", (SAID,)),
        (f"{BLOCK}\nA title came after it\n", (SAID,)),
        (f"Subject\n{BLOCK}Signed-off-by: Alice <a@example.com>\n", (SAID,)),
        ("\n".join(["Subject", "", *sorted(BLOCK.splitlines())]), (SAID,)),
        (WORDS.replace("\n", "\r\n"), (SAID,)),
        # A squash of two, a rebase that puts two into one, with a blank line between or without.
        (f"{WORDS}\n{make_message({ONE: 'pushed'}, LATER)}", (SAID, LATER)),
        (f"# This is a combination of 2 commits.\n{NEXT}{BLOCK}", (LATER, SAID)),
        (indent(f"{WORDS}\n{make_message({}, LATER)}", "    "), (SAID, LATER)),
        (f"* Pulled\n\n{BLOCK}\n* Pushed\n\n{NEXT}", (SAID, LATER)),
        # Half a block beside a whole one.
        (f"{BLOCK.partition('Atproto-Tree')[0]}\n{NEXT}", (LATER,)),
        (f"{BLOCK.partition('Atproto-Tree')[0]}{NEXT}", (LATER,)),
        (f"{WORDS}\n{NEXT.partition('Atproto-Tree')[0]}", (SAID,)),
        (f"{WORDS}\n{WORDS}", (SAID, SAID)),
    ],
)
def test_blocks_are_found_wherever_they_stand(text: str, found: tuple[Published, ...]) -> None:
    assert parse_blocks(text) == found
    assert parse_message(text) == found[-1]


def test_other_trailers_do_not_disturb() -> None:
    assert parse_message(make_message({}, SAID) + "Signed-off-by: Alice <a@example.com>\n") == SAID
