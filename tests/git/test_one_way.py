"""A branch that a CI publishes, one way: what is sent, what is kept, and what is left alone.

Real git, and a PDS in memory. A job is a clone of its own, and one publication from it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.config import Config, render_config
from syncd.cycle.branch.mark import Mark, parse_mark
from syncd.cycle.home import Home
from syncd.cycle.mirror import Mirror
from syncd.cycle.workspace import Workspace
from syncd.errors import ConfigWrong, FolderWrong, GitFailed, SyncdError
from syncd.folder.read import read_record
from syncd.mirror.branch.marks import FileMarks, Marks, RemoteMarks
from syncd.mirror.branch.publication import (
    Published,
    preview_branch,
    publish_branch,
)
from syncd.mirror.branch.standing import Checkout, Found, Since
from syncd.mirror.offline import find_published
from syncd.model import RecordPath
from tests.rigs.device import World

from .conftest import Repo, make_repo

COLLECTION = "com.example.note"
ONE, TWO, THREE = (f"{COLLECTION}/{name}" for name in ("one", "two", "three"))
REF = "refs/syncd/published"
CLONES = {
    "full": (),
    "shallow": ("--depth=1",),
    "blobless": ("--filter=blob:none",),
}


@dataclass
class Site:
    """A git remote, the clone of the person who commits, and the jobs that publish."""

    world: World
    bare: Repo
    desk: Repo
    prefix: str
    tmp_path: Path
    jobs: int = 0
    marks: Marks = field(default_factory=RemoteMarks)

    @property
    def url(self) -> str:
        return self.bare.top.as_uri()

    def settings(self, **changes: object) -> None:
        config = Config(self.world.login.did, mode="publish", **changes)  # type: ignore[arg-type]
        self.write("syncd.toml", render_config(config))

    def write(self, name: str, text: str) -> None:
        file = self.desk.top / self.prefix / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def save(self, path: str, n: int) -> None:
        self.write(f"{path}.json", json.dumps({"$type": path.split("/", maxsplit=1)[0], "n": n}))

    def remove(self, path: str) -> None:
        (self.desk.top / self.prefix / f"{path}.json").unlink()

    def push(self, *options: str) -> str:
        commit = self.desk.commit_all("A change")
        self.desk.git("push", "--quiet", *options, "origin", "HEAD:main")
        return commit

    def clone(self, *options: str) -> Repo:
        self.jobs += 1
        top = self.tmp_path / f"job-{self.jobs}"
        self.bare.git("clone", "--quiet", *options, self.url, str(top))
        return Repo(top)

    @asynccontextmanager
    async def connect(self, files: Workspace) -> AsyncIterator[Mirror]:
        yield Mirror(files, Home(self.world.account(), self.world.pds()))

    async def publish(self, job: Repo, marks: Marks | None = None) -> Published:
        root = find_published(job.top / self.prefix)
        assert root == job.top / self.prefix
        return await publish_branch(root, marks or self.marks, self.connect)

    async def job(self, *options: str) -> Published:
        """Clone, and publish."""
        return await self.publish(self.clone(*options))

    async def preview(self, job: Repo) -> Published:
        return await preview_branch(job.top / self.prefix, self.marks, self.connect)

    def ref(self) -> str:
        """The object at the ref; empty if there is none."""
        return self.bare.git("for-each-ref", "--format=%(objectname)", REF)

    def mark(self) -> Mark:
        found = self.ref()
        return parse_mark(self.bare.git("log", "-1", "--format=%B", found)) or Mark(found)

    def kept(self, job: Repo) -> list[str]:
        """The numbers that the kept versions have."""
        files = sorted((job.top / self.prefix / "syncd-kept").rglob("*.json"))
        return [f"{f.relative_to(job.top / self.prefix).parts[1]} {_number(f)}" for f in files]

    def number(self, path: str) -> int | None:
        """What the repo has in a record."""
        repo = self.world.sandbox.repo(self.world.login.did)
        cid = repo.state.records.get(RecordPath(path))
        for n in range(20):
            if cid is not None and cid == _cid(path, n):
                return n
        assert cid is None
        return None

    def numbers(self) -> dict[str, int | None]:
        return {path: self.number(path) for path in self.world.records()}


def _number(file: Path) -> int:
    found: int = json.loads(file.read_text(encoding="utf-8"))["n"]
    return found


def _cid(path: str, n: int) -> object:
    from syncd.atproto.data import cid_of  # noqa: PLC0415

    return cid_of({"$type": path.split("/", maxsplit=1)[0], "n": n})


@pytest.fixture
def site(world: World, tmp_path: Path) -> Site:
    bare = make_repo(tmp_path / "origin")
    for key, value in (("core.bare", "true"), ("uploadpack.allowFilter", "true")):
        bare.git("config", key, value)
    bare.git("config", "uploadpack.allowAnySHA1InWant", "true")
    desk = make_repo(tmp_path / "desk")
    desk.git("remote", "add", "origin", bare.top.as_uri())
    site = Site(world, bare, desk, "sites/my notes/", tmp_path)
    site.settings()
    for n, path in enumerate((ONE, TWO, THREE), 1):
        site.save(path, n)
    site.push()
    return site


@pytest.mark.parametrize("options", CLONES.values(), ids=CLONES)
async def test_what_git_made_edited_renamed_and_deleted_is_published(
    site: Site, options: tuple[str, ...]
) -> None:
    done = await site.job(*options)
    assert (done.has_moved, site.ref()) == (True, done.commit)
    assert site.numbers() == {ONE: 1, TWO: 2, THREE: 3}
    new = f"{COLLECTION}/new"
    site.save(ONE, 11)
    site.remove(TWO)
    site.desk.git("mv", f"{site.prefix}{THREE}.json", f"{site.prefix}{new}.json")
    site.push()
    # More commits, so that a shallow clone does not have the one that was published.
    site.write("about", "no record\n")
    site.push()
    done = await site.job(*options)
    assert site.numbers() == {ONE: 11, new: 3}
    assert (done.report.is_settled, done.foreign, site.ref()) == (True, (), done.commit)
    rev = site.world.rev()
    again = await site.job(*options)
    assert (again.has_moved, again.report.pushed, site.world.rev()) == (False, (), rev)
    assert site.bare.subjects() == ["A change"] * 3


async def test_of_what_is_laid_out_only_what_git_changed_is_read_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, path in enumerate((ONE, TWO, THREE)):
        site.save(path, number)
    site.push()
    await site.job()
    site.save(TWO, 12)
    site.push()
    read: list[str] = []

    def counted(directory: int, name: str, path: RecordPath, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        read.append(path)
        return read_record(directory, name, path, *rest, **more)

    monkeypatch.setattr("syncd.folder.survey.read_record", counted)
    done = await site.job()
    assert (set(read), done.report.pushed) == ({TWO}, (TWO,))
    assert site.numbers() == {ONE: 0, TWO: 12, THREE: 2}


async def test_a_blobless_clone_fetches_all_that_it_lacks_in_one_request(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"{COLLECTION}/n{n}" for n in range(30)]
    for n, path in enumerate(paths):
        site.save(path, 100 + n)
    site.push()
    await site.job()
    for n, path in enumerate(paths):
        site.save(path, 200 + n)
    site.push()
    job, trace = site.clone("--filter=blob:none"), site.tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE", str(trace))
    done = await site.publish(job)
    assert len(done.report.pushed) == 30
    assert trace.read_text(encoding="utf-8").count("built-in: git fetch") == 1


async def test_without_a_publication_nothing_is_deleted_and_what_differs_is_a_conflict(
    site: Site,
) -> None:
    other = f"{COLLECTION}/other"
    await site.world.write(ONE, n=1)
    await site.world.write(TWO, n=12)
    await site.world.write(other, n=4)
    job = site.clone()
    done = await site.publish(job)
    assert [conflict.path for conflict in done.report.conflicts] == [TWO]
    assert [step.path for step in done.foreign] == [other]
    assert site.numbers() == {ONE: 1, TWO: 12, THREE: 3, other: 4}
    assert site.kept(job) == ["conflicts 12"]
    # It stays a conflict until a person decides: the ref says that the commit is not true of it.
    assert site.mark() == Mark(done.commit, {RecordPath(TWO): None})
    assert site.bare.git("rev-parse", f"{site.ref()}^@") == done.commit
    again = await site.job("--depth=1")
    assert ([c.path for c in again.report.conflicts], again.has_moved) == ([TWO], False)
    site.save(TWO, 12)
    site.push()
    decided = await site.job("--depth=1")
    assert (decided.report.is_settled, site.ref()) == (True, decided.commit)
    site.save(TWO, 13)
    site.push()
    await site.job()
    assert site.number(TWO) == 13


async def test_what_others_changed_is_reported_and_stays_as_it_is_on_both_sides(site: Site) -> None:
    await site.job()
    new = f"{COLLECTION}/new"
    await site.world.write(ONE, n=11)
    await site.world.delete(TWO)
    await site.world.write(new, n=4)
    rev, job = site.world.rev(), site.clone()
    done = await site.publish(job)
    assert {step.path: step.reason for step in done.foreign} == {
        ONE: "edited in the repo",
        TWO: "deleted in the repo",
        new: "created in the repo",
    }
    assert (done.report.is_settled, site.world.rev()) == (True, rev)
    assert job.git("status", "--porcelain", "--ignored") == ""


async def test_many_records_that_others_deleted_are_reported_and_not_held(site: Site) -> None:
    await site.job()
    for path in (ONE, TWO, THREE):
        await site.world.delete(path)
    done = await site.job()
    assert [step.path for step in done.foreign] == sorted((ONE, TWO, THREE))
    assert (done.report.is_settled, site.numbers()) == (True, {})


@pytest.mark.parametrize("is_local", [False, True])
async def test_of_a_record_that_both_changed_the_repo_s_version_stays_unless_local_names_it(
    site: Site, is_local: bool
) -> None:
    await site.job()
    await site.world.write(ONE, n=10)
    await site.world.write(TWO, n=12)
    await site.world.delete(THREE)
    site.save(ONE, 11)
    site.remove(TWO)
    site.save(THREE, 13)
    if is_local:
        site.settings(conflicts_local=(COLLECTION,))
    site.push()
    job = site.clone()
    done = await site.publish(job)
    # git deleted what the repo has edited: that stays, whatever the settings say.
    assert site.numbers() == ({ONE: 11, TWO: 12, THREE: 13} if is_local else {ONE: 10, TWO: 12})
    conflicts = [TWO] if is_local else [ONE, THREE, TWO]
    assert [conflict.path for conflict in done.report.conflicts] == conflicts
    kept = ["conflicts 12", "replaced 10"] if is_local else ["conflicts 10", "conflicts 12"]
    assert site.kept(job) == kept
    assert job.git("status", "--porcelain") == ""


async def test_what_cannot_be_kept_is_not_replaced(site: Site, tmp_path: Path) -> None:
    await site.job()
    await site.world.write(ONE, n=10)
    site.save(ONE, 11)
    site.settings(conflicts_local=(COLLECTION,))
    (site.desk.top / site.prefix / "syncd-kept").symlink_to(tmp_path)
    site.push()
    done = await site.job()
    assert [problem.path for problem in done.report.problems] == [ONE]
    assert (site.number(ONE), (tmp_path / "replaced").exists()) == (10, False)


async def test_an_edit_that_another_program_takes_back_while_a_conflict_is_open_is_not_sent_again(
    site: Site,
) -> None:
    await site.job()
    await site.world.write(TWO, n=12)
    site.save(ONE, 11)
    site.save(TWO, 13)
    site.push()
    await site.job()
    assert site.numbers() == {ONE: 11, TWO: 12, THREE: 3}
    await site.world.write(ONE, n=1)
    done = await site.job()
    assert site.number(ONE) == 1
    assert [step.path for step in done.foreign] == [ONE]


class Killed:
    """The marks of a job that is killed after its last write."""

    def find(self, checkout: Checkout) -> Found:
        return RemoteMarks().find(checkout)

    def move(self, checkout: Checkout, start: Since, mark: Mark) -> str:
        raise KeyboardInterrupt


async def test_a_job_that_is_killed_before_the_ref_moves_is_done_again_and_writes_nothing(
    site: Site,
) -> None:
    await site.job()
    before = site.ref()
    site.save(ONE, 11)
    site.remove(TWO)
    site.push()
    with pytest.raises(KeyboardInterrupt):
        await site.publish(site.clone(), Killed())
    assert (site.ref(), site.numbers()) == (before, {ONE: 11, THREE: 3})
    rev = site.world.rev()
    done = await site.job("--depth=1")
    assert (site.ref(), site.world.rev(), done.report.pushed) == (done.commit, rev, ())


class Overtaken:
    """The marks of a job beside which another one publishes, just before this one is done."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def find(self, checkout: Checkout) -> Found:
        return RemoteMarks().find(checkout)

    def move(self, checkout: Checkout, start: Since, mark: Mark) -> str:
        self.site.bare.git("update-ref", REF, self.site.bare.git("rev-parse", "main"))
        return RemoteMarks().move(checkout, start, mark)


