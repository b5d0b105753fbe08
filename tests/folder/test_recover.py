"""After a crash: the worthless goes, what somebody saved goes back or aside, nothing is lost."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from syncd.errors import FolderWrong
from syncd.folder.disk import Disk
from syncd.folder.recover import recover
from syncd.folder.replace import make_held, unfinished_name
from syncd.folder.root import Folder
from syncd.folder.scan import scan
from tests.folder.test_write import COLLECTION, NEW, OLD, THEIRS, file_of, names, on, with_file

THEIRS_TOO = b'{"v": "saved after the crash"}\n'


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def left_over(
    folder: Folder, content: bytes, *, placed: bytes | None, name: str = "x.json"
) -> Path:
    """What lies under a held name after a crash: `content`, taken out where OLD was expected."""
    held = make_held(name, expected=digest(OLD), placed=None if placed is None else digest(placed))
    file = folder.root / COLLECTION / str(held)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return file


def recovered(folder: Folder) -> list[str]:
    """Recover, and tell the paths of the problems there are."""
    leftovers = scan(folder, known={}, now_ns=0).leftovers
    assert leftovers
    return [problem.path for problem in recover(folder, leftovers)]


def test_a_file_that_was_not_finished_goes(folder: Folder) -> None:
    with_file(folder)
    (folder.root / COLLECTION / unfinished_name()).write_bytes(NEW[:3])
    assert recovered(folder) == []
    assert names(folder) == ["x.json"]


@pytest.mark.parametrize("content", [OLD, NEW])
def test_what_was_knowingly_replaced_goes(folder: Folder, content: bytes) -> None:
    with_file(folder, NEW)
    left_over(folder, content, placed=NEW)
    assert recovered(folder) == []
    assert names(folder) == ["x.json"]
    assert file_of(folder).read_bytes() == NEW


def test_what_was_to_be_removed_goes(folder: Folder) -> None:
    left_over(folder, OLD, placed=None)
    assert recovered(folder) == []
    assert names(folder) == []


def test_a_version_that_was_saved_at_that_moment_goes_back(folder: Folder) -> None:
    with_file(folder, NEW)
    left_over(folder, THEIRS, placed=NEW)
    assert recovered(folder) == []
    assert names(folder) == ["x.json"]
    assert file_of(folder).read_bytes() == THEIRS


def test_a_version_that_was_saved_before_a_removal_goes_back(folder: Folder) -> None:
    left_over(folder, THEIRS, placed=None)
    assert recovered(folder) == []
    assert file_of(folder).read_bytes() == THEIRS


@pytest.mark.parametrize("placed", [NEW, None])
def test_a_version_whose_name_was_used_since_is_set_aside(
    folder: Folder, placed: bytes | None
) -> None:
    with_file(folder, THEIRS_TOO)
    left_over(folder, THEIRS, placed=placed)
    (aside,) = recovered(folder)
    assert aside.startswith(f".syncd/recovered/{COLLECTION}/")
    assert (folder.root / aside).read_bytes() == THEIRS
    assert file_of(folder).read_bytes() == THEIRS_TOO
    assert names(folder) == ["x.json"]


def test_a_version_whose_file_was_deleted_since_is_set_aside(folder: Folder) -> None:
    left_over(folder, THEIRS, placed=NEW)
    (aside,) = recovered(folder)
    assert (folder.root / aside).read_bytes() == THEIRS
    assert names(folder) == []


def test_a_version_whose_name_is_too_long_to_be_told_is_set_aside(folder: Folder) -> None:
    left_over(folder, THEIRS, placed=NEW, name="a" * 240 + ".json")
    (aside,) = recovered(folder)
    assert (folder.root / aside).read_bytes() == THEIRS


@pytest.mark.parametrize("name", [".syncd-x-", ".syncd-x-somebody-elses", ".syncd-x-1-2-3-x.json"])
def test_a_file_that_only_looks_like_ours_is_set_aside(folder: Folder, name: str) -> None:
    (folder.root / COLLECTION).mkdir()
    (folder.root / COLLECTION / name).write_bytes(THEIRS)
    assert recovered(folder) == [f".syncd/recovered/{COLLECTION}/{name}"]


def test_what_cannot_be_recovered_is_told_and_the_rest_is_recovered(folder: Folder) -> None:
    class Refusing(Disk):
        def move(self, source: int, old: str, target: int, new: str) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    with_file(folder, THEIRS_TOO)
    stuck = left_over(folder, THEIRS, placed=NEW)
    (folder.root / COLLECTION / unfinished_name()).write_bytes(NEW)
    (problem,) = recover(on(folder, Refusing()), scan(folder, known={}, now_ns=0).leftovers)
    assert problem.path == f"{COLLECTION}/{stuck.name}"
    assert problem.hint
    assert names(folder) == sorted([stuck.name, "x.json"])


def test_leftovers_that_are_gone_are_no_problem(folder: Folder) -> None:
    assert recover(folder, [f"{COLLECTION}/.syncd-w-0", f"{COLLECTION}/.syncd-x-0"]) == ()


def test_nothing_is_recovered_in_a_folder_that_is_not_ours(folder: Folder) -> None:
    file = left_over(folder, OLD, placed=NEW)
    with pytest.raises(FolderWrong):
        recover(Folder(folder.root, "another marker"), [f"{COLLECTION}/{file.name}"])
    assert file.exists()
