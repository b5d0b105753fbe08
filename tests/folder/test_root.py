"""The folder itself: marked once, found from below, and refused when it is not the one we know."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.errors import FolderWrong
from syncd.folder.root import Folder, find_root, initialise, open_directory, read_marker
from tests.folder.conftest import MARKER, as_nobody
from tests.folder.disks import Crash, StagedDisk
from tests.folder.folding import folding
from tests.rigs.descriptors import open_below


def test_a_marked_folder_is_private_and_keeps_itself_out_of_git(folder: Folder) -> None:
    own = folder.root / ".syncd"
    assert own.stat().st_mode & 0o777 == 0o700
    assert (own / ".gitignore").read_text() == "*\n"
    assert (own / "marker").stat().st_mode & 0o777 == 0o600
    assert read_marker(folder.root) == MARKER


def test_a_folder_is_marked_only_once(folder: Folder) -> None:
    with pytest.raises(FolderWrong, match="is a mirror already"):
        initialise(folder.root, "another")
    assert read_marker(folder.root) == MARKER


def test_a_folder_whose_marking_was_interrupted_is_not_a_mirror_until_it_is_marked_again(
    tmp_path: Path,
) -> None:
    disk = StagedDisk()
    initialise(tmp_path, MARKER, disk=disk)
    for step in range(len(disk.steps)):
        root = tmp_path / str(step)
        root.mkdir()
        with pytest.raises(Crash):
            initialise(root, "first", disk=StagedDisk(crash_at=step))
        if not (root / ".syncd" / "marker").exists():
            with pytest.raises(FolderWrong):
                read_marker(root)
            initialise(root, "second")
        assert read_marker(root) in ("first", "second")
        assert (root / ".syncd" / ".gitignore").read_text() == "*\n"


def test_the_mirror_is_found_from_any_directory_inside_it(folder: Folder) -> None:
    inside = folder.root / "a" / "b"
    inside.mkdir(parents=True)
    assert find_root(inside) == find_root(folder.root) == folder.root


def test_outside_of_a_mirror_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "something.else").touch()
    with pytest.raises(FolderWrong, match="is not in a mirror") as caught:
        find_root(tmp_path)
    assert "syncd clone" in caught.value.hint


def test_a_folder_that_is_not_there_is_wrong_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FolderWrong, match="is gone") as caught:
        Folder(tmp_path / "gone").check_marker(MARKER)
    assert "mount" in caught.value.hint


def test_an_empty_mount_point_is_not_our_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(FolderWrong, match="is empty: it is not a mirror, its disk is not mounted"),
        Folder(tmp_path).open(),
    ):
        pass


@pytest.mark.parametrize("text", ["", "\n", "other\n"])
def test_a_folder_with_another_marker_is_not_our_folder(folder: Folder, text: str) -> None:
    (folder.root / ".syncd" / "marker").write_text(text)
    with pytest.raises(FolderWrong):
        folder.check_marker(MARKER)
    with pytest.raises(FolderWrong), folder.open():
        pass


def test_any_marker_will_do_where_none_is_known(folder: Folder) -> None:
    with Folder(folder.root).open():
        pass


@pytest.mark.parametrize("what", [".syncd", ".syncd/marker"])
def test_a_marker_behind_a_link_does_not_count(folder: Folder, tmp_path: Path, what: str) -> None:
    (folder.root / what).rename(tmp_path / "elsewhere")
    (folder.root / what).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderWrong):
        folder.check_marker(MARKER)


def test_a_fifo_in_place_of_the_marker_does_not_block(folder: Folder) -> None:
    marker = folder.root / ".syncd" / "marker"
    marker.unlink()
    os.mkfifo(marker)
    with pytest.raises(FolderWrong):
        folder.check_marker(MARKER)


def test_a_folder_that_may_not_be_entered_is_wrong(folder: Folder) -> None:
    with as_nobody(folder):
        folder.root.chmod(0)
        with pytest.raises(FolderWrong, match="permission denied"):
            folder.check_marker(MARKER)


def test_a_folder_that_may_not_be_written_cannot_become_a_mirror(folder: Folder) -> None:
    target = folder.root / "new"
    target.mkdir()
    with as_nobody(folder):
        target.chmod(0o555)
        with pytest.raises(FolderWrong, match="cannot be made a mirror: permission denied"):
            initialise(target, MARKER)


def test_a_file_system_that_folds_case_needs_portable_names(folder: Folder) -> None:
    with folding(folder.root):
        with pytest.raises(FolderWrong, match="upper from lower") as caught, folder.open():
            pass
        assert "move the folder" in caught.value.hint
        with Folder(folder.root, MARKER, portable=True).open():
            pass
    (folder.root / ".SYNCD").mkdir()
    with folder.open():
        pass


def test_a_root_that_is_a_link_is_followed_but_nothing_below_it(
    folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder.root)
    (folder.root / "a.b.c").symlink_to(tmp_path)
    with Folder(tmp_path / "link", MARKER).open() as root, pytest.raises(NotADirectoryError):
        open_directory(root, ("a.b.c",))


def test_a_folder_that_was_swapped_is_noticed_afterwards(folder: Folder, tmp_path: Path) -> None:
    away = tmp_path / "away"
    with folder.open() as root:
        folder.root.rename(away)
        with pytest.raises(FolderWrong, match="was replaced"):
            folder.check_still(root)
        initialise_again(folder.root)
        with pytest.raises(FolderWrong, match="was replaced"):
            folder.check_still(root)


def initialise_again(root: Path) -> None:
    root.mkdir()
    initialise(root, MARKER)


def test_no_descriptor_stays_open(folder: Folder, tmp_path: Path) -> None:
    for _ in range(3):
        folder.check_marker(MARKER)
        with pytest.raises(FolderWrong):
            Folder(tmp_path).check_marker(MARKER)
        with folder.open() as root, pytest.raises(FileNotFoundError):
            open_directory(root, ("a.b.c", "d"))
    assert open_below(folder.root) + open_below(tmp_path) == []
