"""Somebody saves at the very moment syncd writes: whatever they saved is there in the end."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import BadSyntax, FileChanged, FileProblem
from syncd.folder.disk import Disk
from syncd.folder.names import COMPONENT_BYTES
from syncd.folder.recover import recover
from syncd.folder.replace import ExchangeName, is_leftover, make_held
from syncd.folder.root import Folder
from syncd.folder.scan import scan
from syncd.folder.write import remove, write
from syncd.model import Seen
from tests.folder.disks import Crash, StagedDisk
from tests.folder.test_write import CID, NEW, OLD, THEIRS, X, file_of, on, with_file

THEIRS_TOO = b'{"v": "theirs, saved a second time"}\n'
Act = Callable[[Folder, Seen], object]
Save = Callable[[Path, bytes], None]


def replacing(folder: Folder, seen: Seen) -> None:
    write(folder, X, NEW, expect=seen, cid=CID)


def removing(folder: Folder, seen: Seen) -> None:
    remove(folder, X, expect=seen)


def creating(folder: Folder, seen: Seen) -> None:
    file_of(folder).unlink()
    write(folder, X, NEW, expect=None, cid=CID)


def by_rename(file: Path, content: bytes) -> None:
    temp = file.with_name(".save")
    temp.write_bytes(content)
    temp.rename(file)


def by_backup(file: Path, content: bytes) -> None:
    """As vim does with backupcopy=no: the old file moves away, a new one is made."""
    with suppress(FileNotFoundError):
        file.rename(file.with_name("x.json~"))
    file.write_bytes(content)


def in_place(file: Path, content: bytes) -> None:
    file.write_bytes(content)


ACTS = pytest.mark.parametrize("act", [creating, replacing, removing])
SAVES = pytest.mark.parametrize("save", [by_rename, by_backup, in_place])


def moments(folder: Folder, act: Act) -> range:
    """Every moment of `act` in which somebody may save: before and after each of its steps."""
    disk = StagedDisk()
    act(on(folder, disk), with_file(folder))
    return range(2 * len(disk.steps))


def attempt(folder: Folder, act: Act, disk: Disk, seen: Seen) -> str:
    try:
        act(on(folder, disk), seen)
    except (FileChanged, FileProblem) as error:
        return type(error).__name__
    except Crash:
        return "Crash"
    return "done"


def kept(folder: Folder) -> list[bytes]:
    """What lies under the record's name, and what was set aside."""
    aside = sorted((folder.root / ".syncd" / "recovered").rglob("*"))
    files = [file for file in (file_of(folder), *aside) if file.is_file()]
    return [file.read_bytes() for file in files]


def recovered(folder: Folder) -> None:
    recover(folder, scan(folder, known={}, now_ns=0).leftovers)
    assert not scan(folder, known={}, now_ns=0).leftovers


def cleared(folder: Folder) -> Seen:
    for file in (folder.root / ".syncd" / "recovered").rglob("*.json"):
        file.unlink()
    for file in file_of(folder).parent.glob("*"):
        file.unlink()
    return with_file(folder)


@ACTS
@SAVES
def test_what_is_saved_at_any_moment_is_in_the_file_afterwards(
    folder: Folder, act: Act, save: Save
) -> None:
    for moment in moments(folder, act):
        seen = cleared(folder)
        disk = StagedDisk(moments={moment: partial(save, file_of(folder), THEIRS)})
        outcome = attempt(folder, act, disk, seen)
        assert file_of(folder).read_bytes() == THEIRS, (moment, outcome, disk.steps)
        assert not scan(folder, known={}, now_ns=0).leftovers


@ACTS
@SAVES
def test_what_is_saved_at_any_two_moments_is_in_the_file_afterwards(
    folder: Folder, act: Act, save: Save
) -> None:
    all_moments = moments(folder, act)
    for first in all_moments:
        for second in range(first + 1, len(all_moments) + 4):
            seen = cleared(folder)
            saves = {
                first: partial(save, file_of(folder), THEIRS),
                second: partial(save, file_of(folder), THEIRS_TOO),
            }
            disk = StagedDisk(moments=saves)
            attempt(folder, act, disk, seen)
            expected = THEIRS_TOO if second in disk.passed else THEIRS
            assert file_of(folder).read_bytes() == expected, (first, second, disk.steps)
            recovered(folder)
            assert file_of(folder).read_bytes() == expected


