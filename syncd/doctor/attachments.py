"""Judge the blobs of a mirror: whether those that are asked for are here. Fetches none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from syncd.config import Config
from syncd.cycle.blobs.attached import Attached, attached
from syncd.cycle.workspace import Workspace
from syncd.doctor.kinds import Finding, found
from syncd.errors import SyncdError
from syncd.folder.root import Folder
from syncd.state import State


def judge_blobs(root: Path, config: Config, state: State) -> Iterator[Finding]:
    """Yield the findings about blobs, but none about folder or state, which other checks judge."""
    folder = Folder(root, portable=config.is_portable, forms=config.forms)
    try:
        yield from judge_attached(attached(Workspace(folder, state, config, time.time_ns)))
    except SyncdError:
        return


def judge_attached(blobs: Attached) -> Iterator[Finding]:
    """Yield the findings about blobs that were looked at."""
    named = len(blobs.named)
    for problem in blobs.listing.problems:
        yield found("blobs.blocked", path=problem.path, reason=problem.reason, hint=problem.hint)
    sorts = {"due": blobs.due, "beyond": blobs.beyond, "missing": blobs.resting}
    for name, refs in sorts.items():
        if refs:
            yield found(f"blobs.{name}", count=len(refs), named=named)
    if not any(sorts.values()):
        here = named - len(blobs.missing)
        yield found("blobs.ok", here=here, named=named) if named else found("blobs.none")
