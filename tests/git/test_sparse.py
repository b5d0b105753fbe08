"""A mirror in which git is told to leave files out: they are away, and nobody has deleted them."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.cycle.git import companion
from syncd.mirror.names import read_names
from syncd.mirror.past.elsewhere import kept_elsewhere
from syncd.mirror.restore import Wish, plan_restore
from syncd.model import RecordPath, Report

from .conftest import Study

NOTE, OTHER, PAGE = (RecordPath(f"com.example.{name}") for name in ("note/a", "note/b", "page/c"))


@pytest.fixture
async def sparse(study: Study) -> Study:
    """Notes and a page are in the repo; git has just left out the page."""
    for n, path in enumerate((NOTE, OTHER, PAGE)):
        study.device.save(path, n=n)
    await study.device.sync()
    assert study.repo.status() == []
    study.repo.git("sparse-checkout", "set", "--no-cone", "/*", f"!{study.prefix}com.example.page/")
    assert not study.device.has(PAGE)
    return study


def problems(report: Report) -> dict[str, str]:
    return {problem.path: problem.reason for problem in report.problems}


async def test_a_record_that_git_leaves_out_stays_in_the_repo(sparse: Study) -> None:
    device, before, rev = sparse.device, sparse.world.records(), sparse.world.rev()
    for _ in range(2):
        report = await device.sync()
        assert "sparse checkout" in problems(report)[PAGE]
        assert (report.held, report.conflicts, report.pushed) == ((), (), ())
    assert (sparse.world.records(), sparse.world.rev()) == (before, rev)
    assert not device.has(PAGE)


async def test_it_is_as_before_once_git_checks_it_out_again(sparse: Study) -> None:
    rev = sparse.world.rev()
    await sparse.device.sync()
    sparse.repo.git("sparse-checkout", "disable")
    report = await sparse.device.sync()
    assert report.is_settled
    assert sparse.device.read(PAGE)["n"] == 2
    assert sparse.world.rev() == rev


async def test_a_restore_of_many_leaves_it_out_and_names_it(sparse: Study) -> None:
    workspace = sparse.device.mirror.workspace
    sparse.device.delete(NOTE)
    wish = Wish(read_names(workspace, ["com.example.*"], [sparse.device.root]), deleted=True)
    wanted = [event.path for event in plan_restore(workspace, wish)]
    assert wanted == [NOTE, PAGE]
    assert kept_elsewhere(workspace, wanted).keys() == {PAGE}


async def test_what_is_deleted_beside_it_is_deleted_in_the_repo(sparse: Study) -> None:
    sparse.device.delete(NOTE)
    await sparse.device.sync()
    assert set(sparse.world.records()) == {OTHER, PAGE}


async def test_what_is_deleted_in_git_is_deleted_in_the_repo(sparse: Study) -> None:
    await sparse.device.sync()
    # As `git rm --sparse` does, which git before 2.34 does not know.
    sparse.repo.git("update-index", "--force-remove", f"{sparse.prefix}{PAGE}.json")
    report = await sparse.device.sync()
    assert set(sparse.world.records()) == {NOTE, OTHER}
    assert report.problems == ()


async def test_an_edit_by_others_of_what_git_leaves_out_waits_for_a_person(sparse: Study) -> None:
    await sparse.world.write(PAGE, n=22)
    report = await sparse.device.sync()
    assert [conflict.path for conflict in report.conflicts] == [PAGE]
    assert not sparse.device.has(PAGE)
    sparse.repo.git("sparse-checkout", "disable")
    await sparse.device.sync()
    assert sparse.device.read(PAGE)["n"] == 22


async def test_where_git_cannot_tell_nothing_is_deleted(sparse: Study) -> None:
    before = sparse.world.records()
    sparse.device.delete(NOTE)
    index = sparse.repo.top / ".git" / "index"
    whole = index.read_bytes()
    index.write_bytes(b"no index")
    report = await sparse.device.sync()
    assert sparse.world.records() == before
    assert "git cannot tell" in problems(report)[NOTE]
    index.write_bytes(whole)
    report = await sparse.device.sync()
    assert set(sparse.world.records()) == {OTHER, PAGE}
    assert NOTE not in problems(report)


@pytest.mark.parametrize("is_linked", [False, True])
async def test_it_stays_where_git_has_not_written_down_yet_what_it_leaves_out(
    sparse: Study, tmp_path: Path, is_linked: bool
) -> None:
    """Git removes the files, writes the index, and only then the patterns."""
    before = sparse.world.records()
    (sparse.repo.top / ".git" / "info" / "sparse-checkout").unlink()
    if is_linked:
        sparse.repo.git("config", "core.worktree", sparse.repo.top)
        (sparse.repo.top / ".git").rename(tmp_path / "elsewhere")
        (sparse.repo.top / ".git").write_text(f"gitdir: {tmp_path / 'elsewhere'}\n")
    report = await sparse.device.sync()
    assert "sparse checkout" in problems(report)[PAGE]
    assert sparse.world.records() == before


async def test_what_is_gone_while_git_holds_its_lock_waits_and_edits_do_not(
    sparse: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companion, "READY_SECONDS", 0.1)
    lock = sparse.repo.top / ".git" / "index.lock"
    lock.touch()
    sparse.device.delete(NOTE)
    sparse.device.save(OTHER, n=11)
    report = await sparse.device.sync()
    assert report.pushed == (OTHER,)
    assert "index.lock" in problems(report)[NOTE]
    assert set(sparse.world.records()) == {NOTE, OTHER, PAGE}
    lock.unlink()
    report = await sparse.device.sync()
    assert set(sparse.world.records()) == {OTHER, PAGE}
    assert NOTE not in problems(report)


async def test_a_commit_of_what_is_synced_leaves_it_where_it_is(sparse: Study) -> None:
    await sparse.world.write(NOTE, n=11)
    report = await sparse.device.sync()
    assert report.pulled == (NOTE,)
    assert sparse.repo.files_of() == [f"{sparse.prefix}{NOTE}.json"]
    assert sparse.repo.status() == []
    assert not sparse.device.has(PAGE)
    sparse.repo.git("sparse-checkout", "disable")
    assert sparse.device.read(PAGE)["n"] == 2
