"""Keys and signatures: which signature counts, and which key a secret has."""

from __future__ import annotations

from base64 import b64decode

import pytest
from multiformats import multibase

from syncd.atproto.keys import (
    has_signed,
    make_key,
    parse_did_key,
    parse_verification_method,
)

from .suite import Vector


def decode(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.vectors("crypto/signature-fixtures.json")
def test_a_signature_counts_only_in_its_one_form(vector: Vector) -> None:
    case = vector.value
    key = parse_did_key(case["publicKeyDid"])
    assert key.curve == {"ES256": "p256", "ES256K": "k256"}[case["algorithm"]]
    message, signature = decode(case["messageBase64"]), decode(case["signatureBase64"])
    assert has_signed(key, message, signature) is case["validSignature"]


@pytest.mark.vectors("crypto/signature-fixtures.json")
def test_the_legacy_form_of_a_key_is_the_same_key(vector: Vector) -> None:
    case = vector.value
    method = {"type": case["didDocSuite"], "publicKeyMultibase": case["publicKeyMultibase"]}
    assert parse_verification_method(method) == parse_did_key(case["publicKeyDid"])


@pytest.mark.vectors("crypto/w3c_didkey_K256.json", "crypto/w3c_didkey_P256.json")
def test_a_secret_has_the_did_that_others_give_it(vector: Vector) -> None:
    case = vector.value
    if "privateKeyBytesHex" in case:
        key = make_key("k256", bytes.fromhex(case["privateKeyBytesHex"]))
    else:
        key = make_key("p256", multibase.decode("z" + case["privateKeyBytesBase58"]))
    assert key.public.did_key == case["publicDidKey"]
    assert parse_did_key(case["publicDidKey"]) == key.public
