"""The two Multikeys of atproto as text and back: base58btc of a multicodec and a point.

Never explains a bad key: `keys` asks `multiformats` for the reason. Its import takes fifty
milliseconds, and valid keys do not need it. Source:
https://atproto.com/specs/cryptography#public-key-encoding
"""

from __future__ import annotations

from typing import Final, Literal

Curve = Literal["k256", "p256"]

COMPRESSED_BYTES: Final = 33
PREFIXES: Final[dict[Curve, bytes]] = {"k256": b"\xe7\x01", "p256": b"\x80\x24"}
"""The multicodecs secp256k1-pub and p256-pub, as varints."""

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_LENGTH = 49
"""Characters of a Multikey, with the `z` of base58btc."""


def encode_multikey(curve: Curve, point: bytes) -> str:
    """Encode a compressed point as a Multikey."""
    number = int.from_bytes(PREFIXES[curve] + point, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_ALPHABET[digit])
    return "z" + "".join(reversed(digits))


def decode_multikey(text: str) -> tuple[Curve, bytes] | None:
    """Decode a Multikey to curve and compressed point; None for any other text."""
    if len(text) != _LENGTH or not text.startswith("z") or not _VALUES.keys() >= set(text):
        return None
    number = 0
    for char in text[1:]:
        number = number * 58 + _VALUES[char]
    raw = number.to_bytes(_LENGTH, "big").lstrip(b"\0")
    found = (curve for curve, prefix in PREFIXES.items() if raw.startswith(prefix))
    curve = next(found, None)
    if curve is None or len(raw) != len(PREFIXES[curve]) + COMPRESSED_BYTES:
        return None
    return curve, raw[len(PREFIXES[curve]) :]
