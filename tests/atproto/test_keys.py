"""Keys: every form in which a DID document holds one, and the one form of a signature."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from multiformats import multibase, multicodec

from syncd.atproto.keys import (
    SIGNATURE_BYTES,
    PublicKey,
    has_signed,
    make_key,
    parse_did_key,
    parse_verification_method,
    sign,
)
from syncd.atproto.multikey import Curve
from syncd.errors import BadSyntax

SECRET = bytes(range(1, 33))
CURVES: tuple[Curve, ...] = get_args(Curve)
ORDERS: dict[Curve, int] = {
    "k256": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
}
LEGACY_TYPES: dict[Curve, str] = {
    "k256": "EcdsaSecp256k1VerificationKey2019",
    "p256": "EcdsaSecp256r1VerificationKey2019",
}
SHAPES: dict[Curve, ec.EllipticCurve] = {"k256": ec.SECP256K1(), "p256": ec.SECP256R1()}

on_both_curves = pytest.mark.parametrize("curve", CURVES)


def base58(raw: bytes) -> str:
    return multibase.encode(raw, "base58btc")


def uncompressed(key: PublicKey) -> bytes:
    point = ec.EllipticCurvePublicKey.from_encoded_point(SHAPES[key.curve], key.point)
    return point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@on_both_curves
def test_a_key_is_read_from_every_form_of_a_did_document(curve: Curve) -> None:
    key = make_key(curve, SECRET).public
    legacy = LEGACY_TYPES[curve]
    for kind, text in (
        ("Multikey", key.multibase),
        (legacy, base58(key.point)),
        (legacy, base58(uncompressed(key))),
    ):
        assert parse_verification_method({"type": kind, "publicKeyMultibase": text}) == key


@on_both_curves
def test_a_did_key_names_its_key(curve: Curve) -> None:
    key = make_key(curve, SECRET).public
    assert key.did_key.startswith("did:key:z")
    assert parse_did_key(key.did_key) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:key:",
        "did:key:z",
        "did:key:z0OIl",
        "did:key:u" + "A" * 40,
        "did:plc:44ybard66vv44zksje25o7dz",
        "did:key:z" + "1" * 100_000,
        "did:key:" + base58(multicodec.wrap("ed25519-pub", bytes(32))),
        "did:key:" + base58(multicodec.wrap("p384-pub", b"\x02" + bytes(48))),
        "did:key:" + base58(multicodec.wrap("p256-pub", b"\x02" + b"\xff" * 32)),
        "did:key:" + base58(multicodec.wrap("p256-pub", b"\x02" + bytes(31))),
        "did:key:" + base58(multicodec.wrap("p256-pub", b"")),
        "did:key:" + base58(b"\xff" * 12),
        "did:key:" + base58(b"\xff\xff\x03" + bytes(33)),
        "did:key:"
        + base58(multicodec.wrap("secp256k1-pub", uncompressed(make_key("k256", SECRET).public))),
    ],
)
def test_a_did_key_that_is_no_key_of_atproto_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax) as raised:
        parse_did_key(text)
    assert len(raised.value.message) < 400


@pytest.mark.parametrize(
    "method",
    [
        {},
        {"type": "Multikey"},
        {"type": "Multikey", "publicKeyMultibase": 7},
        {"type": "Multikey", "publicKeyMultibase": base58(b"\x04" + bytes(64))},
        {"type": "JsonWebKey2020", "publicKeyMultibase": "zQ3sh"},
        {"type": ["Multikey"], "publicKeyMultibase": "zQ3sh"},
        {"type": LEGACY_TYPES["k256"], "publicKeyMultibase": base58(b"\x04" + bytes(64))},
        {"type": LEGACY_TYPES["k256"], "publicKeyMultibase": "z"},
        {"type": LEGACY_TYPES["k256"], "publicKeyMultibase": base58(b"\x00")},
    ],
    ids=str,
)
def test_a_verification_method_without_a_key_of_atproto_is_refused(
    method: dict[str, object],
) -> None:
    with pytest.raises(BadSyntax):
        parse_verification_method(method)


@on_both_curves
@pytest.mark.parametrize("secret", [b"", bytes(32), b"\xff" * 32, SECRET[:31], SECRET + b"\x00"])
def test_a_secret_out_of_range_makes_no_key(curve: Curve, secret: bytes) -> None:
    with pytest.raises(BadSyntax):
        make_key(curve, secret)


@on_both_curves
@settings(max_examples=30, deadline=None)
@given(message=st.binary(max_size=100), secret=st.binary(min_size=32, max_size=32))
def test_a_signature_counts_for_its_key_and_message_only(
    curve: Curve, message: bytes, secret: bytes
) -> None:
    key, other = make_key(curve, b"\x01" + secret[1:]), make_key(curve, SECRET)
    signature = sign(key, message)
    assert len(signature) == SIGNATURE_BYTES
    assert int.from_bytes(signature[32:], "big") <= ORDERS[curve] // 2
    assert sign(key, message) == signature
    assert has_signed(key.public, message, signature)
    assert not has_signed(key.public, message + b"!", signature)
    assert has_signed(other.public, message, signature) is (key == other)


@on_both_curves
@settings(max_examples=30, deadline=None)
@given(at=st.integers(0, SIGNATURE_BYTES - 1), bit=st.integers(0, 7))
def test_an_altered_signature_does_not_count(curve: Curve, at: int, bit: int) -> None:
    key = make_key(curve, SECRET)
    signature = bytearray(sign(key, b"message"))
    signature[at] ^= 1 << bit
    assert not has_signed(key.public, b"message", bytes(signature))


@on_both_curves
def test_the_other_form_of_a_signature_does_not_count(curve: Curve) -> None:
    key = make_key(curve, SECRET)
    signature = sign(key, b"message")
    high_s = ORDERS[curve] - int.from_bytes(signature[32:], "big")
    assert not has_signed(key.public, b"message", signature[:32] + high_s.to_bytes(32, "big"))


@on_both_curves
@pytest.mark.parametrize(
    "signature",
    [b"", bytes(64), b"\xff" * 64, bytes(63), bytes(65), bytes(31) + b"\x01" + bytes(32)],
    ids=["nothing", "zeros", "ones", "short", "long", "s of zero"],
)
def test_bytes_that_are_no_signature_do_not_count(curve: Curve, signature: bytes) -> None:
    assert not has_signed(make_key(curve, SECRET).public, b"message", signature)


@on_both_curves
def test_a_signature_without_its_leading_zero_does_not_count(curve: Curve) -> None:
    key = make_key(curve, SECRET)
    message, signature = next(
        (message, signature)
        for number in range(10_000)
        if (signature := sign(key, message := b"%d" % number))[32] == 0
    )
    assert has_signed(key.public, message, signature)
    assert not has_signed(key.public, message, signature[:32] + signature[33:])


def test_a_secret_is_not_shown() -> None:
    key = make_key("k256", SECRET)
    assert SECRET.hex() not in repr(key)
    assert repr(SECRET) not in repr(key)


@on_both_curves
def test_to_read_a_key_imports_no_library(curve: Curve) -> None:
    code = (
        "import sys; from syncd.atproto.keys import parse_did_key\n"
        f"parse_did_key({make_key(curve, SECRET).public.did_key!r})\n"
        "sys.exit(not sys.modules.keys().isdisjoint({'cryptography', 'multiformats'}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
