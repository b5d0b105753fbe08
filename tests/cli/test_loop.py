"""What a coroutine returns comes back, however much it is to look at."""

from __future__ import annotations

import pytest

from syncd.cli import loop


class Unprintable:
    def __repr__(self) -> str:
        raise AssertionError("nobody asked for it")


def test_nothing_shows_what_was_returned() -> None:
    """`asyncio.run` does: it formats the result for an error that it drops."""
    made = Unprintable()

    async def main() -> Unprintable:
        return made

    assert loop.run(main()) is made


def test_what_is_raised_is_raised() -> None:
    async def main() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        loop.run(main())
