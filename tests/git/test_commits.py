"""A commit per sync: what is in it, what never is, and what becomes of it when git refuses."""

from __future__ import annotations

import asyncio
import errno
import json
import resource
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.cycle.git.companion import NAME, Companion
from syncd.cycle.mirror import Mirror
from syncd.cycle.observe.views import bring_sides
from syncd.errors import GitFailed
from syncd.git import commits, indexlock
from syncd.model import Problem, RecordPath, Report
from tests.rigs.device import Device, World, rework
from tests.rigs.terminal import HANDLE, open_terminal

from .conftest import Repo, Study, make_repo, meet_git, with_git

ONE = "com.example.note/one"
TWO = "com.example.note/two"
THREE = "com.example.note/three"


def problems(device: Device) -> list[str]:
    """What git refuses, as `status` shows it."""
    waiting = device.mirror.state.waiting()
    return [item.reason for item in waiting if isinstance(item, Problem) and item.path == NAME]


async def test_a_pull_and_a_push_are_one_commit_each_and_say_which_rev(study: Study) -> None:
    await study.world.write(ONE, n=1)
    report = await study.device.sync()
    assert report.remarks == (f"committed {study.repo.git('rev-parse', 'HEAD')[:10]} on main",)
    assert study.repo.subjects() == [f"Pulled {ONE}", "Begin"]
    assert study.repo.files_of() == [f"{study.prefix}{ONE}.json"]
    first = study.repo.trailers()
    assert first is not None
    assert (first.did, first.rev) == (study.world.login.did, study.world.rev())
    study.device.save(TWO, n=2)
    study.device.delete(ONE)
    await study.device.sync()
    assert study.repo.subjects()[0] == "Pushed 2 records of com.example.note"
    assert study.repo.files_of() == [f"{study.prefix}{ONE}.json", f"{study.prefix}{TWO}.json"]
    second = study.repo.trailers()
    assert second is not None
    assert second.rev == study.world.rev() > first.rev
    head = study.world.sandbox.repo(study.world.login.did).head
    assert second.commit == head.commit
    assert study.repo.status() == []


async def test_a_pull_and_a_push_in_one_sync_are_told_apart(study: Study) -> None:
    await study.device.sync()
    await study.world.write(ONE, n=1)
    pulled_at = study.world.rev()
    study.device.save(TWO, n=2)
    await study.device.sync()
    assert study.repo.subjects()[:2] == [f"Pushed {TWO}", f"Pulled {ONE}"]
    revs = [t.rev for c in ("HEAD~1", "HEAD") if (t := study.repo.trailers(c))]
    assert revs == [pulled_at, study.world.rev()]


async def test_nothing_to_sync_makes_no_commit(study: Study) -> None:
    await study.world.write(ONE, n=1)
    await study.device.sync()
    before = study.repo.subjects()
    for _ in range(3):
        await study.device.sync()
    study.device.save_text(ONE, json.dumps({"n": 1, "$type": "com.example.note"}, indent=7))
    await study.device.sync()
    again = study.world.restart(study.device)
    meet_git(again)
    await again.sync()
    again.mirror.state.close()
    assert study.repo.subjects() == before


async def test_staged_and_unstaged_work_is_never_swept_in(study: Study) -> None:
    await study.world.write(ONE, n=1)
    await study.world.write(TWO, n=1)
    await study.device.sync()
    top = study.repo.top
    (top / "staged").write_text("staged\n", encoding="utf-8")
    study.repo.git("add", "staged")
    (top / "README").write_text("staged\n", encoding="utf-8")
    study.repo.git("add", "README")
    (top / "README").write_text("and edited again\n", encoding="utf-8")
    (top / "untracked").write_text("new\n", encoding="utf-8")
    study.repo.git("rm", "--cached", "--quiet", f"{study.prefix}{TWO}.json")
    before = study.repo.status()
    await study.world.write(ONE, n=2)
    study.device.save(THREE, n=3)
    await study.device.sync()
    assert study.repo.subjects()[:2] == [f"Pushed {THREE}", f"Pulled {ONE}"]
    assert study.repo.files_of("HEAD~1") == [f"{study.prefix}{ONE}.json"]
    assert study.repo.files_of("HEAD") == [f"{study.prefix}{THREE}.json"]
    assert study.repo.status() == before
    assert study.repo.git("show", ":README") == "staged"


