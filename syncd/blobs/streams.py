"""Do the same work in several tasks at once. Knows nothing of what it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

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


Later: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]
"""Takes work that is done later, and returns at once."""


@asynccontextmanager
async def aside(most: int) -> AsyncIterator[Later]:
    """Have work done beside that of the `with`, at most so many at once; it ends with the last.

    Raises what one of them raises, or the `with` itself.
    """
    free = asyncio.Semaphore(most)

    async def one(work: Callable[[], Awaitable[None]]) -> None:
        async with free:
            await work()

    try:
        async with asyncio.TaskGroup() as group:

            def later(work: Callable[[], Awaitable[None]]) -> None:
                group.create_task(one(work))

            yield later
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
