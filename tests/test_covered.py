"""What `make coverage` measures is what there is."""

from __future__ import annotations

from tests.covered import OWN_TESTS, ROOT, files_of
from tests.test_architecture import PURE


def test_every_pure_part_and_no_other_is_to_be_reached_whole_by_its_own_tests() -> None:
    assert tuple(OWN_TESTS) == PURE
    for part, tests in OWN_TESTS.items():
        assert list(ROOT.glob(files_of(part)))
        assert all((ROOT / test).exists() for test in tests)