async def test_another_version_that_is_staged_stays_staged(study: Study) -> None:
    await study.world.write(ONE, n=1)
    await study.device.sync()
    file = study.device.file(ONE)
    synced = file.read_bytes()
    study.device.save(ONE, n=99)
    study.repo.git("add", file)
    file.write_bytes(synced)
    await study.world.write(ONE, n=2)
    await study.device.sync()
    assert study.repo.files_of() == [f"{study.prefix}{ONE}.json"]
    assert json.loads(study.repo.git("show", f"HEAD:{study.prefix}{ONE}.json"))["n"] == 2
    assert json.loads(study.repo.git("show", f":{study.prefix}{ONE}.json"))["n"] == 99


async def test_hunks_that_are_staged_of_a_pushed_record_stay_staged(study: Study) -> None:
    study.device.save(ONE, a=1, b=1)
    await study.device.sync()
    study.device.save(ONE, a=2, b=1)
    study.repo.git("add", study.device.file(ONE))
    study.device.save(ONE, a=2, b=2)
    report = await study.device.sync()
    assert (report.pushed, report.problems) == ((RecordPath(ONE),), ())
    name = f"{study.prefix}{ONE}.json"
    shown = [json.loads(study.repo.git("show", f"{at}:{name}")) for at in ("HEAD", "")]
    assert [(found["a"], found["b"]) for found in shown] == [(2, 2), (2, 1)]
    assert (study.device.read(ONE)["a"], study.device.read(ONE)["b"]) == (2, 2)


