"""Whether a person allowed on this machine that files are published with the place they tell.

`location = "keep"` may come with a pull of git or from another person of a shared folder: it counts
only where a person of this machine said so. Kept outside of every mirror, as the permission of
hooks is. What cannot be read allows nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from syncd.blobs.files import UNALLOWED, Files
from syncd.blobs.offered import Offered
from syncd.config import LOCATION_KEEP, Config
from syncd.errors import SyncdError
from syncd.folder.root import Folder
from syncd.private.allowed import Allowed

_KIND: Final = "locations"


def consent_of(config: Config, root: Path) -> Allowed:
    """Return whether a person allowed `LOCATION_KEEP` for the mirror of an account at `root`.

    Raises SyncdError without a home.
    """
    # With the account: a mirror that takes the place of another one inherits nothing.
    return Allowed.of(_KIND, f"{config.did}\n{root.resolve()}")


def location_here(config: Config, root: Path) -> str:
    """Return what becomes here of a file that says where it was made."""
    # Where git publishes, whoever can change its branch decides: no person is at that machine.
    if config.blobs_location != LOCATION_KEEP or config.is_one_way:
        return config.blobs_location
    try:
        is_given = consent_of(config, root).allows(LOCATION_KEEP)
    except SyncdError:
        is_given = False
    return LOCATION_KEEP if is_given else UNALLOWED


def files_of(folder: Folder, config: Config) -> Files:
    """Return the files that records of a mirror may name."""
    # What git publishes is laid out from a commit: it has no file that git ignores.
    is_of_git = config.is_one_way
    offered = None if is_of_git else Offered(folder.root)
    return Files(folder.open, location_here(config, folder.root), offered, is_of_git=is_of_git)
