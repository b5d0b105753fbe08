"""Read the settings of a running mirror again: all on request, those of its files before each look.

Never applies a setting: whoever asks opens the mirror anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Final, TypeAlias

from syncd.config import FILE_NAME, SETTINGS, Config, load_config
from syncd.errors import ConfigWrong, SyncdError
from syncd.git.repository import is_changing
from syncd.values import dataclass

Stamp: TypeAlias = "tuple[int, int, int, int]"
"""The stat by which two texts of a file differ."""

OF_FILES: Final = ("filenames", "markdown")
"""The settings by which record files are named and written."""


def read_again(root: Path, before: Config) -> Config:
    """Return the present settings of the mirror in `root`.

    Raises ConfigWrong if they cannot be read, or name another repo than `before`.
    """
    after = load_config(root / FILE_NAME, os.environ)
    if before.did != after.did:
        raise ConfigWrong(
            f"{root / FILE_NAME}: [mirror] did has changed, and a folder can mirror only one repo",
            hint="restore the old did; clone the other account into another folder",
        )
    return after


def describe_settings(before: Config, after: Config) -> str:
    """Return the names of the settings that differ."""
    names = {setting.field: setting.name for setting in SETTINGS}
    found = (f.name for f in fields(Config) if getattr(before, f.name) != getattr(after, f.name))
    return ", ".join(names[name] for name in found)


@dataclass(slots=True)
class FilesSettings:
    """Notices when `syncd.toml` asks for other names or forms of files than the daemon uses.

    Attributes:
        config: The settings in use.
        on_broken: Called with each new reason why the settings cannot be read.
        on_change: Called once for each text of the file with the names of the settings that differ,
            and whether they will be used now.
    """

    root: Path
    config: Config
    on_broken: Callable[[SyncdError], None]
    on_change: Callable[[str, bool], None]
    _read: Stamp | None = None
    _broken: str = ""

    def are_outdated(self) -> bool:
        """Return whether the files are to have other names or forms from now on.

        `syncd.toml` is read only if its stat has changed.
        """
        stamp = self._stamp()
        # In the middle of a checkout the settings may be those of one commit, the files of another.
        if stamp is None or stamp == self._read or is_changing(self.root):
            return False
        try:
            after = read_again(self.root, self.config)
        except SyncdError as error:
            if error.message != self._broken:
                self._broken = error.message
                self.on_broken(error)
            return False
        self._read, self._broken = stamp, ""
        are_outdated = _of_files(after) != _of_files(self.config)
        if after != self.config:
            self.on_change(describe_settings(self.config, after), are_outdated)
        return are_outdated

    def _stamp(self) -> Stamp | None:
        try:
            now = (self.root / FILE_NAME).stat()
        except OSError:
            return None
        return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def _of_files(config: Config) -> list[object]:
    return [getattr(config, name) for name in OF_FILES]
