"""Pages of a sorted list: how many items, and from where on. Never sorts, never makes an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from syncd.errors import BadSyntax
from syncd.sandbox.methods.request import XrpcRequest

T = TypeVar("T")
K = TypeVar("K", str, tuple[int, str])

LARGEST = 1000
_ORDINARY = 500


def page(
    request: XrpcRequest,
    items: Sequence[T],
    key: Callable[[T], K],
    read_cursor: Callable[[str], K],
) -> tuple[Sequence[T], K | None]:
    """Return at most `limit` items after `cursor`, and the cursor of the next page.

    `items` are sorted by `key`. A page without items has no key. Raises Rejected for a parameter
    that is malformed.
    """
    limit = request.maybe("limit", size_up_to(LARGEST)) or _ORDINARY
    cursor = request.maybe("cursor", read_cursor)
    left = [item for item in items if cursor is None or key(item) > cursor][:limit]
    return left, key(left[-1]) if left else None


def size_up_to(largest: int) -> Callable[[str], int]:
    """Return a reader of a page size from 1 to `largest`. It raises BadSyntax and ValueError."""

    def read(text: str) -> int:
        number = int(text)
        if not 1 <= number <= largest:
            raise BadSyntax(f"limit is not from 1 to {largest} (got {number})")
        return number

    return read
