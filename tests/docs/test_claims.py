"""What README, SECURITY.md and some pages claim: tests show it, and the numbers are the code's."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from syncd.blobs.files import MOST_STRIPPED
from syncd.blobs.store import _LEAST_FREE_BYTES, _LEAST_FREE_SHARE
from syncd.blobs.streams import STREAMS
from syncd.config import Config
from syncd.forms.frontmatter.tree import MAX_DEPTH

from .evidence import blocks, claims
from .markdown import read
from .test_reliability import collected_from

DOCUMENTS = ("README.md", "SECURITY.md", "docs/operations.md", "docs/texts.md", "docs/blobs.md")
DEFAULT = {field.name: field.default for field in fields(Config)}
WORDS = {4: "four", 8: "eight", 20: "twentieth"}


def setting(unit: str, name: str) -> str:
    """Return the value of the one such line of a unit."""
    (value,) = re.findall(rf"^{name}=(.*)$", read(f"systemd/{unit}"), re.MULTILINE)
    return str(value)


def test_the_claims_of_these_documents_are_listed() -> None:
    assert tuple(claims()) == DOCUMENTS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_paragraph_item_and_row_has_its_evidence_and_all_evidence_has_its_claim(
    document: str,
) -> None:
    said = list(blocks(read(document)))
    unshown = [text[:70] for text in said if not text.startswith(tuple(claims()[document]))]
    assert unshown == [], "name the tests that show it in tests/docs/claims.txt"
    for claim in claims()[document]:
        assert sum(text.startswith(claim) for text in said) == 1, claim


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_claim_has_tests_or_a_reason_for_having_none(document: str) -> None:
    assert [claim for claim, evidence in claims()[document].items() if not evidence] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_test_that_shows_a_claim_is_there_and_runs(document: str) -> None:
    named = {name for evidence in claims()[document].values() for name in evidence}
    for name in named:
        if not name.startswith("= "):
            file, _, test = name.partition("::")
            marks = collected_from(file).get(test)
            assert marks is not None, f"{file} has no {test}"
            assert not [mark for mark in marks if re.search(r"\b(?:skip|xfail)\b", mark)], name


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("docs/operations.md", f"history for {DEFAULT['history_days']} days"),
        ("docs/blobs.md", f"only by `syncd blob get` ({DEFAULT['blobs_max_megabytes']})"),
        ("docs/blobs.md", f"make `blobs/` larger ({DEFAULT['blobs_total_megabytes']})"),
        ("docs/blobs.md", f"WebP up to {MOST_STRIPPED // 1_000_000} MB"),
        ("docs/blobs.md", f"the blobs follow, {WORDS[STREAMS]} at a time"),
        ("docs/blobs.md", f"a {WORDS[_LEAST_FREE_SHARE]} of the disk"),
        ("docs/blobs.md", f"or {_LEAST_FREE_BYTES // 1_000_000_000} GB if that is less"),
        ("docs/texts.md", f"nesting deeper than {MAX_DEPTH}"),
    ],
)
def test_a_number_is_that_of_the_code(document: str, words: str) -> None:
    assert words in " ".join(read(document).split())


@pytest.mark.parametrize("unit", ["syncd@.service", "syncd-user@.service", "syncd-mirrors.service"])
def test_the_times_of_the_units_are_those_of_the_page(unit: str) -> None:
    page = read("docs/operations.md")
    minutes = int(setting(unit, "WatchdogSec").removesuffix("min"))
    assert f"killed after {WORDS[minutes]} minutes" in page
    waits = setting("syncd-sync.timer", "OnUnitInactiveSec").removesuffix("min")
    assert f"one sync every {waits} minutes" in page


@pytest.mark.parametrize(
    ("file", "name", "words"),
    [
        ("tests/model/test_machine.py", "SCHEDULES", "plays {} schedules"),
        ("tests/e2e/test_kills.py", "KILLS", "Each run of the tests does it {} times"),
        ("tests/cycle/observe/test_remote.py", "VARIATIONS", "view from {:,} answers"),
        ("tests/contract/test_odd_objects.py", "OBJECTS", "for {} objects in every run"),
    ],
)
def test_a_run_tries_as_much_as_the_page_says(file: str, name: str, words: str) -> None:
    (full,) = re.findall(rf"^(?:\w+ = )*{name} = .*?times\(([\d_]+)\)", read(file), re.MULTILINE)
    page = " ".join(read("docs/reliability.md").split())
    assert words.format(int(full) // 10) in page
