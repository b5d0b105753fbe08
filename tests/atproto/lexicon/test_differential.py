"""The checker beside the one of the reference PDS: what the PDS takes has no fault."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.data import from_json
from syncd.atproto.lexicon.catalog import Catalog
from syncd.atproto.lexicon.document import Lexicon, parse_lexicon
from syncd.errors import BadData
from tests.chance import seeded, times
from tests.npm import NODE
from tests.reference.install import ensure_installed

from .mutations import RECORDS, mutants

ORACLE = Path(__file__).parents[2] / "reference" / "lexicon_oracle.mjs"
BUNDLE = Path(__file__).parents[3] / "syncd" / "lexicons" / "bundle.json"


@cache
def catalog() -> Catalog:
    documents = json.loads(BUNDLE.read_bytes())["lexicons"]
    lexicons: dict[str, Lexicon] = {each["id"]: parse_lexicon(each) for each in documents}
    return Catalog(lexicons.get)


def judged(cases: list[tuple[str, Any]]) -> list[str | None]:
    """What the PDS says of each record; empty if it takes it, None if it does not know its type."""
    lines = "".join(json.dumps({"rkey": rkey, "record": each}) + "\n" for rkey, each in cases)
    done = subprocess.run(
        [str(NODE), str(ORACLE)],
        env={**os.environ, "REFERENCE_HOME": str(ensure_installed())},
        input=lines,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def found(rkey: str, record: Any) -> list[str]:  # noqa: ANN401
    faults = catalog().check(record["$type"], rkey, from_json(record))
    return [str(fault) for fault in faults if not fault.is_note]


def is_record(record: Any) -> bool:  # noqa: ANN401
    """Whether syncd reads it at all: what is no record is refused before any lexicon is asked."""
    try:
        from_json(record)
    except BadData:
        return False
    return isinstance(record.get("$type"), str)


@pytest.mark.reference
def test_what_the_reference_pds_takes_has_no_fault_and_nearly_all_else_has_one() -> None:
    full = 20_000
    cases = [case for case in mutants(seeded(20), times(full)) if is_record(case[1])]
    cases += list(RECORDS)
    verdicts = judged(cases)
    assert len(verdicts) == len(cases)
    wrongly, missed = [], []
    for (rkey, record), verdict in zip(cases, verdicts, strict=True):
        faults = found(rkey, record)
        if verdict is not None and faults and not verdict:
            wrongly.append((rkey, record, faults))
        if verdict and not faults:
            missed.append((rkey, record, verdict))
    assert not wrongly, wrongly[:3]
    assert len(missed) * 400 <= len(cases), missed[:3]


@pytest.mark.parametrize(("rkey", "record"), RECORDS)
def test_the_records_that_are_mutated_are_good_ones(rkey: str, record: Any) -> None:  # noqa: ANN401
    assert found(rkey, record) == []
