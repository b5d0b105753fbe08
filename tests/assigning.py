"""Which process of a run gets which test next, at a cost that does not grow with the run.

The order is that of `--dist loadgroup`. Whenever a test ends, xdist looks through all that its
process has done, and whenever one begins, through the names of all tests. For 15,500 tests that
took 14 seconds of a processor, in which other processes waited for a test. Never decides which test
comes next, nor which belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]


class Names(list[str]):
    """The names of all tests, each of which is found at once."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self._places = {name: place for place, name in enumerate(names)}

    def index(self, name: str, *_: Any) -> int:  # noqa: ANN401 (as in list)
        return self._places[name]


class Assigning(LoadGroupScheduling):  # type: ignore[misc]
    """Assigns groups of tests to processes, and forgets those that are done."""

    def add_node_collection(self, node: object, collection: Sequence[str]) -> None:
        super().add_node_collection(node, collection)
        if node in self.registered_collections:
            self.registered_collections[node] = Names(collection)

    def mark_test_complete(self, node: object, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        groups = self.assigned_work[node]
        if all(groups[scope].values()):
            del groups[scope]
