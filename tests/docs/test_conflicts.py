"""docs/conflicts.md says what the code does, row by row and number by number."""

from __future__ import annotations

import re
from itertools import product

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.config import Config
from syncd.merge import settle
from syncd.model import RecordPath, Step, Verdict
from syncd.model.brake import Brake
from syncd.plan import verdict

from .markdown import read, table

DOCUMENT = read("docs/conflicts.md")
ROWS = table(DOCUMENT, "base", "local", "remote", "verdict", "so")
CIDS = {"-": None, **{name: cid_of_block(name.encode()) for name in "ABC"}}


def every_pattern() -> set[tuple[str, ...]]:
    """All triples of absence and contents, with the contents named in order of appearance."""
    return {canonical(triple) for triple in product("-ABC", repeat=3)}


def canonical(triple: tuple[str, ...]) -> tuple[str, ...]:
    names: dict[str, str] = {"-": "-"}
    for name in triple:
        names.setdefault(name, "ABC"[len(names) - 1])
    return tuple(names[name] for name in triple)


def views(row: tuple[str, ...]) -> tuple[Cid | None, Cid | None, Cid | None]:
    base, local, remote = (CIDS[name] for name in row[:3])
    return base, local, remote


def test_the_table_has_every_pattern_once() -> None:
    patterns = [row[:3] for row in ROWS]
    assert len(patterns) == len(set(patterns)) == 15
    assert set(patterns) == every_pattern()


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_a_row_names_the_verdict(row: tuple[str, ...]) -> None:
    assert verdict(*views(row)).value == row[3]


@pytest.mark.parametrize("row", [row for row in ROWS if row[3] == "conflict"], ids=" ".join)
def test_a_conflict_becomes_what_its_row_says(row: tuple[str, ...]) -> None:
    base, local, remote = views(row)
    step = Step(RecordPath("com.example.note/a"), Verdict.CONFLICT, base, local, remote, "")
    word = row[4].split(":")[0]
    assert settle(step).verdict.value == ("conflict" if word == "hold" else word)


def test_the_numbers_of_the_brake_are_those_of_the_code() -> None:
    ((records, percent),) = re.findall(r"more than (\d+) records and more than (\d+) %", DOCUMENT)
    (whole,) = re.findall(r"that had (\d+) records or more", DOCUMENT)
    (minutes,) = re.findall(r"within (\d+) minutes count together", DOCUMENT)
    config = Config.__dataclass_fields__
    assert int(records) == config["brake_records"].default == Brake().records
    assert int(percent) == config["brake_percent"].default == Brake().percent
    assert int(whole) == Brake().whole
    assert int(minutes) * 60 == config["brake_window_seconds"].default == Brake().window_seconds
