"""Files that git left unmerged without an operation: theirs alone wait, and the index stays."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.model import RecordPath, Report
from tests.rigs.device import World, rework

from .conftest import Repo, Study, make_repo, make_study, meet_git, with_git

ONE, TWO = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")
NEW = RecordPath("com.example.note/new")
Act = Callable[[Study], None]


def file_of(study: Study, path: str = ONE) -> str:
    return f"{study.prefix}{path}.json"


def side_branch(study: Study, name: str = "side") -> None:
    """A branch on which ONE has n=2, and main with n=1 still in the folder."""
    git = study.repo.git
    git("switch", "--quiet", "--create", name)
    study.device.save(ONE, n=2)
    git("commit", "--quiet", "--message", "Side", "--", file_of(study))
    git("switch", "--quiet", "main")


def stashed(study: Study) -> None:
    study.device.save(ONE, n=2)
    study.repo.git("stash", "--quiet")


def patched(study: Study) -> None:
    study.device.save(ONE, n=2)
    patch = study.repo.git("diff", "--full-index", "--no-ext-diff", "--", file_of(study))
    study.repo.git("hash-object", "-w", file_of(study))
    study.repo.git("checkout", "--quiet", "--", file_of(study))
    (study.repo.top / ".git" / "patch").write_text(f"{patch}\n", encoding="utf-8")


def read_tree(study: Study) -> None:
    git = study.repo.git
    git("read-tree", "-m", git("merge-base", "main", "side"), "main", "side")


def checkout_as(style: str) -> Act:
    """Another branch is checked out over an edit, and the conflict is shown in this style."""

    def act(study: Study) -> None:
        study.device.save(ONE, n=5)
        study.repo.git("checkout", "--quiet", f"--conflict={style}", "side")

    return act


def fails(*words: str) -> Act:
    """A git command that ends with a conflict."""

    def act(study: Study) -> None:
        study.repo.git(*words, code=1)

    return act


CONFLICTS: dict[str, tuple[Act, Act]] = {
    "stash pop": (stashed, fails("stash", "pop")),
    "stash apply": (stashed, fails("stash", "apply")),
    "apply -3": (patched, fails("apply", "--3way", ".git/patch")),
    "merge --squash": (side_branch, fails("merge", "--squash", "side")),
    "cherry-pick -n": (side_branch, fails("cherry-pick", "--no-commit", "side")),
    "read-tree -m": (side_branch, read_tree),
    "checkout --conflict=merge": (side_branch, checkout_as("merge")),
    "checkout --conflict=diff3": (side_branch, checkout_as("diff3")),
}
"""What is prepared while ONE has n=1, and what leaves it unmerged once it has n=3."""


def unmerged(study: Study) -> str:
    return study.repo.git("ls-files", "--unmerged")


def problems(report: Report) -> dict[str, str]:
    return {problem.path: problem.reason for problem in report.problems}


@pytest.fixture
def study(world: World, tmp_path: Path) -> Study:
    """A folder inside a git repository: that one at its top is no other is for test_commits.py."""
    return make_study(world, tmp_path / "git", "sites/my notes/")


async def tear(study: Study, how: str) -> Study:
    """Leave the file of ONE unmerged, and nothing else for git to wait for."""
    prepare, leave = CONFLICTS[how]
    study.device.save(ONE, n=1)
    study.device.save(TWO, n=1)
    await study.device.sync()
    prepare(study)
    await study.world.write(ONE, n=3)
    assert (await study.device.sync()).is_settled
    study.repo.git("update-index", "--refresh")
    leave(study)
    assert file_of(study) in unmerged(study)
    return study


@pytest.fixture
async def torn(study: Study) -> Study:
    return await tear(study, "stash pop")


@pytest.mark.parametrize("how", CONFLICTS)
async def test_an_unmerged_file_is_neither_pushed_nor_committed_and_the_rest_is(
    study: Study, how: str
) -> None:
    torn = await tear(study, how)
    device, index, records = torn.device, unmerged(torn), torn.world.records()
    for n in (7, 8):
        device.save(ONE, n=n)  # decided in the file, and not yet in git
        device.save(TWO, n=n)
        report = await device.sync()
        assert report.pushed == (TWO,)
        assert "unmerged" in problems(report)[ONE]
        assert torn.world.records()[ONE] == records[ONE]
        assert unmerged(torn) == index
        assert torn.repo.files_of() == [file_of(torn, TWO)], problems(report)
    torn.repo.git("add", device.file(ONE))
    report = await device.sync()
    assert (report.pushed, report.problems) == ((ONE,), ())
    assert json.loads(torn.repo.git("show", f"HEAD:{file_of(torn)}"))["n"] == 8
    assert torn.repo.status() == []


async def test_what_the_repo_changes_waits_too_and_comes_when_git_has_an_answer(
    torn: Study,
) -> None:
    device, index = torn.device, unmerged(torn)
    device.save(ONE, n=3)  # as the repo has it
    await torn.world.write(ONE, n=4)
    report = await device.sync()
    assert (report.pulled, device.read(ONE)["n"]) == ((), 3)
    assert "unmerged" in problems(report)[ONE]
    assert unmerged(torn) == index
    torn.repo.git("add", device.file(ONE))
    report = await device.sync()
    assert (report.pulled, report.problems, device.read(ONE)["n"]) == ((ONE,), (), 4)


async def test_a_new_record_on_both_sides_of_a_squash_stays_unmerged(study: Study) -> None:
    """HEAD does not have the file either: nothing but the index says that it is unmerged."""
    git, device = study.repo.git, study.device
    await device.sync()
    git("switch", "--quiet", "--create", "side")
    device.save(NEW, n=2)
    study.repo.commit_all("Side")
    git("switch", "--quiet", "main")
    device.save(NEW, n=3)
    git("add", device.file(NEW))
    blob, name = git("rev-parse", f":{file_of(study, NEW)}"), file_of(study, NEW)
    entries = "".join(f"100644 {blob} {stage}\t{name}\n" for stage in (2, 3))
    git("rm", "--cached", "--quiet", name)
    study.repo.feed(entries, "update-index", "--index-info")
    index = unmerged(study)
    report = await device.sync()
    assert (report.pushed, unmerged(study)) == ((), index)
    assert NEW in problems(report)


@pytest.mark.parametrize("is_away", [True, False], ids=["removed", "there"])
async def test_a_side_that_deleted_the_file_deletes_no_record(study: Study, is_away: bool) -> None:
    """The index has its first and third stage alone, and a person has not chosen yet."""
    git, device = study.repo.git, study.device
    device.save(ONE, n=1)
    await device.sync()
    stashed(study)
    git("rm", "--quiet", device.file(ONE))
    git("commit", "--quiet", "--message", "Without it")
    git("stash", "pop", code=1)
    assert unmerged(study)
    if is_away:
        device.file(ONE).unlink(missing_ok=True)
    before, index = study.world.records(), unmerged(study)
    report = await device.sync()
    assert (study.world.records(), unmerged(study), report.pushed) == (before, index, ())
    assert ONE in problems(report)


async def test_checkout_and_pull_with_an_edit_leave_it_unmerged_too(study: Study) -> None:
    git, device, top = study.repo.git, study.device, study.repo.top
    device.save(ONE, n=1)
    await device.sync()
    side_branch(study)
    device.save(ONE, n=5)
    git("checkout", "--quiet", "--merge", "side")
    assert unmerged(study)
    index = unmerged(study)
    device.save(ONE, n=6)
    report = await device.sync()
    assert (report.pushed, unmerged(study), list(problems(report))) == ((), index, [ONE])
    git("checkout", "--quiet", "--force", "main")
    assert (await device.sync()).is_settled
    git("clone", "--quiet", top, top.parent / "upstream")
    upstream = Repo(top.parent / "upstream")
    (upstream.top / file_of(study)).write_text('{"n": 2}', encoding="utf-8")
    upstream.commit_all("Upstream")
    device.save(ONE, n=5)
    git("pull", "--quiet", "--rebase", "--autostash", upstream.top, "main")
    index = unmerged(study)
    assert index
    device.save(ONE, n=6)
    report = await device.sync()
    assert (report.pushed, unmerged(study), list(problems(report))) == ((), index, [ONE])


async def test_conflicts_are_found_where_git_cannot_be_asked(
    torn: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn.device.save(ONE, n=7)
    torn.device.save(TWO, n=7)
    rework(torn.device.mirror, config=replace(torn.device.mirror.config, git_commit=False))
    meet_git(torn.device)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "/nowhere")
        report = await torn.device.sync()
    assert report.pushed == (TWO,)
    assert "unmerged" in problems(report)[ONE]


@pytest.mark.parametrize("is_linked", [False, True], ids=["a repository", "a linked worktree"])
async def test_a_repository_of_a_collections_own_holds_its_records(
    world: World, tmp_path: Path, is_linked: bool
) -> None:
    device = with_git(world, tmp_path / "folder", git_commit=False)
    for path in (ONE, "com.example.page/home"):
        await world.write(path, n=1)
    notes = tmp_path / "folder" / "com.example.note"
    if is_linked:
        elsewhere = make_repo(tmp_path / "elsewhere")
        elsewhere.git("commit", "--quiet", "--allow-empty", "--message", "Begin")
        elsewhere.git("worktree", "add", "--quiet", "-b", "notes", notes)
    else:
        make_repo(notes)
    repo = Repo(notes)
    await device.sync()
    repo.commit_all("Begin")
    device.save(ONE, n=2)
    repo.git("stash", "--quiet")
    device.save(ONE, n=3)
    repo.commit_all("Three")
    await device.sync()
    repo.git("stash", "pop", code=1)
    index = repo.git("ls-files", "--unmerged")
    device.save(ONE, n=4)
    device.save("com.example.page/home", n=2)
    report = await device.sync()
    assert (report.pushed, list(problems(report))) == (("com.example.page/home",), [ONE])
    assert repo.git("ls-files", "--unmerged") == index
    device.mirror.state.close()


async def test_a_conflict_is_not_merged_into_a_file_that_git_has_unmerged(torn: Study) -> None:
    device = torn.device
    rework(device.mirror, config=replace(device.mirror.config, conflicts_merge=("com.example.*",)))
    meet_git(device)
    device.save(ONE, n=3, a=1)
    await torn.world.write(ONE, n=3, b=1)
    report = await device.sync()
    assert (report.merged, "b" in device.read(ONE)) == ((), False)
    assert "unmerged" in problems(report)[ONE]


async def test_it_shows_when_git_no_longer_stands_in_the_way(torn: Study) -> None:
    """The daemon asks so at each poll: `git add` changes no file of the folder."""
    companion = torn.device.mirror.companion
    assert companion is not None
    torn.device.save(ONE, n=7)
    await torn.device.sync()
    assert not companion.obstacles.has_changed()
    torn.repo.git("add", torn.device.file(ONE))
    assert companion.obstacles.has_changed()
    await torn.device.sync()
    assert not companion.obstacles.has_changed()


async def test_a_synced_file_that_became_unmerged_before_its_commit_waits_for_it(
    study: Study,
) -> None:
    device = study.device
    await tear(study, "stash pop")
    study.repo.git("reset", "--quiet", "--hard", "HEAD")
    study.repo.hook("pre-commit", "exit 1")
    await study.world.write(ONE, n=4)
    assert (await device.sync()).pulled == (ONE,)
    pulled = device.file(ONE).read_bytes()
    study.repo.git("stash", "push", "--quiet")
    study.repo.git("checkout", "--quiet", "HEAD")
    study.repo.git("stash", "drop", "--quiet")
    study.repo.git("stash", "pop", code=1)
    device.file(ONE).write_bytes(pulled)
    study.repo.hook("pre-commit", "exit 0")
    index, tip = unmerged(study), study.repo.git("rev-parse", "HEAD")
    await device.sync()
    assert (unmerged(study), study.repo.git("rev-parse", "HEAD")) == (index, tip)
    study.repo.git("add", device.file(ONE))
    assert (await device.sync()).is_settled
    assert study.repo.files_of() == [file_of(study)]


async def test_what_a_person_only_means_to_add_is_theirs_no_more_once_it_is_committed(
    study: Study,
) -> None:
    """`git add -N` leaves an entry that looks like a staged deletion beside the commit."""
    await study.device.sync()
    study.device.save(ONE, n=1)
    study.repo.git("add", "--intent-to-add", study.device.file(ONE))
    assert (await study.device.sync()).is_settled
    assert study.repo.status() == []
    assert study.repo.files_of() == [file_of(study)]


async def test_a_file_of_one_size_saved_twice_in_a_second_is_committed_as_it_is(
    study: Study,
) -> None:
    """Git compares seconds, and reads again what is not older than its index: a copy must not be
    younger."""
    device, git, index = study.device, study.repo.git, study.repo.top / ".git" / "index"
    device.save(ONE, n=1)
    await device.sync()
    git("config", "core.trustCtime", "false")
    second = int(time.time()) - 10
    os.utime(device.file(ONE), (second, second))
    git("update-index", "--refresh")
    device.save(ONE, n=2)
    os.utime(device.file(ONE), (second, second))
    os.utime(index, (second, second))
    assert (await device.sync()).pushed == (ONE,)
    assert json.loads(git("show", f"HEAD:{file_of(study)}"))["n"] == 2
