"""A PDS in memory and devices beside it."""

from tests.cycle.conftest import world

__all__ = ["world"]
