"""Count the characters of a text as people see them: grapheme clusters (UAX 29). Pure."""

from __future__ import annotations

import regex  # type: ignore[import-untyped]

_CLUSTER = regex.compile(r"\X")


def count_graphemes(text: str) -> int:
    """Return how many grapheme clusters `text` has."""
    # In ASCII a cluster is a character, except for CR LF.
    if text.isascii() and "\r" not in text:
        return len(text)
    return len(_CLUSTER.findall(text))
