"""Read a TOML text as people save it: any line ends, also after a byte order mark.

Never knows a setting.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import tomli

from syncd.errors import ConfigWrong

_CORRECT = "correct the line, then run the command again"


def read_file(path: Path) -> bytes:
    """Return the content of a file. Raises OSError, and ConfigWrong for what is no file."""
    if not stat.S_ISREG(path.stat().st_mode):
        # A pipe would be waited for, and a device may have no end.
        raise ConfigWrong(f"{path} is not a file", hint="move it away, and put the file there")
    return path.read_bytes()


def parse_tables(content: bytes, path: Path, hint: str = _CORRECT) -> tuple[dict[str, Any], str]:
    """Return the tables of a TOML text, and the text itself. Raises ConfigWrong."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        return tomli.loads(text), text
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        words = f"{path}, line {line}: the text is not UTF-8"
        raise ConfigWrong(
            words, hint="save the file as UTF-8, then run the command again"
        ) from None
    except tomli.TOMLDecodeError as error:
        raise ConfigWrong(f"{path}: {error}", hint=hint) from None
