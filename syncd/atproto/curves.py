"""The arithmetic of signing keys on the two curves of atproto, by `cryptography`. Pure.

Its import takes as long as a whole small command, so only `keys.py` imports it, when it has a key.
Never says which form of a signature is valid.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from syncd.atproto.multikey import Curve

_CURVES: dict[Curve, ec.EllipticCurve] = {"k256": ec.SECP256K1(), "p256": ec.SECP256R1()}


def compressed(curve: Curve, point: bytes) -> bytes:
    """Return the 33 bytes of a point in any form. Raises ValueError if it is not on the curve."""
    return _compress(ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], point))


def point_of(curve: Curve, secret: bytes) -> bytes:
    """Return the 33 bytes of the public key of a secret within the order of the curve."""
    return _compress(_signer(curve, secret).public_key())


def sign(curve: Curve, secret: bytes, message: bytes) -> tuple[int, int]:
    """Return r and one of the two possible s; the same for the same message (RFC 6979)."""
    der = _signer(curve, secret).sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
    return decode_dss_signature(der)


def has_signed(curve: Curve, point: bytes, message: bytes, r: int, s: int) -> bool:
    """Return whether r and s are a signature of the key at `point` on `message`."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], point)
    try:
        public.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=8)  # to derive a key takes longer than to sign with it
def _signer(curve: Curve, secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret, "big"), _CURVES[curve])


def _compress(public: ec.EllipticCurvePublicKey) -> bytes:
    return public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
