"""Whether a text is an NSID, the name of a collection. Pure; imports next to nothing.

Tab asks this, and has no time for the other identifiers. Source: https://atproto.com/specs/nsid
"""

from __future__ import annotations

import re

NSID = re.compile(
    r"[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+"
    r"\.[a-zA-Z][a-zA-Z0-9]{0,62}"
)
NSID_LENGTH = 317


def is_nsid(text: str) -> bool:
    """Return whether `text` is three or more labels that form an NSID."""
    return len(text) <= NSID_LENGTH and NSID.fullmatch(text) is not None
