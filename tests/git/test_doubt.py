"""What git hides or holds up differs all the same: no doubt about the state file ends by it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncd.mirror.held import decide_held
from syncd.model import Choice, RecordPath
from syncd.state.notes import Doubt

from .conftest import Study
from .test_unmerged import ONE, TWO, file_of, side_branch, stashed

NEW = RecordPath("com.example.note/new")


async def doubted(study: Study) -> Study:
    """Two records that agree, and a doubt about the state file, as after a copy."""
    for path in (ONE, TWO):
        study.device.save(path, n=1)
    await study.device.sync()
    study.device.mirror.state.keep(Doubt("it was copied"))
    return study


def unfinished_merge(study: Study) -> None:
    side_branch(study)
    study.device.save(ONE, n=3)
    study.repo.commit_all("Three")
    study.repo.git("merge", "--quiet", "side", code=1)


def unmerged_entries(study: Study) -> None:
    stashed(study)
    study.device.save(ONE, n=3)
    study.repo.commit_all("Three")
    study.repo.git("stash", "pop", code=1)


def sparse_checkout(study: Study) -> None:
    study.repo.git("update-index", "--refresh")
    left_out = f"!{study.prefix}{ONE}.json"
    study.repo.git("sparse-checkout", "set", "--no-cone", "/*", left_out)
    assert not study.device.has(ONE)


def end_merge(study: Study) -> None:
    study.repo.git("merge", "--abort")
    study.repo.git("checkout", "--quiet", "HEAD~1", "--", file_of(study))


def end_unmerged(study: Study) -> None:
    study.repo.git("checkout", "--quiet", "HEAD~1", "--", file_of(study))
    study.repo.git("stash", "drop", "--quiet")


def end_sparse(study: Study) -> None:
    study.repo.git("sparse-checkout", "disable")


WAYS: dict[str, tuple[Callable[[Study], None], Callable[[Study], None]]] = {
    "merge": (unfinished_merge, end_merge),
    "unmerged": (unmerged_entries, end_unmerged),
    "sparse": (sparse_checkout, end_sparse),
}
"""What git does to the file of ONE, and what puts it back as it was."""


@pytest.mark.parametrize("how", WAYS)
async def test_what_git_hides_or_holds_up_ends_no_doubt(study: Study, how: str) -> None:
    begin, end = WAYS[how]
    device = (await doubted(study)).device
    begin(study)
    before = study.world.rev()
    for _ in range(2):
        report = await device.sync()
        named = {problem.path for problem in report.problems}
        assert ONE in named | {item.path for item in report.held}
        assert device.mirror.state.note(Doubt) is not None
    end(study)
    assert (await device.sync()).held == ()
    assert study.world.rev() == before
    assert device.mirror.state.note(Doubt) is None


@pytest.mark.parametrize("how", WAYS)
async def test_what_is_approved_meanwhile_waits_for_git_too(study: Study, how: str) -> None:
    begin, _ = WAYS[how]
    device = (await doubted(study)).device
    begin(study)
    device.save(NEW, n=1)
    report = await device.sync()
    assert NEW in {item.path for item in report.held}
    there = study.world.records()
    decide_held(device.mirror.workspace, report.held, Choice.APPROVE)
    await device.sync()
    # An unfinished merge holds everything up; in the other cases the rest continues.
    assert (NEW in study.world.records()) == (how != "merge")
    assert study.world.records()[ONE] == there[ONE]
    assert device.mirror.state.note(Doubt) is not None
