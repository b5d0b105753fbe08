"""Every bug of tests/mutants.py can be planted as syncd is now, and its tests are there."""

from __future__ import annotations

import re

import pytest

from tests.model.stories import STORIES
from tests.mutants import MUTANTS, ROOT, Mutant, planted

IDS = [mutant.name for mutant in MUTANTS]


@pytest.mark.parametrize("mutant", MUTANTS, ids=IDS)
def test_a_bug_has_its_place_and_leaves_a_module_that_compiles(mutant: Mutant) -> None:
    compile(planted(mutant), mutant.module, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=IDS)
def test_a_bug_names_tests_that_are_there(mutant: Mutant) -> None:
    file, _, rest = mutant.tests.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    name, _, story = rest.partition("[")
    assert f"def {name}" in text
    assert not story or story.removesuffix("]") in STORIES
    assert re.search(rf"def test_\w*{mutant.words}", text)


def test_there_are_bugs_of_every_kind_and_each_is_told_by_its_name() -> None:
    assert len(MUTANTS) >= 20
    assert len(set(IDS)) == len(IDS)
