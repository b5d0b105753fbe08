"""`dataclass` as in the standard library, for classes that most commands import and do not use.

The library compiles six functions for each class: that took half of the time in which `syncd sync`
imports what it needs, 260 classes among it. Here a class shares what it can with all others, and
its `__init__` is compiled when it is used first. Fields, defaults, comparison, hash, `repr`, copies
and pickles are those of the library; type checkers see the library itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    from syncd.values.classes import dataclass as dataclass
