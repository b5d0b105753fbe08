"""The fast way from a key to its text and back says what `multiformats` says."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multiformats import multibase, multicodec

from syncd.atproto import curves
from syncd.atproto.keys import make_key
from syncd.atproto.multikey import (
    COMPRESSED_BYTES,
    Curve,
    decode_multikey,
    encode_multikey,
    is_point,
)
from tests.chance import times

PRIMES: dict[Curve, int] = {
    "k256": 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_FFFFFC2F,
    "p256": 0xFFFFFFFF_00000001_00000000_00000000_00000000_FFFFFFFF_FFFFFFFF_FFFFFFFF,
}
CODECS: dict[Curve, str] = {"k256": "secp256k1-pub", "p256": "p256-pub"}
POINTS = st.binary(min_size=COMPRESSED_BYTES, max_size=COMPRESSED_BYTES)


@given(st.sampled_from(list(CODECS)), POINTS)
def test_it_writes_what_multiformats_writes_and_reads_it_back(curve: Curve, point: bytes) -> None:
    text = multibase.encode(multicodec.wrap(CODECS[curve], point), "base58btc")
    assert encode_multikey(curve, point) == text
    assert decode_multikey(text) == (curve, point)


@given(st.text() | st.text("z123456789ABCabc0OIl", min_size=48, max_size=50).map("z".__add__))
def test_what_it_reads_multiformats_reads_the_same(text: str) -> None:
    found = decode_multikey(text)
    if found is not None:
        codec, point = multicodec.unwrap(multibase.decode(text))
        assert (CODECS[found[0]], found[1]) == (codec.name, point)


def test_a_text_of_the_right_length_may_hold_something_else() -> None:
    assert decode_multikey("z" + "2" * 48) is None


@given(st.binary(max_size=40))
def test_other_codecs_and_lengths_are_left_to_multiformats(raw: bytes) -> None:
    text = multibase.encode(raw, "base58btc")
    found = decode_multikey(text)
    prefixes = [multicodec.wrap(name, b"") for name in CODECS.values()]
    is_key = len(raw) == 35 and any(raw.startswith(prefix) for prefix in prefixes)
    assert (found is not None) == is_key


@given(st.sampled_from(list(CODECS)), st.sampled_from([0, 2, 3, 4, 255]), st.binary(max_size=33))
@example("k256", 2, bytes(32))
@example("p256", 2, bytes(32))
@example("k256", 3, b"\xff" * 32)
@example("p256", 3, b"\xff" * 32)
@settings(max_examples=times(150))
def test_what_is_a_point_is_one_for_cryptography_too(curve: Curve, head: int, x: bytes) -> None:
    assert is_point(curve, bytes((head,)) + x) == _is_point(curve, bytes((head,)) + x)


@pytest.mark.parametrize("curve", list(CODECS))
def test_no_number_that_the_field_does_not_have_is_a_point(curve: Curve) -> None:
    """Each of these would be a point if it were reduced first."""
    for x in range(64):
        small, large = (b"\2" + n.to_bytes(32, "big") for n in (x, x + PRIMES[curve]))
        assert is_point(curve, small) == _is_point(curve, small)
        assert not is_point(curve, large)


def test_every_key_that_is_made_is_a_point() -> None:
    for curve in CODECS:
        point = make_key(curve, bytes(range(1, 33))).public.point
        assert is_point(curve, point)
        assert is_point(curve, bytes((point[0] ^ 1,)) + point[1:])
        assert not is_point(curve, point[:-1])
        assert not is_point(curve, point + b"\0")


def _is_point(curve: Curve, point: bytes) -> bool:
    if len(point) != COMPRESSED_BYTES:
        return False  # the other forms that `cryptography` reads have another length
    try:
        return curves.compressed(curve, point) == point
    except ValueError:
        return False
