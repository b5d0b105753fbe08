"""How long a request to a PDS may take, and how much an answer may hold. Sends nothing."""

from __future__ import annotations

from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long one request may take and how much an answer may hold, in seconds and plain bytes.

    `total_seconds` and `answer_bytes` are for whole answers, the `stream_` ones for a CAR. A server
    may be silent for `answer_seconds` before it answers a read; for `silent_seconds` before a CAR,
    and as long again before it answers something that takes no work. A CAR has to bring at least
    `slow_bytes` in each `slow_seconds` that syncd waits for it.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    write_seconds: float = 60.0
    total_seconds: float = 120.0
    stream_seconds: float = 3_600.0
    answer_bytes: int = 16 * 1024 * 1024
    stream_bytes: int = 4 * 1024 * 1024 * 1024
    answer_seconds: float = 15.0
    silent_seconds: float = 9.0
    slow_seconds: float = 60.0
    slow_bytes: int = 64 * 1024


DEFAULT_BOUNDS = Bounds()


class TooSlow(TimeoutError):
    """A stream brought so little that it would take hours."""


@dataclass(slots=True)
class Pace:
    """The bytes of a stream, and the time waited for them, since it was last fast enough.

    The time in which syncd itself works on what came does not count.
    """

    bounds: Bounds
    received: int = 0
    seconds: float = 0.0

    def count(self, received: int, seconds: float) -> None:
        """Count a chunk. Raises TooSlow if too little came for too long."""
        self.received += received
        self.seconds += seconds
        if self.received >= self.bounds.slow_bytes:
            self.received, self.seconds = 0, 0.0
        elif self.seconds > self.bounds.slow_seconds:
            raise TooSlow(
                f"it came too slowly ({self.received} bytes in {self.seconds:.0f} seconds)"
            )
