"""Bring a file that a person names into `blobs/`, so that a record can name it. Never asks a PDS.

The file itself stays as it is. It is uploaded with the record that names it, and not before.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from syncd.atproto.blob import BlobRef
from syncd.blobs.consent import location_here
from syncd.blobs.copying import copied
from syncd.blobs.files import (
    OPEN_FLAGS,
    as_published,
    describe,
    open_below,
    reading,
    too_large,
)
from syncd.blobs.kinds import UNKNOWN
from syncd.blobs.store import DIRECTORY
from syncd.cycle.blobs.attached import store_of
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, FileProblem
from syncd.folder.problems import printable
from syncd.state.learnt import KnownBlobLimit
from syncd.trouble import explain
from syncd.values import dataclass

_NAME_HINT: Final = "name a file that is not empty"


@dataclass(frozen=True, slots=True)
class Added:
    """A file that is in `blobs/` now.

    Attributes:
        ref: What a record has to say.
        file: Where its bytes are, from the top of the folder.
        name: What the file is called that a person named.
        is_stripped: Its metadata was taken out.
    """

    ref: BlobRef
    file: str
    name: str
    is_stripped: bool

    @property
    def is_of_known_kind(self) -> bool:
        """Return whether the first bytes of the file show its type."""
        return self.ref.mime_type != UNKNOWN


def add_file(workspace: Workspace, file: Path, location: str | None = None) -> Added:
    """Copy `file` into `blobs/`, and return the reference with which a record names it.

    `location`: what to do if it says where it was made; None: what the settings say.

    Raises FileProblem: it cannot be, and why. FolderWrong.
    """
    shown = printable(str(file))
    where = location or location_here(workspace.config, workspace.root)
    try:
        with _opened(workspace, file, shown) as (content, size):
            _check_size(workspace, shown, size)
            known = describe(shown, content, size)
            published, ref = as_published(shown, content, size, known, where)
            published.seek(0)
            stamp = copied(store_of(workspace), published, ref, shown)
    except BadData as error:
        raise FileProblem(error.message, hint=error.hint) from error
    workspace.state.attachments.keep_stamps({ref.cid: stamp})
    return Added(ref, f"{DIRECTORY}/{stamp.name}", file.name, ref != known.ref)


@contextmanager
def _opened(workspace: Workspace, file: Path, shown: str) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file of a person. In the folder, where others may put links, follow none."""
    if not os.path.lexists(file):
        raise FileProblem(f"there is no file {shown}", hint="check the name: ls")
    inside = _inside(workspace.root, file)
    if inside is None:
        try:
            descriptor = os.open(file, OPEN_FLAGS & ~os.O_NOFOLLOW)
        except (OSError, ValueError) as error:
            cause = explain(error)[0] if isinstance(error, OSError) else str(error)
            raise FileProblem(f"{shown} cannot be read: {cause}", hint=_NAME_HINT) from error
    else:
        parts = inside.split("/")
        if any(part.startswith(".") for part in parts):
            raise FileProblem(
                f"{shown} is hidden, or in a hidden directory of the folder",
                hint="if this is the file you want, copy it to another place first",
            )
        descriptor = open_below(workspace.folder.open, parts, shown)
    with reading(descriptor, shown, _NAME_HINT) as found:
        yield found


def _inside(root: Path, file: Path) -> str | None:
    """Return the path of a file below the folder, by its name alone; None if it is elsewhere."""
    name = posixpath.normpath(Path.cwd() / file)
    for top in (root.absolute(), root.resolve()):
        found = posixpath.relpath(name, top)
        if found != "." and not found.startswith(".."):
            return found
    return None


def _check_size(workspace: Workspace, shown: str, size: int) -> None:
    """Raise BadData for a file larger than the limit that the PDS reported lately."""
    known = workspace.state.note(KnownBlobLimit)
    most = None if known is None else known.most(workspace.now())
    if most is not None and size > most:
        raise too_large(shown, size, most)