@pytest.mark.parametrize("is_newer", [False, True])
async def test_of_two_jobs_at_once_the_newer_commit_stays_published(
    site: Site, is_newer: bool
) -> None:
    await site.job()
    site.save(ONE, 11)
    site.push()
    job = site.clone()

    class Beside(Overtaken):
        def move(self, checkout: Checkout, start: Since, mark: Mark) -> str:
            if is_newer:
                site.save(TWO, 12)
                site.push()
            return super().move(checkout, start, mark)

    done = await site.publish(job, Beside(site))
    assert (done.has_moved, done.report.is_settled) == (not is_newer, True)
    assert site.ref() == site.bare.git("rev-parse", "main")


async def test_a_ref_that_an_older_job_moved_meanwhile_is_moved_on(site: Site) -> None:
    older = site.bare.git("rev-parse", "main")
    site.save(ONE, 11)
    newer = site.push()

    class Beside(Killed):
        def move(self, checkout: Checkout, start: Since, mark: Mark) -> str:
            site.bare.git("update-ref", REF, older)
            return RemoteMarks().move(checkout, start, mark)

    done = await site.publish(site.clone(), Beside())
    assert (done.has_moved, site.ref()) == (True, newer)


async def test_a_job_of_an_older_commit_leaves_all_to_that_of_the_newer_one(site: Site) -> None:
    await site.job()
    late = site.clone()
    site.remove(ONE)
    site.push()
    await site.job()
    rev, ref = site.world.rev(), site.ref()
    for _ in range(2):
        done = await site.publish(late)
        assert (done.report.pushed, done.report.is_settled) == ((), True)
        assert (site.world.rev(), site.ref(), site.numbers()) == (rev, ref, {TWO: 2, THREE: 3})
        site.bare.git("update-ref", "-d", REF)  # not even where nothing is known of the newer one
        ref = ""


