"""The table of the slowest tests names tests that exist, and is read from what pytest prints."""

from __future__ import annotations

from tests.mutants import ROOT
from tests.slowest import read, table_of

LOG = """
12.50s call     tests/a/test_a.py::test_one[first case]
0.25s setup    tests/a/test_a.py::test_one[first case]
3.00s call     tests/a/test_a.py::test_one[second]
40.00s call     tests/a/test_b.py::test_two@systemd
0.99s call     tests/a/test_b.py::test_quick
1 passed in 57.00s
"""


def test_it_names_tests_that_exist_the_slowest_first() -> None:
    seconds = read()
    assert list(seconds.values()) == sorted(seconds.values(), reverse=True)
    files = (ROOT / "tests").rglob("test_*.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for name in seconds:
        assert f"def {name}(" in text


def test_a_test_counts_as_its_slowest_case_set_up_included() -> None:
    assert list(table_of(LOG)) == [
        " 40.0 test_two",
        " 12.8 test_one",
    ]
