"""Text from elsewhere, made safe to show: no character in it can steer a terminal or hide itself.

Names, reasons and records come from servers and files, and an escape sequence among them could
repaint what was said before, or set the title of the window. Never decides what is said.
"""

from __future__ import annotations

import re

_LAYOUT = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""What reorders or breaks a line: bidirectional controls (Unicode UAX #9, 2.1) and separators."""
_UNSEEN = re.compile(f"[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\ud800-\\udfff\ufeff{_LAYOUT}]")
"""Those, all controls but the tab (C0, DEL, C1), lone surrogates, and the zero-width BOM."""


def visible(text: str) -> str:
    """`text` on one line, with every character that would steer a terminal as its escape."""
    return _UNSEEN.sub(lambda found: _escape(ord(found[0]), short=True), text)


def visible_json(text: str) -> str:
    """JSON text of the same value, in which those characters are JSON's own escapes.

    The line breaks and spaces that lay the JSON out stay.
    """
    return _UNSEEN.sub(
        lambda found: found[0] if found[0] == "\n" else _escape(ord(found[0]), short=False), text
    )


def _escape(code: int, *, short: bool) -> str:
    return f"\\x{code:02x}" if short and code < 0x100 else f"\\u{code:04x}"
