"""Make foreign text safe to show: escape what controls a terminal or a runner, or is invisible.

Names, reasons and records come from servers and files. An escape sequence in them could overwrite
earlier output or set the title of the window; a command in the log of a CI job could set an output
or hide other lines. Never removes a character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_LAYOUT = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Characters that reorder or break a line: bidirectional controls (UAX #9, 2.1), separators."""
_UNSEEN = re.compile(f"[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\ud800-\\udfff\ufeff{_LAYOUT}]")
"""_LAYOUT, all controls except the tab (C0, DEL, C1), lone surrogates, and the zero-width BOM."""


_RUNNERS: Final = ("GITHUB_ACTIONS", "TF_BUILD")
"""What runners set that look for commands in the log: those of GitHub, Gitea, Forgejo and Azure."""
_HASH = re.compile(r"#(?=#(?:vso)?\[)")
_COMMAND = re.compile(rf"{_HASH.pattern}|(?:(?<=\s)|^):(?=:)")
"""How a command begins: with `##[` or `##vso[` anywhere, or with `::` after nothing but spaces."""


def visible(text: str) -> str:
    """Return `text` on one line, with an escape for every character of _UNSEEN."""
    return _UNSEEN.sub(lambda found: _escape(ord(found[0]), short=True), text)


def visible_json(text: str) -> str:
    """Return JSON text of the same value, with these characters in JSON's own escapes.

    Line breaks stay: in valid JSON they are only between tokens.
    """
    return _UNSEEN.sub(
        lambda found: found[0] if found[0] == "\n" else _escape(ord(found[0]), short=False),
        _HASH.sub(lambda found: _escape(ord(found[0]), short=False), text),
    )


def has_runner(environ: Mapping[str, str]) -> bool:
    """Return whether what is printed goes to a runner that takes commands from it."""
    return any(environ.get(name) for name in _RUNNERS)


def inert(line: str) -> str:
    """Return a line in which a runner finds no command, with an escape where one would begin."""
    return _COMMAND.sub(lambda found: _escape(ord(found[0]), short=True), line)


def _escape(code: int, *, short: bool) -> str:
    return f"\\x{code:02x}" if short and code < 0x100 else f"\\u{code:04x}"