async def test_after_a_forced_push_nothing_counts_as_deleted(site: Site) -> None:
    await site.job()
    new = f"{COLLECTION}/new"
    site.desk.git("checkout", "--quiet", "--orphan", "again")
    site.remove(ONE)
    site.save(TWO, 12)
    site.save(new, 4)
    commit = site.push("--force")
    done = await site.job("--depth=1")
    assert site.numbers() == {ONE: 1, TWO: 2, THREE: 3, new: 4}
    assert [conflict.path for conflict in done.report.conflicts] == [TWO]
    assert [step.path for step in done.foreign] == [ONE]
    assert site.mark().commit == commit


async def test_only_a_commit_of_the_branch_in_the_remote_is_published(site: Site) -> None:
    job = site.clone()
    job.git("switch", "--quiet", "--create", "feature")
    with pytest.raises(GitFailed, match="feature"):
        await site.publish(job)
    job.git("switch", "--quiet", "main")
    job.git("commit", "--quiet", "--allow-empty", "--message", "Nobody has it")
    with pytest.raises(GitFailed, match="is not a commit of main"):
        await site.publish(job)
    assert (site.numbers(), site.ref()) == ({}, "")
    job.git("checkout", "--quiet", "--detach", "origin/main")
    done = await site.publish(job)
    assert (len(done.report.pushed), site.ref()) == (3, done.commit)


