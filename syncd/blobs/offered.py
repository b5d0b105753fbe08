"""Which files of a folder a record may name. Never reads one.

Whoever can write a record, by a merge request for example, must not be able to publish a file that
its owner keeps to this machine. A person at this machine can: by `syncd blob add`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from syncd.errors import BadData, GitFailed
from syncd.folder.root import SETTINGS
from syncd.folder.survey import is_nsid
from syncd.forms import ENDINGS
from syncd.forms.form import DRAFT
from syncd.git.commits import Worktree
from syncd.git.repository import find_repository

_ADD_HINT: Final = "name another file; if you want this one: syncd blob add FILE --to RECORD"


def check_meant(name: str, parts: Sequence[str]) -> None:
    """Raise BadData for a file that syncd itself knows to be no attachment."""
    what = None
    # Where case does not count, another spelling leads to the same file.
    parts = [part.casefold() for part in parts]
    if parts == [SETTINGS]:
        what = "it has the settings of syncd"
    elif is_nsid(parts[0]) and len(parts) > 1 and f"{DRAFT}." in parts[-1]:
        what = "it is a draft"
    elif is_nsid(parts[0]) and len(parts) > 1 and parts[-1].endswith(ENDINGS):
        what = "it is the file of a record"
    if what is not None:
        raise BadData(f'"$file" cannot be {name!r}: {what}', hint="name another file")


def check_offered(folder: Path, name: str) -> None:
    """Raise BadData for a file that git ignores; without git, accept every file."""
    repository = find_repository(folder)
    if repository is None:
        return
    shown = name if name.isprintable() else ascii(name)
    try:
        is_ignored = name in Worktree.at(repository).ignored([name])
    except GitFailed as error:
        raise BadData(f"syncd cannot tell whether git ignores {shown}: {error.message}") from error
    if is_ignored:
        raise BadData(
            f"git ignores the file {shown}, so it may not be meant to be public", hint=_ADD_HINT
        )
