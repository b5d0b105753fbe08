"""Beyond the public vectors, which tests/conformance runs."""

from __future__ import annotations

import pytest

from syncd.atproto.formats import parse_cid_text, parse_datetime, parse_language, parse_uri
from syncd.errors import BadSyntax


@pytest.mark.parametrize(
    ("day", "is_in_calendar"),
    [
        ("2024-02-29", True),
        ("2023-02-29", False),
        ("2000-02-29", True),
        ("1900-02-29", False),
        ("2024-02-30", False),
        ("2024-04-30", True),
        ("2024-04-31", False),
        ("2024-12-31", True),
    ],
)
def test_a_datetime_is_a_day_of_the_calendar(day: str, is_in_calendar: bool) -> None:
    text = f"{day}T00:00:00Z"
    if is_in_calendar:
        assert parse_datetime(text) == text
    else:
        with pytest.raises(BadSyntax):
            parse_datetime(text)


@pytest.mark.parametrize("time", ["24:00:00Z", "23:59:60Z", "00:00:00.Z", "00:00:00z", "00:00:00"])
def test_a_time_that_only_one_of_the_standards_knows_is_refused(time: str) -> None:
    with pytest.raises(BadSyntax):
        parse_datetime(f"2024-01-01T{time}")


def test_a_datetime_is_not_before_the_year_zero() -> None:
    assert parse_datetime("0000-01-01T01:00:00+01:00")
    with pytest.raises(BadSyntax):
        parse_datetime("0000-01-01T00:59:59+01:00")


@pytest.mark.parametrize(
    "text", ["en", "zh-Hant-TW", "i-klingon", "en-GB-oed", "x-a", "zh-min-nan"]
)
def test_a_language_tag_is_accepted(text: str) -> None:
    assert parse_language(text) == text


@pytest.mark.parametrize("text", ["", "e", "english-", "en_GB", "en-", "en-a", "EN", "en-x"])
def test_what_is_no_language_tag_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse_language(text)


def test_a_uri_has_a_scheme_and_no_white_space() -> None:
    assert parse_uri("mailto:a@example.com")
    for text in ("example.com/a", "https://example.com/a b", "https:", "https://é.example"):
        with pytest.raises(BadSyntax):
            parse_uri(text)


def test_cid_text_may_be_in_any_base_but_not_of_version_zero() -> None:
    assert parse_cid_text("zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7")
    with pytest.raises(BadSyntax):
        parse_cid_text("QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR")
