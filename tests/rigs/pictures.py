"""Pictures that people put into records, and where their bytes are. Looks only; changes nothing.

Bytes that were once on the PDS, or in `blobs/` of a mirror, may go from both only by what others do
to the repo. Whatever syncd does, they stay on one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid, cid_of_blob, parse_cid
from syncd.blobs.store import cid_of_name
from syncd.errors import Rejected
from tests.rigs.device import World

FIELD = "picture"
"""The field of a record that names a picture."""
TYPE = "image/png"


def picture(word: str) -> bytes:
    """The bytes of a picture; the same word is the same picture."""
    return b"\x89PNG\r\n\x1a\n" + word.encode()


def reference(word: str) -> dict[str, Any]:
    """A picture as the file of a record names it."""
    content = picture(word)
    link = {"$link": str(cid_of_blob(content))}
    return {"$type": "blob", "ref": link, "mimeType": TYPE, "size": len(content)}


def drawn(name: str) -> BlobRef:
    """A picture as its record names it once its file, `pictures/WORD.png`, is uploaded."""
    content = picture(name.removeprefix("pictures/").removesuffix(".png"))
    return BlobRef(cid_of_blob(content), TYPE, len(content))


async def upload(world: World, word: str) -> None:
    """As another client does, before it writes a record that names a picture."""
    await world.pds().upload_blob(BytesIO(picture(word)), len(picture(word)), TYPE)


def on_pds(world: World) -> set[Cid]:
    """The blobs that records name and that the PDS has."""
    blobs = world.sandbox.blobs(world.login.did)
    found = set[Cid]()
    for cid in map(parse_cid, blobs.named()):
        try:
            blobs.get(cid)
        except Rejected:
            continue
        found.add(cid)
    return found


def kept_in(root: Path) -> set[Cid]:
    """The files of `blobs/` that are what their names say."""
    directory = root / "blobs"
    files = directory.iterdir() if directory.is_dir() else ()
    return {cid for file in files if (cid := cid_of_name(file.name)) == cid_of_blob(_read(file))}


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


@dataclass(slots=True)
class Bytes:
    """All bytes that are somewhere; `roots` are the folders of the mirrors."""

    world: World
    roots: Callable[[], Iterable[Path]]
    there: set[Cid] = field(default_factory=set)

    def lost(self) -> set[Cid]:
        """What was somewhere at the last look, and is nowhere now."""
        now = self._now()
        gone, self.there = self.there - now, now
        return gone

    def excuse(self) -> None:
        """What went since the last look was not syncd's doing, but another client's."""
        self.there = self._now()

    def _now(self) -> set[Cid]:
        return on_pds(self.world).union(*map(kept_in, self.roots()))