async def test_a_branch_that_is_named_is_published_and_main_is_not(site: Site) -> None:
    site.settings(branch="live")
    site.push()
    with pytest.raises(GitFailed, match="main"):
        await site.job()
    site.desk.git("push", "--quiet", "origin", "HEAD:live")
    job = site.clone("--branch=live")
    assert len((await site.publish(job)).report.pushed) == 3


async def test_only_what_git_has_is_published(site: Site) -> None:
    site.write(f"{COLLECTION}/idea.draft.json", '{"n": 5}')
    site.write(f"{COLLECTION}/copy.json", '{"n": 6}')
    site.write(".syncdignore", "copy.json\n")
    site.write("README.json", '{"n": 7}')
    site.push()
    job = site.clone()
    folder = job.top / site.prefix / COLLECTION
    (folder / "untracked.json").write_text('{"n": 8}', encoding="utf-8")
    (folder / "one.json").write_text('{"n": 9}', encoding="utf-8")
    (folder / "two.json").unlink()
    (job.top / site.prefix / "syncd.toml").write_text(
        render_config(Config(site.world.login.did, mode="publish", exclude=("com.*",))),
        encoding="utf-8",
    )
    done = await site.publish(job)
    assert (done.report.is_settled, site.numbers()) == (True, {ONE: 1, TWO: 2, THREE: 3})
    # The ignored one is not published with this commit, so it is new once it is ignored no more.
    assert site.mark().open == {RecordPath(f"{COLLECTION}/copy"): None}
    (site.desk.top / site.prefix / ".syncdignore").unlink()
    site.push()
    await site.job()
    assert site.number(f"{COLLECTION}/copy") == 6


