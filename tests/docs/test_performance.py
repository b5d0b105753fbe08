"""docs/performance.md says what the published results say, and why each missed row is missed."""

from __future__ import annotations

import re

import pytest

from bench.outcome import Mark
from bench.plots import plots
from bench.publish import PUBLISHED
from bench.results import kept
from bench.rows import ROWS
from bench.table import with_tables

from .markdown import read, section, table

DOCUMENT = read("docs/performance.md")
RESULTS = kept(PUBLISHED)
LARGEST_PICTURE = 300_000


def test_the_tables_are_those_of_the_published_results() -> None:
    assert with_tables(DOCUMENT, RESULTS) == DOCUMENT, "make publish"


@pytest.mark.parametrize("name", ["sizes.svg", "latency.svg", "peers.svg"])
def test_the_pictures_are_those_of_the_published_results(name: str) -> None:
    assert plots(RESULTS)[name] == (PUBLISHED / name).read_text(encoding="utf-8"), "make publish"


def luminance(colour: str) -> float:
    """Return how bright an sRGB colour is, from 0 to 1, as WCAG 2 has it."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", ["sizes.svg", "latency.svg", "peers.svg"])
def test_letters_can_be_read_on_the_ground_of_the_picture_in_light_and_in_dark(name: str) -> None:
    picture = (PUBLISHED / name).read_text(encoding="utf-8")
    assert '<rect class="page" width="100%" height="100%"/>' in picture
    letters = re.findall(r"text \{[^}]*fill: #(\w{6})", picture)
    grounds = re.findall(r"\.page \{ fill: #(\w{6})", picture)
    assert len(letters) == len(grounds) == 2
    for pair in zip(letters, grounds, strict=True):
        low, high = sorted(map(luminance, pair))
        assert (high + 0.05) / (low + 0.05) >= 7, pair


def test_the_readme_says_when_and_by_which_command_its_picture_was_measured() -> None:
    sizes = RESULTS["sizes"]
    cost = section(read("README.md"), "What it costs")
    assert "sizes.svg" in cost
    assert f"on {sizes.date}, by `make bench ROWS={sizes.row}`" in cost


def test_every_row_is_in_the_table_in_order() -> None:
    rows = [row[0] for row in table(DOCUMENT, "row", "work", "records", "goal", "measured", "mark")]
    assert rows == [name for name, row in ROWS.items() if row.is_judged]
    assert rows == [f"S{number}" for number in range(1, 18)]


def test_every_missed_row_has_its_reason_and_no_other_row_has_one() -> None:
    missed = {name for name, result in RESULTS.items() if result.outcome.mark is Mark.MISSED}
    reasons = section(DOCUMENT, "Rows that are missed")
    assert set(re.findall(r"^\*\*(S\d+)\*\*", reasons, re.MULTILINE)) == missed


def test_no_picture_is_larger_than_a_reader_waits_for() -> None:
    pictures = list(PUBLISHED.glob("*.svg"))
    assert len(pictures) == 6
    assert all(picture.stat().st_size < LARGEST_PICTURE for picture in pictures)
