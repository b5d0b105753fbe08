"""Make foreign text safe to show: escape characters that control a terminal or are invisible.

Names, reasons and records come from servers and files. An escape sequence in them could overwrite
earlier output or set the title of the window. Never removes a character.
"""

from __future__ import annotations

import re

_LAYOUT = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Characters that reorder or break a line: bidirectional controls (UAX #9, 2.1), separators."""
_UNSEEN = re.compile(f"[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\ud800-\\udfff\ufeff{_LAYOUT}]")
"""_LAYOUT, all controls except the tab (C0, DEL, C1), lone surrogates, and the zero-width BOM."""


def visible(text: str) -> str:
    """Return `text` on one line, with an escape for every character of _UNSEEN."""
    return _UNSEEN.sub(lambda found: _escape(ord(found[0]), short=True), text)


def visible_json(text: str) -> str:
    """Return JSON text of the same value, with these characters in JSON's own escapes.

    Line breaks stay: in valid JSON they are only between tokens.
    """
    return _UNSEEN.sub(
        lambda found: found[0] if found[0] == "\n" else _escape(ord(found[0]), short=False), text
    )


def _escape(code: int, *, short: bool) -> str:
    return f"\\x{code:02x}" if short and code < 0x100 else f"\\u{code:04x}"
