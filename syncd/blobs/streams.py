"""Do the same work in several tasks at once. Knows nothing of what it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

STREAMS: Final = 4
"""How many blobs are on their way at once, each way."""


async def in_streams(work: Callable[[], Awaitable[None]], count: int) -> None:
    """Run `work` in one task for each thing to do, at most STREAMS.

    Raises what one of them raises, as a single stream would.
    """

    async def one() -> None:
        await work()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(STREAMS, count)):
                group.create_task(one())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
