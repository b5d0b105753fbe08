"""What a commit says of the repo, after hooks, squashes and rebases had their way with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.config import Config, render_config
from syncd.git.versions import last_published
from tests.rigs.device import World

from .conftest import Study, make_repo, make_study
from .test_checkout import Origin

ONE, TWO = "com.example.note/one", "com.example.note/two"
APPEND = 'printf "\\nReviewed by a hook.\\n\\nTicket: 7\\n" >>"$1"'
STRIP = 'grep -v "^Atproto-" "$1" >"$1.new"; mv "$1.new" "$1"'
UNLIST = 'grep -v "^Atproto-Unpublished" "$1" >"$1.new"; mv "$1.new" "$1"'


@pytest.fixture
def study(world: World, tmp_path: Path) -> Study:
    return make_study(world, tmp_path / "git", "")


@pytest.fixture
def origin(world: World, tmp_path: Path) -> Origin:
    bare = make_repo(tmp_path / "origin")
    bare.git("config", "core.bare", "true")
    origin = Origin(world, bare, "", tmp_path)
    first = origin.clone("first")
    config = Config(world.login.did, git_commit=True, git_push="origin")
    (first.top / "syncd.toml").write_text(render_config(config), encoding="utf-8")
    first.commit_all("Settings")
    first.git("push", "--quiet", "origin", "main")
    return origin


def hooks(origin: Origin, config: Path, **scripts: str) -> None:
    """Hooks of every clone, as `core.hooksPath` in the configuration of the person sets them."""
    directory = origin.tmp_path / "hooks"
    directory.mkdir()
    for name, script in scripts.items():
        file = directory / name.replace("_", "-")
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
    origin.bare.git("config", "--file", config, "core.hooksPath", directory)


def rev_in_git(study: Study) -> str | None:
    anchor = last_published(study.repo.worktree(study.device.root), study.world.login.did)
    return None if anchor is None else anchor.published.rev


@pytest.mark.parametrize("hook", ["commit_msg", "prepare_commit_msg"])
async def test_a_deletion_in_git_stays_where_a_hook_appends_paragraphs(
    origin: Origin, own_git: Path, hook: str
) -> None:
    hooks(origin, own_git, **{hook: APPEND})
    origin.merge_pull_request("pr-1", one='{"n": 1}', two='{"n": 2}')
    await origin.run_job("job-1")
    assert "Reviewed by a hook." in origin.bare.git("log", "-1", "--format=%B", "main")
    origin.merge_pull_request("pr-2", one=None)
    _, repo = await origin.run_job("job-2")
    assert set(origin.world.records()) == {TWO}
    assert not (repo.top / f"{ONE}.json").exists()


async def test_a_message_that_cannot_be_read_back_is_a_problem_before_anything_depends_on_it(
    study: Study, tmp_path: Path
) -> None:
    device, repo = study.device, study.repo
    await study.world.write(ONE, n=1)
    await device.sync()
    remote = make_repo(tmp_path / "remote")
    remote.git("config", "core.bare", "true")
    repo.git("remote", "add", "origin", remote.top)
    tip, index = repo.git("rev-parse", "HEAD"), repo.git("ls-files", "--stage")
    repo.hook("commit-msg", STRIP)
    device.save(TWO, n=2)
    for _ in range(2):
        report = await device.sync()
        assert [p.path for p in report.problems] == [".git"]
        assert "Atproto-" in report.problems[0].reason
        assert (repo.git("rev-parse", "HEAD"), repo.git("ls-files", "--stage")) == (tip, index)
    assert TWO in study.world.records()
    repo.hook("commit-msg", "exit 0")
    assert (await device.sync()).is_settled
    assert repo.subjects()[0] == f"Pushed {TWO}"
    assert rev_in_git(study) == study.world.rev()


async def test_the_first_commit_of_a_repository_is_taken_back_too(
    world: World, tmp_path: Path
) -> None:
    study = make_study(world, tmp_path / "git", "")
    study.repo.git("update-ref", "-d", "HEAD")
    study.repo.hook("commit-msg", STRIP)
    await world.write(ONE, n=1)
    report = await study.device.sync()
    assert [p.path for p in report.problems] == [".git"]
    study.repo.git("rev-parse", "--verify", "--quiet", "HEAD", code=1)
    study.repo.hook("commit-msg", "exit 0")
    assert (await study.device.sync()).is_settled
    assert study.repo.files_of() == [f"{ONE}.json"]


async def test_a_list_of_what_is_not_published_that_a_hook_cut_short_is_a_problem(
    study: Study,
) -> None:
    """Else a job would take a record for published, and for deleted by others."""
    await study.device.sync()
    study.device.save_text(TWO, '{"n": 2}')
    study.repo.commit_all("Mine")
    study.device.delete(TWO)
    study.repo.hook("commit-msg", UNLIST)
    await study.world.write(ONE, n=1)
    report = await study.device.sync()
    assert [p.path for p in report.problems] == [".git"]


FORMAT = """for f in $(git diff --cached --name-only --diff-filter=AM -- "*.json"); do
sed -i -e 's/^  /       /' "$f"
git add "$f"; done"""
INDEX = "ls com.example.note >list; git add list"
ALWAYS = "date +%N >list; git add list"


@pytest.mark.parametrize("script", [FORMAT, INDEX], ids=["a formatter", "a list of files"])
async def test_what_a_hook_adds_to_a_commit_is_said_anew(study: Study, script: str) -> None:
    study.repo.hook("pre-commit", script)
    await study.world.write(ONE, n=1)
    report = await study.device.sync()
    assert report.is_settled, report
    assert rev_in_git(study) == study.world.rev()
    study.device.save(TWO, n=2)
    assert (await study.device.sync()).is_settled
    assert rev_in_git(study) == study.world.rev()
    assert study.repo.status() == []


async def test_a_hook_that_changes_every_commit_is_a_problem_and_makes_no_commit_each_time(
    study: Study,
) -> None:
    study.repo.hook("pre-commit", ALWAYS)
    await study.world.write(ONE, n=1)
    for _ in range(3):
        report = await study.device.sync()
        assert [p.path for p in report.problems] == [".git"]
        assert len(study.repo.subjects()) == 2


async def test_a_squash_and_a_rebase_keep_what_was_said_of_their_last_tree(study: Study) -> None:
    git, device = study.repo.git, study.device
    base = git("rev-parse", "HEAD")
    for path in (ONE, TWO):
        await study.world.write(path, n=1)
        await device.sync()
    git("branch", "done")
    git("reset", "--quiet", "--hard", base)
    git("merge", "--squash", "--quiet", "done")
    git("commit", "--quiet", "--no-edit")
    assert "    Atproto-Repo: " in git("log", "-1", "--format=%B")
    assert rev_in_git(study) == study.world.rev()
    git("reset", "--quiet", "--hard", "done")
    editor = "sed -i -e '2s/^pick/squash/'"
    git("-c", f"sequence.editor={editor}", "-c", "core.editor=true", "rebase", "-i", base)
    assert len(study.repo.subjects()) == 2
    assert rev_in_git(study) == study.world.rev()
    git("commit", "--quiet", "--amend", "--message", "Words of mine")
    assert rev_in_git(study) is None


async def test_another_encoding_of_messages_hides_nothing(study: Study) -> None:
    study.repo.git("config", "i18n.commitEncoding", "UTF-16")
    study.repo.git("config", "commit.cleanup", "scissors")
    study.repo.git("config", "i18n.logOutputEncoding", "ISO-8859-1")
    await study.world.write(ONE, n=1)
    assert (await study.device.sync()).is_settled
    assert rev_in_git(study) == study.world.rev()
