"""What the random tests draw from, and how much: the seed of the day, a tenth of the full size.

The seed is the date in UTC unless SYNCD_SEED names another: each day tries something new, and a run
can be repeated. pytest prints the seed above the results, and again below those that failed. `make
stress` plays the full size, for which it sets SYNCD_STRESS. Never draws from the system, and from
the clock only once: every process of a run has the same seed, past midnight too.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime

from hypothesis import HealthCheck, settings

SEED = int(os.environ.get("SYNCD_SEED") or f"{datetime.now(UTC):%Y%m%d}")
os.environ["SYNCD_SEED"] = str(SEED)
IS_STRESS = bool(os.environ.get("SYNCD_STRESS"))
IS_BRIEF = bool(os.environ.get("SYNCD_BRIEF"))
"""Whether another run tries the same properties in full: see tests/covered.py."""

AGAIN = f"random tests drew from the seed {SEED}: SYNCD_SEED={SEED} draws the same again"

_EXAMPLES = 25 if IS_BRIEF else 100

settings.register_profile(
    "dated",
    max_examples=_EXAMPLES,
    deadline=None,  # neither depends on what else the machine does
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=False,
    print_blob=True,
)
settings.load_profile("dated")


def times(full: int) -> int:
    """How often to try: `full` where nobody waits, else a tenth, or a fortieth in a brief run."""
    share = 1 if IS_STRESS else 40 if IS_BRIEF else 10
    return max(1, full // share)


def seed_of(number: int) -> int:
    """Return the seed of the part `number` of a test: no day has that of another day."""
    return SEED * 1000 + number


def seeded(number: int = 0) -> random.Random:
    """Return what the part `number` of a test draws from."""
    return random.Random(seed_of(number))


THOROUGH = settings(max_examples=times(1000))
"""For a property that the safety of files rests on."""
