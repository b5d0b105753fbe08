"""Run a coroutine on an event loop of its own, to its end. Never shows what it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Return what `main` returns; raise what it raises.

    `asyncio.run` asks for the handler of SIGINT when it ends. For that, Python formats the main
    task with what it returned, in an error that it drops: a second for a report of 10,000 records.
    """
    found: list[T] = []

    async def keep() -> None:
        found.append(await main)

    asyncio.run(keep())
    return found[0]
