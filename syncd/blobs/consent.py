"""Whether a person allowed on this machine that files are published with the place they tell.

`location = "keep"` may come with a pull of git or from another person of a shared folder: it counts
only where a person of this machine said so. Kept outside of every mirror, as the permission of
hooks is. What cannot be read allows nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from syncd.blobs.files import UNALLOWED, Files
from syncd.config import LOCATION_KEEP, Config
from syncd.errors import FileProblem, SyncdError
from syncd.folder.root import Folder
from syncd.private import make_private, state_directory
from syncd.trouble import explain_at
from syncd.values import dataclass

DIRECTORY: Final = "locations"


@dataclass(frozen=True, slots=True)
class Consent:
    """What was allowed for the mirror of an account at a root; `file` is there if it was."""

    file: Path

    @classmethod
    def of(cls, config: Config, root: Path) -> Consent:
        """Return the consent for the mirror at `root`. Raises SyncdError without a home."""
        # With the account: a mirror that takes the place of another one inherits nothing.
        mirror = f"{config.did}\n{root.resolve()}".encode("utf-8", "surrogateescape")
        return cls(state_directory() / DIRECTORY / hashlib.sha256(mirror).hexdigest())

    @property
    def is_given(self) -> bool:
        """Return whether a person of this machine said so."""
        try:
            return self.file.is_file()
        except OSError:
            # As after `sudo syncd`, which left a directory that is closed to this user.
            return False

    def give(self) -> None:
        """Remember that a person said so. Raises FileProblem."""
        try:
            make_private(self.file.parent, self.file.parent.parent)
            self.file.touch(mode=0o600)
        except OSError as error:
            raise self._problem(error) from error

    def take_back(self) -> bool:
        """Forget it; return whether there was anything to forget. Raises FileProblem."""
        try:
            self.file.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._problem(error) from error
        return True

    def _problem(self, error: OSError) -> FileProblem:
        cause, hint = explain_at(error, self.file)
        return FileProblem(f"{self.file} cannot be written: {cause}", hint=hint)


def location_here(config: Config, root: Path) -> str:
    """Return what becomes here of a file that says where it was made."""
    # Where git publishes, whoever can change its branch decides: no person is at that machine.
    if config.blobs_location != LOCATION_KEEP or config.is_one_way:
        return config.blobs_location
    try:
        return LOCATION_KEEP if Consent.of(config, root).is_given else UNALLOWED
    except SyncdError:
        return UNALLOWED


def files_of(folder: Folder, config: Config) -> Files:
    """Return the files that records of a mirror may name."""
    # What git publishes is laid out from a commit: it has no file that git ignores.
    is_of_git = config.is_one_way
    worktree = None if is_of_git else folder.root
    return Files(folder.open, location_here(config, folder.root), worktree, is_of_git=is_of_git)
