"""Signing keys of repos: parse them from a DID or DID document, verify, sign, make. Pure.

A signature has one valid form: 64 bytes r and s over the SHA-256 of the message, with the lower of
the two possible s. Never knows the owner of a key. Source: https://atproto.com/specs/cryptography
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from syncd.atproto.multibase import BASE58, from_digits
from syncd.atproto.multikey import Curve, decode_multikey, encode_multikey, is_point
from syncd.errors import BadSyntax
from syncd.values import dataclass

SIGNATURE_BYTES = 64
SECRET_BYTES = 32

_DID_KEY = "did:key:"
_MULTIBASE_LENGTH = 100
_LEGACY_TYPES: dict[str, Curve] = {
    "EcdsaSecp256k1VerificationKey2019": "k256",
    "EcdsaSecp256r1VerificationKey2019": "p256",
}
_ORDERS: dict[Curve, int] = {
    "k256": 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141,
    "p256": 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551,
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key to verify signatures; `point` is its 33 bytes in compressed form."""

    curve: Curve
    point: bytes

    @property
    def multibase(self) -> str:
        """The key as the Multikey of a DID document: base58btc of multicodec and point."""
        return encode_multikey(self.curve, self.point)

    @property
    def did_key(self) -> str:
        """The key as a DID, `did:key:z...`."""
        return _DID_KEY + self.multibase


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key to sign with. Its repr hides the secret."""

    public: PublicKey
    secret: bytes = field(repr=False)


def parse_did_key(text: str) -> PublicKey:
    """Parse a `did:key` DID on one of the two curves of atproto. Raises BadSyntax."""
    if not text.startswith(_DID_KEY):
        raise BadSyntax(f"{text[:80]!r} is not a did:key")
    return _parse_multikey(text.removeprefix(_DID_KEY))


def parse_verification_method(method: Mapping[str, object]) -> PublicKey:
    """Parse the key in an entry of `verificationMethod` of a DID document.

    Accepts Multikey and the two legacy types; their point has no multicodec and is often not
    compressed. Raises BadSyntax. Source: https://atproto.com/specs/did#public-key-encoding
    """
    kind, text = method.get("type"), method.get("publicKeyMultibase")
    if not isinstance(kind, str) or not isinstance(text, str):
        raise BadSyntax("a verification method of a DID document lacks type or publicKeyMultibase")
    if kind == "Multikey":
        return _parse_multikey(text)
    curve = _LEGACY_TYPES.get(kind)
    if curve is None:
        raise BadSyntax(f"{kind[:80]!r} is not a type of key that atproto uses")
    return _make_public(curve, _parse_base58(text))


def make_key(curve: Curve, secret: bytes) -> PrivateKey:
    """Make the key of a secret: 32 bytes, a number within the curve's order. Raises BadSyntax."""
    from syncd.atproto import curves  # noqa: PLC0415 (its import is slow)

    number = int.from_bytes(secret, "big")
    if len(secret) != SECRET_BYTES or not 0 < number < _ORDERS[curve]:
        raise BadSyntax(f"a private key on {curve} needs {SECRET_BYTES} bytes within its order")
    return PrivateKey(PublicKey(curve, curves.point_of(curve, secret)), secret)


def sign(key: PrivateKey, message: bytes) -> bytes:
    """Sign a message; the same message gets the same 64 bytes each time (RFC 6979)."""
    from syncd.atproto import curves  # noqa: PLC0415 (its import is slow)

    curve = key.public.curve
    r, s = curves.sign(curve, key.secret, message)
    low_s = min(s, _ORDERS[curve] - s)
    return r.to_bytes(32, "big") + low_s.to_bytes(32, "big")


def has_signed(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is the one valid form of `key`'s signature on `message`."""
    from syncd.atproto import curves  # noqa: PLC0415 (its import is slow)

    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != SIGNATURE_BYTES or s > _ORDERS[key.curve] // 2:
        return False
    return curves.has_signed(key.curve, key.point, message, r, s)


def _parse_multikey(text: str) -> PublicKey:
    found = decode_multikey(text)
    if found is None:
        raise _why_no_multikey(text)
    curve, point = found
    if not is_point(curve, point):
        raise _no_point(curve, point)
    return PublicKey(curve, point)


def _why_no_multikey(text: str) -> BadSyntax:
    """Explain why a text is no Multikey of the two curves."""
    from multiformats import multicodec  # noqa: PLC0415 (its import is slow)

    raw = _parse_base58(text)
    try:
        multicodec.unwrap(raw)
    except (KeyError, ValueError) as error:
        return BadSyntax(f"{text!r} is not a Multikey: {error}")
    return BadSyntax(f"{text!r} is not a key on one of the two curves of atproto")


def _parse_base58(text: str) -> bytes:
    if len(text) > _MULTIBASE_LENGTH or not text.startswith("z"):
        raise BadSyntax(f"{text[:80]!r} is not a key in base58btc")
    raw = from_digits(text[1:], BASE58)
    if raw is not None:
        return raw
    from multiformats import multibase  # noqa: PLC0415 (its import is slow, and keys do not need it)

    try:
        return multibase.decode(text)
    except ValueError as error:
        raise BadSyntax(f"{text!r} is not a key in base58btc: {error}") from None


def _make_public(curve: Curve, point: bytes) -> PublicKey:
    from syncd.atproto import curves  # noqa: PLC0415 (its import is slow)

    try:
        return PublicKey(curve, curves.compressed(curve, point))
    except ValueError:
        raise _no_point(curve, point) from None


def _no_point(curve: Curve, point: bytes) -> BadSyntax:
    return BadSyntax(f"{point.hex()[:140]} is not a point on the curve {curve}")
