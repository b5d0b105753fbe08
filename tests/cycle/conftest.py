"""A world to sync in: one sandbox, one account."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.sandbox import Sandbox
from tests.rigs.device import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))
