"""Take a file that names others to be uploaded for the record that it will be. Never uploads one.

Hash, size and kind of a file are known here, and so is the reference that stands in its place: the
plan, and all that keeps a change back, judge the record as it will be. This is so only where the
change is one of this folder alone. Elsewhere such a file is inert, as any that holds no record.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob, cid_of_block
from syncd.atproto.data import MALFORMED_BLOB, encode
from syncd.blobs.consent import files_of
from syncd.blobs.files import Files, may_name, parts_of
from syncd.blobs.reading import BeingRead, Reading
from syncd.blobs.store import Store
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, BadJson, FileChanged, FileProblem
from syncd.folder.read import FIX_HINT
from syncd.folder.root import Folder
from syncd.folder.scan import Look
from syncd.folder.write import read_below, read_bytes
from syncd.model import (
    Problem,
    RecordPath,
    Refusal,
    Retry,
    Seen,
    Snapshot,
    Waiting,
    split_record_path,
)
from syncd.state.learnt import KnownBlobLimit
from syncd.values import dataclass

_BOTH = "the file names a file to upload, and the record has changed in the repo meanwhile"
_BOTH_HINT = "compare both: syncd diff; then write the file again from what it shows"
_READ_ONLY = "the file names a file to upload, but this mirror is read-only"
_READ_ONLY_HINT = "undo the edit, or clone again without --read-only"
_HERE_NOW: Final = "a blob that the PDS lacked is here now"
_ANY: Final = BlobRef(cid_of_blob(b""), "*/*", 0)


@dataclass(frozen=True, slots=True)
class Naming:
    """A file of a record, and the reference of each file that it names."""

    seen: Seen
    refs: Mapping[str, BlobRef]


def with_attached(
    workspace: Workspace,
    look: Look,
    paths: Collection[RecordPath],
    base: Snapshot,
    remote: Snapshot,
    reading: Reading | None = None,
) -> tuple[Look, dict[RecordPath, Naming], dict[RecordPath, Retry]]:
    """Return `look` with the records that name files, and these records separately.

    Third come the records that wait until `reading` has read a file that they name.
    Only files that a scan refused for a malformed blob are read again. What they name is not read
    if it is larger than the PDS takes, where that said so lately.
    """
    folder, config = workspace.folder, workspace.config
    seen, problems = dict(look.seen), dict(look.problems)
    found: dict[RecordPath, Naming] = {}
    unread: dict[RecordPath, Retry] = {}
    naming = [p for p in look.problems.keys() & paths if MALFORMED_BLOB in look.problems[p].reason]
    if not naming:
        return look, found, unread
    all_files = replace(files_of(folder, config), most=_most_bytes(workspace), reading=reading)
    if all_files.offered is not None:
        all_files.offered.learn(partial(files_named, folder, naming))
    with folder.open() as root:
        for path in sorted(naming):
            met = look.problems[path]
            # Where git publishes, its file keeps the name: it is compared as any other version.
            is_ours = base.get(path) == remote.get(path) or config.is_one_way
            why = None if is_ours else (_BOTH, _BOTH_HINT)
            if config.read_only:
                why = (_READ_ONLY, _READ_ONLY_HINT)
            asks = config.asks_before_push(path) and not config.is_one_way
            then = f"syncd publish {shlex.quote(path)}" if asks else "syncd sync"
            read = _read(replace(all_files, then=then), folder, root, path, met, why)
            if isinstance(read, Problem):
                problems[path] = read
            elif isinstance(read, Retry):
                unread[path] = read
            else:
                found[path] = read
                seen[path] = read.seen
                del problems[path]
    return replace(look, seen=seen, problems=problems), found, unread


def still_waiting(workspace: Workspace, waiting: Sequence[Waiting]) -> tuple[Waiting, ...]:
    """Return the waiting items; a refusal for lack of a blob that is here now becomes a retry.

    Raises FolderWrong.
    """
    wanted = any(isinstance(item, Refusal) and item.lacks for item in waiting)
    here = Store(workspace.folder).list().names if wanted else {}
    return tuple(
        Retry(item.path, _HERE_NOW)
        if isinstance(item, Refusal) and not here.keys().isdisjoint(item.lacks)
        else item
        for item in waiting
    )


def _most_bytes(workspace: Workspace) -> int | None:
    known = workspace.state.note(KnownBlobLimit)
    return None if known is None else known.most(workspace.now())


def files_named(folder: Folder, paths: Iterable[RecordPath]) -> set[str]:
    """Return the files of the folder, present or not, that these records name to be uploaded."""
    found = set[str]()

    def refer(name: str) -> BlobRef:
        parts_of(name)
        found.add(name)
        return _ANY

    for path in paths:
        collection = split_record_path(path)[0]
        with suppress(BadData, BadJson, FileChanged, FileProblem):
            text, _ = read_bytes(folder, path)
            if may_name(text):
                folder.forms.of(collection).parse(text, collection, refer)
    return found


def _read(
    files: Files,
    folder: Folder,
    root: int,
    path: RecordPath,
    met: Problem,
    why: tuple[str, str] | None,
) -> Naming | Problem | Retry:
    """Return the record that the file will be, its problem, or what it waits for."""
    used, unread = dict[str, BlobRef](), list[str]()

    def refer(name: str) -> BlobRef:
        if why is not None:
            raise BadData(why[0], hint=why[1])
        try:
            used[name] = files.refer(name)
        except BeingRead as error:
            # The others are asked for too: one reading after the other would take as many looks.
            unread.append(error.message)
            return _ANY
        return used[name]

    collection = split_record_path(path)[0]
    try:
        text, now = read_below(folder, root, path)
        record = folder.forms.of(collection).parse(text, collection, refer)
        cid = cid_of_block(encode(record))
    except BadJson as error:
        return Problem(path, error.message, error.hint or FIX_HINT, error.line, error.column)
    except (BadData, FileChanged, FileProblem):
        return met
    if unread:
        return Retry(path, unread[0])
    # It is not the record yet: no later look may take this for what the file was read as.
    return Naming(now.seen(path, cid, seen_ns=0), used)
