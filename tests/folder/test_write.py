"""Writing and removing: only what was planned for, whole or not at all, and never outside."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.errors import BadSyntax, FileChanged, FileProblem, FolderWrong
from syncd.folder.batch import FEW
from syncd.folder.disk import Disk
from syncd.folder.names import relative_path
from syncd.folder.recover import recover, sweep_conflicts
from syncd.folder.root import Folder
from syncd.folder.scan import scan
from syncd.folder.write import (
    Replacement,
    conflict_file,
    drop_conflicts,
    keep_conflict,
    read_bytes,
    remove,
    write,
    write_many,
)
from syncd.model import RecordPath, Seen
from tests.folder.conftest import MARKER, as_nobody
from tests.folder.disks import STEPS, Crash, StagedDisk

COLLECTION = "com.example.thing"
X = RecordPath(f"{COLLECTION}/x")
OLD, NEW, THEIRS = b'{"v": "old"}\n', b'{"v": "new"}\n', b'{"v": "theirs"}\n'
CID = cid_of_block(b"the record of NEW, as far as these tests care")
OTHER_CID = cid_of_block(b"another record")


def file_of(folder: Folder, path: RecordPath = X) -> Path:
    return folder.root / relative_path(path, portable=folder.portable)


def with_file(folder: Folder, content: bytes = OLD, path: RecordPath = X) -> Seen:
    """Put a file at `path` and return what a scan sees there."""
    file = file_of(folder, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return scan(folder, known={}, only=[path], now_ns=0).seen[path]


def names(folder: Folder) -> list[str]:
    return sorted(path.name for path in (folder.root / COLLECTION).iterdir())


def on(folder: Folder, disk: Disk) -> Folder:
    return Folder(folder.root, MARKER, folder.portable, disk)


# --- One file. ------------------------------------------------------------------------------------


def test_a_new_file_is_written_with_its_directory(folder: Folder) -> None:
    seen = write(folder, X, NEW, expect=None, cid=CID)
    assert file_of(folder).read_bytes() == NEW
    assert (seen.path, seen.cid, seen.size) == (X, CID, len(NEW))
    assert names(folder) == ["x.json"]


def test_an_expected_file_is_replaced(folder: Folder) -> None:
    seen = with_file(folder)
    written = write(folder, X, NEW, expect=seen, cid=CID)
    assert file_of(folder).read_bytes() == NEW
    assert write(folder, X, OLD, expect=written, cid=OTHER_CID).cid == OTHER_CID
    assert file_of(folder).read_bytes() == OLD
    assert names(folder) == ["x.json"]


def test_a_scan_after_a_write_reads_the_file_once_and_keeps_its_cid(folder: Folder) -> None:
    seen = write(folder, X, NEW, expect=None, cid=CID)
    first = scan(folder, known={X: seen}, now_ns=2**62)
    assert (first.reads, first.seen[X].cid) == (1, CID)
    assert scan(folder, known=first.seen, now_ns=2**62).reads == 0


def test_an_expected_file_is_removed(folder: Folder) -> None:
    remove(folder, X, expect=with_file(folder))
    assert names(folder) == []


def test_the_permissions_of_a_replaced_file_stay(folder: Folder) -> None:
    seen = with_file(folder)
    file_of(folder).chmod(0o640)
    write(folder, X, NEW, expect=seen, cid=CID)
    assert file_of(folder).stat().st_mode & 0o777 == 0o640


def test_the_other_name_of_a_hard_linked_file_keeps_its_content(folder: Folder) -> None:
    seen = with_file(folder)
    os.link(file_of(folder), folder.root / "other")
    write(folder, X, NEW, expect=seen, cid=CID)
    assert (folder.root / "other").read_bytes() == OLD


@pytest.mark.parametrize("rkey", ["A" * 512, ".hidden", "a:b", "con", "..json"])
@pytest.mark.parametrize("portable", [False, True])
def test_every_legal_record_key_can_be_written_read_and_removed(
    folder: Folder, rkey: str, portable: bool
) -> None:
    folder = Folder(folder.root, MARKER, portable)
    path = RecordPath(f"{COLLECTION}/{rkey}")
    seen = write(folder, path, NEW, expect=None, cid=CID)
    assert read_bytes(folder, path)[0] == NEW
    assert set(scan(folder, known={}, now_ns=0).seen) == {path}
    remove(folder, path, expect=seen)
    assert scan(folder, known={path: seen}, now_ns=0).absent(path)


# --- Only what was planned for. -------------------------------------------------------------------


def assert_left_alone(folder: Folder, act: Callable[[], object], content: bytes | None) -> None:
    with pytest.raises(FileChanged, match=X):
        act()
    assert names(folder) == (["x.json"] if content is not None else [])
    if content is not None:
        assert file_of(folder).read_bytes() == content


def test_a_file_that_appeared_is_not_overwritten(folder: Folder) -> None:
    with_file(folder, THEIRS)
    assert_left_alone(folder, lambda: write(folder, X, NEW, expect=None, cid=CID), THEIRS)


def test_a_file_edited_after_the_scan_is_not_overwritten(folder: Folder) -> None:
    seen = with_file(folder)
    with_file(folder, THEIRS)
    assert_left_alone(folder, lambda: write(folder, X, NEW, expect=seen, cid=CID), THEIRS)
    assert_left_alone(folder, lambda: remove(folder, X, expect=seen), THEIRS)


def test_a_file_that_was_only_reformatted_is_not_overwritten(folder: Folder) -> None:
    seen = with_file(folder, b'{"v":1}')
    with_file(folder, b'{"v": 1}')
    assert_left_alone(folder, lambda: write(folder, X, NEW, expect=seen, cid=CID), b'{"v": 1}')


def test_a_file_that_was_saved_again_with_the_same_bytes_is_replaced(folder: Folder) -> None:
    seen = with_file(folder)
    file_of(folder).unlink()
    with_file(folder)
    write(folder, X, NEW, expect=seen, cid=CID)
    assert file_of(folder).read_bytes() == NEW


def test_a_file_removed_after_the_scan_is_not_brought_back(folder: Folder) -> None:
    seen = with_file(folder)
    file_of(folder).unlink()
    assert_left_alone(folder, lambda: write(folder, X, NEW, expect=seen, cid=CID), None)
    assert_left_alone(folder, lambda: remove(folder, X, expect=seen), None)


def test_a_file_that_another_program_has_open_for_writing_is_left_to_it(folder: Folder) -> None:
    seen = with_file(folder)
    with file_of(folder).open("r+b") as editor:
        assert_left_alone(folder, lambda: write(folder, X, NEW, expect=seen, cid=CID), OLD)
        assert_left_alone(folder, lambda: remove(folder, X, expect=seen), OLD)
        editor.write(THEIRS)
    assert file_of(folder).read_bytes() == THEIRS


def test_a_file_that_another_program_only_reads_is_replaced(folder: Folder) -> None:
    seen = with_file(folder)
    with file_of(folder).open("rb") as reader:
        write(folder, X, NEW, expect=seen, cid=CID)
        assert reader.read() == OLD


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_what_is_no_file_is_neither_written_through_nor_replaced(folder: Folder, kind: str) -> None:
    seen = with_file(folder)
    file, secret = file_of(folder), folder.root / "secret"
    file.unlink()
    secret.write_bytes(OLD)
    {"link": lambda: file.symlink_to(secret), "fifo": lambda: os.mkfifo(file)}.get(
        kind, file.mkdir
    )()
    for expect in (seen, None):
        with pytest.raises((FileChanged, FileProblem)):
            write(folder, X, NEW, expect=expect, cid=CID)
    with pytest.raises((FileChanged, FileProblem)):
        remove(folder, X, expect=seen)
    with pytest.raises(FileProblem):
        read_bytes(folder, X)
    assert secret.read_bytes() == OLD
    assert names(folder) == ["x.json"]
    assert not file.is_file() or file.is_symlink()


def test_nothing_is_written_through_a_linked_collection(folder: Folder, tmp_path: Path) -> None:
    (folder.root / COLLECTION).symlink_to(tmp_path)
    (tmp_path / "x.json").write_bytes(OLD)
    with pytest.raises(FileProblem, match="cannot be written") as caught:
        write(folder, X, NEW, expect=None, cid=CID)
    assert caught.value.hint
    assert (tmp_path / "x.json").read_bytes() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("path", ["../x", f"{COLLECTION}/../x", f"{COLLECTION}/a/b", "/etc/x"])
def test_a_forged_path_is_refused(folder: Folder, path: str) -> None:
    with pytest.raises(BadSyntax):
        write(folder, RecordPath(path), NEW, expect=None, cid=CID)


def test_nothing_is_written_into_a_folder_that_is_not_ours(folder: Folder) -> None:
    seen = with_file(folder)
    other = Folder(folder.root, "another marker")
    for act in (
        lambda: write(other, X, NEW, expect=seen, cid=CID),
        lambda: remove(other, X, expect=seen),
        lambda: keep_conflict(other, X, CID, NEW),
    ):
        with pytest.raises(FolderWrong):
            act()
    assert file_of(folder).read_bytes() == OLD


# --- What the disk refuses. -----------------------------------------------------------------------


class RefusingDisk(Disk):
    """A disk that refuses one kind of step."""

    def __init__(self, step: str, code: int) -> None:
        def refuse(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        setattr(self, step, refuse)


@pytest.mark.parametrize("step", ["write", "sync_file", "rename", "exchange"])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EIO, "input/output error"),
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.ETXTBSY, "Text file busy"),
    ],
)
def test_a_refusal_of_the_disk_leaves_the_old_file_and_says_so(
    folder: Folder, step: str, code: int, words: str
) -> None:
    seen = with_file(folder)
    with pytest.raises(FileProblem, match=f"{X} cannot be written: .*{words}") as caught:
        write(on(folder, RefusingDisk(step, code)), X, NEW, expect=seen, cid=CID)
    assert caught.value.hint
    assert file_of(folder).read_bytes() == OLD
    assert names(folder) == ["x.json"]


def test_a_directory_that_cannot_be_synced_is_a_problem_of_each_of_its_files(
    folder: Folder,
) -> None:
    disk = RefusingDisk("sync_directory", errno.EIO)
    (folder.root / COLLECTION).mkdir()
    with pytest.raises(FileProblem):
        write(on(folder, disk), X, NEW, expect=None, cid=CID)


def test_a_collection_that_may_not_be_written_is_a_problem(folder: Folder) -> None:
    seen = with_file(folder)
    with as_nobody(folder):
        (folder.root / COLLECTION).chmod(0o555)
        with pytest.raises(FileProblem, match="cannot be written: permission denied"):
            write(folder, X, NEW, expect=seen, cid=CID)
        with pytest.raises(FileProblem, match="cannot be removed: permission denied"):
            remove(folder, X, expect=seen)
    assert file_of(folder).read_bytes() == OLD


def test_a_file_that_may_not_be_read_is_not_replaced(folder: Folder) -> None:
    seen = with_file(folder)
    with as_nobody(folder):
        file_of(folder).chmod(0)
        with pytest.raises(FileProblem, match="permission denied"):
            write(folder, X, NEW, expect=seen, cid=CID)
        with pytest.raises(FileProblem, match="cannot be read: permission denied"):
            read_bytes(folder, X)
    file_of(folder).chmod(0o644)
    assert file_of(folder).read_bytes() == OLD


def test_a_collection_whose_name_is_too_long_for_the_disk_is_a_problem(folder: Folder) -> None:
    path = RecordPath(".".join(["a" * 60] * 5) + "/x")
    with pytest.raises(FileProblem, match="too long") as caught:
        write(folder, path, NEW, expect=None, cid=CID)
    assert "keep this collection out" in caught.value.hint
    found = scan(folder, known={}, only=[path], now_ns=0)
    assert not found.absent(path)


def test_a_record_that_is_gone_cannot_be_read(folder: Folder) -> None:
    with pytest.raises(FileChanged, match="gone"):
        read_bytes(folder, X)


# --- Many files. ----------------------------------------------------------------------------------


def many(folder: Folder, count: int) -> list[Replacement]:
    paths = [RecordPath(f"com.example.c{number % 3}/{number}") for number in range(count)]
    return [Replacement(path, b'{"v": "%s"}' % path.encode(), None, CID) for path in paths]


def test_many_files_are_written_with_one_wait_for_the_disk(folder: Folder) -> None:
    disk = StagedDisk()
    items = many(folder, 3 * FEW)
    results = write_many(on(folder, disk), items)
    assert [result.path for result in results if isinstance(result, Seen)] == [
        item.path for item in items
    ]
    assert all(file_of(folder, item.path).read_bytes() == item.content for item in items)
    assert disk.steps.count("sync_all") == 1
    assert disk.steps.count("sync_file") == 0


@pytest.mark.parametrize("count", [1, FEW, 3 * FEW])
def test_contents_are_durable_before_they_get_their_names_and_names_before_it_returns(
    folder: Folder, count: int
) -> None:
    disk = StagedDisk()
    seen = with_file(folder)
    items = [*many(folder, count - 1), Replacement(X, NEW, seen, CID)]
    write_many(on(folder, disk), items)
    steps = disk.steps
    last_write = max(number for number, step in enumerate(steps) if step == "write")
    names_given = [n for n, step in enumerate(steps) if step in ("rename", "rename_new")]
    synced = [n for n, step in enumerate(steps) if step in ("sync_all", "sync_file")]
    assert last_write < max(synced) < min(names_given)
    assert steps[-1] == "sync_directory"


def test_each_file_of_many_succeeds_or_fails_by_itself(folder: Folder, tmp_path: Path) -> None:
    items = many(folder, 3 * FEW)
    with_file(folder, THEIRS, items[4].path)
    (folder.root / "com.example.linked").symlink_to(tmp_path)
    linked = RecordPath("com.example.linked/x")
    items.insert(7, Replacement(linked, NEW, None, CID))
    results = dict(zip((item.path for item in items), write_many(folder, items), strict=True))
    assert isinstance(results.pop(items[4].path), FileChanged)
    assert isinstance(results.pop(linked), FileProblem)
    assert all(isinstance(result, Seen) for result in results.values())
    assert file_of(folder, items[4].path).read_bytes() == THEIRS
    assert not scan(folder, known={}, now_ns=0).leftovers


def test_when_the_one_wait_fails_no_file_gets_its_name(folder: Folder) -> None:
    items = many(folder, 3 * FEW)
    results = write_many(on(folder, RefusingDisk("sync_all", errno.EIO)), items)
    assert all(isinstance(result, FileProblem) for result in results)
    found = scan(folder, known={}, now_ns=0)
    assert not found.seen
    assert recover(folder, found.leftovers) == ()
    assert not scan(folder, known={}, now_ns=0).leftovers


def test_writing_nothing_does_nothing(folder: Folder) -> None:
    disk = StagedDisk()
    assert write_many(on(folder, disk), []) == []
    assert disk.steps == []


# --- The remote side of a conflict. ---------------------------------------------------------------


TEXTS = [b'{"n": 1}', b'{"n": 2}']
CIDS = [cid_of(parse_record(text, COLLECTION)) for text in TEXTS]


@pytest.mark.parametrize("rkey", ["x", "x." + str(CID), ".hidden", "A" * 250, "a:" * 250])
@pytest.mark.parametrize("portable", [False, True])
def test_conflicts_are_kept_beside_the_folder_and_dropped(
    folder: Folder, rkey: str, portable: bool
) -> None:
    folder = Folder(folder.root, MARKER, portable)
    path = RecordPath(f"{COLLECTION}/{rkey}")
    others = [X, RecordPath(f"{COLLECTION}/{rkey[:200]}_")]
    for other in others:
        keep_conflict(folder, other, CIDS[0], TEXTS[0])
    kept = [keep_conflict(folder, path, CIDS[n], TEXTS[n]) for n in (0, 1, 0)]
    assert kept[0] == kept[2] == conflict_file(path, CIDS[0], portable=portable)
    assert kept[0].startswith(f".syncd/conflicts/{COLLECTION}/")
    assert kept[0].endswith(f".{CIDS[0]}.json")
    assert [(folder.root / relative).read_bytes() for relative in kept[:2]] == TEXTS
    drop_conflicts(folder, path, keep=[CIDS[1]])
    assert [(folder.root / relative).exists() for relative in kept] == [False, True, False]
    drop_conflicts(folder, path)
    assert not (folder.root / kept[1]).exists()
    for other in set(others) - {path}:
        relative = conflict_file(other, CIDS[0], portable=portable)
        assert (folder.root / relative).read_bytes() == TEXTS[0]


@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "dropped"])
def test_a_copy_that_somebody_edited_is_theirs(folder: Folder, is_swept: bool) -> None:
    kept = folder.root / keep_conflict(folder, X, CIDS[0], TEXTS[0])
    other = folder.root / keep_conflict(folder, X, CIDS[1], TEXTS[1])
    kept.write_bytes(b'{"n": 3}')
    sweep_conflicts(folder, set()) if is_swept else drop_conflicts(folder, X)
    assert kept.read_bytes() == b'{"n": 3}'
    assert not other.exists()


def test_dropping_conflicts_that_never_were_does_nothing(folder: Folder) -> None:
    drop_conflicts(folder, X)


def test_conflicts_are_private(folder: Folder) -> None:
    kept = folder.root / keep_conflict(folder, X, CID, NEW)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


# --- A crash after any step. ----------------------------------------------------------------------


def creating(folder: Folder, _: Seen) -> None:
    write(folder, RecordPath("com.example.fresh/y"), NEW, expect=None, cid=CID)


def replacing(folder: Folder, seen: Seen) -> None:
    write(folder, X, NEW, expect=seen, cid=CID)


def removing(folder: Folder, seen: Seen) -> None:
    remove(folder, X, expect=seen)


def replacing_many(folder: Folder, seen: Seen) -> None:
    write_many(folder, [*many(folder, FEW), Replacement(X, NEW, seen, CID)])


def keeping(folder: Folder, _: Seen) -> None:
    keep_conflict(folder, X, CID, NEW)


@pytest.mark.parametrize("act", [creating, replacing, removing, replacing_many, keeping])
def test_a_crash_before_any_step_leaves_every_file_whole_and_no_trace_after_recovery(
    folder: Folder, act: Callable[[Folder, Seen], None]
) -> None:
    step, is_crashed = 0, True
    while is_crashed:
        seen = fresh(folder)
        is_crashed = crashes(partial(act, on(folder, StagedDisk(crash_at=step)), seen))
        assert_whole(folder)
        recovered = recover(folder, scan(folder, known={}, now_ns=0).leftovers)
        assert recovered == ()
        assert_whole(folder)
        assert not scan(folder, known={}, now_ns=0).leftovers
        step += 1
    assert step > 3


def fresh(folder: Folder) -> Seen:
    """The folder as it was at first: one file, and nothing else."""
    for path in scan(folder, known={}, now_ns=0).seen:
        file_of(folder, path).unlink()
    return with_file(folder)


def crashes(act: Callable[[], object]) -> bool:
    try:
        act()
    except Crash:
        return True
    return False


def assert_whole(folder: Folder) -> None:
    """Every record file has one of the contents that somebody meant it to have."""
    found = scan(folder, known={}, now_ns=0)
    assert not found.problems
    for path in found.seen:
        content = file_of(folder, path).read_bytes()
        assert content in (OLD, NEW) or content == b'{"v": "%s"}' % path.encode()
    for kept in (folder.root / ".syncd").rglob("*.json"):
        assert kept.read_bytes() == NEW


def test_the_disk_has_no_other_steps_than_these() -> None:
    assert set(STEPS) == {
        *("write", "sync_file", "sync_directory", "sync_all", "make_directory", "rename"),
        *("rename_new", "exchange", "link", "move", "move_new", "unlink", "append", "set_mode"),
    }
