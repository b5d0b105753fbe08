"""Find the editors that save by themselves, by the marks they leave in a folder or above it.

What such an editor saves is often half a sentence, and syncd pushes what is saved. Reads names and
the editors' own settings alone; changes nothing, and asks no program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from syncd.values import dataclass

_BYTES = 1_000_000
HINT: Final = (
    "in [push] of syncd.toml, settle_seconds = 30 pushes a file once it has not changed "
    'for so long; when = "ask" pushes nothing before syncd publish'
)
"""What a person can do about half-written texts."""


@dataclass(frozen=True, slots=True)
class Editor:
    """An editor, as it shows on a disk.

    Attributes:
        mark: A path below the folder, or below a directory above it.
        setting: What that file says where the editor saves by itself; without it, the editor does
            so wherever the mark is. Settings may hold comments, so they are searched, not parsed.
    """

    name: str
    mark: str
    setting: re.Pattern[str] | None = None


# Sources: the settings references of VS Code (files.autoSave) and Zed (autosave). JetBrains' IDEs
# and Obsidian save by themselves always.
_CODE = re.compile(r'^[^/\n]*"files\.autoSave"\s*:\s*"(?!off")', re.MULTILINE)
_ZED = re.compile(r'^[^/\n]*"autosave"\s*:\s*(?!"off")["{]', re.MULTILINE)
EDITORS: Final = (
    Editor("VS Code", ".vscode/settings.json", _CODE),
    Editor("VS Code", ".config/Code/User/settings.json", _CODE),
    Editor("VSCodium", ".config/VSCodium/User/settings.json", _CODE),
    Editor("Zed", ".zed/settings.json", _ZED),
    Editor("Zed", ".config/zed/settings.json", _ZED),
    Editor("an IDE of JetBrains", ".idea"),
    Editor("Obsidian", ".obsidian"),
)


def find_autosave(root: Path) -> tuple[str, ...]:
    """Return the names of the editors that save by themselves in the folder `root`, sorted.

    A home directory above the folder has the settings of the person whose folder it is.
    """
    places = (root.absolute(), *root.absolute().parents)
    return tuple(sorted({name for place in places for name in _found_at(place)}))


def _found_at(place: Path) -> Iterator[str]:
    return (editor.name for editor in EDITORS if _is_saving(place / editor.mark, editor.setting))


def _is_saving(mark: Path, setting: re.Pattern[str] | None) -> bool:
    with suppress(OSError):
        if setting is None:
            return mark.is_dir()
        return setting.search(_read(mark)) is not None
    return False


def _read(file: Path) -> str:
    # A pipe of this name would wait for a writer.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
