"""Pages of the documentation on a terminal: all words, none broken, and none beyond its edge."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.cli.fitted import fitted
from syncd.prepared.pages import find_pages

PAGES = {page.name: page.read_text(encoding="utf-8") for page in find_pages().values()}
WIDTHS = (40, 80, 200)
TABLE = """\
| setting | meaning |
|---|---|
| `a` \\| `b` | whether a reader of this table sees a line that is far too wide |
| `c` | |
"""


def code_of(page: str) -> set[str]:
    """The lines that a person copies."""
    parts = re.split(r"^```.*$", page, flags=re.MULTILINE)
    return {line for part in parts[1::2] for line in part.split("\n")}


@pytest.mark.parametrize("room", WIDTHS)
@pytest.mark.parametrize("name", sorted(PAGES))
def test_no_line_of_a_page_is_wider_than_the_terminal_except_code_and_one_word(
    name: str, room: int
) -> None:
    code = code_of(PAGES[name])
    for line in fitted(PAGES[name], room):
        is_copied = line in code or line.startswith("    ")
        assert len(line) <= room or is_copied or len(line.split()) == 1, line


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_keeps_all_its_words_and_its_code(name: str) -> None:
    shown = fitted(PAGES[name], 40)
    assert code_of(PAGES[name]) <= set(shown)
    words = [word for word in PAGES[name].split() if not set(word) <= set("|-:")]
    assert set(words) <= {
        part for word in " ".join(shown).split() for part in (word, word.rstrip(":"))
    }


def test_a_page_in_a_pipe_is_as_it_was_written() -> None:
    for page in PAGES.values():
        assert "\n".join(fitted(page, 0)) == page


def test_a_table_that_does_not_fit_is_a_list_of_its_rows() -> None:
    assert fitted(TABLE, 200) == TABLE.split("\n")
    assert fitted(TABLE, 40) == [
        "setting: `a` \\| `b`",
        "  meaning: whether a reader of this",
        "    table sees a line that is far too",
        "    wide",
        "setting: `c`",
        "",
    ]


@given(st.lists(st.sampled_from(["", "- ", "| a |", "# ", "```", "    x", "one two"]), max_size=9))
def test_lines_that_fit_stay_as_they_are(lines: list[str]) -> None:
    assert fitted("\n".join(lines), 20) == "\n".join(lines).split("\n")
