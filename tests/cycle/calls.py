"""Count the calls of a function, by whoever and under whatever name it is called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Calls:
    """How often the function was called."""

    count: int = 0


@contextmanager
def counted(
    function: Callable[..., object], counts: Callable[[FrameType], bool] = lambda _: True
) -> Iterator[Calls]:
    """Count calls of `function`, those for whose frame `counts` is true."""
    calls, code, before = Calls(), function.__code__, sys.getprofile()

    def on_call(frame: FrameType, event: str, _: object) -> None:
        calls.count += event == "call" and frame.f_code is code and counts(frame)

    sys.setprofile(on_call)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def is_ours(frame: FrameType | None) -> bool:
    """True unless the sandbox is what works here."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("syncd.sandbox"):
            return False
        frame = frame.f_back
    return True
