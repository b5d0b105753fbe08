"""The pictures of docs/performance.md, drawn from results. What was not measured is not drawn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from bench.clone import TENFOLD
from bench.measure import Spent
from bench.outcome import MEGABYTE
from bench.results import Result
from bench.svg import BAR, GAP, TOP, Axis, Bars, Panel, Series, axis_of, chart

Results = Mapping[str, Result]
Figure = Callable[[Spent], float]

FIGURES: tuple[tuple[str, str, Figure], ...] = (
    ("time", "s", lambda spent: spent.wall),
    ("CPU", "s", lambda spent: spent.cpu),
    ("memory", "MB", lambda spent: spent.peak / MEGABYTE),
)


def plots(results: Results) -> dict[str, str]:
    """Each picture that can be drawn, by its file name."""
    drawn = {"sizes.svg": sizes, "latency.svg": latency, "peers.svg": peers}
    pictures = ((name, draw(results)) for name, draw in drawn.items())
    return {name: picture for name, picture in pictures if picture is not None}


def sizes(results: Results) -> str | None:
    """Time, CPU and memory against the size of a repo."""
    if "sizes" not in results:
        return None
    spent = dict(_by_size(results))
    panels = [_size_panel(f"{name}, {unit}", figure, spent) for name, unit, figure in FIGURES]
    return chart(panels)


def _by_size(results: Results) -> Iterator[tuple[tuple[str, int], Sequence[Spent]]]:
    for name, runs in results["sizes"].outcome.runs.items():
        what, _, records = name.rpartition(" at ")
        yield (what, int(records.replace(",", ""))), runs
    if "S9" in results and results["S9"].records == results["sizes"].records:
        *_, largest = results["S9"].outcome.runs.values()
        yield ("syncd clone", results["S9"].records * TENFOLD), largest


def _size_panel(
    title: str, figure: Figure, spent: Mapping[tuple[str, int], Sequence[Spent]]
) -> Panel:
    values = {key: median(figure, runs) for key, runs in spent.items()}
    series = [
        Series(what, [(records, values[what, records]) for _, records in keys])
        for what, keys in groupby(sorted(values), key=lambda key: key[0])
    ]
    x = axis_of([records for _, records in values], is_log=True)
    return Panel(title, "records", x, axis_of(list(values.values()), is_log=True), series)


def latency(results: Results) -> str | None:
    """How many of all changes had arrived after how long."""
    titles = {"S3": "Saved file to commit", "S5": "Foreign write to file"}
    panels = [
        _latency_panel(title, results[row].outcome.samples)
        for row, title in titles.items()
        if row in results
    ]
    return chart(panels) if panels else None


def _latency_panel(title: str, samples: Mapping[str, Sequence[float]]) -> Panel:
    series = [Series(_ending(name), list(_arrived(each))) for name, each in samples.items()]
    x = axis_of([value for each in samples.values() for value in each], is_log=False)
    return Panel(f"{title}: % arrived", "ms", x, Axis(0, 100), series)


def _ending(name: str) -> str:
    return name.rpartition("-> ")[2]


def _arrived(values: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Steps up: from 0 % at the first to 100 % at the last."""
    ordered = sorted(values)
    for number, value in enumerate(ordered):
        yield value, 100 * number / len(ordered)
        yield value, 100 * (number + 1) / len(ordered)


def peers(results: Results) -> str | None:
    """Each job of syncd beside those who do something like it."""
    clones = _merged(results, "S1", "S11")
    parts = [
        *(_bars(f"Clone: {name}", unit, f, clones) for name, unit, f in FIGURES if clones),
        *(_bars("Nothing to do: time", "s", FIGURES[0][2], runs) for runs in _looks(results)),
    ]
    return chart(parts, 2, TOP + 6 * (BAR + GAP)) if parts else None


def _merged(results: Results, *rows: str) -> dict[str, Sequence[Spent]]:
    """The runs of several rows of one size; a contender of two of them is taken from the last."""
    found = [results[row] for row in rows if row in results]
    return {
        name: runs
        for each in found
        if each.records == found[0].records
        for name, runs in each.outcome.runs.items()
    }


def _looks(results: Results) -> Iterator[Mapping[str, Sequence[Spent]]]:
    if "S2" in results:
        yield results["S2"].outcome.runs


def _bars(title: str, unit: str, figure: Figure, runs: Mapping[str, Sequence[Spent]]) -> Bars:
    return Bars(title, unit, [(name, median(figure, each)) for name, each in runs.items()])


def median(figure: Figure, runs: Sequence[Spent]) -> float:
    return statistics.median(figure(spent) for spent in runs)
