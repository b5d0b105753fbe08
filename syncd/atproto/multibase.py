"""Read and write bytes in the bases that CIDs are spelled in: base32, base36, base58btc. Pure.

Never reads a text that another text of the same base could stand for: no padding, no digit too
many, no leading zero. Source: https://github.com/multiformats/multibase
"""

from __future__ import annotations

from base64 import b32encode
from typing import Final

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
_BASE32 = frozenset(BASE32)
# The pairs of digits and the digits that `int` knows: several times as fast as the base64 module,
# and a cycle writes each CID that it meets.
_PAIRS = [first + second for first in BASE32 for second in BASE32]
_DIGITS = str.maketrans(BASE32, "0123456789abcdefghijklmnopqrstuv")
_FEW_BYTES = 64
"""More than the CIDs of repos have. For many, pairs would take time quadratic in the length."""


def to_base32(raw: bytes) -> str:
    """Write `raw` in base32: lower case, no padding, no prefix."""
    if len(raw) > _FEW_BYTES:
        return b32encode(raw).decode("ascii").rstrip("=").lower()
    bits = 8 * len(raw)
    wide = bits + -bits % 10
    number = int.from_bytes(raw, "big") << (wide - bits)
    pairs = [_PAIRS[number >> place & 1023] for place in range(wide - 10, -1, -10)]
    return "".join(pairs)[: (bits + 4) // 5]


def from_base32(digits: str) -> bytes | None:
    """Read what `to_base32` writes; None for any other text."""
    if not _BASE32.issuperset(digits):
        return None
    length, spare = divmod(5 * len(digits), 8)
    number = int(f"0{digits.translate(_DIGITS)}", 32)
    # A whole digit too many, or bits of the last one that no byte takes.
    if spare >= 5 or number & ((1 << spare) - 1):
        return None
    return (number >> spare).to_bytes(length, "big")


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
