"""No story waits for a daemon: the lock that a command finds is the story's own."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.mirror.delegate.TRIES", 1)
