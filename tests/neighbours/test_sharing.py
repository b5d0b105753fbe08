"""Which file-sync programs share a folder, by their marks, and what is said of them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from syncd.neighbours.sharing import find_sharing

MARKS = [
    ("Syncthing", ".stfolder/"),
    ("Syncthing", ".stignore"),
    ("Syncthing", ".stversions/"),
    ("Dropbox", ".dropbox.cache/"),
    ("Nextcloud", ".sync_0123456789ab.db"),
    ("Nextcloud", "._sync_0123456789ab.db"),
    ("Nextcloud", ".nextcloudsync.log"),
    ("Nextcloud", ".owncloudsync.log"),
    ("Google Drive", ".tmp.drivedownload/"),
    ("Resilio Sync", ".sync/IgnoreList"),
    ("MEGA", ".megaignore"),
    ("Seafile", "seafile-ignore.txt"),
]
NAMES = [
    ("Dropbox", "Dropbox"),
    ("Dropbox", "Dropbox (Personal)"),
    ("OneDrive", "OneDrive"),
    ("OneDrive", "OneDrive - Example"),
    ("iCloud Drive", "Mobile Documents"),
    ("Google Drive", "Google Drive"),
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a client's own settings, which share nothing."""
    home = tmp_path / "home"
    for name in (".dropbox", ".config/Nextcloud", ".sync"):
        (home / name).mkdir(parents=True)
    return home


def mirror(place: Path) -> Path:
    root = place / "deep" / "notes"
    (root / ".syncd").mkdir(parents=True)
    return root


def mark(place: Path, name: str) -> None:
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
        path.mkdir()
    else:
        path.touch()


def found(root: Path) -> list[tuple[str, Path, bool]]:
    return [(one.program, one.at, one.is_kept_out) for one in find_sharing(root)]


def test_a_folder_that_nothing_shares_is_found_free(home: Path) -> None:
    assert found(mirror(home)) == []


@pytest.mark.parametrize(("program", "name"), MARKS)
@pytest.mark.parametrize("where", ["", "deep", "deep/notes"])
def test_a_mark_in_the_folder_or_above_it_names_its_program(
    home: Path, program: str, name: str, where: str
) -> None:
    root = mirror(home)
    mark(home / where, name)
    assert found(root) == [(program, home / where, False)]


@pytest.mark.parametrize(("program", "name"), NAMES)
def test_the_directory_of_a_program_names_it(home: Path, program: str, name: str) -> None:
    assert found(mirror(home / name)) == [(program, home / name, False)]


@pytest.mark.parametrize(
    ("mark_name", "lines", "is_kept_out"),
    [
        (".stignore", "/deep/notes/.syncd\n", True),
        (".stignore", "(?d).syncd\n", True),
        (".stignore", "// nothing\n*.tmp\n", False),
        (".stignore", "#include .syncd\n", False),
        (".stignore", "!.syncd\n", False),
        (".stignore", "my.syncd.old\n", False),
        (".megaignore", "-:.syncd\n", True),
        (".sync/IgnoreList", ".syncd\n", True),
    ],
)
def test_a_program_that_is_told_to_leave_the_state_out_is_no_trouble(
    home: Path, mark_name: str, lines: str, is_kept_out: bool
) -> None:
    root = mirror(home)
    mark(home, mark_name)
    (home / mark_name).write_text(lines)
    assert [kept for _, _, kept in found(root)] == [is_kept_out]


def test_each_advice_names_the_directory_and_another_way(home: Path) -> None:
    root = mirror(home / "Dropbox")
    mark(home, ".stfolder/")
    said = {one.program: one.hint for one in find_sharing(root)}
    assert f"/Dropbox/deep/notes/.syncd to {home}/.stignore" in said["Syncthing"]
    assert f"attr -s com.dropbox.ignored -V 1 {root / '.syncd'}" in said["Dropbox"]
    assert all("syncd clone" in hint for hint in said.values())


def test_what_dropbox_is_told_to_ignore_is_no_trouble(home: Path) -> None:
    root = mirror(home / "Dropbox")
    with suppress(OSError):
        os.setxattr(root / ".syncd", "user.com.dropbox.ignored", b"1")
        assert found(root) == [("Dropbox", home / "Dropbox", True)]
        os.setxattr(root / ".syncd", "user.com.dropbox.ignored", b"0")
    assert found(root) == [("Dropbox", home / "Dropbox", False)]
