"""Read the list of the mirrors that one process keeps in sync. Opens none of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from syncd.config.text import parse_tables, read_file
from syncd.errors import ConfigWrong
from syncd.trouble import at_home

_HINT = 'write one line into it, such as mirrors = ["~/alice", "/srv/bob"]'


def read_list(file: Path) -> Sequence[Path]:
    """Return the folders in the list `file`, relative to its place. Raises ConfigWrong."""
    try:
        content = read_file(file)
    except OSError as error:
        message = f"{file}, the list of mirrors, cannot be read: {error.strerror}"
        raise ConfigWrong(message, hint=_HINT) from None
    match parse_tables(content, file, _HINT)[0]:
        case {"mirrors": [str(), *_] as names, **rest} if not rest:
            if all(isinstance(name, str) for name in names):
                return tuple(dict.fromkeys(file.parent / at_home(n) for n in names))
    raise ConfigWrong(f"{file} must hold a list of mirrors and nothing else", hint=_HINT)
