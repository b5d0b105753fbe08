"""The values that `status` shows, on a terminal and elsewhere. Shows nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from syncd.model import Conflict, Held, Problem

Waits: TypeAlias = tuple[Sequence[Conflict], Sequence[Problem], Sequence[Held]]
"""What waits for a person: conflicts, problems, held deletions."""
Seen: TypeAlias = tuple[dict[str, Any], Waits]
"""The object that `status --json` prints, and what waits."""

REFRESH_SECONDS: Final = 1.0
"""How often `status --watch` looks again."""
