from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import multibase

from syncd.atproto.multibase import (
    BASE36,
    BASE58,
    from_base32,
    from_digits,
    to_base32,
    to_base58,
)

RAW = st.binary(min_size=1, max_size=90).filter(lambda raw: raw[0] != 0)


@given(st.binary(max_size=90))
def test_base32_is_that_of_multiformats_both_ways(raw: bytes) -> None:
    assert "b" + to_base32(raw) == multibase.encode(raw, "base32")
    assert from_base32(to_base32(raw)) == raw


@given(RAW)
def test_base58_and_base36_are_those_of_multiformats_both_ways(raw: bytes) -> None:
    assert "z" + to_base58(raw) == multibase.encode(raw, "base58btc")
    assert from_digits(to_base58(raw), BASE58) == raw
    assert from_digits(multibase.encode(raw, "base36")[1:], BASE36) == raw


@given(st.text("abcdefghijklmnopqrstuvwxyz234567", max_size=40))
def test_no_bytes_have_two_texts(digits: str) -> None:
    raw = from_base32(digits)
    assert raw is None or to_base32(raw) == digits


@pytest.mark.parametrize("digits", ["a", "aaa", "ab", "A", "1", "aa=", "aa======", "aa\n", "٢a"])
def test_other_text_is_no_base32(digits: str) -> None:
    assert from_base32(digits) is None


@pytest.mark.parametrize("digits", ["", "1", "12", "0", "l", "2l", "2 ", "2\n", "٢"])
def test_other_text_is_no_base58(digits: str) -> None:
    assert from_digits(digits, BASE58) is None
