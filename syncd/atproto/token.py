"""Read what a token says of itself. Verifies nothing, so it is good for hints and old entries only.

Source: RFC 7519; https://atproto.com/specs/xrpc#legacy-session-auth
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from syncd.atproto.server.origin import parse_origin
from syncd.errors import BadSyntax

_WEB: Final = "did:web:"


def read_payload(token: str) -> Mapping[str, object]:
    """Return the claims of a JWT; none for a token that is no JWT. Never raises."""
    try:
        _, payload, _ = token.split(".")
        fields = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def audience_origin(token: str) -> str | None:
    """Return the origin of the server that an access token says it is for; None if it says none.

    The audience is the server's did:web. That of a server on this machine counts only with its
    port: `did:web:localhost` could be any of them.
    """
    audience = read_payload(token).get("aud")
    if not isinstance(audience, str) or not audience.startswith(_WEB):
        return None
    host = unquote(audience.removeprefix(_WEB))
    try:
        secure = parse_origin(f"https://{host}")
    except BadSyntax:
        return None
    if not secure.is_loopback:
        return str(secure)
    return None if secure.port is None else f"http://{host.lower()}"
