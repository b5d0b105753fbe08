"""Play random schedules of the whole system, the same ones for the same seed."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import TALLY, Machine

STEPS = 30


def play_schedules(count: int, number: int, machine: type[Machine] = Machine) -> Counter[str]:
    """`count` schedules from the seed `number`, and what they came to. Raises what one fails of."""

    class Seeded(machine):  # type: ignore[misc, valid-type]
        """A class of its own, because hypothesis keeps the seed there."""

    wanted = settings(
        max_examples=count,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        print_blob=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    TALLY.clear()
    run_state_machine_as_test(seed(number)(Seeded), settings=wanted)
    return Counter(TALLY)
