"""Keep superseded versions in history, with when and why. Never touches the folder or the repo.

What cannot be kept must not be overwritten: `Keeper.archive` names such paths, and its callers let
them wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.dagcbor import encode
from syncd.atproto.syntax import Tid, tid_microseconds
from syncd.budget import DAY
from syncd.cycle.workspace import Workspace
from syncd.errors import (
    BadData,
    BadJson,
    FileProblem,
    StateDamaged,
    StateWrong,
    SyncdError,
)
from syncd.forms import Forms
from syncd.model import (
    Conflict,
    RecordPath,
    Side,
    Waiting,
    split_record_path,
)
from syncd.state import History, Provenance, Superseded
from syncd.values import dataclass

Failed = dict[RecordPath, SyncdError]
NOT_OVERWRITTEN = "nothing was overwritten; the next sync tries again"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Where superseded versions go during one cycle; `at` is unix seconds, `rev` the repo's.

    `copy` gets them too, once history has them. It raises FileProblem if it cannot keep them.
    """

    history: History
    at: int
    rev: Tid | None
    copy: Callable[[Sequence[Superseded]], None] = lambda _: None

    def superseded(
        self,
        path: RecordPath,
        side: Side,
        cid: Cid,
        content: bytes,
        after: Cid | None,
        reason: str,
        origin: Provenance,
    ) -> Superseded:
        """Return the version `cid` of one side as history keeps it, with the time of this cycle."""
        return Superseded(path, side, cid, content, after, self.at, reason, self.rev, origin)

    def archive(self, versions: Sequence[Superseded]) -> Failed:
        """Save all of `versions` durably, or none; return, by path, why some cannot be saved."""
        try:
            self.history.keep(versions)
            self.copy(versions)
        except (FileProblem, StateWrong) as error:
            reason = f"syncd cannot keep the version that this replaces: {error.message}"
            hint = error.hint or NOT_OVERWRITTEN
            return {version.path: FileProblem(reason, hint=hint) for version in versions}
        return {}


def version_of(content: bytes, path: RecordPath, forms: Forms) -> tuple[Cid, bytes]:
    """Return the CID and block of the record in a file, or of its bytes if it holds no record."""
    try:
        collection = split_record_path(path)[0]
        block = encode(forms.of(collection).parse(content, collection))
    except (BadJson, BadData):
        return cid_of_blob(content), content
    return cid_of_block(block), block


def seconds_of(rev: Tid) -> int:
    """Return the time at which the repo got this rev, in unix seconds by the clock of its PDS."""
    return tid_microseconds(rev) // 1_000_000


def prune(workspace: Workspace, waiting: Iterable[Waiting], rev: Tid) -> None:
    """Reduce history to its bounds; keep the versions that an open conflict may need.

    Nothing is too old by a clock that runs ahead of the repo's newest rev.
    """
    conflicts = (item for item in waiting if isinstance(item, Conflict))
    pinned = {cid for c in conflicts for cid in (c.base, c.local, c.remote) if cid is not None}
    history, config = workspace.history, workspace.config
    before = min(workspace.now(), seconds_of(rev)) - config.history_days * DAY.seconds
    try:
        history.prune(before=before, size=config.history_megabytes * 1_000_000, pinned=pinned)
    except StateDamaged:
        history.repair()
    except FileProblem:
        pass  # it is only larger than it should be, and the next cycle tries again
