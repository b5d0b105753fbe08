"""Markdown files and git: files that get another ending, and records that have two files."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.atproto.data import cid_of
from syncd.cycle.git.records import records_in
from syncd.model import RecordPath
from tests.rigs.device import World

from .conftest import Study, make_repo, with_git

BLOG = "com.whtwnd.blog.entry"
ONE = RecordPath(f"{BLOG}/one")
MARKDOWN = ((BLOG, (("content",),)),)


@pytest.fixture
def blog(world: World, tmp_path: Path) -> Study:
    device = with_git(world, tmp_path / "laptop", markdown=MARKDOWN)
    repo = make_repo(device.root)
    (repo.top / "README").write_text("about\n", encoding="utf-8")
    repo.commit_all("Begin")
    return Study(world, device, repo)


async def test_a_file_with_another_ending_went_and_came_in_one_commit(blog: Study) -> None:
    await blog.world.write(ONE, content="Hi")
    await blog.device.sync()
    assert f"{BLOG}/one.md" in blog.repo.files_of()
    await blog.world.write(ONE, content=5)
    await blog.device.sync()
    assert blog.repo.files_of() == [f"{BLOG}/one.json", f"{BLOG}/one.md"]
    assert in_tree(blog) == [f"{BLOG}/one.json"]
    assert blog.repo.status() == []
    await blog.world.delete(ONE)
    await blog.device.sync()
    assert (in_tree(blog), blog.repo.status()) == ([], [])


def in_tree(blog: Study) -> list[str]:
    """The files of the collection that git's HEAD has."""
    return sorted(blog.repo.git("ls-tree", "-r", "--name-only", "HEAD", "--", BLOG).split())


async def test_of_two_files_of_one_record_git_has_neither(blog: Study) -> None:
    await blog.world.write(ONE, content="Hi")
    await blog.device.sync()
    work, config = blog.repo.worktree(blog.device.root), blog.device.mirror.config
    record = cid_of({"$type": BLOG, "content": "Hi"})
    assert records_in(work, work.files(work.tip().commit), config, {}) == {ONE: record}
    (blog.device.root / BLOG / "one.json").write_text('{"content": "another"}')
    blog.repo.commit_all("Two files")
    assert records_in(work, work.files(work.tip().commit), config, {}) == {}
    report = await blog.device.sync()
    assert report.pushed == ()
    assert blog.world.records() == {ONE: record}


async def test_a_record_waits_while_git_has_its_other_file_unmerged(blog: Study) -> None:
    await blog.world.write(ONE, content="Hi")
    await blog.device.sync()
    page = blog.device.root / BLOG / "one.md"
    page.write_text(page.read_text().replace("Hi", "Hi, all"))
    blog.repo.git("stash", "--quiet")
    await blog.world.write(ONE, content="Hello")
    await blog.device.sync()
    blog.repo.git("stash", "pop", code=1)
    unmerged = blog.repo.git("ls-files", "--unmerged")
    page.unlink()
    page.with_suffix(".json").write_text('{"content": "in another file"}')
    before, commits = blog.world.records(), blog.repo.subjects()
    report = await blog.device.sync()
    assert "unmerged" in {item.path: item.reason for item in report.problems}[ONE]
    assert (report.pushed, blog.world.records()) == ((), before)
    assert (blog.repo.git("ls-files", "--unmerged"), blog.repo.subjects()) == (unmerged, commits)
    blog.repo.git("add", "--all")
    assert (await blog.device.sync()).pushed == (ONE,)
    assert in_tree(blog) == [f"{BLOG}/one.json"]
