"""Tell whether two names are one edit apart. Pure; compares letters and knows no name."""

from __future__ import annotations


def is_one_edit(one: str, other: str) -> bool:
    """Return whether two names differ by one letter, or by two swapped neighbours."""
    short, long = sorted((one, other), key=len)
    start = next((at for at, char in enumerate(short) if char != long[at]), len(short))
    if len(long) == len(short) + 1:
        return short[start:] == long[start + 1 :]
    if len(long) != len(short) or start == len(short):
        return False
    swapped = short[start + 1 : start + 2] + short[start]
    return short[start + 1 :] == long[start + 1 :] or (
        swapped == long[start : start + 2] and short[start + 2 :] == long[start + 2 :]
    )