@pytest.mark.parametrize("what", ["a link", "a link for the collection", "no record"])
async def test_a_name_that_git_has_and_that_is_no_record_is_no_deletion(
    site: Site, what: str
) -> None:
    await site.job()
    folder = site.desk.top / site.prefix / COLLECTION
    file = folder / "one.json"
    if what == "no record":
        file.write_text("{", encoding="utf-8")
    elif what == "a link":
        file.unlink()
        file.symlink_to("two.json")
    else:
        folder.rename(site.desk.top / "elsewhere")
        folder.symlink_to(site.desk.top / "elsewhere")
    site.push()
    done = await site.job()
    assert site.numbers() == {ONE: 1, TWO: 2, THREE: 3}
    assert {problem.path for problem in done.report.problems} <= {ONE, COLLECTION}
    assert done.report.problems
    again = await site.job()
    assert (site.numbers(), again.report.is_settled) == ({ONE: 1, TWO: 2, THREE: 3}, False)


async def test_many_deletions_wait_until_the_settings_allow_them(site: Site) -> None:
    site.settings(brake_records=2)
    site.push()
    await site.job()
    for path in (ONE, TWO, THREE):
        site.remove(path)
    site.push()
    done = await site.job()
    assert (len(done.report.held), len(site.numbers())) == (3, 3)
    assert len((await site.job("--depth=1")).report.held) == 3
    site.settings(brake_records=3)
    site.push()
    await site.job()
    assert site.numbers() == {}


