"""The two Multikeys of atproto as text and back: base58btc of a multicodec and a point.

Never explains a bad key: `keys` asks `multiformats` for the reason. Its import takes fifty
milliseconds, and valid keys do not need it. Source:
https://atproto.com/specs/cryptography#public-key-encoding
"""

from __future__ import annotations

from typing import Final, Literal

from syncd.atproto.multibase import BASE58, from_digits, to_base58

Curve = Literal["k256", "p256"]

COMPRESSED_BYTES: Final = 33
PREFIXES: Final[dict[Curve, bytes]] = {"k256": b"\xe7\x01", "p256": b"\x80\x24"}
"""The multicodecs secp256k1-pub and p256-pub, as varints."""

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
