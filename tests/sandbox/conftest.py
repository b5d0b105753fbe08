"""A sandbox that always does the same: its clock ticks a second a look, its dice are loaded."""

from __future__ import annotations

import itertools
import random

import pytest

from syncd.sandbox import Login, Sandbox

START = 1_760_000_000.0


@pytest.fixture
def sandbox() -> Sandbox:
    ticks = itertools.count()
    return Sandbox(clock=lambda: START + next(ticks), rng=random.Random(0))


@pytest.fixture
def login(sandbox: Sandbox) -> Login:
    return sandbox.create_account("alice")
