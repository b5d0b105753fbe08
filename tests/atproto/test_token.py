"""What a token says of itself, which proves nothing and may be anything."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest

from syncd.atproto.token import audience_origin, read_payload


def token(claims: object) -> str:
    return f"head.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.sign"


@pytest.mark.parametrize(
    ("audience", "origin"),
    [
        ("did:web:pds.example.com", "https://pds.example.com"),
        ("did:web:PDS.example.com", "https://pds.example.com"),
        ("did:web:pds.example.com%3A443", "https://pds.example.com"),
        ("did:web:pds.example.com%3A8443", "https://pds.example.com:8443"),
        ("did:web:localhost%3A2583", "http://localhost:2583"),
        ("did:web:127.0.0.1%3A2583", "http://127.0.0.1:2583"),
        ("did:web:localhost", None),
        ("did:web:127.0.0.1", None),
        ("did:web:pds.example.com:user", None),
        ("did:web:pds.example.com%2Fevil", None),
        ("did:web:user%40pds.example.com", None),
        ("did:web:pds.example.com.", None),
        ("did:web:", None),
        ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", None),
        ("https://pds.example.com", None),
        (["did:web:pds.example.com"], None),
        (None, None),
        (1, None),
    ],
)
def test_only_the_did_of_a_web_server_says_where_a_token_is_for(
    audience: object, origin: str | None
) -> None:
    assert audience_origin(token({"aud": audience})) == origin


@pytest.mark.parametrize("text", ["", "opaque", "a.b.c", "a.bnVsbA.c", "a.\x00é.c", token([1])])
def test_what_is_no_token_says_nothing(text: str) -> None:
    assert read_payload(text) == {}
    assert audience_origin(text) is None