@ACTS
@SAVES
def test_what_is_saved_before_a_crash_is_in_the_file_or_set_aside_after_recovery(
    folder: Folder, act: Act, save: Save
) -> None:
    all_moments = moments(folder, act)
    for moment in all_moments:
        for crash_at in range(moment // 2, len(all_moments) // 2 + 3):
            seen = cleared(folder)
            disk = StagedDisk(
                crash_at=crash_at, moments={moment: partial(save, file_of(folder), THEIRS)}
            )
            attempt(folder, act, disk, seen)
            recovered(folder)
            if moment in disk.passed:
                assert THEIRS in kept(folder), (moment, crash_at, disk.steps)


@ACTS
def test_a_program_that_had_the_file_open_and_writes_later_loses_nothing(
    folder: Folder, act: Act
) -> None:
    for moment in moments(folder, act):
        seen = cleared(folder)
        editors: list[int] = []
        disk = StagedDisk(moments={moment: partial(open_if_there, file_of(folder), editors)})
        attempt(folder, act, disk, seen)
        for editor in editors:
            os.write(editor, THEIRS)
            os.ftruncate(editor, len(THEIRS))
            os.close(editor)
            assert file_of(folder).read_bytes() == THEIRS, (moment, disk.steps)


def open_if_there(file: Path, editors: list[int]) -> None:
    if file.exists():
        editors.append(os.open(file, os.O_WRONLY))


@pytest.mark.parametrize("act", [replacing, removing])
def test_a_removal_by_somebody_else_at_any_moment_is_not_undone(folder: Folder, act: Act) -> None:
    for moment in moments(folder, act):
        seen = cleared(folder)
        disk = StagedDisk(moments={moment: partial(file_of(folder).unlink, missing_ok=True)})
        attempt(folder, act, disk, seen)
        assert not file_of(folder).exists(), (moment, disk.steps)


def test_what_is_saved_and_then_removed_during_a_write_is_never_lost_to_the_write(
    folder: Folder,
) -> None:
    """A removal that meets our file, not theirs, was not meant for theirs."""
    for save_at in moments(folder, replacing):
        for remove_at in range(save_at + 1, len(moments(folder, replacing)) + 2):
            seen = cleared(folder)
            file = file_of(folder)
            disk = StagedDisk(
                moments={
                    save_at: partial(by_rename, file, THEIRS),
                    remove_at: partial(file.unlink, missing_ok=True),
                }
            )
            attempt(folder, replacing, disk, seen)
            assert kept(folder) in ([], [THEIRS]), (save_at, remove_at, disk.steps)
            assert kept(folder) or remove_at in disk.passed
            assert not scan(folder, known={}, now_ns=0).leftovers


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_something_else_in_place_of_the_file_at_any_moment_stays(folder: Folder, kind: str) -> None:
    for moment in moments(folder, replacing):
        file = file_of(folder)
        seen = cleared(folder)

        disk = StagedDisk(moments={moment: partial(swap, file, kind)})
        attempt(folder, replacing, disk, seen)
        assert file.is_dir() if kind == "directory" else file.is_symlink()
        assert not scan(folder, known={}, now_ns=0).leftovers
        file.rmdir() if kind == "directory" else file.unlink()


def swap(file: Path, kind: str) -> None:
    file.unlink()
    if kind == "directory":
        file.mkdir()
    else:
        file.symlink_to("elsewhere")


# --- Where the file system lacks a call. ----------------------------------------------------------


class PlainDisk(StagedDisk):
    """A file system without renameat2's flags, and maybe without hard links."""

    has_links = True

    def exchange(self, directory: int, one: str, other: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def rename_new(self, directory: int, old: str, new: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def link(self, directory: int, old: str, new: str) -> None:
        if not self.has_links:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        super().link(directory, old, new)


class BareDisk(PlainDisk):
    has_links = False


@pytest.mark.parametrize("disk", [PlainDisk(), BareDisk()])
def test_a_file_system_without_exchange_still_replaces_only_what_was_expected(
    folder: Folder, disk: Disk
) -> None:
    plain = on(folder, disk)
    seen = write(plain, X, OLD, expect=None, cid=CID)
    with pytest.raises(FileChanged):
        write(plain, X, NEW, expect=None, cid=CID)
    assert write(plain, X, NEW, expect=seen, cid=CID)
    with pytest.raises(FileChanged):
        write(plain, X, OLD, expect=seen, cid=CID)
    assert file_of(folder).read_bytes() == NEW
    with pytest.raises(FileChanged):
        remove(plain, X, expect=seen)
    remove(plain, X, expect=scan(folder, known={}, now_ns=0).seen[X])
    assert list(file_of(folder).parent.iterdir()) == []


@pytest.mark.parametrize("kind", [PlainDisk, BareDisk])
def test_a_crash_on_a_file_system_without_exchange_leaves_whole_files(
    folder: Folder, kind: type[PlainDisk]
) -> None:
    for act, crash_at in product((creating, replacing, removing), range(8)):
        seen = cleared(folder)
        attempt(folder, act, kind(crash_at=crash_at), seen)
        recovered(folder)
        assert kept(folder) in ([], [OLD], [NEW])


# --- Names. ---------------------------------------------------------------------------------------

DIGESTS = st.binary(min_size=32, max_size=32)


@given(name=st.text("ab-.%", min_size=1, max_size=250), old=DIGESTS, new=st.none() | DIGESTS)
def test_the_name_of_a_held_file_tells_what_recovery_needs(
    name: str, old: bytes, new: bytes | None
) -> None:
    held = make_held(name, expected=old, placed=new)
    text = str(held)
    assert len(text) <= COMPONENT_BYTES
    assert ExchangeName.parse(text) == held
    assert held.name in (name, "")
    assert held.name == name or len(name) > 150
    assert held.is_removal == (new is None)
    assert is_leftover(text)


@pytest.mark.parametrize("text", ["", ".syncd-x-", ".syncd-x-0-0-0-x", "x.json", ".syncd-w-0"])
def test_another_name_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(BadSyntax):
        ExchangeName.parse(text)


# --- Threads. -------------------------------------------------------------------------------------


def edit(start: threading.Barrier, delay: float, save: Save, file: Path, content: bytes) -> None:
    start.wait()
    time.sleep(delay)
    save(file, content)


@pytest.mark.parametrize("act", [replacing, removing])
def test_an_editor_that_saves_while_syncd_works_always_has_the_last_word(
    folder: Folder, act: Act
) -> None:
    """In each round the editor saves after syncd looked: whoever is first, the save must stay.

    The delay of the save follows the outcome, so that the two meet again and again.
    """
    random, delay = Random(1), 0.001
    for number in range(300):
        seen = with_file(folder)
        content = b'{"v": "save %d"}\n' % number
        save = random.choice([by_rename, by_backup, in_place])
        start = threading.Barrier(2)
        editor = threading.Thread(
            target=edit, args=(start, delay * random.random(), save, file_of(folder), content)
        )
        editor.start()
        start.wait()
        outcome = attempt(folder, act, Disk(), seen)
        editor.join()
        assert file_of(folder).read_bytes() == content
        assert not scan(folder, known={}, now_ns=0).leftovers
        delay *= 0.9 if outcome == "done" else 1.1


def test_a_reader_always_finds_the_file_and_finds_it_whole(folder: Folder) -> None:
    contents = [b'{"v": "%s"}\n' % (b"%d" % number * 3000) for number in range(10)]
    seen = write(folder, X, contents[0], expect=None, cid=CID)
    stop = threading.Event()
    found: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            found.add(file_of(folder).read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        seen = write(folder, X, contents[number % 10], expect=seen, cid=CID)
    stop.set()
    reader.join()
    assert found <= set(contents)
    assert len(found) > 1
