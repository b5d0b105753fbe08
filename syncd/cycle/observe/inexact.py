"""Recognise the files of records that JSON cannot express exactly. Never writes one.

Read as JSON, such a file gives a different record or none. So syncd compares it with the file that
it would write for the record of base or of the repo. If the meaning is equal, the file counts as
that record. If an edit replaces every place that JSON cannot express, syncd pushes it. Any other
edit is inert: a push would change a part of the record that the file cannot show. A renamed file is
inert too: a push would delete the record and create a different one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from syncd.atproto.cid import Cid
from syncd.errors import FileChanged, FileProblem
from syncd.folder.root import Folder
from syncd.folder.scan import Look
from syncd.folder.write import read_bytes
from syncd.forms import Form, Forms
from syncd.model import Problem, RecordPath, Seen, Snapshot, split_record_path
from syncd.values import dataclass

BlockOf = Callable[[RecordPath, Cid], bytes | None]
BlocksOf = Callable[[Mapping[RecordPath, Cid]], Mapping[RecordPath, bytes]]

_AT_ONCE = 500
"""So many records of base are read at once: their blocks take memory."""
_HINT = (
    "undo the edit, or replace that value too, by one that a record can have: a whole "
    "number, a text, a well-formed link or blob"
)
_TYPE_HINT = 'undo the edit, or set "$type" to "{collection}" too'
_RENAMED_HINT = "name the file {old} again"


@dataclass(frozen=True, slots=True)
class Versions:
    """Base and the repo at the paths of a cycle.

    Attributes:
        block_of: Returns the record of a path and CID; None if it is not at hand.
        blocks_of: Returns the records of many paths that base has, at the cost of few reads.
    """

    base: Snapshot
    remote: Snapshot
    block_of: BlockOf
    blocks_of: BlocksOf
    forms: Forms

    def reading(self, paths: Iterable[RecordPath]) -> Versions:
        """Return the same versions, with the records of base at `paths` read at once."""
        base = self.base
        cids = {path: base[path] for path in paths if path in base and base[path].is_block}
        blocks, block_of = self.blocks_of(cids), self.block_of

        def known(path: RecordPath, cid: Cid) -> bytes | None:
            is_read = path in blocks and cids[path] == cid
            return blocks[path] if is_read else block_of(path, cid)

        return replace(self, block_of=known)

    def inexact(self, path: RecordPath, side: Snapshot) -> tuple[Cid, bytes] | None:
        """Return the CID and block of `side`, if the block is at hand and no file can hold it."""
        cid = side.get(path)
        block = None if cid is None or not cid.is_block else self.block_of(path, cid)
        collection = split_record_path(path)[0]
        if cid is None or block is None or self.forms.of(collection).is_exact(block, collection):
            return None
        return cid, block


def with_inexact(
    folder: Folder, look: Look, paths: Iterable[RecordPath], versions: Versions, now_ns: int
) -> Look:
    """Return `look` with the right CID or problem for files of records that JSON cannot express.

    Only these files of `paths` are read again. `now_ns` is the time of the look.
    """
    look = _with_renamed(folder, look, paths, versions)
    doubtful = [path for path in paths if _is_doubtful(look, path, versions)]
    if not doubtful:
        return look
    seen, problems = dict(look.seen), dict(look.problems)
    for at, path in enumerate(doubtful):
        if at % _AT_ONCE == 0:
            near = versions.reading(doubtful[at : at + _AT_ONCE])
        found = _judge(folder, path, near, now_ns, look.problems.get(path))
        if isinstance(found, Seen):
            seen[path] = found
            problems.pop(path, None)
        elif found is not None:
            problems[path] = found
            seen.pop(path, None)
    return replace(look, seen=seen, problems=problems)


def _is_doubtful(look: Look, path: RecordPath, versions: Versions) -> bool:
    """Return whether the file of `path`, as JSON, equals neither base nor the repo."""
    known = (versions.base.get(path), versions.remote.get(path))
    return path in look.problems or (path in look.seen and look.seen[path].cid not in known)


def _judge(
    folder: Folder, path: RecordPath, versions: Versions, now_ns: int, met: Problem | None
) -> Seen | Problem | None:
    """Return the record of the file, or a problem; None if the file is what its JSON says.

    `met` is the problem of the file as JSON, if it has one.
    """
    base = remote = versions.inexact(path, versions.remote)
    if versions.base.get(path) != versions.remote.get(path):
        base = versions.inexact(path, versions.base)
    if base is None and remote is None:
        return None
    collection = split_record_path(path)[0]
    form = folder.forms.of(collection)
    try:
        text, now = read_bytes(folder, path)
    except (FileChanged, FileProblem):
        # The look has a problem for it already, or the next look will see the change.
        return None
    for version in (remote, base):
        if version is not None and form.means(text, version[1], collection):
            return now.seen(path, version[0], seen_ns=now_ns)
    if base is None or (remote is None and path in versions.remote):
        return None  # a file shows all of base's record, or of the repo's new one: it can be edited
    place = form.what_text_leaves(text, base[1], collection)
    if place is None:
        return None
    reason = f"its record holds {place}, which any edit of the file would change"
    hint = _TYPE_HINT.format(collection=collection) if place.endswith(" at /$type") else _HINT
    line, column = (met.line, met.column) if met else (None, None)
    return Problem(path, reason, hint, line, column)


def _with_renamed(
    folder: Folder, look: Look, paths: Iterable[RecordPath], versions: Versions
) -> Look:
    """Return `look` with problems for renamed files of records that JSON cannot express.

    Both the old and the new path get a problem. An ordinary renamed file has the CID of the missing
    record, so it is recognised without reading it.
    """
    base, remote = versions.base, versions.remote
    new = {path for path in paths if not (path in base or path in remote or look.absent(path))}
    cids = {look.seen[path].cid for path in new if path in look.seen}
    gone = [p for p in paths if p in base and base[p] not in cids and look.absent(p)] if new else []
    inexact = [
        (p, v[1]) for p in gone if remote.get(p) == base[p] and (v := versions.inexact(p, base))
    ]
    texts = _texts(folder, new) if inexact else {}
    seen, problems = dict(look.seen), dict(look.problems)
    for old, block in inexact:
        collection = split_record_path(old)[0]
        form = folder.forms.of(collection)
        place = form.unsayable(block, collection)
        name = _renamed(old, block, texts, form)
        if place is not None and name is not None:
            reason = f"its record holds {place}, which an edit or another name would change"
            hint = _RENAMED_HINT.format(old=old)
            problems[old] = Problem(old, f"its file is now {name}, and {reason}", hint)
            problems[name] = Problem(name, f"it was {old}, and {reason}", hint)
            seen.pop(name, None)
    return replace(look, seen=seen, problems=problems)


def _texts(folder: Folder, paths: Iterable[RecordPath]) -> dict[RecordPath, bytes]:
    texts: dict[RecordPath, bytes] = {}
    for path in sorted(paths):
        with suppress(FileChanged, FileProblem):
            texts[path] = read_bytes(folder, path)[0]
    return texts


def _renamed(
    old: RecordPath, block: bytes, texts: Mapping[RecordPath, bytes], form: Form
) -> RecordPath | None:
    """Find the new file in the collection of `old` with the meaning of the old file."""
    collection = split_record_path(old)[0]
    same = (path for path in texts if split_record_path(path)[0] == collection)
    return next((path for path in same if form.means(texts[path], block, collection)), None)