async def test_a_collection_that_was_not_published_before_is_new_when_it_is(site: Site) -> None:
    site.settings(exclude=(COLLECTION,))
    site.push()
    done = await site.job()
    assert (site.numbers(), site.ref()) == ({}, done.commit)
    site.settings()
    site.push()
    await site.job()
    assert site.numbers() == {ONE: 1, TWO: 2, THREE: 3}


async def test_a_commit_that_published_another_account_says_nothing_of_this_one(
    site: Site,
) -> None:
    mine = site.world.login.did
    site.write("syncd.toml", f'[mirror]\ndid = "did:plc:{"a" * 24}"\nmode = "publish"\n')
    site.bare.git("update-ref", REF, site.push())
    await site.world.write(ONE, n=1)
    site.remove(ONE)
    site.settings()
    site.push()
    assert site.world.login.did == mine
    await site.job()
    assert site.numbers() == {ONE: 1, TWO: 2, THREE: 3}


async def test_a_preview_needs_no_branch_and_changes_nothing(site: Site) -> None:
    await site.job()
    base = site.bare.git("rev-parse", "main")
    site.save(THREE, 13)
    site.push()
    await site.job()
    rev, ref = site.world.rev(), site.ref()
    # A pull request that left the branch before its newest commit.
    site.desk.git("switch", "--quiet", "--create", "pr", base)
    site.save(ONE, 11)
    site.remove(TWO)
    site.desk.commit_all("A pull request")
    site.desk.git("push", "--quiet", "origin", "pr")
    job = site.clone("--branch=pr", "--depth=1")
    done = await site.preview(job)
    steps = {step.path: step.reason for step in done.report.plan.steps if step.path != THREE}
    assert steps == {ONE: "edited in git", TWO: "deleted in git"}
    assert [step.path for step in done.foreign] == [THREE]
    assert (site.world.rev(), site.ref()) == (rev, ref)
    assert job.git("status", "--porcelain", "--ignored") == ""


async def test_merges_and_reverts_are_published_as_what_they_leave(site: Site) -> None:
    await site.job()
    site.desk.git("switch", "--quiet", "--create", "side")
    site.save(ONE, 11)
    site.desk.commit_all("On the side")
    site.desk.git("switch", "--quiet", "main")
    site.remove(TWO)
    site.desk.commit_all("On the branch")
    site.desk.git("merge", "--quiet", "--no-edit", "side")
    site.desk.git("push", "--quiet", "origin", "main")
    await site.job()
    assert site.numbers() == {ONE: 11, THREE: 3}
    site.desk.git("revert", "--no-edit", "HEAD~1")
    site.desk.git("revert", "--no-edit", "--mainline=1", "HEAD~1")
    site.desk.git("push", "--quiet", "origin", "main")
    await site.job()
    assert site.numbers() == {ONE: 1, TWO: 2, THREE: 3}


async def test_a_remote_that_refuses_the_ref_is_a_problem_and_the_next_job_ends_it(
    site: Site,
) -> None:
    site.bare.hook("pre-receive", "echo 'no such refs here' >&2; exit 1")
    done = await site.job()
    assert [problem.path for problem in done.report.problems] == [".git"]
    assert (len(site.numbers()), site.ref(), done.has_moved) == (3, "", False)
    site.bare.hook("pre-receive", "exit 0")
    rev = site.world.rev()
    done = await site.job()
    assert (site.ref(), site.world.rev(), done.report.is_settled) == (done.commit, rev, True)


async def test_the_mark_may_be_in_a_file_that_a_ci_keeps(site: Site, tmp_path: Path) -> None:
    site.marks = FileMarks(tmp_path / "cache" / "published")
    await site.job()
    assert (site.ref(), len(site.numbers())) == ("", 3)
    site.remove(ONE)
    site.push()
    await site.job("--depth=1")
    assert site.numbers() == {TWO: 2, THREE: 3}
    # A file that was cut short is not believed.
    file = tmp_path / "cache" / "published"
    file.write_bytes(file.read_bytes()[:-5])
    site.remove(TWO)
    site.push()
    await site.job()
    assert site.numbers() == {TWO: 2, THREE: 3}


