"""Texts are measured, padded, cut and broken by the columns that a terminal needs for them."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.cli.cells import broken, cells, cut, padded

JAPANESE = "日本語の長い文章です。これは四十桁の端末よりもずっと長いので、折り返す必要があります。"
PICTURES = "\U0001f4f7" * 50
WORDS = st.lists(
    st.text("ab-é.日本、\U0001f4f7\u0301", min_size=1, max_size=30), min_size=1, max_size=20
)


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("日本", 4), ("\U0001f4f7", 2), ("a…b", 3),
     ("привет", 6), ("\t", 8)],
)  # fmt: skip
def test_a_text_needs_so_many_columns(text: str, columns: int) -> None:
    assert cells(text) == columns


@pytest.mark.parametrize("text", ["name", "日本", "e\u0301"])
def test_padding_fills_the_columns_and_takes_nothing_away(text: str) -> None:
    assert columns_of(padded(text, 12)) == 12
    assert padded(text, 1).rstrip() == text


@given(st.text("ab日\U0001f4f7", max_size=60), st.integers(3, 60))
def test_a_cut_line_leaves_the_last_column_free(text: str, room: int) -> None:
    shown = cut(text, room)
    assert columns_of(shown) < room
    assert shown == text or (text.startswith(shown[:-1]) and columns_of(text) >= room)


def test_without_a_terminal_nothing_is_cut() -> None:
    assert cut("a" * 500, 0) == "a" * 500


@given(WORDS, st.sampled_from([20, 40, 80]), st.sampled_from([None, 0, 9]))
def test_whatever_the_script_no_line_is_too_wide_and_no_sign_is_lost(
    words: list[str], room: int, indent: int | None
) -> None:
    text = " ".join(words)
    lines = broken(text, room, indent)
    assert "".join("".join(lines).split()) == "".join(text.split())
    for line in lines:
        assert columns_of(line) <= room or not any(map(is_wide, line)), line


def is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def columns_of(text: str) -> int:
    """Return the columns of a text without joined pictures, by another way than the one tested."""
    return sum(0 if unicodedata.combining(char) else 1 + is_wide(char) for char in text)


@pytest.mark.parametrize("text", [JAPANESE, PICTURES, "held      " + JAPANESE])
def test_a_script_without_spaces_is_broken_between_its_signs(text: str) -> None:
    lines = broken(text, 40)
    assert max(map(columns_of, lines)) <= 40
    assert min(map(columns_of, lines[:-1])) >= 36
    assert not any(line.lstrip().startswith(("、", "。")) for line in lines)


@pytest.mark.parametrize("word", ["https://例え.jp/" + "道/" * 30, "/home/" + "本" * 40])
def test_an_address_and_a_path_stay_whole(word: str) -> None:
    assert word in [line.strip() for line in broken(f"next: open {word} now", 40)]


@pytest.mark.parametrize("picture", ["\U0001f469\u200d\U0001f680", "\U0001f1e9\U0001f1ea", "👍🏽"])
def test_what_is_one_picture_stays_one(picture: str) -> None:
    for line in broken(picture * 40, 21):
        assert line.strip().replace(picture, "") == ""


def test_european_signs_load_no_library() -> None:
    program = (
        "import sys; from syncd.cli.cells import broken\n"
        "broken('a “quoted” word … ' * 40, 40)\n"
        "sys.exit('rich' in sys.modules or 'textwrap' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], env=os.environ, check=False).returncode == 0
    )
