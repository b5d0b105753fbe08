"""Remove from `blobs/` what nothing has named for as long as history keeps versions.

Base, history, and every file of the folder are asked, drafts and conflict copies among them. Where
one of these cannot be read whole, nothing is removed. Never removes what git is asked to keep, nor
a file that is not the blob of its name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from syncd.atproto.cid import Cid, parse_cid
from syncd.blobs.store import DIRECTORY, Listing
from syncd.cycle.blobs.attached import store_of
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, SyncdError
from syncd.folder.root import OWN
from syncd.state.learnt import UnnamedBlobs

EVERY_SECONDS: Final = 86_400
"""How often it is looked for what nothing names."""
DAY_SECONDS: Final = 86_400
MOST_BYTES: Final = 16_000_000
"""A larger file is no record, and names no blob."""
_IN_TEXT: Final = re.compile(rb"bafkrei[a-z2-7]{52}")
_IN_BLOCK: Final = re.compile(rb"(?=(\x01\x55\x12\x20.{32}))", re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\u00([0-9a-fA-F]{2})")
_DATABASES: Final = ("state.db", "history.db")


def remove_unnamed(workspace: Workspace) -> tuple[str, ...]:
    """Remove, once a day, the blobs that are due; return the names of the files removed.

    Raises FolderWrong.

    A blob that turns out to be named again waits its days anew.
    """
    now = workspace.now()
    note = workspace.state.note(UnnamedBlobs) or UnnamedBlobs(0, {})
    if 0 <= now - note.at < EVERY_SECONDS or not _may_remove(workspace):
        return ()
    listing = store_of(workspace).list()
    base = {ref.cid for _, ref in workspace.state.attachments.named()}
    unnamed = [cid for cid in listing.names if cid not in base]
    since = {str(cid): _since(note, cid, now) for cid in unnamed}
    wait = max(1, workspace.config.history_days) * DAY_SECONDS
    due = {cid for cid in unnamed if now - since[str(cid)] >= wait}
    try:
        named = due & _named_somewhere(workspace) if due else set[Cid]()
    except (OSError, SyncdError):
        # What cannot be read may name any of them.
        named = due
    since |= dict.fromkeys(map(str, named), now)
    gone = _remove(workspace, listing, due - named)
    kept = {text: at for text, at in since.items() if parse_cid(text) not in due - named}
    workspace.state.keep(UnnamedBlobs(now, kept))
    return gone


def _may_remove(workspace: Workspace) -> bool:
    """Return whether everything that can name a blob can be read now."""
    is_certain = workspace.doubt is None and not workspace.state.attachments.unread()
    asides = workspace.own.glob("*.db.damaged-*")
    return is_certain and not workspace.config.git_blobs and next(asides, None) is None


def _since(note: UnnamedBlobs, cid: Cid, now: int) -> int:
    """Return the moment since which nothing names a blob; ignore a clock that was ahead."""
    return min(note.since.get(str(cid), now), now)


def _named_somewhere(workspace: Workspace) -> set[Cid]:
    """Return every blob that history or a file names. Raises OSError, SyncdError."""
    workspace.history.check()
    found = set[Cid]()
    for _, content in workspace.history.readable_versions():
        found |= _named_in(content)
    for file in _files(workspace.root):
        if file.stat().st_size <= MOST_BYTES:
            found |= _named_in(file.read_bytes())
    return found


def _files(root: Path) -> Iterator[Path]:
    """Yield every file in which a person or syncd may have a record. Raises OSError."""

    def fail(error: OSError) -> None:
        raise error

    for where, directories, names in os.walk(root, onerror=fail):
        at = Path(where)
        if at == root:
            directories[:] = [name for name in directories if name not in (DIRECTORY, ".git")]
        for name in names:
            is_database = at == root / OWN and name.startswith(_DATABASES)
            file = at / name
            if not is_database and not file.is_symlink() and file.is_file():
                yield file


def _named_in(content: bytes) -> set[Cid]:
    """Return the CIDs of blobs that occur anywhere in a text or a block."""
    plain = _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), content)
    found = {Cid(found[1]) for found in _IN_BLOCK.finditer(content)}
    for text in (*_IN_TEXT.findall(plain), *_IN_TEXT.findall(content)):
        try:
            found.add(parse_cid(text.decode("ascii")))
        except BadSyntax:
            continue
    return found


def _remove(workspace: Workspace, listing: Listing, due: set[Cid]) -> tuple[str, ...]:
    """Remove the files whose content is the blob of their name; keep those that a person edited."""
    store, state = store_of(workspace), workspace.state
    names: Mapping[Cid, str] = {cid: listing.names[cid] for cid in sorted(due)}
    whole = store.check(Listing(names), state.attachments.stamps()).stamps
    for cid in whole:
        store.remove(names[cid])
    return tuple(names[cid] for cid in whole)
