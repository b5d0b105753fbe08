"""The processes of a run import each test file, and none imports what another has."""

from __future__ import annotations

import pytest

from tests.shares import names, share


@pytest.mark.parametrize("count", [1, 2, 3, 500])
def test_each_file_is_in_one_share(count: int) -> None:
    whole = list(names(["tests"], ()))
    shares = [share(whole, number, count) for number in range(count)]
    assert sorted(name for each in shares for name in each) == sorted(set(whole))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_it_is_those_of_the_files_and_directories_that_a_run_takes() -> None:
    assert __name__ in names(["tests"], ())
    found = list(names(["tests"], ["tests/test_shares.py", "tests/cli"]))
    assert __name__ not in found
    assert "tests.test_slowest" in found
    assert not [name for name in found if name.startswith("tests.cli.")]
    chosen = ["tests/merge", "tests/test_slips.py::test_one"]
    assert list(names(chosen, ())) == [
        "tests.merge.test_merge",
        "tests.merge.test_texts",
        "tests.test_slips",
    ]
