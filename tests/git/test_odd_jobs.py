"""Jobs of a CI in odd checkouts, with odd refs, and beside people who force a branch.

Real git, and a PDS in memory. Whatever a job meets, it loses no record, deletes none that git's
history has not deleted, and writes over nothing that others wrote.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.cycle.branch.mark import Mark, format_mark
from syncd.errors import GitFailed
from syncd.git.program import OLDEST, Git
from syncd.mirror.branch.marks import FileMarks
from syncd.mirror.branch.publication import Published
from tests.rigs.device import World

from .conftest import Repo, make_repo, with_git
from .test_one_way import COLLECTION, ONE, REF, THREE, TWO, Site, site
from .test_two_jobs import TURNS, publish_beside

__all__ = ["site"]
CLONES = ((), ("--depth=1",), ("--filter=blob:none",))
PNG = "cover.png"


async def test_a_tag_that_is_named_like_the_branch_changes_nothing(site: Site) -> None:
    site.desk.git("tag", "main")
    site.desk.git("push", "--quiet", "origin", "refs/tags/main")
    for n, options in enumerate(CLONES, 11):
        site.save(ONE, n)
        site.desk.commit_all("A change")
        site.desk.git("push", "--quiet", "origin", "refs/heads/main:refs/heads/main")
        done = await site.job(*options)
        assert (done.report.is_settled, done.has_moved, site.number(ONE)) == (True, True, n)


@pytest.mark.parametrize("place", ["heads", "tags"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_branch_or_tag_that_git_takes_for_the_ref_is_a_problem_that_names_it(
    site: Site, place: str, is_first: bool
) -> None:
    if not is_first:
        await site.job()
    before, alike = site.ref(), f"refs/{place}/{REF}"
    site.desk.git("push", "--quiet", "origin", f"HEAD:{alike}")
    was = site.bare.git("rev-parse", alike)
    site.remove(ONE)
    commit = site.push()
    done = await site.job("--depth=1")
    (problem,) = done.report.problems
    assert alike in problem.reason
    assert f"--delete {alike}" in problem.hint
    assert (site.ref(), site.bare.git("rev-parse", alike)) == (before, was)
    assert site.numbers() == {TWO: 2, THREE: 3}
    site.desk.git("push", "--quiet", "origin", "--delete", alike)
    done = await site.job("--depth=1")
    assert (done.report.pushed, done.report.is_settled, site.ref()) == ((), True, commit)


@pytest.mark.parametrize("name", ["refs/heads/syncd/published", "refs/tags/syncd/published"])
async def test_a_branch_or_tag_of_nearly_that_name_is_none_of_its_business(
    site: Site, name: str
) -> None:
    site.desk.git("push", "--quiet", "origin", f"HEAD:{name}")
    was = site.bare.git("rev-parse", name)
    site.save(ONE, 11)
    commit = site.push()
    done = await site.job("--depth=1")
    assert (done.report.is_settled, site.ref()) == (True, commit)
    assert site.bare.git("rev-parse", name) == was


@pytest.mark.parametrize("options", CLONES)
async def test_a_branch_that_is_taken_back_deletes_nothing_and_is_no_older_job(
    site: Site, options: tuple[str, ...]
) -> None:
    """Forced back by two commits, with no newer one: no other job publishes what the branch has."""
    await site.job()
    new = f"{COLLECTION}/new"
    for n in (11, 12):
        site.save(ONE, n)
        site.save(new, n)
        site.push()
        await site.job()
    site.desk.git("reset", "--quiet", "--hard", "HEAD~2")
    site.desk.git("push", "--quiet", "--force", "origin", "HEAD:main")
    planned = await site.preview(site.clone(*options))
    done = await site.job(*options)
    for found in (planned, done):
        assert [conflict.path for conflict in found.report.conflicts] == [ONE]
        assert [step.path for step in found.foreign] == [new]
        assert any("nothing counts as deleted" in words for words in found.report.remarks)
    assert site.numbers() == {ONE: 12, TWO: 2, THREE: 3, new: 12}
    assert site.mark().commit == done.commit == site.desk.git("rev-parse", "HEAD")


async def test_a_branch_that_is_forced_away_while_its_job_runs_belongs_to_the_other_job(
    site: Site,
) -> None:
    met = 0
    for turn in range(1, TURNS):
        await site.job()
        before = site.numbers()
        site.save(ONE, 11)
        site.save(TWO, 11)
        site.push()
        job = site.clone()

        async def other() -> Published:
            site.desk.git("reset", "--quiet", "--hard", "HEAD~1")
            site.save(TWO, 12)
            site.push("--force")
            return await site.job()

        first, second, is_within = await publish_beside(site, job, turn, other)
        if not is_within:
            break
        met += any("replaced meanwhile" in words for words in first.report.remarks)
        assert first.report.pushed == ()
        assert (site.number(ONE), site.number(TWO)) == (before[ONE], 12)
        assert site.mark() == Mark(second.commit)
        site.save(TWO, 2)
        site.push()
    assert met == turn - 1 > 1


async def test_a_ref_that_moved_to_a_forced_branch_is_not_moved_back(site: Site) -> None:
    """The first job has nothing to write, so only the end of it meets the other one."""
    await site.job()
    site.write("README", "one")
    site.push()
    job = site.clone()

    async def other() -> Published:
        site.desk.git("reset", "--quiet", "--hard", "HEAD~1")
        site.write("README", "two")
        site.push("--force")
        return await site.job()

    first, second, is_within = await publish_beside(site, job, 1, other)
    assert (is_within, first.has_moved, second.has_moved) == (True, False, True)
    assert any("replaced meanwhile" in words for words in first.report.remarks)
    assert site.mark() == Mark(second.commit)


def _blob(site: Site) -> str:
    return site.bare.git("hash-object", "-w", str(site.desk.top / site.prefix / "syncd.toml"))


def _tree(site: Site) -> str:
    return site.bare.git("rev-parse", "main^{tree}")


def _tag(site: Site) -> str:
    site.desk.git("tag", "--annotate", "--message", "Somebody's", "release")
    site.desk.git("push", "--quiet", "origin", "refs/tags/release")
    return site.bare.git("rev-parse", "refs/tags/release")


def _stranger(site: Site) -> str:
    return site.bare.git("commit-tree", "main^{tree}", "-m", "Somebody's")


def _forged(site: Site) -> str:
    words = format_mark(Mark("5" * 40))
    return site.bare.git("commit-tree", "main^{tree}", "-m", words)


def _gone(_site: Site) -> str:
    return ""


@pytest.mark.parametrize("made", [_blob, _tree, _tag, _stranger, _forged, _gone])
@pytest.mark.parametrize("options", CLONES)
async def test_a_ref_that_was_moved_by_hand_deletes_nothing_and_is_put_right(
    site: Site, made: Callable[[Site], str], options: tuple[str, ...]
) -> None:
    await site.job()
    there = made(site)
    site.bare.git("update-ref", *([REF, there] if there else ["-d", REF]))
    site.remove(ONE)
    site.save(TWO, 12)
    commit = site.push()
    done = await site.job(*options)
    if made is _tag:
        # It leads to the published commit, as the ref did.
        assert (site.numbers(), site.ref()) == ({TWO: 12, THREE: 3}, commit)
        return
    assert site.numbers() == {ONE: 1, TWO: 2, THREE: 3}
    assert [conflict.path for conflict in done.report.conflicts] == [TWO]
    assert site.mark().commit == commit
    done = await site.job(*options)
    assert (site.numbers(), len(done.report.conflicts)) == ({ONE: 1, TWO: 2, THREE: 3}, 1)


@pytest.mark.parametrize("name", ["origin", "b"])
async def test_a_directory_of_the_checkout_is_no_remote(site: Site, name: str) -> None:
    """git would run the hooks in it, which a pull may have brought."""
    site.settings(git_push=name)
    site.push()
    job = site.clone()
    job.git("remote", "rename", "origin", "upstream")
    bare = job.top / name
    job.git("clone", "--quiet", "--bare", site.url, str(bare))
    hook = bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {site.tmp_path}/ran\n", encoding="utf-8")
    hook.chmod(0o755)
    for act in (site.publish, site.preview):
        with pytest.raises(GitFailed, match=f"no remote {name}"):
            await act(job)
    assert not (site.tmp_path / "ran").exists()
    assert site.numbers() == {}


POINTERS = {
    "Git LFS": "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "git-annex": "/annex/objects/SHA256E-s12345--4d7a.png\n",
    "git-crypt": "\0GITCRYPT\0abc",
}


@pytest.mark.parametrize("kind", POINTERS)
async def test_what_only_stands_for_a_file_is_not_published_in_its_place(
    site: Site, kind: str
) -> None:
    site.write(PNG, POINTERS[kind])
    cover = {"$type": "blob", "$file": PNG}
    site.write(f"{ONE}.json", json.dumps({"$type": COLLECTION, "cover": cover}))
    site.push()
    done = await site.job()
    (problem,) = done.report.problems
    assert (problem.path, kind in problem.reason, done.report.is_settled) == (ONE, True, False)
    assert site.numbers() == {TWO: 2, THREE: 3}


def _sparse(site: Site, job: Repo) -> Repo:
    job.git("sparse-checkout", "set", "--no-cone", "/README", f"/{site.prefix}syncd.toml")
    assert not (job.top / site.prefix / COLLECTION).exists()
    return job


def _crlf(_site: Site, job: Repo) -> Repo:
    job.git("config", "core.autocrlf", "true")
    job.git("rm", "--quiet", "--cached", "-r", ".")
    job.git("reset", "--quiet", "--hard")
    return job


def _ignorecase(_site: Site, job: Repo) -> Repo:
    job.git("config", "core.ignorecase", "true")
    return job


def _filters(_site: Site, job: Repo) -> Repo:
    info = job.top / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_text("*.json filter=other export-ignore ident eol=crlf\n")
    for way in ("clean", "smudge"):
        job.git("config", f"filter.other.{way}", "sed s/1/7/")
    job.git("rm", "--quiet", "--cached", "-r", ".")
    job.git("reset", "--quiet", "--hard")
    return job


def _hooks(_site: Site, job: Repo) -> Repo:
    for name in ("pre-push", "pre-commit", "post-checkout", "reference-transaction"):
        job.hook(name, "exit 1")
    return job


def _worktree(site: Site, job: Repo) -> Repo:
    other = site.tmp_path / "eine andere Stelle für Ü"
    job.git("worktree", "add", "--quiet", "--detach", str(other))
    return Repo(other)


def _odd_path(site: Site, job: Repo) -> Repo:
    other = site.tmp_path / "ein Ördner: 'mit' $allem"
    job.git("clone", "--quiet", site.url, str(other))
    return Repo(other)


def _submodule(site: Site, job: Repo) -> Repo:
    above = Repo(site.tmp_path / "above")
    above.top.mkdir()
    above.git("init", "--quiet")
    allowed = ("-c", "protocol.file.allow=always")
    above.git(*allowed, "submodule", "--quiet", "add", site.url, "below")
    del job
    return Repo(above.top / "below")


def _detached(_site: Site, job: Repo) -> Repo:
    job.git("checkout", "--quiet", "--detach")
    return job


def _settings(_site: Site, job: Repo) -> Repo:
    pairs = {
        "push.gpgSign": "true", "push.followTags": "true", "push.recurseSubmodules": "check",
        "push.default": "nothing", "fetch.prune": "true", "fetch.pruneTags": "true",
        "log.follow": "true", "log.showSignature": "true", "diff.renames": "copies",
        "commit.gpgSign": "true", "color.ui": "always", "i18n.commitEncoding": "latin1",
        "user.useConfigOnly": "true", "transfer.fsckObjects": "true",
    }  # fmt: skip
    job.git("tag", "--annotate", "--message", "Nobody else has it", "here")
    for name, value in pairs.items():
        job.git("config", name, value)
    return job


@pytest.mark.parametrize(
    "prepare",
    [
        *(_sparse, _crlf, _ignorecase, _filters, _hooks),
        *(_worktree, _odd_path, _submodule, _detached, _settings),
    ],
)
async def test_a_checkout_of_any_kind_publishes_what_git_has(
    site: Site, prepare: Callable[[Site, Repo], Repo]
) -> None:
    await site.job()
    site.save(ONE, 11)
    site.remove(TWO)
    commit = site.push()
    job = prepare(site, site.clone())
    before = job.status()
    done = await site.publish(job)
    assert (done.report.pushed, done.report.deleted) == ((ONE, TWO), (TWO,))
    assert (done.report.is_settled, site.ref()) == (True, commit)
    assert site.numbers() == {ONE: 11, THREE: 3}
    assert job.status() == before
    assert site.bare.git("tag") == ""


async def test_variables_of_an_outer_git_lead_a_job_nowhere(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = site.clone()
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_TRACE", "1")
    root = job.top / site.prefix
    done = await _published(site, root)
    assert (len(done.report.pushed), done.has_moved) == (3, True)
    assert not (tmp_path / "nowhere").exists()
    for name in [name for name in os.environ if name.startswith("GIT_") and "CONFIG" not in name]:
        monkeypatch.delenv(name)
    assert site.ref() == done.commit


async def _published(site: Site, root: Path) -> Published:
    from syncd.mirror.branch.publication import publish_branch  # noqa: PLC0415

    return await publish_branch(root, site.marks, site.connect)


async def test_a_blobless_clone_whose_remote_is_away_deletes_and_writes_nothing(
    site: Site, tmp_path: Path
) -> None:
    """With the mark in a file nothing else asks the remote."""
    marks = FileMarks(tmp_path / "cache" / "mark")
    await site.publish(site.clone(), marks)
    site.save(ONE, 11)
    site.remove(TWO)
    site.push()
    job = site.clone("--filter=blob:none", "--no-checkout")
    job.git("checkout", "--quiet", "HEAD", "--", f"{site.prefix}syncd.toml")
    away = site.bare.top.rename(tmp_path / "away")
    rev = site.world.rev()
    with pytest.raises(GitFailed, match=r"promisor|fetch"):
        await site.publish(job, marks)
    assert (site.numbers(), site.world.rev()) == ({ONE: 1, TWO: 2, THREE: 3}, rev)
    away.rename(site.bare.top)
    done = await site.publish(job, marks)
    assert (done.report.is_settled, site.numbers()) == (True, {ONE: 11, THREE: 3})


async def test_a_rename_a_return_and_a_record_that_was_away_for_a_while_are_what_is_left(
    site: Site,
) -> None:
    await site.job()
    there = site.desk.top / site.prefix
    moved = f"{COLLECTION}/moved"
    site.desk.git("mv", str(there / f"{ONE}.json"), str(there / f"{moved}.json"))
    site.remove(TWO)
    site.push()
    site.save(TWO, 12)
    site.push()
    done = await site.job("--depth=1")
    assert (site.numbers(), done.report.is_settled) == ({moved: 1, TWO: 12, THREE: 3}, True)
    site.remove(THREE)
    site.push()
    await site.job()
    site.desk.git("revert", "--no-edit", "HEAD")
    site.desk.git("push", "--quiet", "origin", "HEAD:main")
    done = await site.job("--filter=blob:none")
    assert (site.numbers(), done.report.is_settled) == ({moved: 1, TWO: 12, THREE: 3}, True)


@pytest.mark.parametrize("remote", ["origin", "b"])
async def test_a_mirror_pushes_to_a_remote_and_never_to_a_directory(
    world: World, tmp_path: Path, remote: str
) -> None:
    """A tag that is named like the branch is no reason not to push it."""
    bare = make_repo(tmp_path / "bare")
    bare.git("config", "core.bare", "true")
    device = with_git(world, tmp_path / "git", git_push=remote)
    repo = make_repo(device.root)
    repo.git("commit", "--quiet", "--allow-empty", "--message", "Begin")
    repo.git("tag", "main")
    repo.git("remote", "add", "origin", bare.top.as_uri())
    repo.git("clone", "--quiet", "--bare", bare.top.as_uri(), str(device.root / "b"))
    await world.write(ONE, n=1)
    report = await device.sync()
    arrived = bool(bare.git("for-each-ref", "refs/heads/main"))
    assert (report.is_settled, arrived) == ((True, True) if remote == "origin" else (False, False))
    assert [f"no remote {remote}" in item.reason for item in report.problems] == [True] * (
        remote == "b"
    )
    assert Repo(device.root / "b").git("for-each-ref") == ""
    device.mirror.state.close()


@pytest.mark.parametrize(
    ("said", "is_old"),
    [
        ("error: unknown option `ignored-by-nobody'\nusage: git x", True),
        ("git: 'switch' is not a git command. See 'git --help'.", True),
        ("fatal: your current branch 'main' does not have any commits yet", False),
    ],
)
def test_a_git_that_is_too_old_is_named_with_the_one_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, is_old: bool
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncat >&2 <<"END"\n{said}\nEND\nexit 129\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    with pytest.raises(GitFailed) as failed:
        Git(tmp_path).run("x")
    assert (OLDEST in failed.value.hint) == is_old
