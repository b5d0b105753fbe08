"""Folders and files that belong to another user than the one that syncd runs as."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.doctor.machine import judge_access
from syncd.doctor.measure import measure_access
from syncd.errors import GitFailed
from syncd.git.program import Git
from syncd.mirror.notices import Notice
from syncd.mirror.online import _warn_root

SOMEBODY = 12345
NOTES = "com.example.note"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    (folder / NOTES).mkdir(parents=True)
    (folder / NOTES / "one.json").write_text("{}", encoding="utf-8")
    return folder


@needs_root
@pytest.mark.parametrize("place", ["folder", "."])
def test_root_in_the_folder_of_another_user_is_warned(folder: Path, place: str) -> None:
    """Also where the folder is new: a clone by root below the home of another user."""
    heard: list[Notice] = []
    _warn_root(folder, heard.append)
    assert heard == []
    os.chown(folder.parent / place, SOMEBODY, SOMEBODY)
    _warn_root(folder, heard.append)
    assert [str(SOMEBODY) in notice.message for notice in heard] == [True]


@needs_root
@pytest.mark.parametrize(
    "theirs", [NOTES, f"{NOTES}/one.json", ".syncd/history.db", ".syncd/conflicts/x", "blobs/x.png"]
)
def test_a_directory_with_files_of_root_is_a_finding_with_the_command_that_gives_them_back(
    folder: Path, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".syncd/history.db", ".syncd/conflicts/x", "blobs/x.png"):
        (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / name).touch(mode=0o600)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)

    def names() -> list[str]:
        found = measure_access(folder, (), lambda name: name == NOTES)
        return [finding.name for finding in judge_access(found)]

    assert names() == ["permissions.ok"]
    os.chown(folder / theirs, 0, 0)
    assert names() == ["permissions.collection"]
    (finding,) = judge_access(measure_access(folder, (), lambda name: name == NOTES))
    top = folder / theirs.partition("/")[0]
    assert finding.fix == f"sudo chown -R {SOMEBODY} {top}"


@needs_root
def test_dubious_ownership_is_told_with_the_cure_of_git(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    Git(folder).run("init", "--quiet")
    for path in (folder, folder / ".git"):
        os.chown(path, SOMEBODY, SOMEBODY)
    with pytest.raises(GitFailed, match="dubious ownership") as refused:
        Git(folder).run("status")
    assert refused.value.hint == f"git config --global --add safe.directory {folder}"
