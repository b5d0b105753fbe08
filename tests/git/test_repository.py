"""Where the repository is, what it is in the middle of, and what HEAD's log says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from syncd.git.commits import Tip
from syncd.git.repository import STALE_SECONDS, Switch, find_repository, is_changing, last_switch

from .conftest import Repo, make_repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = make_repo(tmp_path / "top")
    (repo.top / "file").write_text("1\n", encoding="utf-8")
    repo.commit_all("Begin")
    return repo


def test_it_is_found_from_a_directory_inside(repo: Repo) -> None:
    folder = repo.top / "a" / "b"
    folder.mkdir(parents=True)
    for directory, prefix in ((repo.top, ""), (folder, "a/b/")):
        repository = find_repository(directory)
        assert repository is not None
        assert (repository.top, repository.git_directory, repository.prefix) == (
            repo.top,
            repo.top / ".git",
            prefix,
        )


def test_no_repository_and_no_readable_one_is_none(tmp_path: Path) -> None:
    assert find_repository(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert find_repository(tmp_path) is None
    (tmp_path / ".git").rmdir()
    for text in ("", "gitdir: nowhere\n", "something else\n", "\0"):
        (tmp_path / ".git").write_text(text, encoding="utf-8")
        assert find_repository(tmp_path) is None
    assert not is_changing(tmp_path)


def test_a_head_that_names_a_commit_is_detached(repo: Repo, tmp_path: Path) -> None:
    repository = find_repository(repo.top)
    assert repository is not None
    assert not repository.is_detached()
    repo.git("checkout", "--quiet", "--detach")
    assert repository.is_detached()
    (repository.git_directory / "HEAD").unlink()
    assert not repository.is_detached()


def test_a_linked_worktree_has_its_own_directory(repo: Repo, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", tmp_path / "linked")
    linked = find_repository(tmp_path / "linked")
    assert linked is not None
    assert linked.git_directory == repo.top / ".git" / "worktrees" / "linked"
    (linked.git_directory / "index.lock").touch()
    assert linked.is_changing()
    assert not is_changing(repo.top)


def test_a_submodule_has_its_own_directory(repo: Repo, tmp_path: Path) -> None:
    outer = make_repo(tmp_path / "outer")
    add = ("submodule", "--quiet", "add", repo.top.as_uri(), "inner")
    outer.git("-c", "protocol.file.allow=always", *add)
    inner = find_repository(outer.top / "inner")
    assert inner is not None
    assert (inner.top, inner.prefix) == (outer.top / "inner", "")
    assert inner.git_directory == outer.top / ".git" / "modules" / "inner"


def test_every_operation_that_waits_for_a_person_is_seen(repo: Repo) -> None:
    repository = find_repository(repo.top)
    assert repository is not None
    for branch, text in (("side", "2\n"), ("main", "3\n")):
        repo.git("switch", "--quiet", *(("--create",) if branch == "side" else ()), branch)
        (repo.top / "file").write_text(text, encoding="utf-8")
        repo.commit_all(branch)
    for words in (("merge", "side"), ("rebase", "side"), ("cherry-pick", "side")):
        assert repository.operation() is None
        repo.git(*words, code=1)
        assert repository.operation() == f"a {words[0]}"
        assert repository.is_changing()
        repo.git(words[0], "--abort")
    repo.git("bisect", "start", "HEAD", "HEAD~1")
    assert repository.operation() == "a bisect"
    assert repository.is_changing()


def test_a_series_of_picks_goes_on_after_one_of_them_was_committed_by_hand(repo: Repo) -> None:
    repository = find_repository(repo.top)
    assert repository is not None
    for branch, text in (("side", "2\n"), ("main", "3\n")):
        repo.git("switch", "--quiet", *(("--create",) if branch == "side" else ()), branch)
        (repo.top / "file").write_text(text, encoding="utf-8")
        repo.commit_all(branch)
    repo.git("switch", "--quiet", "side")
    (repo.top / "other").touch()
    repo.commit_all("Another")
    repo.git("switch", "--quiet", "main")
    repo.git("cherry-pick", "main..side", code=1)
    (repo.top / "file").write_text("decided\n", encoding="utf-8")
    repo.commit_all("Decided")
    assert not (repository.git_directory / "CHERRY_PICK_HEAD").exists()
    assert repository.operation() == "a series of picks"
    repo.git("cherry-pick", "--continue")
    assert repository.operation() is None


def test_a_lock_counts_until_it_is_very_old(repo: Repo) -> None:
    lock = repo.top / ".git" / "index.lock"
    lock.touch()
    assert is_changing(repo.top)
    os.utime(lock, (time.time() - STALE_SECONDS - 1,) * 2)
    assert not is_changing(repo.top)


def test_the_last_switch_is_known_until_something_else_moves_head(repo: Repo) -> None:
    repository = find_repository(repo.top)
    assert repository is not None
    assert last_switch(repository) is None
    repo.git("switch", "--quiet", "--create", "feature/one")
    found = last_switch(repository)
    assert found is not None
    assert str(found) == "git switched from branch main to branch feature/one"
    assert abs(found.at - time.time()) < 60
    repo.git("checkout", "--quiet", "--detach", "main~0")
    repo.git("switch", "--quiet", "main")
    assert str(last_switch(repository)).startswith("git switched from commit ")
    repo.git("commit", "--quiet", "--allow-empty", "--message", "Move on")
    assert last_switch(repository) is None


def test_a_log_that_is_absent_or_strange_names_no_switch(repo: Repo) -> None:
    repository = find_repository(repo.top)
    assert repository is not None
    log = repo.top / ".git" / "logs" / "HEAD"
    for text in (b"", b"\xff\xfe", b"a b <c> 5 +0000\tcheckout: moving from x", b"\n\n"):
        log.write_bytes(text)
        assert last_switch(repository) is None
    log.unlink()
    assert last_switch(repository) is None
    assert str(Switch("a", "b" * 40, 1)) == "git switched from branch a to commit bbbbbbbbbb"


def test_what_is_checked_out_is_one_commit_and_its_branch(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "new")
    (repo.top / "file").write_text("1\n", encoding="utf-8")
    work = repo.worktree()
    repo.git("symbolic-ref", "HEAD", "refs/heads/deep/branch")
    assert work.tip() == Tip(None, "deep/branch")
    commit = repo.commit_all("Begin")
    repo.git("tag", "deep/branch")
    assert work.tip() == Tip(commit, "deep/branch")
    repo.git("update-ref", "refs/heads/HEAD", commit)
    assert work.tip() == Tip(commit, "deep/branch")
    repo.git("checkout", "--quiet", "--detach")
    assert work.tip() == Tip(commit, None)
    repo.git("update-ref", "-d", "refs/heads/HEAD")
    assert work.tip() == Tip(commit, None)
    repo.git("symbolic-ref", "HEAD", "refs/elsewhere/branch")
    repo.git("update-ref", "refs/elsewhere/branch", commit)
    assert work.tip() == Tip(commit, "refs/elsewhere/branch")
