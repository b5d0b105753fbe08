"""`make model N=… SEED=…`: as many random schedules as you like, then one line of counts."""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Machine


def main(count: int, number: int) -> None:
    started = time.monotonic()
    wanted = settings(
        max_examples=count,
        stateful_step_count=30,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(Machine), settings=wanted)
    seconds = time.monotonic() - started
    sys.stdout.write(f"{count} schedules from seed {number}: nothing lost, in {seconds:.0f} s\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
