"""Pauses between tries: the numbers of each use as they were, and what holds for all of them."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.backoff import MOST_DOUBLINGS, Backoff, doubled, in_words, spread

COUNTS = st.integers(0, 10_000)
JITTERS = st.floats(0, 1, exclude_max=True)
SECONDS = st.floats(0.001, 1000)


@given(SECONDS, SECONDS, COUNTS, JITTERS)
def test_a_pause_is_between_half_of_its_bound_and_all_of_it(
    first: float, more: float, failures: int, jitter: float
) -> None:
    backoff = Backoff(first, first + more, failures)
    bound = min(first + more, first * 2 ** min(failures, MOST_DOUBLINGS))
    assert bound / 2 <= backoff.seconds(jitter) <= bound


@given(SECONDS, SECONDS, JITTERS, st.integers(1, 50))
def test_pauses_never_shrink_until_a_success(
    first: float, more: float, jitter: float, tries: int
) -> None:
    start = Backoff(first, first + more)
    backoffs = list(itertools.accumulate(range(tries), lambda b, _: b.failed(), initial=start))
    pauses = [backoff.seconds(jitter) for backoff in backoffs]
    assert pauses == sorted(pauses)
    assert backoffs[-1].succeeded() == start


@given(JITTERS, JITTERS)
def test_a_greater_number_gives_no_shorter_pause(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert spread(100, low) <= spread(100, high)
    assert spread(100, 0.0) < spread(100, 0.5) < spread(100, 0.999)


def test_a_million_failures_are_a_number_still() -> None:
    assert doubled(0.25, 1_000_000) == doubled(0.25, MOST_DOUBLINGS) < math.inf
    assert Backoff(1.0, 300.0, 1_000_000).seconds(0.999) < 300


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 1), (1, 2), (2, 4), (3, 8), (7, 128), (8, 256), (9, 300), (20, 300), (1_000_000, 300)],
)
@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (0.5, 0.75)])
def test_one_second_doubles_to_five_minutes(
    failures: int, seconds: float, jitter: float, share: float
) -> None:
    """The numbers of a failed cycle, of a mirror that did not open, and of doorbells."""
    assert Backoff(1.0, 300.0, failures).seconds(jitter) == seconds * share


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (0.2, "1 seconds"), (119, "119 seconds"), (121, "3 minutes"),
     (3600, "60 minutes"), (7201, "3 hours"), (86400, "24 hours"), (math.pi, "4 seconds")],
)  # fmt: skip
def test_a_pause_is_told_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
