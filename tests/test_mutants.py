"""Every bug of tests/mutants.py can be planted as syncd is now, and its tests are there."""

from __future__ import annotations

import re

import pytest

from tests.model.stories import STORIES
from tests.mutants import MUTANTS, ROOT, Mutant, planted
from tests.test_architecture import FLOORS

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


def test_there_are_bugs_in_every_part_and_each_is_told_by_its_name() -> None:
    parts = {mutant.module.partition("/")[0].removesuffix(".py") for mutant in MUTANTS}
    assert parts == FLOORS.keys() - {"__main__"}
    rooms = {path.name for path in (ROOT / "syncd" / "cycle").iterdir() if path.is_dir()}
    planted_in = {mutant.module.split("/")[1] for mutant in MUTANTS if "cycle/" in mutant.module}
    assert rooms - {"__pycache__"} <= planted_in
    assert len(MUTANTS) >= 60
    assert len(set(IDS)) == len(IDS)
