"""The machine with the real systemd, booted once; and why it was not, aloud."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.rigs.systemd import SystemdMachine, boot, find_obstacle


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them go to one worker, so that the machine is booted once."""
    for item in items:
        if "machine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("systemd"))


@pytest.fixture(scope="session")
def machine() -> Iterator[SystemdMachine]:
    """Where CI=true it must be there; elsewhere its absence is told in a line of its own."""
    obstacle = find_obstacle()
    if obstacle is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no systemd can be booted here, and CI needs it: {obstacle}")
        pytest.skip(f"NOT TESTED in a real systemd: {obstacle}")
    with boot() as found:
        yield found
