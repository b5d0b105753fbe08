"""A fresh clone of a git repository, synced as by a CI job: what is sent, and what is deleted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.config import Config, render_config
from syncd.cycle.git.checkout import adopt_checkout, find_checkout
from syncd.errors import FolderWrong, GitFailed, RolledBack
from syncd.folder.root import find_root
from syncd.model import RecordPath
from syncd.state.notes import Filenames
from tests.rigs.device import Device, World, rework
from tests.rigs.machine import Machine

from .conftest import Repo, make_repo, meet_git

ONE = "com.example.note/one"
TWO = "com.example.note/two"
MINE = "com.example.note/mine"


@pytest.fixture(params=["", "site/"], ids=["at-the-top", "inside"])
def origin(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Origin:
    bare = make_repo(tmp_path / "origin")
    bare.git("config", "core.bare", "true")
    origin = Origin(world, bare, request.param, tmp_path)
    first = origin.clone("first")
    config = Config(world.login.did, git_commit=True, git_push="origin")
    (first.top / origin.prefix).mkdir(exist_ok=True)
    (first.top / origin.prefix / "syncd.toml").write_text(render_config(config), encoding="utf-8")
    first.commit_all("Settings")
    first.git("push", "--quiet", "origin", "main")
    return origin


class Origin:
    """A git remote, and the jobs that clone it."""

    def __init__(self, world: World, bare: Repo, prefix: str, tmp_path: Path) -> None:
        self.world, self.bare, self.prefix, self.tmp_path = world, bare, prefix, tmp_path

    def clone(self, name: str, *options: str) -> Repo:
        url = self.bare.top.as_uri()
        self.bare.git("clone", "--quiet", *options, url, str(self.tmp_path / name))
        return Repo(self.tmp_path / name)

    def adopt(self, repo: Repo) -> Device:
        """What `syncd sync` makes of a fresh clone, before it asks the PDS."""
        root = find_checkout(repo.top / self.prefix)
        assert root == repo.top / self.prefix
        adopted = adopt_checkout(root, lambda: f"marker-of-{repo.top.name}")
        config = replace(adopted.config, brake_records=1000)
        device = Device.open(root, self.world.account(), self.world.pds(), config)
        meet_git(device)
        return device

    async def run_job(self, name: str) -> tuple[Device, Repo]:
        """Clone, adopt, sync."""
        repo = self.clone(name)
        device = self.adopt(repo)
        report = await device.sync()
        assert report.is_settled, report
        device.mirror.state.close()
        return device, repo

    def merge_pull_request(self, name: str, **texts: str | None) -> None:
        """Somebody edits and deletes files in a clone, without syncd, and pushes."""
        repo = self.clone(name)
        for key, text in texts.items():
            file = repo.top / self.prefix / "com.example.note" / f"{key}.json"
            file.parent.mkdir(exist_ok=True)
            file.unlink() if text is None else file.write_text(text, encoding="utf-8")
        repo.commit_all(f"Pull request {name}")
        repo.git("push", "--quiet", "origin", "main")


async def test_equal_content_costs_nothing_and_a_second_run_writes_nothing(
    origin: Origin,
) -> None:
    await origin.world.write(ONE, n=1)
    origin.merge_pull_request("pr", one='{"n": 1}', mine='{"n": 2}')
    await origin.run_job("job-1")
    assert set(origin.world.records()) == {ONE, MINE}
    rev, tip = origin.world.rev(), origin.bare.git("rev-parse", "main")
    assert origin.bare.subjects()[0].startswith("Published at rev")
    await origin.run_job("job-2")
    assert (origin.world.rev(), origin.bare.git("rev-parse", "main")) == (rev, tip)


async def test_a_file_deleted_in_git_is_deleted_in_the_repo(origin: Origin, own_git: Path) -> None:
    for key, value in (("grep.patternType", "fixed"), ("i18n.logOutputEncoding", "utf-16")):
        origin.bare.git("config", "--global", key, value)
    origin.merge_pull_request("pr-1", one='{"n": 1}', two='{"n": 2}')
    await origin.run_job("job-1")
    origin.merge_pull_request("pr-2", one=None)
    await origin.run_job("job-2")
    assert set(origin.world.records()) == {TWO}


@pytest.mark.parametrize("is_sparse", [True, False], ids=["sparse", "cut short"])
async def test_a_file_that_was_only_not_checked_out_is_no_deletion(
    origin: Origin, is_sparse: bool
) -> None:
    origin.merge_pull_request("pr-1", one='{"n": 1}', two='{"n": 2}')
    await origin.run_job("job-1")
    records, rev = origin.world.records(), origin.world.rev()
    repo = origin.clone("job-2")
    if is_sparse:
        pattern = f"!/{origin.prefix}com.example.note/one.json"
        repo.git("sparse-checkout", "set", "--no-cone", "/*", pattern)
        assert repo.status() == []
    else:
        (repo.top / ".git" / "index").unlink()
        (repo.top / f"{origin.prefix}{ONE}.json").unlink()
    device = origin.adopt(repo)
    assert not device.has(ONE)
    report = await device.sync()
    assert (origin.world.records(), origin.world.rev()) == (records, rev)
    assert (device.has(ONE), [p.path for p in report.problems]) == (
        (False, [ONE]) if is_sparse else (True, [])
    )
    device.delete(TWO)
    await device.sync()
    assert set(origin.world.records()) == {ONE}
    device.mirror.state.close()


async def test_a_sparse_clone_without_a_published_commit_leaves_out_what_git_leaves_out(
    origin: Origin,
) -> None:
    for path in (ONE, TWO):
        await origin.world.write(path, n=1)
    origin.merge_pull_request("pr-1", one='{"n": 1}')
    repo = origin.clone("job", "--sparse")
    pattern = f"!/{origin.prefix}com.example.note/one.json"
    repo.git("sparse-checkout", "set", "--no-cone", "/*", pattern)
    device = origin.adopt(repo)
    report = await device.sync()
    assert (device.has(ONE), device.has(TWO)) == (False, True)
    assert ([p.path for p in report.problems], report.conflicts) == ([ONE], ())
    assert set(origin.world.records()) == {ONE, TWO}
    device.mirror.state.close()


async def test_what_the_repo_got_meanwhile_is_pulled_and_never_deleted(origin: Origin) -> None:
    origin.merge_pull_request("pr-1", one='{"n": 1}', two='{"n": 2}')
    await origin.run_job("job-1")
    await origin.world.write("com.example.note/phone", n=3)
    await origin.world.write(TWO, n=22)
    origin.merge_pull_request("pr-2", one=None)
    _, repo = await origin.run_job("job-2")
    assert set(origin.world.records()) == {TWO, "com.example.note/phone"}
    assert repo.files_of("HEAD~1") == sorted(
        f"{origin.prefix}com.example.note/{name}.json" for name in ("phone", "two")
    )
    assert repo.git("rev-parse", "HEAD") == origin.bare.git("rev-parse", "main")


async def test_a_deletion_in_git_of_what_the_repo_edited_meanwhile_keeps_the_edit(
    origin: Origin,
) -> None:
    origin.merge_pull_request("pr-1", one='{"n": 1}')
    await origin.run_job("job-1")
    await origin.world.write(ONE, n=2)
    origin.merge_pull_request("pr-2", one=None)
    device, _ = await origin.run_job("job-2")
    assert device.read(ONE)["n"] == 2
    assert ONE in origin.world.records()


async def test_without_a_published_commit_nothing_counts_as_deleted(origin: Origin) -> None:
    await origin.world.write(ONE, n=1)
    device, _ = await origin.run_job("job")
    assert device.has(ONE)
    assert set(origin.world.records()) == {ONE}


async def test_trailers_hold_for_the_tree_they_name_and_for_no_other(origin: Origin) -> None:
    origin.merge_pull_request("pr-1", one='{"n": 1}')
    await origin.run_job("job-1")
    squashed = origin.clone("squashed")
    words = squashed.git("show", "--no-patch", "--format=%B")
    file = squashed.top / origin.prefix / "com.example.note" / "never.json"
    file.write_text('{"n": 9}', encoding="utf-8")
    squashed.git("add", "--all")
    squashed.git("commit", "--quiet", "--amend", "--message", words)
    squashed.git("push", "--quiet", "--force", "origin", "main")
    _, repo = await origin.run_job("job-2")
    assert set(origin.world.records()) == {ONE, "com.example.note/never"}
    assert (repo.top / origin.prefix / "com.example.note" / "never.json").exists()


async def test_a_record_that_was_not_published_with_a_commit_is_no_base(origin: Origin) -> None:
    origin.merge_pull_request("pr-1", one='{"n": 1}')
    await origin.run_job("job-1")
    laptop_repo = origin.clone("laptop")
    laptop = origin.adopt(laptop_repo)
    rework(laptop.mirror, config=replace(laptop.mirror.config, read_only=True))
    meet_git(laptop)
    laptop.save(MINE, n=1)
    laptop_repo.commit_all("A note that only git has")
    await origin.world.write(TWO, n=2)
    assert (await laptop.sync()).pulled == (RecordPath(TWO),)
    laptop.mirror.state.close()
    said = laptop_repo.trailers()
    assert said is not None
    assert said.unpublished == {RecordPath(MINE)}
    laptop_repo.git("push", "--quiet", "origin", "main")
    device, _ = await origin.run_job("job-2")
    assert MINE in origin.world.records()
    assert device.has(MINE)


async def test_portable_file_names_are_known_from_the_first_sync_on(
    origin: Origin, world: World
) -> None:
    settings = origin.clone("settings")
    file = settings.top / origin.prefix / "syncd.toml"
    text = file.read_text(encoding="utf-8").replace("[mirror]", '[mirror]\nfilenames = "portable"')
    file.write_text(text, encoding="utf-8")
    settings.commit_all("Portable names")
    settings.git("push", "--quiet", "origin", "main")
    name = "%4fne%3ax"
    origin.merge_pull_request("pr-1", **{name: '{"n": 1}'})
    first, _ = await origin.run_job("job-1")
    assert first.mirror.folder.portable
    assert set(world.records()) == {"com.example.note/One:x"}
    origin.merge_pull_request("pr-2", **{name: None})
    repo = origin.clone("job-2")
    second = origin.adopt(repo)
    assert set(second.base()) == {"com.example.note/One:x"}
    assert second.mirror.state.note(Filenames) == Filenames("portable")
    await second.sync()
    second.mirror.state.close()
    assert world.records() == {}


async def test_a_shallow_clone_without_the_published_commit_is_refused(origin: Origin) -> None:
    origin.merge_pull_request("pr-1", one='{"n": 1}')
    await origin.run_job("job-1")
    origin.merge_pull_request("pr-2", one=None)
    shallow = origin.clone("shallow", "--depth=1")
    with pytest.raises(GitFailed, match="only part of the git history"):
        origin.adopt(shallow)
    assert not (shallow.top / origin.prefix / ".syncd").exists()


async def test_a_repo_that_went_back_in_time_is_not_followed(origin: Origin) -> None:
    origin.merge_pull_request("pr-1", one='{"n": 1}')
    await origin.run_job("job-1")
    repo = origin.clone("job-2")
    tip = repo.trailers()
    assert tip is not None
    words = repo.git("show", "--no-patch", "--format=%B").replace(tip.rev, "7222222222222")
    repo.git("commit", "--quiet", "--allow-empty", "--message", words)
    device = origin.adopt(repo)
    with pytest.raises(RolledBack):
        await device.sync()
    device.mirror.state.close()


def test_only_a_checkout_with_versioned_settings_is_taken(origin: Origin, tmp_path: Path) -> None:
    repo = origin.clone("job")
    root = repo.top / origin.prefix
    below = root / "com.example.note"
    below.mkdir()
    assert find_checkout(below) == root
    repo.git("rm", "--cached", "--quiet", root / "syncd.toml")
    assert find_checkout(root) == root
    repo.git("commit", "--quiet", "--message", "Not versioned")
    assert find_checkout(root) is None
    shutil.copytree(root, tmp_path / "no-git", ignore=lambda *_: [".git"])
    assert find_checkout(tmp_path / "no-git") is None
    assert find_checkout(tmp_path) is None


@pytest.mark.parametrize("mode", ["usual", "publish"])
@pytest.mark.parametrize("words", ["status", "now", "stop", "lexicon update", "editor install"])
def test_a_command_that_needs_a_mirror_says_what_a_fresh_clone_is_and_names_no_other_way(
    origin: Origin, tmp_path: Path, own_git: Path, words: str, mode: str
) -> None:
    root = origin.clone("job").top / origin.prefix
    if mode == "publish":
        settings = root / "syncd.toml"
        text = settings.read_text(encoding="utf-8").replace(
            "[mirror]", '[mirror]\nmode = "publish"'
        )
        settings.write_text(text, encoding="utf-8")
    machine = Machine(tmp_path / "home", {"GIT_CONFIG_GLOBAL": str(own_git)})
    ran = machine.run(*words.split(), at=root)
    said = "is published from git" if mode == "publish" else "but not a mirror yet"
    assert (ran.code, said in ran.err) == (78, True), ran
    assert "syncd sync" in ran.err
    assert "clone" not in ran.err
    assert not (root / ".syncd").exists()


def test_a_mirror_whose_marker_is_gone_is_not_taken_for_a_fresh_clone(origin: Origin) -> None:
    repo = origin.clone("job")
    device = origin.adopt(repo)
    device.mirror.state.close()
    assert find_checkout(device.root) is None
    (device.root / ".syncd" / "marker").unlink()
    assert find_checkout(device.root) is None
    with pytest.raises(FolderWrong):
        find_root(device.root)


async def test_the_base_makes_conflicts_mergeable(origin: Origin) -> None:
    origin.merge_pull_request("pr-1", one='{"a": 1, "b": 1}')
    await origin.run_job("job-1")
    await origin.world.write(ONE, a=1, b=2)
    origin.merge_pull_request("pr-2", one='{"a": 2, "b": 1}')
    repo = origin.clone("job-2")
    settings = repo.top / origin.prefix / "syncd.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text + '\n[conflicts]\nmerge = ["com.example.*"]\n', encoding="utf-8")
    device = origin.adopt(repo)
    report = await device.sync()
    assert report.merged == (RecordPath(ONE),)
    assert (device.read(ONE)["a"], device.read(ONE)["b"]) == (2, 2)
    device.mirror.state.close()
