"""What is measured is what is there: file systems, modes, units, inotify."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.doctor.machine import Complaint
from syncd.doctor.measure import (
    kind_of,
    measure_access,
    measure_disk,
    measure_units,
    measure_watching,
    program_of,
)
from syncd.errors import FileProblem
from syncd.folder.root import initialise
from syncd.watch import Watcher

MOUNTS = r"""
21 28 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:22 / /home/my\040disk rw shared:3 master:1 - nfs4 server:/x rw
22 21 0:21 / /home rw shared:2 - btrfs /dev/sdb rw,subvol=/home
24 21 0:23 / /homely rw - tmpfs tmpfs rw
garbage
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib/syncd", "ext4"),
        ("/home/alice", "btrfs"),
        ("/home/my disk/notes", "nfs4"),
        ("/homely/x", "tmpfs"),
        ("/home", "btrfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert kind_of(Path(path), MOUNTS) == kind


def test_without_a_table_of_mounts_the_kind_is_unknown() -> None:
    assert kind_of(Path("/x"), "") == "unknown"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "mirror"
    root.mkdir()
    initialise(root, "marker")
    return root


def test_a_disk_is_measured_and_left_as_it_was(root: Path) -> None:
    before = sorted(root.rglob("*"))
    disk = measure_disk(root)
    assert (disk.name_length, disk.folds_case, disk.unsynced) == (255, False, None)
    assert disk.free_bytes > 0
    assert sorted(root.rglob("*")) == before


def test_a_disk_that_refuses_to_sync_is_told_with_its_words(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    assert measure_disk(root).unsynced == "Input/output error"
    assert not (root / ".syncd" / "doctor.tmp").exists()


def test_modes_are_measured_for_what_is_there(root: Path, tmp_path: Path) -> None:
    secret, absent = tmp_path / "secret", tmp_path / "absent"
    secret.touch()
    secret.chmod(0o644)
    measured = measure_access(root, [secret, absent])
    found = {access.path: access for access in measured if not access.is_whole}
    assert found.keys() == {str(root), str(root / ".syncd"), str(secret)}
    assert (found[str(secret)].mode, found[str(secret)].is_secret) == (0o644, True)
    assert found[str(root / ".syncd")].mode == 0o700
    assert found[str(root)].user == os.geteuid()


async def test_the_directories_of_the_mirror_are_counted_and_watched(root: Path) -> None:
    for name in ("com.example.note", "com.example.note/long%", "com.example.note/x", "com.other.y"):
        (root / name).mkdir()
    (root / "notes").mkdir()
    found = await measure_watching(root, lambda name: name.startswith("com.example"))
    assert (found.directories, found.refused) == (3, None)


async def test_what_refuses_to_be_watched_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Watcher) -> None:
        raise FileProblem("no watches are left", hint="raise the limits")

    monkeypatch.setattr(Watcher, "start", refuse)
    found = await measure_watching(root, lambda _: True)
    assert found.refused == Complaint("no watches are left", "raise the limits")


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("/usr/bin/env syncd run /x", "syncd"),
        ("/usr/bin/env A=1 syncd run", "syncd"),
        ("-/opt/syncd/bin/syncd run %h/%i", "/opt/syncd/bin/syncd"),
        ('"/opt/with space/syncd" run', "/opt/with space/syncd"),
        ("", ""),
    ],
)
def test_what_a_unit_starts_is_seen_through_env(command: str, program: str) -> None:
    assert program_of(command) == program


def test_units_are_found_with_what_their_drop_ins_add(tmp_path: Path) -> None:
    user, system = tmp_path / "user", tmp_path / "system"
    for directory in (user, system / "syncd@.service.d"):
        directory.mkdir(parents=True)
    (user / "syncd-user@.service").write_text(
        "[Service]\nExecStart=/usr/bin/env sh run\nRestartPreventExitStatus=75 77 78\n"
    )
    (user / "other.service").write_text("[Service]\nExecStart=/bin/true\n")
    (system / "syncd@.service").write_text(
        "[Service]\nExecStart=/nowhere/syncd run\nRestartPreventExitStatus=75\n"
    )
    (system / "syncd@.service.d" / "more.conf").write_text(
        "[Service]\nRestartPreventExitStatus=77 SIGUSR1\n"
    )
    one, two = measure_units([user, tmp_path / "absent", system])
    assert (one.program, one.is_there, one.no_restart) == ("sh", True, frozenset({75, 77, 78}))
    assert (two.program, two.is_there, two.no_restart) == (
        "/nowhere/syncd",
        False,
        frozenset({75, 77}),
    )
