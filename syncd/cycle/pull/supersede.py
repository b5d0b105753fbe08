"""Put a new version in the place of a record's file: archive, check, write, say what to remember.

Nothing else in syncd writes or removes the files of records; tests/test_architecture.py lists the
few that make or rename one. The order is what keeps every version: the old one is in history before
its file goes; the file goes only if it is still the one that was planned for; base moves last, when
the caller records the memory. Never asks a PDS, and never records anything in the state file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import TypeAlias

from syncd.atproto.cid import Cid, cid_of_blob
from syncd.cycle.pull.archive import Keeper, version_of
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, FileChanged, FileProblem, NotFound, SwapFailed, SyncdError
from syncd.folder.root import Folder
from syncd.folder.write import Replacement, read_below, read_bytes, remove, write_many
from syncd.forms import Forms
from syncd.model import Memory, Problem, RecordPath, Retry, Seen, Side, Waiting, split_record_path
from syncd.state import Provenance, Superseded
from syncd.values import dataclass

Text: TypeAlias = "bytes | Callable[[bytes | None], bytes]"
"""A file's new text, or what makes it from the old one (None: there was no file).

It may raise BadData or NotFound: then the file stays as it is, and nothing goes to history.
"""

WITH_COMMENTS = "the same record as a file whose comments the new one has no place for"
SAME_RECORD = "the same record as the text that took its place"
BESIDE = (WITH_COMMENTS, SAME_RECORD)
"""Why a text is in history beside its record."""


@dataclass(frozen=True, slots=True)
class Successor:
    """The new content of one file.

    Attributes:
        expect: The file that was planned for; None: there must be no file.
        cid: The version that the file is to stand for; None: the file is to go.
        base: The version that both sides had last. Any other exists in the folder alone.
        reason: Why, as history is to say it.
        text: The file of `cid`; of no use where the file is to go.
        later: Where the file is to go: the version that will come in its place.
    """

    path: RecordPath
    expect: Seen | None
    cid: Cid | None
    base: Cid | None
    reason: str
    text: Text = b""
    later: Cid | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """The new state of each file (None: there is none), and why others are unchanged."""

    files: Mapping[RecordPath, Seen | None]
    failed: Mapping[RecordPath, SyncdError]

    def memory(self, base: Mapping[RecordPath, Cid | None], blocks: Mapping[Cid, bytes]) -> Memory:
        """Return the facts to record: base moves to `base` for each file that is as planned."""
        moved = {path: base[path] for path in self.files}
        waiting: dict[str, tuple[Waiting, ...]] = dict.fromkeys(self.files, ())
        waiting |= {path: (not_done(path, error),) for path, error in self.failed.items()}
        return Memory(
            base=moved,
            blocks={path: blocks[cid] for path, cid in moved.items() if cid is not None},
            seen=self.files,
            waiting=waiting,
        )


@dataclass(slots=True)
class _Work:
    """The successors in progress: to write, to remove, to archive, and done."""

    writes: list[Replacement] = field(default_factory=list)
    removals: list[Seen] = field(default_factory=list)
    versions: list[Superseded] = field(default_factory=list)
    files: dict[RecordPath, Seen | None] = field(default_factory=dict)
    failed: dict[RecordPath, SyncdError] = field(default_factory=dict)


@dataclass(slots=True)
class Replacing:
    """Files that get their successors together.

    Each succeeds or fails by itself; no path may occur twice. Both raise FolderWrong: the folder is
    not there or not ours.
    """

    folder: Folder
    keeper: Keeper
    _work: _Work = field(default_factory=_Work)

    def plan(self, successors: Iterable[Successor]) -> None:
        """Read the files and make their new texts; every file stays as it is."""
        with self.folder.open() as root:
            for successor in successors:
                try:
                    _plan(self._work, self.folder, root, self.keeper, successor)
                except (BadData, FileChanged, FileProblem, NotFound) as error:
                    self._work.failed[successor.path] = error

    def carry_out(self) -> Placement:
        """Archive what is replaced, then write the new texts. What fails is as it was."""
        work = self._work
        work.failed.update(self.keeper.archive(work.versions))
        writes = [write for write in work.writes if write.path not in work.failed]
        for write, now in zip(writes, write_many(self.folder, writes), strict=True):
            # Not after FileProblem: then the file may be ours, and not durable under its name.
            found = _as_wanted(self.folder, write) if isinstance(now, FileChanged) else None
            _conclude(work, write.path, now if found is None else found)
        for seen in work.removals:
            if seen.path not in work.failed:
                _conclude(work, seen.path, _remove(self.folder, seen))
        return Placement(work.files, work.failed)


def supersede(folder: Folder, keeper: Keeper, successors: Sequence[Successor]) -> Placement:
    """Replace each file by its successor; many are written with one wait for the disk.

    Each succeeds or fails by itself; no path may occur twice. What fails is as it was: it was
    edited meanwhile (FileChanged), its old version cannot be archived or the disk refuses
    (FileProblem), or there is no text for the new one (BadData, NotFound).

    Raises FolderWrong: the folder is not there or not ours.
    """
    replacing = Replacing(folder, keeper)
    replacing.plan(successors)
    return replacing.carry_out()


def put(workspace: Workspace, successor: Successor) -> Seen | None:
    """Replace one file by its successor now, outside a cycle; return the new state of the file.

    Raises what `supersede` collects. Records nothing: the next cycle sees an edit like any other.
    """
    keeper = Keeper(workspace.history, workspace.now(), None)
    placement = supersede(workspace.folder, keeper, [successor])
    if successor.path in placement.failed:
        raise placement.failed[successor.path]
    return placement.files[successor.path]


def file_at(folder: Folder, path: RecordPath) -> Seen | None:
    """Return the file at `path`, even if it holds no record; None if there is none.

    Such a file has the CID of its bytes. Raises FileProblem if it cannot be read.
    """
    try:
        content, now = read_bytes(folder, path)
    except FileChanged:
        return None
    return now.seen(path, version_of(content, path, folder.forms)[0], seen_ns=0)


def not_done(path: RecordPath, error: SyncdError) -> Waiting:
    """Return the waiting item for a step that was not carried out."""
    if isinstance(error, FileChanged | SwapFailed):
        return Retry(path, error.message)
    return Problem(path, error.message, error.hint)


def _plan(work: _Work, folder: Folder, root: int, keeper: Keeper, successor: Successor) -> None:
    """Read the old file once: to archive it, to take over its style, and to compare."""
    path, seen, cid = successor.path, successor.expect, successor.cid
    if seen is None:
        # There is no file: nothing to archive, and a removal is done already.
        if cid is None:
            work.files[path] = None
        else:
            work.writes.append(Replacement(path, _text(successor, None), None, cid))
        return
    old, now = read_below(folder, root, path)
    if now.digest != seen.digest:
        raise FileChanged(f"{path} was edited after syncd read it")
    text: bytes | None = None
    if cid is None:
        work.removals.append(seen)
    else:
        # The same version, or the same bytes: nothing is replaced, so history is not to say so.
        text = old if cid == seen.cid else _text(successor, old)
        if text == old:
            work.files[path] = replace(seen, cid=cid)
            return
        work.writes.append(Replacement(path, text, seen, cid))
    work.versions += _versions(keeper, successor, seen, old, text, folder.forms)


def _text(successor: Successor, old: bytes | None) -> bytes:
    return successor.text if isinstance(successor.text, bytes) else successor.text(old)


def _versions(
    keeper: Keeper, successor: Successor, seen: Seen, old: bytes, new: bytes | None, forms: Forms
) -> Iterator[Superseded]:
    """Yield the versions in the file: the block of its record, or its bytes.

    Both, if the file has words that are in no record and not in the text `new` either, or if `new`
    says the same record: then nothing but the text is replaced.
    """
    cid, content = version_of(old, seen.path, forms)
    if is_text := cid != seen.cid:
        # JSON does not express the record exactly: what somebody can have typed is the text.
        cid, content = cid_of_blob(old), old
    origin = Provenance.BOTH if seen.cid == successor.base else Provenance.FOLDER
    after, reason = successor.cid or successor.later, successor.reason
    yield keeper.superseded(seen.path, Side.LOCAL, cid, content, after, reason, origin)
    remarks = forms.of(split_record_path(seen.path)[0]).remarks
    has_own = bool(Counter(remarks(old)) - Counter(remarks(new or b"")))
    # A successor that is a record is another one than this file's, so its text need not be read.
    is_text_of_one = after is not None and not after.is_block
    is_same = is_text_of_one and version_of(new or b"", seen.path, forms)[0] == seen.cid
    if not is_text and (has_own or is_same):
        why = WITH_COMMENTS if has_own else SAME_RECORD
        text, origin = cid_of_blob(old), Provenance.FOLDER
        yield keeper.superseded(seen.path, Side.LOCAL, text, old, after, why, origin)


def _as_wanted(folder: Folder, write: Replacement) -> Seen | None:
    """Return the file that is in the way of a new one, if it has the same bytes.

    A stop kept an earlier run from remembering it. Its meaning alone would not do: not every record
    can be read back from its JSON.
    """
    if write.expect is not None:
        return None
    try:
        content, now = read_bytes(folder, write.path)
    except (FileChanged, FileProblem):
        return None
    return now.seen(write.path, write.cid, seen_ns=0) if content == write.content else None


def _remove(folder: Folder, seen: Seen) -> SyncdError | None:
    try:
        remove(folder, seen.path, expect=seen)
    except (FileChanged, FileProblem) as error:
        return error
    return None


def _conclude(work: _Work, path: RecordPath, result: Seen | SyncdError | None) -> None:
    if isinstance(result, SyncdError):
        work.failed[path] = result
    else:
        work.files[path] = result