async def test_settings_that_say_publish_only_here_publish_nothing(site: Site) -> None:
    site.write("syncd.toml", f'[mirror]\ndid = "{site.world.login.did}"\n')
    site.push()
    job = site.clone()
    (job.top / site.prefix / "syncd.toml").write_text(
        render_config(Config(site.world.login.did, mode="publish")), encoding="utf-8"
    )
    with pytest.raises(ConfigWrong):
        await site.publish(job)
    assert site.numbers() == {}


async def test_a_mirror_is_not_published(site: Site) -> None:
    job = site.clone()
    (job.top / site.prefix / ".syncd").mkdir()
    (job.top / site.prefix / ".syncd" / "marker").write_text("a", encoding="utf-8")
    with pytest.raises(FolderWrong):
        await site.publish(job)


async def test_a_remote_that_is_away_is_an_error_and_nothing_is_sent(site: Site) -> None:
    job = site.clone()
    job.git("remote", "set-url", "origin", (site.tmp_path / "away").as_uri())
    with pytest.raises(SyncdError):
        await site.publish(job)
    assert site.numbers() == {}


# --- Files that records name ----------------------------------------------------------------------

PICTURE = "pictures/cover.png"
NAMED = {"$type": "blob", "$file": PICTURE}


def picture(site: Site, content: str = "one") -> BlobRef:
    """Commit a picture, and return how a record refers to it."""
    text = "\x89PNG\r\n\x1a\n" + content
    file = site.desk.top / site.prefix / PICTURE
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text.encode("latin-1"))
    data = file.read_bytes()
    return BlobRef(cid_of_blob(data), "image/png", len(data))


def show(site: Site, path: str, n: int = 0) -> None:
    site.write(f"{path}.json", json.dumps({"image": NAMED, "n": n}))


def published(site: Site, path: str) -> object:
    record = site.world.sandbox.repo(site.world.login.did).record(RecordPath(path))
    return record and (record["image"], record["n"])


async def test_pictures_that_a_blobless_clone_lacks_come_in_one_request_for_each_commit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"{COLLECTION}/n{n}" for n in range(9)]
    for content in ("before", "after"):
        for path in paths:
            name = f"pictures/{path.rpartition('/')[2]}.txt"
            site.write(name, f"{content} {path}")
            site.write(f"{path}.json", json.dumps({"image": NAMED | {"$file": name}}))
        site.push()
        if content == "before":
            await site.job()
    job, trace = site.clone("--filter=blob:none", "--no-checkout"), site.tmp_path / "trace"
    job.git("checkout", "--quiet", "HEAD", "--", f"{site.prefix}syncd.toml")
    monkeypatch.setenv("GIT_TRACE", str(trace))
    done = await site.publish(job)
    assert len(done.report.pushed) == len(paths)
    # Records, which are the same in both commits, and the pictures of each.
    assert trace.read_text(encoding="utf-8").count("built-in: git fetch") == 3


async def test_a_key_that_names_a_file_may_be_spelt_with_escapes(site: Site) -> None:
    ref = picture(site)
    site.write(f"{ONE}.json", json.dumps({"image": NAMED, "n": 1}).replace("$file", r"\u0024file"))
    site.push()
    for is_new in (True, False):
        report = (await site.job()).report
        assert (ONE in report.pushed, report.problems) == (is_new, ())
    assert published(site, ONE) == (ref.value, 1)


@pytest.mark.parametrize("clone", CLONES)
async def test_a_file_that_a_record_names_is_published_and_git_keeps_the_name(
    site: Site, clone: str
) -> None:
    ref = picture(site)
    show(site, ONE)
    site.push()
    before = site.desk.git("rev-parse", "HEAD:")
    job = site.clone(*CLONES[clone])
    done = await site.publish(job)
    assert ONE in done.report.pushed
    assert published(site, ONE) == (ref.value, 0)
    assert job.git("status", "--porcelain") == ""
    assert site.bare.git("rev-parse", "main:") == before
    assert not site.kept(job)
    # Nothing to do, with the mark and without it.
    writes = site.world.sandbox.repo(site.world.login.did).head.rev
    for marks in (None, FileMarks(site.tmp_path / "none")):
        done = await site.publish(site.clone(*CLONES[clone]), marks)
        assert (done.report.pushed, done.report.problems, done.report.conflicts) == ((), (), ())
        assert done.foreign == ()
    assert site.world.sandbox.repo(site.world.login.did).head.rev == writes


