"""Marks, tables and pictures say what was measured, and a missed goal as loudly as a met one."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from bench.flamegraph import draw, fold
from bench.measure import Spent
from bench.outcome import Check, Mark, Outcome
from bench.plots import plots
from bench.results import Result
from bench.svg import Axis
from bench.table import tables

CHECK = Check("wall / tar", 1.2, must=1.3, unit="x", stretch=1.0)


@pytest.mark.parametrize(
    ("value", "mark"),
    [
        (1.0, Mark.STRETCH),
        (1.01, Mark.MET),
        (1.3, Mark.MET),
        (1.31, Mark.MISSED),
        (None, Mark.OPEN),
    ],
)
def test_a_figure_has_the_mark_that_its_goal_gives_it(value: float | None, mark: Mark) -> None:
    assert replace(CHECK, value=value).mark is mark


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        ((1.0, 1.0), Mark.STRETCH),
        ((1.0, 1.2), Mark.MET),
        ((1.0, 1.4), Mark.MISSED),
        ((1.0, None), Mark.STRETCH),
        ((1.4, None), Mark.MISSED),
        ((None, None), Mark.OPEN),
    ],
)
def test_a_row_is_as_good_as_its_worst_figure(values: tuple[float | None, ...], mark: Mark) -> None:
    assert Outcome([replace(CHECK, value=value) for value in values]).mark is mark


def result(row: str, outcome: Outcome) -> Result:
    return Result(row, 1_000, "make bench", "2026-11-27", "a machine", 90.0, outcome)


def spent(*walls: float) -> list[Spent]:
    return [Spent(wall, wall / 2, 50_000_000) for wall in walls]


RESULTS = {
    "S1": result(
        "S1", Outcome([replace(CHECK, value=2.0)], {"syncd clone": spent(2), "tar": spent(1)})
    ),
    "S2": result(
        "S2",
        Outcome([CHECK], {"syncd sync": spent(2), "git status": spent(0.1)}, notes=["no rclone"]),
    ),
    "S3": result(
        "S3",
        Outcome([CHECK], samples={"bare putRecord": [1, 2, 3], "file saved -> commit": [2, 3, 5]}),
    ),
    "sizes": result(
        "sizes", Outcome([], {f"syncd clone at {n}": spent(1, 2, 3) for n in ("10", "1,000")})
    ),
}


def test_a_missed_row_is_in_the_table_with_its_figure_and_its_mark() -> None:
    (line,) = [line for line in tables(RESULTS).splitlines() if line.startswith("| S1 | clone")]
    assert line.endswith("| wall / tar: 2.00 x | **missed** |")


def test_rows_that_were_not_measured_are_in_the_table_too() -> None:
    (line,) = [line for line in tables(RESULTS).splitlines() if line.startswith("| S9 |")]
    assert line.endswith("|  | not measured |")


def test_a_note_is_beside_the_figures() -> None:
    assert "wall / tar: 1.20 x; no rclone |" in tables(RESULTS)


def test_pictures_are_drawn_of_what_was_measured_and_of_nothing_else() -> None:
    assert plots({}) == {}
    drawn = plots(RESULTS)
    assert sorted(drawn) == ["latency.svg", "peers.svg", "sizes.svg"]
    for picture in drawn.values():
        ET.fromstring(picture)
    assert "git status" in drawn["peers.svg"]


def test_a_value_is_placed_by_its_logarithm_where_the_axis_says_so() -> None:
    assert Axis(1, 100, is_log=True).place(10) == pytest.approx(0.5)
    assert Axis(0, 100).place(10) == pytest.approx(0.1)
    assert [*Axis(1, 1000, is_log=True).ticks()] == [1, 10, 100, 1000]
    assert [*Axis(0, 100).ticks()] == [0, 20, 40, 60, 80, 100]


STACKS = ["main (syncd/a.py:1);work (syncd/a.py:9) 60", "main (syncd/a.py:1);<wait> (x.py:2) 40"]


def test_a_frame_of_a_flame_graph_is_as_wide_as_its_part_of_the_samples() -> None:
    main = fold(STACKS).called["main (syncd/a.py:1)"]
    assert (main.samples, main.called["work (syncd/a.py:9)"].samples) == (100, 60)
    picture = draw("A title", STACKS)
    ET.fromstring(picture)
    assert "work (syncd/a.py:9): 60.0%" in picture
    assert "100 samples" in picture


def test_frames_that_nobody_could_see_are_left_out() -> None:
    assert "rare" not in draw("", [*STACKS, "rare (x.py:1) 1", "often (x.py:2) 9899"])
