"""A law counts as broken only by what its deviation means: a rig that fails is a failure."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncd.errors import Rejected, SyncdError, Unreachable
from tests.contract.conftest import expected
from tests.contract.deviations import Deviation, otherwise, refused, taken
from tests.rigs.machine import wait_until

Fail = Callable[[], None]


def rejected() -> None:
    raise Rejected("the PDS answered 400 InvalidRequest: too many", name="", status=400)


def unreachable() -> None:
    raise Unreachable("the request to the PDS failed")


def unequal() -> None:
    assert [] == [1]


def unrefused() -> None:
    with pytest.raises(SyncdError):
        pass


def of_a_rig() -> None:
    wait_until(lambda: False, "what never comes", seconds=0)


def unstarted() -> None:
    raise OSError("no such server")


REFUSED, TAKEN, OTHERWISE = refused("why", "too many"), taken("why"), otherwise("why")
ROWS = [
    (REFUSED, rejected, True),
    (refused("why", "another reason"), rejected, False),
    (REFUSED, unreachable, False),
    (REFUSED, unequal, False),
    (TAKEN, unrefused, True),
    (TAKEN, rejected, False),
    (OTHERWISE, unequal, True),
    (OTHERWISE, of_a_rig, False),
    (OTHERWISE, unstarted, False),
    (OTHERWISE, unrefused, False),
]


def law(fail: Fail) -> None:
    fail()


def fixture(fail: Fail) -> None:
    fail()


def is_broken(run: Callable[[Fail], None], by: Deviation, fail: Fail) -> bool:
    """Tell whether a law that ends with `fail` in `run` counts as broken by the deviation."""
    mark = expected(by, "law", strict=True)
    with pytest.raises((Exception, pytest.fail.Exception)) as caught:
        run(fail)
    return bool(mark.kwargs["raises"].matches(caught.value))


@pytest.mark.parametrize(("by", "fail", "is_known"), ROWS)
def test_a_law_is_broken_by_its_deviation_and_by_nothing_else(
    by: Deviation, fail: Fail, is_known: bool
) -> None:
    assert is_broken(law, by, fail) is is_known
    assert not is_broken(fixture, by, fail), "what fails before the law is no deviation"
