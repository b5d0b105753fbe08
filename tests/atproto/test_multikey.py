"""The fast way from a key to its text and back says what `multiformats` says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from multiformats import multibase, multicodec

from syncd.atproto.multikey import COMPRESSED_BYTES, Curve, decode_multikey, encode_multikey

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
