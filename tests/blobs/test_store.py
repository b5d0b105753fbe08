"""The files of blobs/: the bytes under a name are that name's."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid, cid_of_blob
from syncd.blobs.incoming import MODE, hashed
from syncd.blobs.store import EDITED, Store
from syncd.errors import FileProblem
from syncd.folder.root import Folder, initialise
from syncd.state.attachments import Stamp
from tests.folder.disks import Crash, StagedDisk

CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
CID = cid_of_blob(CONTENT)
NAME = f"{CID}.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "mirror"
    root.mkdir()
    initialise(root, "marker")
    return root


@pytest.fixture
def store(root: Path) -> Store:
    return Store(Folder(root, "marker"))


def put(store: Store, content: bytes = CONTENT, cid: Cid = CID, extension: str = ".png") -> Stamp:
    with store.incoming(cid) as incoming:
        for start in range(0, len(content), 1_000):
            incoming.write(content[start : start + 1_000])
        return incoming.place(extension)


def test_a_blob_lies_under_its_hash_and_nobody_can_write_to_it(root: Path, store: Store) -> None:
    stamp = put(store)
    file = root / "blobs" / NAME
    assert file.read_bytes() == CONTENT
    assert file.stat().st_mode & 0o777 == MODE
    assert store.list().names == {CID: NAME}
    assert store.check(store.list(), {}).stamps == {CID: stamp}
    assert b"".join(store.pieces(NAME)) == CONTENT
    assert list((root / ".syncd" / "blobs").iterdir()) == []


def leave(store: Store, content: bytes) -> Cid:
    cid = cid_of_blob(content)
    with store.incoming(cid) as incoming:
        incoming.write(content)
        incoming.leave()
    return cid


def test_what_is_placed_together_is_durable_before_it_has_its_name_and_under_its_name_after(
    root: Path,
) -> None:
    disk = StagedDisk()
    store = Store(Folder(root, "marker", disk=disk))
    contents = [CONTENT + bytes([number]) for number in range(3)]
    left = {leave(store, content): ".png" for content in contents}
    assert store.list().names == {}
    assert disk.steps.count("sync_file") == 3
    disk.steps.clear()
    stamps = store.place(left)
    assert stamps == store.check(store.list(), {}, reads_all=True).stamps
    assert set(stamps) == set(left)
    assert list((root / ".syncd" / "blobs").iterdir()) == []
    # Each waited for the disk when it was left, beside the network: only the names do now.
    assert not {"sync_file", "sync_all"} & {*disk.steps}
    assert disk.steps[-1] == "sync_directory"


def test_what_is_left_has_the_right_bytes_and_its_name_takes_no_other_file(
    root: Path, store: Store
) -> None:
    with store.incoming(CID) as incoming:
        incoming.write(CONTENT[:-1] + b"?")
        with pytest.raises(ValueError, match="do not match"):
            incoming.leave()
    assert list((root / ".syncd" / "blobs").iterdir()) == []
    cid = leave(store, CONTENT)
    (root / "blobs" / NAME).write_bytes(b"mine")
    assert store.place({cid: ".png"}) == {}
    assert (root / "blobs" / NAME).read_bytes() == b"mine"
    assert list((root / ".syncd" / "blobs").iterdir()) == []


def test_other_bytes_get_no_name(root: Path, store: Store) -> None:
    with store.incoming(CID) as incoming:
        incoming.write(CONTENT[:-1] + b"?")
        assert not incoming.is_right
        with pytest.raises(ValueError, match="do not match"):
            incoming.place(".png")
    assert store.list().names == {}
    assert list((root / ".syncd" / "blobs").iterdir()) == []


def test_an_empty_blob_is_one_too(store: Store) -> None:
    put(store, b"", cid_of_blob(b""), ".bin")
    assert list(store.list().names.values()) == [f"{cid_of_blob(b'')}.bin"]


def test_a_crash_at_any_step_leaves_the_whole_blob_or_none_and_the_rest_is_swept(
    root: Path,
) -> None:
    put(Store(Folder(root, "marker")))
    (root / "blobs" / NAME).unlink()
    disk = StagedDisk()
    put(Store(Folder(root, "marker", disk=disk)))
    steps = len(disk.steps)
    assert steps > 10
    (root / "blobs" / NAME).unlink()
    for step in range(steps):
        store = Store(Folder(root, "marker", disk=StagedDisk(crash_at=step)))
        with pytest.raises(Crash):
            put(store)
        fresh = Store(Folder(root, "marker"))
        found = fresh.check(fresh.list(), {})
        assert not found.edited
        fresh.sweep()
        aside = root / ".syncd" / "blobs"
        assert not aside.exists() or list(aside.iterdir()) == []
        put(fresh)
        assert (root / "blobs" / NAME).read_bytes() == CONTENT
        (root / "blobs" / NAME).unlink()


def test_what_another_process_writes_now_is_not_swept(root: Path, store: Store) -> None:
    put(store)
    other = root / ".syncd" / "blobs" / f"{CID}.{os.getppid()}"
    other.write_bytes(b"half")
    store.sweep()
    assert other.exists()


def test_an_edited_file_is_found_and_gives_way(root: Path, store: Store) -> None:
    known = {CID: put(store)}
    file = root / "blobs" / NAME
    file.chmod(0o644)
    file.write_bytes(CONTENT + b"more")
    assert store.check(store.list(), known).edited == (NAME,)
    aside = store.set_aside(NAME)
    assert aside.startswith(EDITED)
    assert (root / "blobs" / aside).read_bytes() == CONTENT + b"more"
    put(store)
    assert file.read_bytes() == CONTENT
    problems = store.list().problems
    assert [problem.path for problem in problems] == [f"blobs/{aside}"]
    assert problems[0].hint


def test_no_edited_file_takes_the_place_of_another(root: Path, store: Store) -> None:
    for _ in range(3):
        put(store)
        store.set_aside(NAME)
    assert len(list((root / "blobs").iterdir())) == 3


def test_bytes_that_look_unchanged_are_hashed_where_that_is_asked(root: Path, store: Store) -> None:
    put(store)
    file = root / "blobs" / NAME
    file.chmod(0o644)
    file.write_bytes(bytes(len(CONTENT)))
    # The times of a file may be those from before the write: the clock of the kernel is coarse.
    now = file.stat()
    stamp = Stamp(NAME, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    assert store.check(store.list(), {CID: stamp}).edited == ()
    assert store.check(store.list(), {CID: stamp}, reads_all=True).edited == (NAME,)


def test_a_link_or_a_directory_is_followed_nowhere(root: Path, store: Store) -> None:
    secret = root.parent / "secret"
    secret.write_bytes(CONTENT)
    (root / "blobs").mkdir()
    (root / "blobs" / NAME).symlink_to(secret)
    other = cid_of_blob(b"other")
    (root / "blobs" / f"{other}.bin").mkdir()
    listing = store.list()
    assert listing.names == {}
    assert len(listing.problems) == 2
    assert all(problem.hint for problem in listing.problems)
    with pytest.raises(FileProblem):
        list(store.pieces(NAME))
    with pytest.raises(FileProblem):
        put(store)
    assert (root / "blobs" / NAME).is_symlink()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_where_blobs_is_no_directory_nothing_is_put(root: Path, store: Store, kind: str) -> None:
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    if kind == "link":
        (root / "blobs").symlink_to(elsewhere)
    else:
        (root / "blobs").write_text("mine")
    listing = store.list()
    assert not listing.is_open
    assert [problem.path for problem in listing.problems] == ["blobs"]
    with pytest.raises(FileProblem):
        put(store)
    assert list(elsewhere.iterdir()) == []


def test_what_a_person_keeps_in_blobs_is_left_alone(root: Path, store: Store) -> None:
    put(store)
    (root / "blobs" / "cover.jpg").write_bytes(b"mine")
    (root / "blobs" / "originals").mkdir()
    assert store.list().names == {CID: NAME}
    assert store.list().problems == ()
    store.sweep()
    assert (root / "blobs" / "cover.jpg").read_bytes() == b"mine"


def test_a_blob_that_somebody_put_there_meanwhile_is_the_same(root: Path, store: Store) -> None:
    with store.incoming(CID) as incoming:
        incoming.write(CONTENT)
        (root / "blobs" / NAME).write_bytes(CONTENT)
        assert incoming.place(".png").name == NAME
    with store.incoming(CID) as incoming:
        incoming.write(CONTENT)
        (root / "blobs" / NAME).write_bytes(b"other")
        with pytest.raises(FileExistsError):
            incoming.place(".png")
    assert (root / "blobs" / NAME).read_bytes() == b"other"


def pointer(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 1\n".encode()


def test_what_git_lfs_leaves_in_the_place_of_a_blob_is_no_edit_and_gives_way(
    root: Path, store: Store
) -> None:
    (root / "blobs").mkdir()
    (root / "blobs" / NAME).write_bytes(pointer(CONTENT))
    checked = store.check(store.list(), {})
    assert (checked.stamps, checked.edited, checked.problems) == ({}, (), ())
    stamp = put(store)
    assert (root / "blobs" / NAME).read_bytes() == CONTENT
    assert store.check(store.list(), {}).stamps == {CID: stamp}


def test_the_pointer_to_another_file_is_an_edit_and_stays(root: Path, store: Store) -> None:
    (root / "blobs").mkdir()
    (root / "blobs" / NAME).write_bytes(pointer(b"other"))
    assert store.check(store.list(), {}).edited == (NAME,)
    with pytest.raises(FileProblem):
        put(store)
    assert (root / "blobs" / NAME).read_bytes() == pointer(b"other")


def fill(root: Path, count: int) -> dict[Cid, str]:
    contents = [CONTENT + bytes([number]) for number in range(count)]
    names = {cid_of_blob(content): f"{cid_of_blob(content)}.png" for content in contents}
    (root / "blobs").mkdir()
    for name, content in zip(names.values(), contents, strict=True):
        (root / "blobs" / name).write_bytes(content)
    return names


async def test_files_are_hashed_beside_the_loop_and_a_stop_ends_it_between_two(
    root: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.blobs.store.PORTION_BYTES", 1)
    fill(root, 3)
    begun, may_end, read = threading.Event(), threading.Event(), list[str]()

    def slow(directory: int, name: str, cid: Cid) -> Stamp | None:
        read.append(name)
        begun.set()
        # In the loop, nobody would say so any more.
        assert may_end.wait(20)
        return hashed(directory, name, cid)

    monkeypatch.setattr("syncd.blobs.store.hashed", slow)
    looking = asyncio.create_task(store.look(store.list(), {}))
    await asyncio.to_thread(begun.wait, 20)
    looking.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert len(read) == 1


async def test_a_look_finds_what_a_check_finds_and_reads_what_is_not_known(
    root: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.blobs.store.PORTION_BYTES", 2 * len(CONTENT))
    first, second, *_ = fill(root, 7).values()
    known = store.check(store.list(), {}).stamps
    (root / "blobs" / first).write_bytes(b"mine")
    (root / "blobs" / second).unlink()
    listing = replace(store.list(), names={**store.list().names, CID: NAME})
    for some in ({}, known):
        assert await store.look(listing, some) == store.check(listing, some)
    read: list[str] = []

    def noted(directory: int, name: str, cid: Cid) -> Stamp | None:
        read.append(name)
        return hashed(directory, name, cid)

    monkeypatch.setattr("syncd.blobs.store.hashed", noted)
    await store.look(listing, known)
    assert read == [first]
