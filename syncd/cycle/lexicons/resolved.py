"""Keep lexicons that were resolved and proven, each with its source and day, in `.syncd/lexicons/`.

Never resolves one, and never reads one that is not as it was proven.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from syncd.atproto.data import Record, cid_of, from_json, to_json
from syncd.atproto.syntax import Did, Nsid, Tid, parse_did, parse_nsid, parse_tid
from syncd.errors import BadData, BadSyntax, FileProblem
from syncd.folder.read import read_file
from syncd.folder.root import OWN, opened
from syncd.values import dataclass

RESOLVED: Final = f"{OWN}/lexicons"
_ENDING: Final = ".json"
_PARTS: Final = tuple(RESOLVED.split("/"))
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Resolved:
    """A lexicon as `did` published it at `rev`; `fetched_at` is in RFC 3339."""

    did: Did
    rev: Tid
    fetched_at: str
    record: Record = field(repr=False)


def file_of(nsid: Nsid) -> str:
    """Return the name of the file of a lexicon in `RESOLVED`."""
    return f"{nsid}{_ENDING}"


def read_resolved(content: bytes) -> Record:
    """Read the document in a kept file. Raises BadData if it is not what was proven."""
    return parse_resolved(content).record


def parse_resolved(content: bytes) -> Resolved:
    """Read a kept file. Raises BadData if it is not what was proven."""
    try:
        kept: dict[str, Any] = json.loads(content)
        record = from_json(kept["lexicon"])
        if str(cid_of(record)) == kept["cid"]:
            did, rev = parse_did(kept["did"]), parse_tid(kept["rev"])
            return Resolved(did, rev, str(kept["fetched_at"]), record)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise BadData("it has changed since it was resolved; to resolve it again: syncd lexicon update")


def find_resolved(root: int, nsid: Nsid) -> Resolved | None:
    """Return the kept lexicon of `nsid` in the open folder `root`; None if none is usable."""
    try:
        with opened(root, _PARTS) as directory:
            return parse_resolved(read_file(directory, file_of(nsid))[0])
    except (OSError, FileProblem, BadData):
        return None


def list_resolved(root: int) -> list[Nsid]:
    """Return, in order, the NSIDs of the lexicons that the open folder `root` keeps."""
    try:
        with opened(root, _PARTS) as directory:
            names = os.listdir(directory)  # noqa: PTH208 (a descriptor has no Path)
    except OSError:
        return []
    found = []
    for name in names:
        with suppress(BadSyntax):
            found.append(parse_nsid(name.removesuffix(_ENDING)))
    return sorted(found)


def keep_resolved(root: Path, nsid: Nsid, found: Resolved) -> None:
    """Keep a lexicon below the folder at `root`, in place of an older one. Raises OSError."""
    content = {
        "lexicon": to_json(found.record),
        "cid": str(cid_of(found.record)),
        "did": found.did,
        "rev": found.rev,
        "fetched_at": found.fetched_at,
    }
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    with suppress(FileExistsError):
        (root / RESOLVED).mkdir(mode=0o700)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with opened(folder, _PARTS) as directory:
            _replace(directory, file_of(nsid), text.encode())
    finally:
        os.close(folder)


def _replace(directory: int, name: str, content: bytes) -> None:
    """Write a file whole, or leave the one that is there."""
    partial = f"{name}.{os.getpid()}.part"
    try:
        with os.fdopen(os.open(partial, _NEW_FILE, 0o600, dir_fd=directory), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(partial, name, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=directory)
