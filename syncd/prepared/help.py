"""The text of --help at the usual width, from help.json.

`python -m docs.tab` makes that file from the commands, and a test compares them. On a narrower
terminal, or beside other words, click lays it out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("help.json")
WIDTH: Final = 80
"""The most columns that click uses, however wide the terminal is."""
ASKING: Final = ("--help", "-h")


def answer_help(words: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return the help that is asked for by `COMMAND --help` or `help COMMAND`, the words after
    `syncd`; None if click has to lay it out, or to refuse them.
    """
    path = words[:-1] if words[-1] in ASKING else words[1:]
    # A space in a word would name another command.
    if not _is_wide(environ) or any(" " in word for word in path):
        return None
    texts: Mapping[str, str] = json.loads(FILE.read_bytes())
    return texts.get(" ".join(path))


def _is_wide(environ: Mapping[str, str]) -> bool:
    """Return whether stdout has WIDTH columns, or is no terminal."""
    if asked := environ.get("COLUMNS"):
        return asked.isdecimal() and int(asked) >= WIDTH
    try:
        return (os.get_terminal_size().columns or WIDTH) >= WIDTH
    except OSError:
        return True
