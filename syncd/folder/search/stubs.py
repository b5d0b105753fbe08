"""Find what a cloud client left in the place of a file whose content it took away.

Some clients add an ending to the name, known by that alone. Those that others sell under their own
name add that as the ending, which nobody can list; all of them leave one byte, as no copy of a
record has. A file that is empty, or whose ending is that of a copy, is left over from something
else, and must not keep a record from being deleted. Opens no file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from syncd.folder.root import opened
from syncd.forms import ENDINGS

_ENDINGS = frozenset({"nextcloud", "owncloud", "cloud", "icloud"})
"""Virtual files of Nextcloud and ownCloud, placeholders of odrive and of iCloud."""
_DIRECTORY = ".cloudf"
"""What odrive adds to the name of a directory."""
_BARE_BYTES = 1
"""What every client of Nextcloud and ownCloud leaves, whatever its brand: a space."""
_LEFT_OVER = frozenset(
    {
        "bak",
        "bkp",
        "copy",
        "lock",
        "new",
        "old",
        "orig",
        "part",
        "rej",
        "save",
        "swp",
        "temp",
        "tmp",
    }
)
"""Endings of copies and of unfinished files, in lower case: no brand of a cloud."""


class Stubs:
    """The placeholders below the open directory `root`. Each directory is listed at most once."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._found: dict[str, dict[str, str]] = {}

    def of(self, files: Sequence[str]) -> str | None:
        """Return the name of the placeholder for one of `files`, all of one record; or None.

        Raises OSError: a directory cannot be listed completely.
        """
        found = (self._of_file(file) for file in files)
        return next((stub for stub in found if stub is not None), None)

    def _of_file(self, file: str) -> str | None:
        directory, _, name = file.rpartition("/")
        if directory not in self._found:
            self._found[directory] = self._list(directory)
        # Of a directory that is not there, all files are in the cloud.
        return self._found[directory].get(name) or self._found[directory].get("")

    def _list(self, directory: str) -> dict[str, str]:
        """Return the placeholders in `directory` by file; under "" that of the directory."""
        parts = directory.split("/")
        try:
            with opened(self._root, parts) as entered:
                return _stubs_in(entered)
        except FileNotFoundError:
            with suppress(FileNotFoundError):
                stub = parts[0] + _DIRECTORY
                os.stat(stub, dir_fd=self._root, follow_symlinks=False)
                return {"": stub}
            return {}


def describe(stub: str) -> str:
    """Return why there is no file where the placeholder `stub` is."""
    return f"its content is only in the cloud: {stub!r} is a placeholder for its file"


def _stubs_in(directory: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in sorted(os.listdir(directory)):
        file, _, ending = name.rpartition(".")
        # iCloud hides what it leaves.
        file = file.removeprefix(".") if ending == "icloud" else file
        if file.endswith(ENDINGS) and (ending in _ENDINGS or _is_of_brand(directory, name)):
            found[file] = name
    return found


def _is_of_brand(directory: int, name: str) -> bool:
    ending = name.rpartition(".")[2]
    if not ending.isalpha() or ending.lower() in _LEFT_OVER:
        return False
    try:
        now = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(now.st_mode) and now.st_size == _BARE_BYTES
