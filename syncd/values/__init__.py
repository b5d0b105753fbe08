"""`dataclass` as in the standard library, for classes that most commands import and do not use.

The library compiles six functions for each class, a third of a millisecond or more: for the 260
classes that `syncd sync` imports, half of its start. Here a class shares what it can with all
others, and the library makes its `__init__` when it is used first. Fields, defaults, comparison,
hash, `repr`, copies and pickles are the library's in every way but the time they take; type
checkers see the library itself. Never used for a class that other code is to subclass with
fields of its own order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    from syncd.values.classes import dataclass as dataclass
