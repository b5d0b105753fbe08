"""SECURITY.md: each claim about secrets names tests that exist."""

from __future__ import annotations

import re

from .markdown import read
from .test_reliability import collected_from

TEST = re.compile(r"^- `(tests/[\w/]+\.py)::(\w+)`$", re.MULTILINE)


def test_every_test_that_is_named_exists_and_runs() -> None:
    named = TEST.findall(read("SECURITY.md"))
    assert len(named) == read("SECURITY.md").count("`tests/")
    for file, name in named:
        marks = collected_from(file).get(name)
        assert marks is not None, f"{file} has no {name}"
        assert not [mark for mark in marks if "skip" in mark or "xfail" in mark]


def test_every_claim_of_where_secrets_go_names_a_test() -> None:
    section = read("SECURITY.md").partition("\n## Where secrets go\n")[2].partition("\n## ")[0]
    claims = section.strip().split("\n\n")
    assert len(claims) >= 7
    assert [claim for claim in claims if not TEST.search(claim)] == []
