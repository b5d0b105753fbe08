"""Define the values that `status` shows. Never shows them itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from syncd.model import Conflict, Held, Problem

Waits: TypeAlias = tuple[Sequence[Conflict], Sequence[Problem], Sequence[Held]]
"""The items that wait for a person: conflicts, problems, held deletions."""
Seen: TypeAlias = tuple[dict[str, Any], Waits]
"""The object that `status --json` prints, and the waiting items."""

REFRESH_SECONDS: Final = 1.0
"""The time between two looks of `status --watch`."""
