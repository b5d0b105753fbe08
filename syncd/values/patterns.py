"""Make a regular expression that is compiled when it is used first. Never changes what it matches.

A long expression takes some milliseconds to compile, and most commands use few of those that they
import.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


def pattern(source: AnyStr, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[AnyStr]:
    """Return what `re.compile` returns, for a module's constant.

    A wrong expression raises `re.error` at its first use, not here.
    """
    return cast("re.Pattern[AnyStr]", _Uncompiled(source, flags))


class _Uncompiled:
    """A pattern that takes over each method of the compiled one at its first use."""

    def __init__(self, source: Any, flags: re.RegexFlag) -> None:  # noqa: ANN401 (str or bytes)
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (a method of `re.Pattern`)
        # `re` keeps what it compiled, so that each of the methods finds the same pattern.
        found = getattr(re.compile(self._source, self._flags), name)
        setattr(self, name, found)
        return found
