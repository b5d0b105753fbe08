"""Read and write bytes in the bases that CIDs are spelled in: base32, base36, base58btc. Pure.

Never reads a text that another text of the same base could stand for: no padding, no digit too
many, no leading zero. Source: https://github.com/multiformats/multibase
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from typing import Final

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE32 = frozenset("abcdefghijklmnopqrstuvwxyz234567")


def to_base32(raw: bytes) -> str:
    """Write `raw` in base32: lower case, no padding, no prefix."""
    return b32encode(raw).decode("ascii").rstrip("=").lower()


def from_base32(digits: str) -> bytes | None:
    """Read what `to_base32` writes; None for any other text."""
    if not set(digits) <= _BASE32:
        return None
    try:
        raw = b32decode(digits.upper() + "=" * (-len(digits) % 8))
    except ValueError:
        return None
    # The last digit may hold bits that no byte takes.
    return raw if to_base32(raw) == digits else None


def to_base58(raw: bytes) -> str:
    """Write `raw`, which must not begin with a zero byte, in base58btc without prefix."""
    number = int.from_bytes(raw, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(BASE58[digit])
    return "".join(reversed(digits))


def from_digits(digits: str, alphabet: str) -> bytes | None:
    """Read a number written in `alphabet` as big-endian bytes; None for any other text.

    Neither the text nor the bytes begin with a zero. Takes time quadratic in the length.
    """
    values = {char: value for value, char in enumerate(alphabet)}
    if not digits or digits[0] == alphabet[0] or not values.keys() >= set(digits):
        return None
    number = 0
    for char in digits:
        number = number * len(alphabet) + values[char]
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
