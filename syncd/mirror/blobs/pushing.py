"""Upload what a PDS says that it lacks, as after an account has moved there. Writes no record.

The bytes are those of `blobs/`, or of any file in the folder that has exactly these: they were
published with the record that names them. Works beside a running daemon.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from typing import BinaryIO, Final

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.blobs.files import described, open_below, reading
from syncd.cycle.blobs.again import compared, name_of, opened_blob
from syncd.cycle.blobs.attached import fill, named_blobs, store_of
from syncd.cycle.home import Home
from syncd.cycle.push.sending import Parcel, Refused, Sender
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, SyncdError, UploadLimited
from syncd.folder.problems import printable
from syncd.state.learnt import UploadPause
from syncd.values import dataclass

_MOST_FILES: Final = 100_000
PUSH_HINT: Final = "put a copy of the file anywhere in the folder, then: syncd blob push --missing"


@dataclass(slots=True)
class PushedBlobs:
    """The results for each blob that the PDS lacked.

    Attributes:
        sent: What was uploaded.
        absent: Whose bytes are nowhere here.
        failed: What the PDS refused, or could not be read, and why.
        halted: What kept the rest from being sent.
    """

    sent: list[BlobRef] = field(default_factory=list)
    absent: list[Cid] = field(default_factory=list)
    failed: dict[Cid, str] = field(default_factory=dict)
    halted: SyncdError | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether the PDS has all blobs now."""
        return not (self.absent or self.failed or self.halted)


async def push_missing(workspace: Workspace, home: Home, lacking: Sequence[Cid]) -> PushedBlobs:
    """Upload `lacking`, the blobs that the PDS says it lacks.

    Raises FolderWrong, StateDamaged.
    """
    fill(workspace)
    named = named_blobs(workspace)
    wanted = {cid: named[cid].ref for cid in lacking if cid in named}
    parcels = _parcels(workspace, wanted)
    found = PushedBlobs(absent=[cid for cid in lacking if cid not in parcels])
    sender = Sender(workspace, home)
    await sender.send_all(parcels.values())
    for cid, parcel in parcels.items():
        try:
            found.sent.append(sender.take(parcel))
        except Refused as refused:
            found.failed[cid] = refused.error.message
        except UploadLimited as error:
            found.halted = error
            until = workspace.now() + math.ceil(error.retry_seconds)
            workspace.state.keep(UploadPause(home.account.pds, until))
        except SyncdError as error:
            found.failed[cid] = error.message
    return found


def _parcels(workspace: Workspace, wanted: Mapping[Cid, BlobRef]) -> dict[Cid, Parcel]:
    """Return the bytes of each of `wanted` that are in `blobs/`, or else in the folder."""
    checked, store = compared(workspace, wanted.values()), store_of(workspace)
    found = {
        cid: Parcel(name_of(checked, cid), ref, partial(opened_blob, store, checked, cid))
        for cid, ref in wanted.items()
        if cid in checked.stamps
    }
    rest = {cid: ref for cid, ref in wanted.items() if cid not in found}
    for cid, name in _in_folder(workspace, rest).items():
        found[cid] = Parcel(name, wanted[cid], partial(_opened_file, workspace, name))
    return found


def _in_folder(workspace: Workspace, wanted: Mapping[Cid, BlobRef]) -> dict[Cid, str]:
    """Return the file of the folder with the bytes of each blob. Reads no hidden file."""
    found: dict[Cid, str] = {}
    sizes = {ref.size for ref in wanted.values()}
    for name in _files(workspace.root, sizes) if wanted else ():
        try:
            with _opened_file(workspace, name) as (file, size):
                ref = described(name, file, size)
        except BadData:
            continue
        if ref.cid in wanted:
            found.setdefault(ref.cid, name)
    return found


def _files(root: os.PathLike[str], sizes: Iterable[int]) -> Iterator[str]:
    """Yield the regular files of one of these sizes, by their paths below `root`, in order."""
    wanted, left = frozenset(sizes), _MOST_FILES
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files)[:left]:
            path = os.path.join(directory, name)  # noqa: PTH118 (a Path a file costs too much)
            if not name.startswith(".") and os.lstat(path).st_size in wanted:
                yield os.path.relpath(path, root)
        left -= len(files)
        if left <= 0:
            return


@contextmanager
def _opened_file(workspace: Workspace, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file of the folder; return it with its size. Raises BadData."""
    shown = printable(name)
    descriptor = open_below(workspace.folder.open, name.split("/"), shown)
    with reading(descriptor, shown, PUSH_HINT) as found:
        yield found
