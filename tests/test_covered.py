"""What `make coverage` measures is what there is."""

from __future__ import annotations

from tests.covered import ELSEWHERE, OWN_TESTS, ROOT, files_of
from tests.test_architecture import PURE


def test_every_pure_part_and_no_other_is_to_be_reached_whole_by_its_own_tests() -> None:
    assert tuple(OWN_TESTS) == PURE
    for part, tests in OWN_TESTS.items():
        assert list(ROOT.glob(files_of(part)))
        assert all((ROOT / test).exists() for test in tests)


def test_what_is_left_out_is_there_and_is_none_of_what_pure_parts_are_measured_by() -> None:
    for name in ELSEWHERE:
        file, _, test = name.partition("::")
        assert (ROOT / file).exists()
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
    assert ELSEWHERE.keys().isdisjoint(test for tests in OWN_TESTS.values() for test in tests)
