"""A world to sync in, as for the cycle."""

from tests.cycle.conftest import world

__all__ = ("world",)
