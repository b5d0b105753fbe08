"""Which names are one edit apart."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.lexicon.oneedit import is_one_edit
from tests.chance import times

WORDS = st.text("abcdefgh", min_size=4, max_size=8)


def edited(text: str, pick: random.Random) -> str:
    at = pick.randrange(len(text))
    char = pick.choice("abcdefgh")
    return pick.choice(
        [
            text[:at] + char + text[at:],
            text[:at] + text[at + 1 :],
            text[:at] + char + text[at + 1 :],
            text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :],
        ]
    )


@settings(max_examples=times(200))
@given(WORDS, st.randoms(use_true_random=False))
def test_one_edit_is_one_edit(word: str, pick: random.Random) -> None:
    other = edited(word, pick)
    assert other == word or is_one_edit(word, other)
    assert is_one_edit(word, other) == is_one_edit(other, word)


def distance(one: str, other: str) -> int:
    """The slow twin: the distance with swapped neighbours, by the whole table."""
    rows = [[at + to if not at or not to else 0 for to in range(len(other) + 1)]
            for at in range(len(one) + 1)]  # fmt: skip
    for at in range(1, len(one) + 1):
        for to in range(1, len(other) + 1):
            rows[at][to] = min(
                rows[at - 1][to] + 1,
                rows[at][to - 1] + 1,
                rows[at - 1][to - 1] + (one[at - 1] != other[to - 1]),
            )
            if at > 1 < to and one[at - 2 : at] == other[to - 2 : to][::-1]:
                rows[at][to] = min(rows[at][to], rows[at - 2][to - 2] + 1)
    return rows[-1][-1]


@settings(max_examples=times(300))
@given(st.text("ab", max_size=6), st.text("ab", max_size=6))
def test_one_edit_agrees_with_the_whole_table(one: str, other: str) -> None:
    assert is_one_edit(one, other) == (distance(one, other) == 1)
