"""Copy bytes that are on this disk already into `blobs/`, instead of fetching them from the PDS.

A copy, never a link: whoever edits their own file in place would edit the blob with it. Compared
with their hash on the way, like bytes that a PDS gives. Never uploads, and asks no PDS.
"""

from __future__ import annotations

from dataclasses import field
from typing import BinaryIO, Final

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.blobs.incoming import PIECE
from syncd.blobs.kinds import extension_of
from syncd.blobs.store import DIRECTORY, Listing, Store
from syncd.errors import FileProblem
from syncd.state.attachments import Stamp
from syncd.values import dataclass

_AGAIN: Final = "try again once the writer is done"


def copied(store: Store, content: BinaryIO, ref: BlobRef, name: str) -> Stamp:
    """Return the file of `blobs/` that has the bytes of `ref`; write it unless it is there.

    Raises FileProblem as `Copies.add`, and if the disk refuses to place it.
    """
    there = _there(store, ref)
    if there is not None:
        return there
    copies = Copies(store)
    copies.add(content, ref, name)
    found = copies.place().get(ref.cid)
    if found is None:
        raise FileProblem(f"another file is in the place of {name} in {DIRECTORY}/", hint=_AGAIN)
    return found


@dataclass(slots=True)
class Copies:
    """Copies on their way into `blobs/`: they get their names together, once all are on the disk.

    What is not placed is swept by a later sync.
    """

    store: Store
    _left: dict[Cid, str] = field(default_factory=dict)

    def add(self, content: BinaryIO, ref: BlobRef, name: str) -> None:
        """Write a copy of `content`, from where it stands; `name` is what a person knows it by.

        Raises FileProblem: it has other bytes than `ref` names, or the disk takes no more.
        """
        if ref.size > self.store.room():
            raise FileProblem(
                f"the disk has no room for a copy of {name} in {DIRECTORY}/",
                hint="free some space; syncd always leaves a part of the disk free",
            )
        with self.store.incoming(ref.cid) as incoming:
            while piece := content.read(PIECE):
                incoming.write(piece)
            if not incoming.is_right:
                raise FileProblem(f"{name} is being written", hint=_AGAIN)
            incoming.leave()
        self._left[ref.cid] = extension_of(ref.mime_type)

    def place(self) -> dict[Cid, Stamp]:
        """Give all copies their names; return those that have them. Raises FileProblem."""
        left, self._left = self._left, {}
        return self.store.place(left) if left else {}


def _there(store: Store, ref: BlobRef) -> Stamp | None:
    """Return the file of `blobs/` that has the bytes; one with others is renamed, as by a sync."""
    name = store.list().names.get(ref.cid)
    if name is None:
        return None
    checked = store.check(Listing({ref.cid: name}), {}, reads_all=True)
    if checked.edited:
        store.set_aside(name)
    return checked.stamps.get(ref.cid)
