"""What becomes of a conflict: an edit is kept, two edits wait for a person."""

from __future__ import annotations

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.merge import settle
from syncd.model import RecordPath, Step, Verdict

A, B, C = (cid_of_block(name) for name in (b"a", b"b", b"c"))


@pytest.mark.parametrize(
    ("local", "remote", "expected"),
    [(B, C, Verdict.CONFLICT), (None, C, Verdict.PULL), (B, None, Verdict.PUSH)],
)
def test_no_conflict_drops_an_edit(
    local: Cid | None, remote: Cid | None, expected: Verdict
) -> None:
    step = Step(RecordPath("a.b.c/d"), Verdict.CONFLICT, A, local, remote, "both")
    assert settle(step).verdict is expected
    assert (settle(step).local, settle(step).remote) == (local, remote)
