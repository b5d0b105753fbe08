"""How large a body a PDS takes, learnt from its answers: no PDS says it. Pure; sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from syncd.atproto.xrpc import ENVELOPE_BYTES
from syncd.errors import Rejected, TooLarge
from syncd.model import Change
from syncd.pds import encoded_size
from syncd.values import dataclass

OLD_JSON_BYTES = 150 * 1024
"""The largest JSON body that older PDSes take (observed on 0.4)."""
STEPS = (OLD_JSON_BYTES, 64 * 1024, 32 * 1024, 16 * 1024)
"""The sizes to try after a refusal, the last of them the least that is worth a request."""


@dataclass(frozen=True, slots=True)
class Body:
    """The known limits of one PDS on a body, in bytes.

    Attributes:
        room: The most that one request may have.
        passed: The largest body that it took.
        refused: The smallest body that it refused as too large; None if it refused none.
    """

    room: int
    passed: int = 0
    refused: int | None = None

    def after_passing(self, size: int) -> Body:
        """Return the limits after the PDS accepted a body of `size` bytes."""
        return self if size <= self.passed else replace(self, passed=size)

    def after_refusal(self, size: int) -> Body:
        """Return the limits after the PDS refused a body of `size` bytes as too large."""
        room = next((step for step in STEPS if step < size), STEPS[-1])
        if self.passed < size:
            # What passed before is a better guess than a step below it, and, where a refusal
            # only repeats what was known, than any step.
            is_known = self.refused is not None and self.refused <= size and self.passed
            room = self.passed if is_known else max(room, self.passed)
        return Body(min(self.room, room), self.passed, min(size, self.refused or size))


def body_bytes(batch: Sequence[Change]) -> int:
    """Return the size of the request for `batch` in bytes, with the largest possible frame."""
    return ENVELOPE_BYTES + sum(encoded_size(change)[0] for change in batch)


def shows_a_limit(error: Rejected, size: int, room: int) -> bool:
    """Return whether the refusal of a body of `size` shows a limit below `room`."""
    is_of_the_body = isinstance(error, TooLarge) and error.status == 413
    return is_of_the_body and STEPS[-1] < size <= room
