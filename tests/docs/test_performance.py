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
