"""What a second process lists, from before this one looks, is what this one would list itself."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.folder import share, stamps
from syncd.folder.listing import fingerprints_of, list_collections
from syncd.folder.root import Folder, initialise

NOTE, POST = "com.example.note", "com.example.post"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """A folder that counts as large, with two collections and something beside them."""
    monkeypatch.setattr(share, "SHARE_BYTES", 0)
    initialise(tmp_path, "a" * 32)
    for name in (NOTE, POST, "pictures"):
        (tmp_path / name).mkdir()
        for number in range(20):
            (tmp_path / name / f"{number}.json").write_text("{}")
    (tmp_path / "www.example.com").write_text("no directory")
    (tmp_path / "com.example.link").symlink_to(NOTE)
    yield Folder(tmp_path)
    share.end()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The directories that this process lists itself."""
    here: list[int] = []
    alone = stamps.fingerprint_of

    def fingerprint_of(directory: int) -> bytes:
        here.append(directory)
        return alone(directory)

    monkeypatch.setattr(stamps, "fingerprint_of", fingerprint_of)
    return here


@pytest.mark.parametrize("processes", [1, 2])
def test_what_was_begun_is_taken_once(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    right = fingerprints_of(folder, [NOTE, POST])
    assert all(right.values())
    here = counted(monkeypatch)
    share.begin(folder.root, processes)
    assert [len(each) for each in share._begun.values()] == [processes]
    assert (fingerprints_of(folder, [NOTE, POST]), here) == (right, [])
    (folder.root / NOTE / "new.json").write_text("{}")
    later = fingerprints_of(folder, [NOTE, POST])
    assert later[POST] == right[POST]
    assert later[NOTE] != right[NOTE]
    assert here


def test_a_directory_that_took_the_place_of_another_is_listed_anew(folder: Folder) -> None:
    share.begin(folder.root)
    (folder.root / NOTE).rename(folder.root / "old")
    (folder.root / NOTE).mkdir()
    found = fingerprints_of(folder, [NOTE, POST])
    assert found == fingerprints_of(folder, [NOTE, POST])


def test_another_folder_takes_nothing_of_it(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    initialise(other, "b" * 32)
    (other / NOTE).mkdir()
    share.begin(folder.root)
    assert fingerprints_of(Folder(other), [NOTE])[NOTE]
    assert share._begun


@pytest.mark.parametrize("size", [10_000_000, None])
def test_a_small_folder_and_one_that_is_away_need_no_process(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, size: int | None
) -> None:
    monkeypatch.setattr(share, "SHARE_BYTES", size or 0)
    share.begin(folder.root if size else folder.root / "away")
    assert share._begun == {}


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere"])
def test_without_a_process_this_one_lists_them(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    right = fingerprints_of(folder, [NOTE, POST])
    monkeypatch.setattr(sys, "executable", program)
    share.begin(folder.root)
    # Nor is there one that does half of it.
    monkeypatch.setattr(share, "SHARE_BYTES", 10_000_000)
    assert fingerprints_of(folder, [NOTE, POST]) == right


def test_nothing_is_taken_of_a_process_that_was_stopped(folder: Folder) -> None:
    right = fingerprints_of(folder, [NOTE, POST])
    share.begin(folder.root, processes=2)
    ((first, _),) = share._begun.values()
    time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    assert fingerprints_of(folder, [NOTE, POST]) == right


def test_what_nobody_takes_is_ended(folder: Folder) -> None:
    share.begin(folder.root, processes=2)
    (processes,) = share._begun.values()
    assert len(processes) == 2
    share.end()
    assert all(process.returncode is not None for process in processes)
    assert share._begun == {}


def test_no_descriptor_stays_open(folder: Folder) -> None:
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    share.begin(folder.root)
    fingerprints_of(folder, [NOTE, POST])
    assert len(list(descriptors.iterdir())) == before


def test_the_program_prints_what_it_is_asked_for(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    root = os.open(folder.root, os.O_RDONLY | os.O_DIRECTORY)
    note = os.open(folder.root / NOTE, os.O_RDONLY | os.O_DIRECTORY)
    try:
        stamps.main([stamps.BELOW, str(root), *os.listdir(root)])  # noqa: PTH208
        below = capsys.readouterr().out.splitlines()
        stamps.main([str(note)])
        (alone,) = capsys.readouterr().out.splitlines()
        inode = os.fstat(note).st_ino
    finally:
        os.close(root)
        os.close(note)
    # Neither the files nor the link.
    assert len(below) == 4
    assert alone in {line.split()[2] for line in below if line.split()[1] == str(inode)}


def test_a_look_is_as_old_as_what_was_begun_for_it(folder: Folder) -> None:
    """A file that moves after it was listed must not look as if the look had seen it move."""
    before = time.time_ns()
    share.begin(folder.root)
    fingerprints_of(folder, [NOTE, POST])
    later = before + 60_000_000_000
    assert before <= share.since_ns(later) < later
    assert share.since_ns(before - 1) == before - 1
    share.end()
    assert share.since_ns(later) == later


def test_a_number_of_64_bits_and_a_time_far_away_are_listed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems number files by a hash, and a time may lie after 2262."""
    file = folder.root / NOTE / "1.json"
    os.utime(file, ns=(0, 14 * 10**18))
    raw = stamps._FIELDS

    def numbered(now: os.stat_result) -> tuple[int, ...]:
        inode, *more = raw(now)
        return inode | 2**63, *more

    monkeypatch.setattr(stamps, "_FIELDS", numbered)
    found = dict(list_collections(folder, lambda name: name == NOTE, time.time_ns()))[NOTE]
    inodes = dict(zip(found.names, (inode for inode, *_ in found.stamps()), strict=True))
    assert inodes["1.json"] == file.stat().st_ino | 2**63
    assert len(found.modes) == len(found.names) == 20
