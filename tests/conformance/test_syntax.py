"""Identifiers and string formats: what is valid is parsed, what is not is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncd.atproto.formats import parse_cid_text, parse_datetime, parse_language, parse_uri
from syncd.atproto.syntax import (
    parse_at_identifier,
    parse_at_uri,
    parse_did,
    parse_handle,
    parse_nsid,
    parse_rkey,
    parse_tid,
)
from syncd.errors import BadSyntax

from .suite import INVALID_SYNTAX, SYNTAX_KINDS, VALID_SYNTAX, Vector

PARSERS: dict[str, Callable[[str], object]] = {
    "atidentifier": parse_at_identifier,
    "aturi": parse_at_uri,
    "cid": parse_cid_text,
    "datetime": parse_datetime,
    "did": parse_did,
    "handle": parse_handle,
    "language": parse_language,
    "nsid": parse_nsid,
    "recordkey": parse_rkey,
    "tid": parse_tid,
    "uri": parse_uri,
}


def test_every_kind_has_a_parser() -> None:
    assert set(PARSERS) == set(SYNTAX_KINDS)


@pytest.mark.vectors(*VALID_SYNTAX)
def test_valid_text_is_parsed_to_itself(vector: Vector) -> None:
    text = vector.value
    is_folded = vector.kind in ("handle", "atidentifier", "aturi")
    assert str(PARSERS[vector.kind](text)) in ((text, text.lower()) if is_folded else (text,))


@pytest.mark.vectors(*INVALID_SYNTAX)
def test_invalid_text_is_refused(vector: Vector) -> None:
    with pytest.raises(BadSyntax):
        PARSERS[vector.kind](vector.value)