async def test_another_picture_under_the_same_name_is_an_edit(site: Site) -> None:
    picture(site)
    show(site, ONE)
    site.push()
    await site.job()
    new = picture(site, "two")
    site.push()
    done = await site.job()
    assert (done.report.pushed, done.report.conflicts) == ((ONE,), ())
    assert published(site, ONE) == (new.value, 0)
    show(site, ONE, 1)
    site.push()
    assert (await site.job()).report.pushed == (ONE,)
    assert published(site, ONE) == (new.value, 1)
    site.remove(ONE)
    site.push()
    assert (await site.job()).report.deleted == (ONE,)


async def test_a_conflict_about_another_picture_stays_one_in_the_next_job(site: Site) -> None:
    picture(site)
    show(site, ONE)
    site.push()
    await site.job()
    await site.world.write(ONE, n=10)
    picture(site, "two")
    site.save(TWO, 22)
    site.push()
    for pushed in ((TWO,), ()):
        done = await site.job()
        assert done.report.pushed == pushed
        assert [conflict.path for conflict in done.report.conflicts] == [ONE]


async def test_only_what_git_has_is_uploaded(site: Site) -> None:
    show(site, ONE)
    (site.desk.top / site.prefix / "secret").write_text("TOKEN=1", encoding="utf-8")
    (site.desk.top / site.prefix / "pictures").mkdir()
    (site.desk.top / site.prefix / PICTURE).symlink_to("../secret")
    site.push()
    job = site.clone()
    (problem,) = (await site.publish(job)).report.problems
    assert "git does not have" in problem.reason
    (job.top / site.prefix / PICTURE).unlink()
    (job.top / site.prefix / PICTURE).write_bytes(b"untracked in the job")
    assert not (await site.publish(job)).report.pushed
    assert site.world.sandbox.blobs(site.world.login.did).count == 0


async def test_the_pointer_of_git_lfs_is_never_published_in_the_place_of_a_picture(
    site: Site,
) -> None:
    ref = picture(site)
    file = site.desk.top / site.prefix / PICTURE
    content, name = file.read_bytes(), bytes(ref.cid)[-32:].hex()
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize {ref.size}\n"
    file.write_text(text)
    show(site, ONE)
    site.push()
    for _ in range(2):
        (problem,) = (await site.job()).report.problems
        assert (problem.path, bool(problem.hint), published(site, ONE)) == (ONE, True, None)
    file.write_bytes(content)
    site.push()
    assert ONE in (await site.job()).report.pushed
    assert published(site, ONE) == (ref.value, 0)


@pytest.mark.parametrize("kind", ["place", "name", "missing"])
async def test_no_hint_about_a_file_names_a_command_of_a_mirror(site: Site, kind: str) -> None:
    """A job has no mirror: `syncd blob` does nothing there."""
    picture(site)
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({2: (52.0, 31.0, 12.0)})
    top = site.desk.top / site.prefix
    Image.new("RGB", (8, 8), "red").save(top / "pictures/hill.jpg", exif=exif)
    names = {"place": "pictures/hill.jpg", "name": "/hill.jpg", "missing": "pictures/none.jpg"}
    site.write(f"{ONE}.json", json.dumps({"image": {"$type": "blob", "$file": names[kind]}}))
    site.push()
    (problem,) = (await site.job()).report.problems
    assert (problem.path, bool(problem.hint)) == (ONE, True)
    assert "syncd blob" not in (problem.hint or "")
    assert "commit" in (problem.hint or "")
