"""Count what a mirror sends and receives: the proof that a cycle makes progress. Ends nothing."""

from __future__ import annotations

from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.fetch import Fetching, Writing
from syncd.values import dataclass


@dataclass(slots=True)
class Traffic:
    """The traffic of `mirror` so far."""

    mirror: Mirror
    _pieces: int = 0

    def __post_init__(self) -> None:
        # Another observer is there already: then requests alone show progress.
        if self.mirror.on_fetch is None:
            self.mirror.on_fetch = self._count

    @property
    def mark(self) -> tuple[int, int]:
        """Return a value that differs once anything was sent or received."""
        return self.mirror.requests, self._pieces

    def _count(self, fetching: Fetching | Writing) -> None:  # noqa: ARG002
        self._pieces += 1
