"""Keep in history what a cycle is about to replace or delete. Never touches either side itself.

Whatever cannot be kept must not be overwritten: the answer of both functions is the steps that have
to wait, each with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.dagcbor import encode
from syncd.atproto.jsontext import parse_record
from syncd.atproto.syntax import Tid, tid_microseconds
from syncd.budget import DAY
from syncd.cycle.observe.remote import Sight
from syncd.cycle.workspace import Workspace
from syncd.errors import (
    BadData,
    BadJson,
    FileChanged,
    FileProblem,
    NotFound,
    StateDamaged,
    StateWrong,
    SyncdError,
)
from syncd.folder.root import Folder
from syncd.folder.write import read_bytes
from syncd.model import (
    Conflict,
    RecordPath,
    Seen,
    Side,
    Step,
    Waiting,
    split_record_path,
)
from syncd.pds import Pds
from syncd.state import History, Origin, State, Superseded

Failed = dict[RecordPath, SyncdError]
_HINT = "nothing was overwritten; the next sync tries again"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Where superseded versions go during one cycle; `at` is unix seconds, `rev` the repo's."""

    history: History
    at: int
    rev: Tid | None

    def keep_files(
        self, folder: Folder, steps: Iterable[Step], expect: Callable[[RecordPath], Seen | None]
    ) -> Failed:
        """Keep the files that `steps` will write over or remove."""
        versions: list[Superseded] = []
        failed: Failed = {}
        for step in steps:
            seen = expect(step.path)
            if seen is None:
                continue
            try:
                cid, content = version_of_file(folder, seen)
            except (FileChanged, FileProblem) as error:
                failed[step.path] = error
                continue
            origin = Origin.BOTH if step.local == step.base else Origin.FOLDER
            versions.append(self._version(step, Side.LOCAL, cid, content, step.remote, origin))
        return failed | self._keep(versions)

    async def keep_records(
        self, state: State, sight: Sight, pds: Pds, steps: Sequence[Step]
    ) -> Failed:
        """Keep the records that the pushes of `steps` will write over or delete."""
        by_path = {step.path: step for step in steps}
        before = {step.path: step.remote for step in steps if step.remote is not None}
        blocks = {path: self._known(state, path, cid) for path, cid in before.items()}
        wanted = {cid for path, cid in before.items() if blocks[path] is None}
        fetched = await sight.records(pds, wanted)
        versions: list[Superseded] = []
        failed: Failed = {}
        for path, cid in before.items():
            content, step = blocks[path] or fetched.get(cid), by_path[path]
            if content is None:
                message = f"{path}: the PDS does not give the version that this would replace"
                failed[path] = NotFound(message, hint=_HINT)
                continue
            origin = Origin.BOTH if cid == step.base else Origin.REPO
            versions.append(self._version(step, Side.REMOTE, cid, content, step.local, origin))
        return failed | self._keep(versions)

    def _known(self, state: State, path: RecordPath, cid: Cid) -> bytes | None:
        found = state.block(path, cid)
        if found is not None:
            return found
        try:
            return self.history.content(cid)
        except (FileProblem, StateWrong):
            return None

    def _version(
        self, step: Step, side: Side, cid: Cid, content: bytes, after: Cid | None, origin: Origin
    ) -> Superseded:
        named = (step.path, side, cid, content, after)
        return Superseded(*named, self.at, step.reason, self.rev, origin)

    def _keep(self, versions: Sequence[Superseded]) -> Failed:
        try:
            self.history.keep(versions)
        except (FileProblem, StateWrong) as error:
            reason = f"the version it replaces cannot be kept: {error.message}"
            return {v.path: FileProblem(reason, hint=error.hint or _HINT) for v in versions}
        return {}


def version_of_file(folder: Folder, seen: Seen) -> tuple[Cid, bytes]:
    """The version that the file stands for: its record's block, or its very bytes.

    A file whose JSON does not express its record exactly is kept as it is, under a raw CID.

    Raises FileChanged if the file is not what was seen, FileProblem if it cannot be read.
    """
    content, now = read_bytes(folder, seen.path)
    if now.digest != seen.digest:
        raise FileChanged(f"{seen.path} was edited after it was looked at")
    cid, block = _version(content, seen.path)
    return (cid, block) if cid == seen.cid else (cid_of_blob(content), content)


def _version(content: bytes, path: RecordPath) -> tuple[Cid, bytes]:
    try:
        block = encode(parse_record(content, split_record_path(path)[0]))
    except (BadJson, BadData):
        return cid_of_blob(content), content
    return cid_of_block(block), block


def keep_file(
    history: History,
    folder: Folder,
    path: RecordPath,
    base: Cid | None,
    *,
    after: Cid | None,
    at: int,
    reason: str,
) -> Seen | None:
    """Keep whatever the file at `path` holds, also if it stands for no record.

    Returns what a compare-and-replace may expect there; None if there is no file.
    Raises FileProblem if it cannot be read or kept.
    """
    try:
        content, now = read_bytes(folder, path)
    except FileChanged:
        return None
    cid, block = _version(content, path)
    origin = Origin.BOTH if cid == base else Origin.FOLDER
    history.keep([Superseded(path, Side.LOCAL, cid, block, after, at, reason, None, origin)])
    return now.seen(path, cid, seen_ns=0)


def seconds_of(rev: Tid) -> int:
    """When the repo got this rev, in unix seconds by the clock of its PDS."""
    return tid_microseconds(rev) // 1_000_000


def prune(workspace: Workspace, waiting: Iterable[Waiting], rev: Tid) -> None:
    """Keep history within its bounds; what an open conflict may need stays.

    Nothing is too old by a clock that runs ahead of the repo's newest rev.
    """
    conflicts = (item for item in waiting if isinstance(item, Conflict))
    pinned = {cid for c in conflicts for cid in (c.base, c.local, c.remote) if cid is not None}
    history, config = workspace.history, workspace.config
    before = min(workspace.now(), seconds_of(rev)) - config.history_days * DAY.seconds
    try:
        history.prune(before=before, size=config.history_megabytes * 1_000_000, pinned=pinned)
    except StateDamaged:
        history.mend()
    except FileProblem:
        pass  # it is only larger than it should be, and the next cycle tries again
