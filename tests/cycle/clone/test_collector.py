"""The search for garbage is off while it is paused, and afterwards as it was, whatever happens."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from syncd.cycle.clone.collector import paused_collector


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    was_on = gc.isenabled()
    yield
    if was_on:
        gc.enable()
    else:
        gc.disable()


@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_is_afterwards_as_it_was(is_on: bool) -> None:
    if is_on:
        gc.enable()
    else:
        gc.disable()
    with paused_collector():
        assert not gc.isenabled()
    assert gc.isenabled() is is_on


def test_an_error_puts_the_collector_on_again() -> None:
    gc.enable()
    with suppress(ValueError), paused_collector():
        int("no number")
    assert gc.isenabled()


def test_two_pauses_that_overlap_leave_the_collector_on() -> None:
    gc.enable()
    one, two = paused_collector(), paused_collector()
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)
    two.__exit__(None, None, None)
    assert gc.isenabled()