async def test_a_file_edited_again_since_the_push_waits_for_its_own_push(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    await study.device.sync()
    study.device.save(ONE, n=1)
    device, after = study.device, Companion.commit_after

    async def edited_before(companion: Companion, report: Report) -> Report:
        if not report.pushed:
            device.save(ONE, n=2)
        return await after(companion, report)

    before = study.repo.subjects()
    with monkeypatch.context() as patched:
        patched.setattr(Companion, "commit_after", edited_before)
        await device.sync()
    assert study.repo.subjects() == before
    await device.sync()
    assert json.loads(study.repo.git("show", f"HEAD:{study.prefix}{ONE}.json"))["n"] == 2


async def test_hooks_see_what_is_committed_and_may_refuse_it(study: Study) -> None:
    seen = study.repo.top.parent / "seen"
    study.repo.hook("pre-commit", f'git diff --cached --name-only -- "*.json" >"{seen}"')
    study.repo.hook("commit-msg", 'echo "Reviewed-by: a hook" >>"$1"')
    (study.repo.top / "mine.json").write_text("{}", encoding="utf-8")
    study.repo.git("add", "mine.json")
    await study.world.write(ONE, n=1)
    await study.device.sync()
    assert seen.read_text().split("\n")[:-1] == [f"{study.prefix}{ONE}.json"]
    assert "Reviewed-by: a hook" in study.repo.git("show", "--no-patch", "--format=%B")
    study.repo.hook("pre-commit", "echo error: not today >&2; exit 1")
    await study.world.write(TWO, n=2)
    report = await study.device.sync()
    assert report.pulled == (RecordPath(TWO),)
    assert [p.reason for p in report.problems] == ["git commit failed: not today"]
    assert problems(study.device) == ["git commit failed: not today"]
    assert "mine.json" in study.repo.git("diff", "--cached", "--name-only")
    study.repo.hook("pre-commit", "exit 0")
    report = await study.device.sync()
    assert report.is_settled
    assert study.repo.subjects()[0] == f"Pulled {TWO}"
    assert problems(study.device) == []


async def test_without_an_identity_git_is_a_problem_with_the_remedy(
    study: Study, own_git: Path
) -> None:
    study.repo.git("config", "--global", "--remove-section", "user")
    study.repo.git("config", "--global", "user.useConfigOnly", "true")
    await study.world.write(ONE, n=1)
    report = await study.device.sync()
    (problem,) = report.problems
    assert "your name and email" in problem.reason
    assert "user.email" in report.problems[0].hint
    assert study.device.has(ONE)


async def test_commits_are_signed_where_the_person_signs_theirs(study: Study) -> None:
    signer = study.repo.top.parent / "signer"
    signer.write_text(
        "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] BEGIN_SIGNING' >&2\n"
        "echo '[GNUPG:] SIG_CREATED ' >&2\n"
        "echo '-----BEGIN PGP SIGNATURE-----'\necho abc\necho '-----END PGP SIGNATURE-----'\n",
        encoding="utf-8",
    )
    signer.chmod(0o755)
    study.repo.git("config", "commit.gpgSign", "true")
    study.repo.git("config", "gpg.program", signer)
    await study.world.write(ONE, n=1)
    await study.device.sync()
    assert "BEGIN PGP SIGNATURE" in study.repo.git("cat-file", "commit", "HEAD")
    signer.write_text("#!/bin/sh\necho gpg: no secret key >&2\nexit 1\n", encoding="utf-8")
    await study.world.write(TWO, n=1)
    report = await study.device.sync()
    assert "gpg failed to sign the data" in report.problems[0].reason


async def test_nothing_is_committed_during_a_merge_or_a_rebase(study: Study) -> None:
    await study.world.write(ONE, n=1)
    await study.device.sync()
    git = study.repo.git
    git("switch", "--quiet", "--create", "side")
    (study.repo.top / "README").write_text("side\n", encoding="utf-8")
    study.repo.commit_all("Side")
    git("switch", "--quiet", "main")
    (study.repo.top / "README").write_text("main\n", encoding="utf-8")
    study.repo.commit_all("Main")
    git("tag", "mainly")
    operations = [
        (("merge", "side"), ("merge", "--abort")),
        (("rebase", "side"), ("rebase", "--abort")),
        (("cherry-pick", "side"), ("cherry-pick", "--abort")),
        (("revert", "mainly"), ("revert", "--abort")),
    ]
    for start, end in operations:
        path = f"com.example.note/{start[0]}"
        tip = git("rev-parse", "HEAD")
        git(*start, code=1)
        during = git("rev-parse", "HEAD")
        await study.world.write(path, n=1)
        rev = study.world.rev()
        report = await study.device.sync()
        assert (report.pulled, report.pushed, study.world.rev()) == ((), (), rev)
        assert f"git is in the middle of a {start[0]}" in [
            problem.reason.partition("; ")[2] for problem in report.problems
        ]
        assert git("rev-parse", "HEAD") == during
        git(*end)
        assert git("rev-parse", "HEAD") == tip
        report = await study.device.sync()
        assert (report.pulled, report.pushed) == ((RecordPath(path),), ())
        assert study.repo.files_of() == [f"{study.prefix}{path}.json"]
        (study.repo.top / "README").write_text(f"{path}\n", encoding="utf-8")
        study.repo.commit_all("Main again")


async def test_a_bisect_publishes_nothing_of_the_past_and_deletes_nothing(study: Study) -> None:
    await study.world.write(ONE, n=0)
    await study.device.sync()
    study.device.save(ONE, n=1)
    study.device.save(TWO, n=1)
    await study.device.sync()
    tip, before = study.repo.git("rev-parse", "main"), study.world.records()
    assert set(before) == {ONE, TWO}
    study.repo.git("bisect", "start", "HEAD", "HEAD~2")
    assert not study.device.has(TWO)
    foreign = await study.world.write(THREE, n=1)
    report = await study.device.sync()
    assert (report.pulled, report.pushed, report.deleted) == ((), (), ())
    assert {problem.path for problem in report.problems} == {ONE, TWO, THREE}
    assert study.world.records() == {**before, RecordPath(THREE): foreign}
    study.repo.git("bisect", "reset")
    report = await study.device.sync()
    assert (report.pulled, report.pushed, report.problems) == ((RecordPath(THREE),), (), ())
    assert study.repo.git("rev-parse", "main~1") == tip


async def test_on_no_branch_commits_wait_for_one(study: Study) -> None:
    study.repo.git("checkout", "--quiet", "--detach")
    said = 0
    for n in (1, 2):
        await study.world.write(ONE, n=n)
        report = await study.device.sync()
        # Nothing is wrong, and nobody has to act: in a submodule, or with jj, it is always so.
        assert (report.is_settled, study.repo.subjects()) == (True, ["Begin"])
        said += sum("no branch" in remark for remark in report.remarks)
    assert said == 1
    assert study.device.mirror.state.waiting() == ()
    study.repo.git("switch", "--quiet", "main")
    assert (await study.device.sync()).is_settled
    assert study.repo.subjects() == [f"Pulled {ONE}", "Begin"]
    assert study.repo.status() == []


async def test_what_was_synced_on_no_branch_is_committed_after_a_restart_too(study: Study) -> None:
    study.repo.git("checkout", "--quiet", "--detach")
    await study.world.write(ONE, n=1)
    await study.device.sync()
    again = study.world.restart(study.device)
    rework(again.mirror, config=study.device.mirror.config)
    meet_git(again)
    assert sum("no branch" in remark for remark in (await again.sync()).remarks) == 1
    study.repo.git("switch", "--quiet", "main")
    await again.sync()
    assert study.repo.subjects() == [f"Pulled {ONE}", "Begin"]
    again.mirror.state.close()


async def test_where_jj_works_nothing_is_committed_and_nobody_is_asked_to(study: Study) -> None:
    (study.repo.top / ".jj").mkdir()
    study.repo.git("checkout", "--quiet", "--detach")
    await study.world.write(ONE, n=1)
    report = await study.device.sync()
    assert report.is_settled
    assert sum("jj" in remark for remark in report.remarks) == 1
    assert not any("git switch" in remark for remark in report.remarks)
    # Without git beside it, there is nothing to commit to; another `git init` would be wrong.
    shutil.rmtree(study.repo.top / ".git")
    await study.world.write(ONE, n=2)
    (problem,) = (await study.device.sync()).problems
    assert "jj" in problem.reason
    assert "git init" not in problem.hint


async def test_a_git_file_that_leads_nowhere_commits_to_no_repository_around_it(
    world: World, tmp_path: Path
) -> None:
    outer = make_repo(tmp_path / "outer")
    (outer.top / "README").touch()
    outer.commit_all("Begin")
    device = with_git(world, outer.top / "notes")
    (device.root / ".git").write_text("gitdir: ../gone/.git/worktrees/notes\n", encoding="utf-8")
    await world.write(ONE, n=1)
    report = await device.sync()
    assert report.pulled == (ONE,)
    (problem,) = report.problems
    assert str(device.root / ".git") in problem.reason
    assert outer.subjects() == ["Begin"]
    device.mirror.state.close()


async def test_a_detached_worktree_and_its_main_one_get_no_commit_of_the_other(
    world: World, tmp_path: Path
) -> None:
    main = make_repo(tmp_path / "main")
    (main.top / "README").touch()
    main.commit_all("Begin")
    main.git("worktree", "add", "--quiet", "--detach", tmp_path / "linked")
    linked = Repo(tmp_path / "linked")
    device = with_git(world, linked.top / "notes")
    await world.write(ONE, n=1)
    assert (await device.sync()).is_settled
    assert main.subjects() == linked.subjects() == ["Begin"]
    linked.git("switch", "--quiet", "--create", "linked")
    await device.sync()
    assert (linked.subjects(), main.subjects()) == ([f"Pulled {ONE}", "Begin"], ["Begin"])
    device.mirror.state.close()


async def test_a_lock_of_git_that_stays_is_a_problem_and_stops_no_sync(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.git.indexlock.LOCK_SECONDS", 0.2)
    monkeypatch.setattr("syncd.cycle.git.companion.READY_SECONDS", 0.2)
    lock = study.repo.top / ".git" / "index.lock"
    lock.touch()
    await study.world.write(ONE, n=1)
    report = await study.device.sync()
    assert report.pulled == (RecordPath(ONE),)
    assert report.problems[0].reason == f"git is locked: {lock} is there"
    lock.unlink()
    await study.device.sync()
    assert study.repo.subjects() == [f"Pulled {ONE}", "Begin"]
    assert not lock.exists()


async def test_what_was_synced_before_a_crash_is_committed_after_it(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    await study.device.sync()
    assert study.device.mirror.companion is not None
    study.device.mirror.companion = None
    await study.world.write(ONE, n=1)
    study.device.save(TWO, n=2)
    await study.device.sync()
    again = study.world.restart(study.device)
    meet_git(again)
    await again.sync()
    again.mirror.state.close()
    assert study.repo.files_of() == [f"{study.prefix}{p}.json" for p in (ONE, TWO)]
    assert study.repo.status() == []


async def test_a_commit_of_ones_own_is_kept_and_said_to_be_published(study: Study) -> None:
    await study.device.sync()
    study.device.save(ONE, n=1)
    study.repo.commit_all("Write a note")
    await study.device.sync()
    assert study.repo.subjects()[:2] == [f"Published at rev {study.world.rev()}", "Write a note"]
    assert study.repo.files_of() == []


async def test_work_that_was_taken_back_out_of_git_is_not_committed_again(study: Study) -> None:
    await study.world.write(ONE, n=1)
    await study.device.sync()
    await study.world.write(ONE, n=2)
    await study.device.sync()
    study.repo.git("reset", "--quiet", "--soft", "HEAD~1")
    before = study.repo.status()
    await study.world.write(TWO, n=1)
    await study.device.sync()
    assert study.repo.files_of() == [f"{study.prefix}{TWO}.json"]
    assert study.repo.status() == before
    said = study.repo.trailers()
    assert said is not None
    assert said.unpublished == {RecordPath(ONE)}


async def test_ignored_records_and_other_line_endings_are_git_s_own_business(study: Study) -> None:
    (study.repo.top / ".gitignore").write_text("two.json\n", encoding="utf-8")
    (study.repo.top / ".gitattributes").write_text("*.json text eol=crlf\n", encoding="utf-8")
    study.repo.commit_all("Rules")
    await study.world.write(ONE, n=1)
    await study.world.write(TWO, n=1)
    await study.device.sync()
    assert study.repo.files_of() == [f"{study.prefix}{ONE}.json"]
    file = study.device.file(ONE)
    file.unlink()
    study.repo.git("checkout", "--", file)
    assert b"\r\n" in file.read_bytes()
    file.chmod(0o755)
    before, rev = study.repo.subjects(), study.world.rev()
    report = await study.device.sync()
    assert (report.pushed, report.adopted, study.world.rev()) == ((), (), rev)
    assert study.repo.subjects() == before


async def test_the_first_commit_of_a_repository_can_be_syncd_s(
    world: World, tmp_path: Path
) -> None:
    device = with_git(world, tmp_path / "git")
    await world.write(ONE, n=1)
    report = await device.sync()
    assert report.problems[0].reason.endswith("is not in a git repository")
    repo = make_repo(device.root)
    await device.sync()
    assert repo.subjects() == [f"Pulled {ONE}"]
    assert repo.files_of() == [f"{ONE}.json"]
    device.mirror.state.close()


async def test_a_linked_worktree_has_commits_of_its_own(world: World, tmp_path: Path) -> None:
    main = make_repo(tmp_path / "main")
    (main.top / "README").touch()
    main.commit_all("Begin")
    main.git("worktree", "add", "--quiet", tmp_path / "linked", "-b", "linked")
    linked = Repo(tmp_path / "linked")
    device = with_git(world, linked.top / "notes")
    await world.write(ONE, n=1)
    await device.sync()
    assert linked.subjects() == [f"Pulled {ONE}", "Begin"]
    assert main.subjects() == ["Begin"]
    assert linked.status() == []
    device.mirror.state.close()


async def test_a_remote_is_pushed_to_only_if_it_is_named(
    world: World, tmp_path: Path, own_git: Path
) -> None:
    origin = make_repo(tmp_path / "origin.git")
    origin.git("config", "core.bare", "true")
    device = with_git(world, tmp_path / "git")
    repo = make_repo(device.root)
    repo.git("remote", "add", "origin", origin.top)
    await world.write(ONE, n=1)
    await device.sync()
    assert repo.git("ls-remote", "origin") == ""
    device.mirror.state.close()
    again = world.restart(device)
    rework(again.mirror, config=replace(again.mirror.config, git_push="origin"))
    meet_git(again)
    origin.hook("pre-receive", "exit 1")
    await world.write(TWO, n=1)
    report = await again.sync()
    assert report.problems[0].reason.startswith("git push failed: ")
    assert repo.subjects()[0] == f"Pulled {TWO}"
    origin.hook("pre-receive", "exit 0")
    assert (await again.sync()).is_settled
    assert repo.git("rev-parse", "HEAD") in repo.git("ls-remote", "origin", "refs/heads/main")
    again.mirror.state.close()


async def test_a_file_edited_while_the_commit_is_made_is_left_out_and_follows(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    await study.world.write(ONE, n=1)
    await study.world.write(TWO, n=1)
    device, stage = study.device, commits.Worktree.listed

    def edited_before(work: commits.Worktree, names: Iterable[str]) -> bytes:
        if work.git.index is not None:
            device.save(TWO, n=2)
        return stage(work, names)

    with monkeypatch.context() as patched:
        patched.setattr(commits.Worktree, "listed", edited_before)
        await device.mirror.cycle()
    assert study.repo.subjects() == [f"Pulled {ONE}", "Begin"]
    assert study.repo.files_of() == [f"{study.prefix}{ONE}.json"]
    assert study.repo.status() == (
        [f'?? "{study.prefix}{TWO}.json"'] if study.prefix else [f"?? {TWO}.json"]
    )
    await device.sync()
    assert study.repo.files_of() == [f"{study.prefix}{TWO}.json"]
    assert json.loads(study.repo.git("show", f"HEAD:{study.prefix}{TWO}.json"))["n"] == 2


async def test_a_full_disk_is_a_problem_and_leaves_no_lock(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    await study.world.write(ONE, n=1)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.copy2", full)
        report = await study.device.sync()
    assert report.pulled == (RecordPath(ONE),)
    assert report.problems[0].reason.endswith("cannot be written to: No space left on device")
    assert sorted(p.name for p in (study.repo.top / ".git").glob("*syncd*")) == []
    assert not (study.repo.top / ".git" / "index.lock").exists()
    assert (await study.device.sync()).is_settled
    assert study.repo.subjects() == [f"Pulled {ONE}", "Begin"]


def test_a_lock_that_the_disk_has_no_room_for_is_not_left_behind(tmp_path: Path) -> None:
    """It would keep every git command out, ours and the person's."""
    lock = tmp_path / "index.lock"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        refused = pytest.raises(GitFailed, match="cannot be made: File too large")
        with refused, indexlock.lock_index(lock):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not lock.exists()


async def test_a_cycle_waits_while_git_is_at_the_files(study: Study) -> None:
    lock = study.repo.top / ".git" / "index.lock"
    lock.touch()
    await study.world.write(ONE, n=1)
    syncing = asyncio.create_task(study.device.sync())
    await asyncio.sleep(0.3)
    assert not syncing.done()
    assert not study.device.has(ONE)
    lock.unlink()
    assert (await syncing).pulled == (RecordPath(ONE),)


@pytest.mark.parametrize("when", ["while the repo is fetched", "while the folder is read"])
async def test_a_file_that_git_is_about_to_write_is_not_taken_as_deleted(
    study: Study, when: str
) -> None:
    """A checkout takes a file away before it writes the other version."""
    device, lock = study.device, study.repo.top / ".git" / "index.lock"
    device.save(ONE, n=1)
    await device.sync()
    rev = study.world.rev()

    def checkout_begins() -> None:
        patched.undo()
        lock.touch()
        device.delete(ONE)
        asyncio.get_running_loop().call_later(0.3, checkout_ends)

    def checkout_ends() -> None:
        device.save(ONE, n=1)
        lock.unlink()

    see = Mirror._see

    async def seen_meanwhile(self: Mirror) -> object:
        sight = await see(self)
        checkout_begins()
        return sight

    def read_meanwhile(*words: object) -> object:
        checkout_begins()
        return bring_sides(*words)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        if when == "while the repo is fetched":
            patched.setattr(Mirror, "_see", seen_meanwhile)
        else:
            patched.setattr("syncd.cycle.mirror.bring_sides", read_meanwhile)
        report = await device.sync()
    assert (report.pushed, report.problems, study.world.rev()) == ((), (), rev)
    assert device.has(ONE)


async def test_conflicts_are_not_merged_into_files_that_git_is_at(study: Study) -> None:
    device, git = study.device, study.repo.git
    rework(device.mirror, config=replace(device.mirror.config, conflicts_merge=("com.example.*",)))
    meet_git(device)
    device.save(TWO, a=1, b=1)
    await device.sync()
    git("switch", "--quiet", "--create", "side")
    (study.repo.top / "README").write_text("side\n", encoding="utf-8")
    study.repo.commit_all("Side")
    git("switch", "--quiet", "main")
    (study.repo.top / "README").write_text("main\n", encoding="utf-8")
    study.repo.commit_all("Main")
    git("merge", "side", code=1)
    device.save(TWO, a=2, b=1)
    await study.world.write(TWO, a=1, b=2)
    report = await device.sync()
    assert report.merged == ()
    assert (device.read(TWO)["a"], device.read(TWO)["b"]) == (2, 1)
    git("merge", "--abort")
    report = await device.sync()
    assert report.merged == (RecordPath(TWO),)
    assert (device.read(TWO)["a"], device.read(TWO)["b"]) == (2, 2)


async def test_what_a_hook_leaves_running_is_not_waited_for(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.git.program.SECONDS", 5.0)
    study.repo.hook("post-commit", "sleep 10 &")
    await study.world.write(ONE, n=1)
    assert (await study.device.sync()).is_settled
    assert study.repo.subjects() == [f"Pulled {ONE}", "Begin"]


async def test_a_hook_that_hangs_after_the_commit_leaves_nothing_staged(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next commit of the person would take the record out of git again."""
    monkeypatch.setattr("syncd.git.program.SECONDS", 2.0)
    study.repo.hook("post-commit", "sleep 600")
    await study.world.write(ONE, n=1)
    report = await study.device.sync()
    assert "did not end within 2 seconds" in report.problems[0].reason
    assert study.repo.subjects() == [f"Pulled {ONE}", "Begin"]
    assert study.repo.status() == []


MESSAGE = r"""tr '\0' '\n' < /proc/$PPID/cmdline | sed -n 's/^--file=//p' | xargs cat > message"""


async def test_git_has_the_whole_message_before_a_hook_runs(study: Study) -> None:
    """Else a syncd that is killed while a hook runs leaves git an empty one, and no commit."""
    study.repo.hook("pre-commit", MESSAGE)
    await study.world.write(ONE, n=1)
    assert (await study.device.sync()).is_settled
    (message,) = study.repo.top.rglob("message")
    assert message.read_text(encoding="utf-8").strip() == study.repo.git("log", "-1", "--format=%B")


HASTY = f"""{sys.executable} -c '
from syncd.cli import main
from syncd.cycle.git import companion
companion.READY_SECONDS = 0.5
main()
' sync"""
"""The command. It waits less for the lock that a killed one left, and which is its own to take."""
KILL = """awk '/PPid/ { print $2 }' /proc/$PPID/status | xargs kill -9"""


@pytest.mark.parametrize("hook", ["pre-commit", "post-commit"])
def test_a_syncd_that_is_killed_at_its_commit_leaves_nothing_staged_that_undoes_it(
    tmp_path: Path, hook: str
) -> None:
    with open_terminal(tmp_path) as terminal:
        terminal.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE}")
        folder = terminal.home / HANDLE
        settings = folder / "syncd.toml"
        settings.write_text(f"{settings.read_text()}\n[git]\ncommit = true\n", encoding="utf-8")
        repo = make_repo(folder)
        repo.commit_all("Settings")
        repo.hook(hook, KILL)
        (folder / "com.example.note").mkdir()
        (folder / f"{ONE}.json").write_text('{"n": 1}', encoding="utf-8")
        ran = terminal.run("syncd sync", at=folder)
        assert ran.code != 0
        until = time.monotonic() + 30
        while repo.subjects()[0] != f"Pushed {ONE}" and time.monotonic() < until:
            time.sleep(0.05)  # git was not killed, and goes on
        assert repo.subjects()[0] == f"Pushed {ONE}", (ran, sorted((folder / ".git").iterdir()))
        assert repo.status() == []
        (folder / ".git" / "hooks" / hook).unlink()
        terminal.ok(HASTY, at=folder)
        assert repo.status() == []
        assert repo.git("show", f"HEAD:{ONE}.json") == '{"n": 1}'
        save = '{"n": 2}'
        (folder / f"{ONE}.json").write_text(save, encoding="utf-8")
        terminal.ok(HASTY, at=folder)
        assert repo.git("show", f"HEAD:{ONE}.json") == save
        assert sorted((folder / ".git").glob("*syncd*")) == []


async def test_a_git_that_hangs_is_stopped(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.git.program.SECONDS", 1.0)
    study.repo.hook("pre-commit", "sleep 600")
    await study.world.write(ONE, n=1)
    report = await study.device.sync()
    assert report.pulled == (RecordPath(ONE),)
    assert report.problems[0].reason == ("git commit did not end within 1 seconds and was stopped")
    assert not (study.repo.top / ".git" / "index.lock").exists()
