"""Random schedules of everything at once. `make model` plays many more of them."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

from .machine import Machine

EXAMPLES = 100

TestTheWholeSystem = Machine.TestCase
TestTheWholeSystem.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
