"""Which collections of 2026 hold long texts, and where. Pure; a mirror has only what it is set to.

Source: the lexicons of WhiteWind, Standard.site, GreenGale and at.markpub.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from syncd.atproto.data import Json

LONG_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "com.whtwnd.blog.entry": ("content",),
    "site.standard.document": ("content.text.markdown", "content.text", "content.value"),
    "app.greengale.blog.entry": ("content",),
    "app.greengale.document": ("content",),
}
"""Collections, each with the fields that may hold a text of Markdown."""

SHAPES: Final[Mapping[tuple[str, ...], dict[str, Json]]] = {
    ("content", "text", "markdown"): {
        "content": {"$type": "at.markpub.markdown", "text": {"$type": "at.markpub.text"}}
    },
}
"""What a new record has around its body, by the keys that lead to that."""

FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "com.whtwnd.blog.entry": frozenset(
        {"title", "subtitle", "createdAt", "theme", "visibility", "isDraft", "ogp"}
    ),
    "site.standard.document": frozenset(
        {"site", "title", "path", "description", "publishedAt", "updatedAt", "tags", "textContent"}
    ),
}
"""The fields of records whose lexicon need not be at hand."""


def lines_for(collections: Mapping[str, int]) -> list[str]:
    """Return the lines of `syncd.toml` for those of `collections` that hold long texts."""
    known = [name for name in LONG_TEXTS if name in collections]
    entries = [f'"{name}" = {_listed(LONG_TEXTS[name])}' for name in known]
    return ["[files]", "markdown = { " + ", ".join(entries) + " }"] if known else []


def _listed(pointers: tuple[str, ...]) -> str:
    if len(pointers) == 1:
        return f'"{pointers[0]}"'
    return "[" + ", ".join(f'"{pointer}"' for pointer in pointers) + "]"
