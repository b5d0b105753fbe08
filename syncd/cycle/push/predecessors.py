"""Archive the records that pushes will overwrite or delete. Never writes to the repo.

What is not in history must not be overwritten: such a step waits, with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.atproto.cid import Cid
from syncd.cycle.observe.remote import Sight
from syncd.cycle.pull.archive import NOT_OVERWRITTEN, Failed, Keeper
from syncd.cycle.pull.supersede import not_done
from syncd.errors import FileProblem, NotFound, StateWrong, SyncdError
from syncd.model import RecordPath, Retry, Side, Step, Waiting
from syncd.pds import Pds
from syncd.state import History, Provenance, State, Superseded


async def keep_records(
    keeper: Keeper, state: State, sight: Sight, pds: Pds, steps: Sequence[Step]
) -> Failed:
    """Archive the records that `steps` overwrite in the repo; return why some could not be.

    NotFound: the PDS does not give the old record. FileProblem: history cannot keep it.
    """
    replacing = [(step, step.remote) for step in steps if step.remote is not None]
    kept = state.blocks({step.path: cid for step, cid in replacing})
    known = [kept.get(step.path) or _archived(keeper.history, cid) for step, cid in replacing]
    wanted = {cid for (_, cid), block in zip(replacing, known, strict=True) if block is None}
    fetched = await sight.records(pds, wanted)
    versions: list[Superseded] = []
    failed: Failed = {}
    for (step, cid), block in zip(replacing, known, strict=True):
        content = block or fetched.get(cid)
        if content is None:
            message = f"{step.path}: the PDS does not send the version that this would replace"
            failed[step.path] = NotFound(message, hint=NOT_OVERWRITTEN)
            continue
        origin = Provenance.BOTH if cid == step.base else Provenance.REPO
        named = (step.path, Side.REMOTE, cid, content, step.local, step.reason, origin)
        versions.append(keeper.superseded(*named))
    return failed | keeper.archive(versions)


def _archived(history: History, cid: Cid) -> bytes | None:
    try:
        return history.content(cid)
    except (FileProblem, StateWrong):
        return None


def not_kept(path: RecordPath, error: SyncdError) -> Waiting:
    """Return the waiting item for a step whose old version could not be kept.

    One that the PDS does not give may be seen again: so the next cycle looks once more.
    """
    return Retry(path, error.message) if isinstance(error, NotFound) else not_done(path, error)
