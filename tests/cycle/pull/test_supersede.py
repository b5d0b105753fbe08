"""The one way to replace a file: its version is in history first, or it stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import encode
from syncd.atproto.inexact import file_of
from syncd.atproto.syntax import Did
from syncd.config import Config
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.pull.supersede import Placement, Successor, file_at, put, supersede
from syncd.cycle.workspace import Workspace
from syncd.errors import BadData, FileChanged, FileProblem
from syncd.folder.read import _read_open
from syncd.folder.root import Folder, initialise
from syncd.model import Memory, Problem, RecordPath, Retry
from syncd.state import History, Provenance, create_state
from tests.cycle.calls import counted

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
NOTE = RecordPath("com.example.note/one")
OTHER = RecordPath("com.example.note/two")
THIRD = RecordPath("com.example.note/three")


def block_of(value: object) -> bytes:
    return encode({"$type": "com.example.note", "v": str(value)})


def cid_of(value: object) -> Cid:
    return cid_of_block(block_of(value))


def text_of(value: object) -> bytes:
    return file_of(block_of(value))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    initialise(tmp_path, "m1")
    (tmp_path / "com.example.note").mkdir()
    with create_state(tmp_path / ".syncd" / "state.db", did=DID, marker="m1") as state:
        yield Workspace(Folder(tmp_path, "m1"), state, Config(DID), lambda: 7_000_000_000)


@pytest.fixture
def folder(workspace: Workspace) -> Folder:
    return workspace.folder


@pytest.fixture
def keeper(workspace: Workspace) -> Keeper:
    return Keeper(workspace.history, workspace.now(), None)


def save(folder: Folder, path: RecordPath, text: bytes) -> None:
    (folder.root / f"{path}.json").write_bytes(text)


def text_at(folder: Folder, path: RecordPath) -> bytes:
    return (folder.root / f"{path}.json").read_bytes()


def stamp(folder: Folder, path: RecordPath) -> tuple[int, int, int]:
    now = (folder.root / f"{path}.json").stat()
    return now.st_ino, now.st_mtime_ns, now.st_ctime_ns


def to(folder: Folder, path: RecordPath, value: object, base: Cid | None = None) -> Successor:
    """The successor of whatever is at `path` now."""
    return Successor(path, file_at(folder, path), cid_of(value), base, "why", text_of(value))


def events(keeper: Keeper) -> list[tuple[RecordPath, Cid, Cid | None, Provenance]]:
    """(path, cid, after, origin), oldest first."""
    found = reversed(keeper.history.events())
    return [(event.path, event.cid, event.after, event.origin) for event in found]


def test_a_replaced_and_a_removed_file_are_in_history_with_what_comes_after(
    folder: Folder, keeper: Keeper
) -> None:
    save(folder, NOTE, text_of(1))
    save(folder, OTHER, text_of(2))
    gone = Successor(OTHER, file_at(folder, OTHER), None, None, "why")
    done = supersede(folder, keeper, [to(folder, NOTE, 3, base=cid_of(1)), gone])
    assert text_at(folder, NOTE) == text_of(3)
    assert file_at(folder, OTHER) is None
    assert (done.failed, done.files[OTHER]) == ({}, None)
    assert events(keeper) == [
        (NOTE, cid_of(1), cid_of(3), Provenance.BOTH),
        (OTHER, cid_of(2), None, Provenance.FOLDER),
    ]
    assert keeper.history.content(cid_of(1)) == block_of(1)


def test_a_file_that_stands_for_no_record_is_kept_as_it_is(
    workspace: Workspace, folder: Folder, keeper: Keeper
) -> None:
    save(folder, NOTE, b"{ this is no JSON")
    assert put(workspace, Successor(NOTE, file_at(folder, NOTE), None, None, "aside")) is None
    assert keeper.history.content(cid_of_blob(b"{ this is no JSON")) == b"{ this is no JSON"


def test_a_file_that_is_not_its_record_exactly_is_kept_as_the_text_it_is(
    workspace: Workspace, folder: Folder, keeper: Keeper
) -> None:
    """A scan says which record such a file is; its text, read as JSON, is another one."""
    save(folder, NOTE, text_of(1))
    seen = file_at(folder, NOTE)
    assert seen is not None
    shown = Successor(
        NOTE, replace(seen, cid=cid_of("a float")), cid_of(2), None, "why", text_of(2)
    )
    put(workspace, shown)
    assert events(keeper) == [(NOTE, cid_of_blob(text_of(1)), cid_of(2), Provenance.FOLDER)]


def test_a_file_that_goes_for_a_version_that_comes_later_is_no_deletion(
    workspace: Workspace, folder: Folder, keeper: Keeper
) -> None:
    """The brake counts deletions by what history says."""
    save(folder, NOTE, text_of(1))
    seen = file_at(folder, NOTE)
    put(workspace, Successor(NOTE, seen, None, None, "aside", later=cid_of(2)))
    assert events(keeper) == [(NOTE, cid_of(1), cid_of(2), Provenance.FOLDER)]
    assert file_at(folder, NOTE) is None


def test_the_new_text_is_made_from_the_old_one(folder: Folder, keeper: Keeper) -> None:
    save(folder, NOTE, text_of(1))
    asked: list[bytes | None] = []

    def text(old: bytes | None) -> bytes:
        asked.append(old)
        return text_of(2)

    there = Successor(NOTE, file_at(folder, NOTE), cid_of(2), None, "why", text)
    supersede(folder, keeper, [there, Successor(OTHER, None, cid_of(2), None, "why", text)])
    assert asked == [text_of(1), None]
    assert events(keeper) == [(NOTE, cid_of(1), cid_of(2), Provenance.FOLDER)]


@pytest.mark.parametrize("text", [text_of(1), b'{"v": "1"}'])
def test_a_file_that_is_its_successor_already_is_neither_written_nor_in_history(
    workspace: Workspace, folder: Folder, keeper: Keeper, text: bytes
) -> None:
    save(folder, NOTE, text)
    before = stamp(folder, NOTE)
    seen = put(workspace, to(folder, NOTE, 1))
    assert (seen, text_at(folder, NOTE)) == (file_at(folder, NOTE), text)
    assert stamp(folder, NOTE) == before
    assert events(keeper) == []


def test_another_version_with_the_same_text_replaces_nothing(
    workspace: Workspace, folder: Folder, keeper: Keeper
) -> None:
    """Two blocks can have one file, where one of them is not canonical."""
    save(folder, NOTE, text_of(1))
    successor = Successor(NOTE, file_at(folder, NOTE), cid_of("odd"), None, "why", text_of(1))
    seen = put(workspace, successor)
    assert seen is not None
    assert seen.cid == cid_of("odd")
    assert events(keeper) == []


@pytest.mark.parametrize("value", [2, None])
def test_a_file_edited_meanwhile_stays_and_history_says_nothing_of_it(
    workspace: Workspace, folder: Folder, keeper: Keeper, value: object
) -> None:
    save(folder, NOTE, text_of(1))
    cid = None if value is None else cid_of(value)
    successor = Successor(NOTE, file_at(folder, NOTE), cid, None, "why", text_of(value))
    save(folder, NOTE, text_of("mine"))
    with pytest.raises(FileChanged):
        put(workspace, successor)
    assert text_at(folder, NOTE) == text_of("mine")
    assert events(keeper) == []


def test_a_version_that_no_file_can_show_changes_nothing_and_is_not_in_history(
    folder: Folder, keeper: Keeper
) -> None:
    def unshowable(_: bytes | None) -> bytes:
        raise BadData("too deep")

    save(folder, NOTE, text_of(1))
    done = supersede(
        folder,
        keeper,
        [
            Successor(NOTE, file_at(folder, NOTE), cid_of(2), None, "why", unshowable),
            Successor(OTHER, None, cid_of(2), None, "why", unshowable),
            Successor(THIRD, None, cid_of(3), None, "why", text_of(3)),
        ],
    )
    assert (set(done.failed), set(done.files)) == ({NOTE, OTHER}, {THIRD})
    assert text_at(folder, NOTE) == text_of(1)
    assert events(keeper) == []


def test_without_room_for_history_nothing_is_replaced_and_new_files_are_written(
    folder: Folder, keeper: Keeper
) -> None:
    save(folder, NOTE, text_of(1))
    save(folder, OTHER, text_of(1))
    full = Keeper(History(folder.root / "no-such-directory" / "history.db"), 7, None)
    gone = Successor(OTHER, file_at(folder, OTHER), None, None, "why")
    new = Successor(THIRD, None, cid_of(2), None, "why", text_of(2))
    done = supersede(folder, full, [to(folder, NOTE, 2), gone, new])
    assert (set(done.failed), set(done.files)) == ({NOTE, OTHER}, {THIRD})
    assert {type(error) for error in done.failed.values()} == {FileProblem}
    assert (text_at(folder, NOTE), text_at(folder, OTHER)) == (text_of(1), text_of(1))
    assert text_at(folder, THIRD) == text_of(2)


def test_what_is_in_the_way_of_a_new_file_stays_unless_it_is_that_very_file(
    folder: Folder, keeper: Keeper
) -> None:
    """An earlier run that was stopped may have written it."""
    save(folder, NOTE, text_of("mine"))
    save(folder, OTHER, text_of(1))
    new = [Successor(path, None, cid_of(1), None, "why", text_of(1)) for path in (NOTE, OTHER)]
    done = supersede(folder, keeper, new)
    assert done.files == {OTHER: file_at(folder, OTHER)}
    assert isinstance(done.failed[NOTE], FileChanged)
    assert text_at(folder, NOTE) == text_of("mine")


def test_a_removal_where_there_was_no_file_is_done(workspace: Workspace) -> None:
    assert put(workspace, Successor(NOTE, None, None, None, "why")) is None


def test_base_moves_for_what_was_done_and_the_rest_waits() -> None:
    changed, refused = FileChanged("edited"), FileProblem("full", hint="free some space")
    placement = Placement({NOTE: None}, {OTHER: changed, THIRD: refused})
    base = dict.fromkeys((NOTE, OTHER, THIRD), cid_of(1))
    assert placement.memory(base, {cid_of(1): block_of(1)}) == Memory(
        base={NOTE: cid_of(1)},
        blocks={NOTE: block_of(1)},
        seen={NOTE: None},
        waiting={
            NOTE: (),
            OTHER: (Retry(OTHER, "edited"),),
            THIRD: (Problem(THIRD, "full", "free some space"),),
        },
    )


@pytest.mark.parametrize(
    ("old", "new", "reads"), [(None, 1, 0), (1, 2, 3), (1, None, 3), (1, 1, 1)]
)
def test_a_file_is_read_once_to_be_archived_and_twice_to_be_exchanged(
    folder: Folder, keeper: Keeper, old: object, new: object, reads: int
) -> None:
    """Before names are exchanged, and what came out: ten files, with one wait for the disk."""
    paths = [RecordPath(f"com.example.note/{number}") for number in range(10)]
    for path in paths if old else ():
        save(folder, path, text_of(old))
    cid = None if new is None else cid_of(new)
    planned = [
        Successor(path, file_at(folder, path), cid, None, "why", text_of(new)) for path in paths
    ]
    with counted(_read_open) as found:
        done = supersede(folder, keeper, planned)
    assert (len(done.files), found.count) == (len(paths), reads * len(paths))
