"""The two Multikeys of atproto as text and back: base58btc of a multicodec and a point of a curve.

Never explains a bad key: `keys` asks `multiformats` for the reason. Its import takes fifty
milliseconds, and valid keys do not need it. Source:
https://atproto.com/specs/cryptography#public-key-encoding
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from syncd.atproto.multibase import BASE58, from_digits, to_base58

Curve = Literal["k256", "p256"]

COMPRESSED_BYTES: Final = 33
PREFIXES: Final[dict[Curve, bytes]] = {"k256": b"\xe7\x01", "p256": b"\x80\x24"}
"""The multicodecs secp256k1-pub and p256-pub, as varints."""


class _Field(NamedTuple):
    """The numbers modulo `prime` in which a curve is y² = x³ + ax + b."""

    prime: int
    a: int
    b: int


_P256_PRIME: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_FIELDS: Final[dict[Curve, _Field]] = {
    "k256": _Field(2**256 - 2**32 - 977, 0, 7),
    "p256": _Field(
        _P256_PRIME,
        _P256_PRIME - 3,
        0x5AC635D8_AA3A93E7_B3EBBD55_769886BC_651D06B0_CC53B0F6_3BCE3C3E_27D2604B,
    ),
}
"""Source: SEC 2, Recommended Elliptic Curve Domain Parameters, version 2.0"""
_LENGTH = 49
"""Characters of a Multikey, with the `z` of base58btc."""


def encode_multikey(curve: Curve, point: bytes) -> str:
    """Encode a compressed point as a Multikey."""
    return "z" + to_base58(PREFIXES[curve] + point)


def decode_multikey(text: str) -> tuple[Curve, bytes] | None:
    """Decode a Multikey to curve and compressed point; None for any other text."""
    is_long_enough = len(text) == _LENGTH and text.startswith("z")
    raw = from_digits(text[1:], BASE58) if is_long_enough else None
    if raw is None:
        return None
    found = (curve for curve, prefix in PREFIXES.items() if raw.startswith(prefix))
    curve = next(found, None)
    if curve is None or len(raw) != len(PREFIXES[curve]) + COMPRESSED_BYTES:
        return None
    return curve, raw[len(PREFIXES[curve]) :]


def is_point(curve: Curve, point: bytes) -> bool:
    """Return whether 33 bytes are the compressed form of a point on a curve.

    Without `cryptography`, whose import takes longer than a look at a repo without news.
    """
    field, x = _FIELDS[curve], int.from_bytes(point[1:], "big")
    square = (x**3 + field.a * x + field.b) % field.prime
    # Euler's criterion; no point of either curve has a y of 0.
    is_square = pow(square, (field.prime - 1) // 2, field.prime) == 1
    return len(point) == COMPRESSED_BYTES and point[0] in (2, 3) and x < field.prime and is_square
