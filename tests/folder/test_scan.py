"""What a scan concludes from files, and above all what it does not conclude."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.data import cid_of
from syncd.atproto.syntax import Nsid
from syncd.errors import FolderWrong
from syncd.folder.drafts import list_drafts
from syncd.folder.names import relative_path
from syncd.folder.read import MAX_FILE_BYTES
from syncd.folder.root import Folder
from syncd.folder.scan import Look, everything, scan
from syncd.folder.survey import Notes, examine
from syncd.model import RecordPath, Seen
from tests.folder.conftest import MARKER, as_nobody
from tests.rigs.descriptors import open_below

POST = "app.bsky.feed.post"
LATER_NS = 2**62


def at(rkey: str, collection: str = POST) -> RecordPath:
    return RecordPath(f"{collection}/{rkey}")


X = at("x")
Y = at("y")


def put(folder: Folder, relative: str, content: bytes = b'{"text": "hello"}') -> Path:
    file = folder.root / relative
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def look(
    folder: Folder,
    known: Mapping[RecordPath, Seen] | None = None,
    *,
    only: Collection[RecordPath] | None = None,
    expected: Collection[RecordPath] = (),
    now_ns: int = LATER_NS,
    in_scope: Callable[[str], bool] = everything,
) -> Look:
    return scan(
        folder,
        known=known or {},
        only=only,
        expected=expected,
        now_ns=now_ns,
        in_scope=in_scope,
    )


def kinds(found: Look) -> set[str]:
    """Which parts of the answer are not empty."""
    parts = ("seen", "problems", "strays", "leftovers", "unread")
    return {part for part in parts if getattr(found, part)}


def both(
    folder: Folder, path: RecordPath, known: Mapping[RecordPath, Seen] | None = None
) -> Iterator[Look]:
    """The whole folder looked at, and `path` alone: what is true of a path is true in both."""
    yield look(folder, known, expected=[path])
    yield look(folder, known, only=[path])


# --- What is seen. --------------------------------------------------------------------------------


def test_every_record_file_is_seen_with_the_cid_of_its_record(folder: Folder) -> None:
    put(folder, f"{POST}/x.json", b'{"text": "a"}')
    put(folder, f"{POST}/y.json", b'{"text": "a", "$type": "app.bsky.feed.post"}')
    put(folder, "com.example.thing/x.json", b'{"n": 1}')
    found = look(folder)
    a = cid_of({"$type": POST, "text": "a"})
    assert {path: seen.cid for path, seen in found.seen.items()} == {
        X: a,
        Y: a,
        at("x", "com.example.thing"): cid_of({"$type": "com.example.thing", "n": 1}),
    }
    assert found.reads == 3
    assert kinds(found) == {"seen"}


def test_an_empty_folder_proves_every_absence(folder: Folder) -> None:
    assert look(folder).absent(X)
    assert look(folder, only=[X]).absent(X)


def test_a_file_in_a_directory_that_took_another_ones_place_is_there(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, f"{POST}/x.json")
    put(folder, f"{POST}/y.json", b'{"text": "moved along"}')

    def replace_directory(
        notes: Notes, directory: int, name: str, path: RecordPath, now: os.stat_result
    ) -> None:
        examine(notes, directory, name, path, now)
        old, new = folder.root / POST, folder.root / "old"
        if not new.exists():
            old.rename(new)
            put(folder, f"{POST}/y.json", (new / "y.json").read_bytes())
            (new / "y.json").unlink()

    monkeypatch.setattr("syncd.folder.scan.examine", replace_directory)
    found = look(folder, only=[X, Y])
    assert not found.absent(Y)
    assert found.seen.keys() == {X, Y}


def test_what_is_not_a_collection_is_none_of_our_business(folder: Folder) -> None:
    for name in ("README.md", ".git/app.bsky.feed.post/x.json", "notes/x.json", "x.json", "my.txt"):
        put(folder, name, b"not JSON")
    put(folder, "my.shopping.list", b"milk")
    put(folder, ".syncd/conflicts/app.bsky.feed.post/x.json", b"not JSON")
    found = look(folder)
    assert kinds(found) <= {"unread"}


def test_collections_out_of_scope_are_not_read_and_nothing_in_them_is_absent(
    folder: Folder,
) -> None:
    put(folder, f"{POST}/x.json")
    put(folder, "com.example.thing/x.json", b"not JSON")
    out = at("gone", "com.example.thing")
    alone = look(folder, only=[out], in_scope=lambda collection: collection == POST)
    assert not alone.absent(out)
    found = look(folder, expected=[out], in_scope=lambda collection: collection == POST)
    assert set(found.seen) == {X}
    assert not found.problems
    assert not found.absent(out)
    assert found.absent(at("gone"))


@pytest.mark.parametrize("portable", [False, True])
@pytest.mark.parametrize(
    "rkey", [".hidden", "a:b", "con", "..json", "x.json", "~", "Zz", "A" * 512]
)
def test_every_legal_record_key_is_seen(folder: Folder, rkey: str, portable: bool) -> None:
    folder = Folder(folder.root, MARKER, portable=portable)
    path = at(rkey)
    put(folder, relative_path(path, portable=portable))
    for found in both(folder, path):
        assert set(found.seen) == {path}
        assert not found.problems
        assert not found.strays


def test_a_hard_link_is_an_ordinary_file(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"{}")
    (folder.root / POST).mkdir()
    os.link(tmp_path / "other", folder.root / POST / "x.json")
    assert set(look(folder).seen) == {X}


def test_drafts_are_no_records_and_no_problems(folder: Folder) -> None:
    names = ["+my post.json", "my post.draft.json", "x.draft.json", "aaa%/x.draft.json"]
    for name in (*names, "+notes.txt", ".#x.draft.json"):
        put(folder, f"{POST}/{name}")
    (folder.root / POST / "+dir.json").mkdir()
    assert kinds(look(folder)) == set()
    assert list_drafts(folder, lambda _: True) == sorted(f"{POST}/{name}" for name in names)
    assert list_drafts(folder, lambda _: False) == []


@pytest.mark.parametrize("portable", [False, True])
def test_a_former_name_of_a_record_is_no_deletion(folder: Folder, portable: bool) -> None:
    folder = Folder(folder.root, MARKER, portable=portable)
    put(folder, f"{POST}/x.draft.json")
    for found in both(folder, at("x.draft")):
        assert set(found.problems) == {at("x.draft")}
        assert not found.absent(at("x.draft"))
        assert "rename it to" in found.problems[at("x.draft")].hint


def test_editor_files_are_silently_ignored(folder: Folder) -> None:
    names = ["x.json~", ".x.json.swp", "4913", "#x.json#", "x.json.tmp.123", "x.json.orig", "x.yml"]
    for name in names:
        put(folder, f"{POST}/{name}", b"<<<<")
    (folder.root / POST / ".#x.json").symlink_to("me@host.123:456")
    found = look(folder)
    assert kinds(found) == set()


@pytest.mark.parametrize("name", ["my post.json", "%2f.json", "x (copy).json", "é.json", "a%.json"])
def test_a_file_that_no_record_can_have_is_a_stray_with_a_sentence(
    folder: Folder, name: str
) -> None:
    put(folder, f"{POST}/{name}")
    (stray,) = look(folder).strays
    assert stray.path == f"{POST}/{name}"
    assert "record key" in stray.reason
    assert stray.hint.startswith("rename it")


def test_a_file_name_that_is_not_utf8_is_shown_readably(folder: Folder) -> None:
    (folder.root / POST).mkdir()
    Path(os.fsdecode(os.fsencode(folder.root / POST) + b"/\xff.json")).write_bytes(b"{}")
    (stray,) = look(folder).strays
    assert stray.path == f"{POST}/\\xff.json"
    assert stray.path.isprintable()


def test_a_misspelt_file_is_inert_and_its_record_is_not_deleted(folder: Folder) -> None:
    known = look_and_forget(folder, at("A"))
    put(folder, f"{POST}/%41.json")
    found = look(folder, known)
    assert found.problems[at("A")].hint == "rename it to A.json"
    assert not found.absent(at("A"))
    assert not found.seen


@pytest.mark.parametrize(
    ("rkey", "spelt"),
    [
        (".dot", ".dot.json"),
        (".dot", "%2Edot.json"),
        ("dot", "%64ot.json"),
        ("x.draft", "x%2Edraft.json"),
        ("a" * 300, f"{'a' * 180}%/{'%61' * 60}{'a' * 60}.json"),
    ],
)
def test_a_misspelt_file_is_inert_whether_all_or_one_is_looked_at(
    folder: Folder, rkey: str, spelt: str
) -> None:
    known = look_and_forget(folder, at(rkey))
    put(folder, f"{POST}/{spelt}", b'{"text": "edited"}')
    put(folder, f"{POST}/file%", b"no directory")
    (folder.root / POST / "link%").symlink_to(folder.root)
    for found in both(folder, at(rkey), known):
        assert set(found.problems) == {at(rkey)}
        assert not found.absent(at(rkey))
        assert (found.problems[at(rkey)].hint or "").startswith("rename it to")


def test_a_name_too_long_for_a_stub_is_absent_like_any_other(folder: Folder) -> None:
    path = at("a" * 250)
    known = look_and_forget(folder, path)
    assert all(found.absent(path) for found in both(folder, path, known))


@pytest.mark.parametrize(
    "stub",
    [
        f"{POST}/x.json.nextcloud",
        f"{POST}/x.json.owncloud",
        f"{POST}/x.json.cloud",
        f"{POST}/.x.json.icloud",
        f"{POST}/x.json.magenta",
        f"{POST}.cloudf",
    ],
)
def test_a_file_whose_content_went_into_a_cloud_is_inert_and_not_deleted(
    folder: Folder, stub: str
) -> None:
    known = look_and_forget(folder, X)
    if stub == f"{POST}.cloudf":
        (folder.root / POST).rmdir()
    put(folder, stub, b" ")
    for found in both(folder, X, known):
        assert not found.absent(X)
        assert stub.rpartition("/")[2] in found.problems[X].reason


def test_a_copy_of_a_file_that_is_gone_keeps_no_record(folder: Folder) -> None:
    known = look_and_forget(folder, X)
    put(folder, f"{POST}/x.json.bak", b"{}")
    put(folder, f"{POST}/y.json.magenta", b" ")
    (folder.root / POST / "x.json.d").mkdir()
    (folder.root / POST / "x.json.at").symlink_to("/")
    assert all(found.absent(X) for found in both(folder, X, known))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json.tmp", b""),
        ("x.json.tmp", b"\n"),
        ("x.json.TMP", b" "),
        ("x.json.part", b" "),
        ("x.json.magenta", b""),
        ("x.json.1", b" "),
        ("x.json.a8fK2z", b" "),
        (".x.json.magenta", b" "),
    ],
)
def test_what_a_stopped_program_left_holds_no_deletion(
    folder: Folder, name: str, content: bytes
) -> None:
    known = look_and_forget(folder, X)
    put(folder, f"{POST}/{name}", content)
    assert all(found.absent(X) for found in both(folder, X, known))


def test_a_misspelt_file_beside_the_right_one_is_a_stray(folder: Folder) -> None:
    put(folder, f"{POST}/A.json")
    put(folder, f"{POST}/%41.json", b"other")
    found = look(folder)
    assert set(found.seen) == {at("A")}
    assert [stray.path for stray in found.strays] == [f"{POST}/%41.json"]


@pytest.mark.parametrize("portable", [False, True])
def test_files_with_the_names_of_the_other_setting_are_inert(
    folder: Folder, portable: bool
) -> None:
    put(folder, relative_path(at("A:b"), portable=not portable))
    for found in both(Folder(folder.root, MARKER, portable=portable), at("A:b")):
        assert set(found.problems) == {at("A:b")}
        assert not found.absent(at("A:b"))


# --- What is there but stands for nothing. --------------------------------------------------------


def look_and_forget(folder: Folder, path: RecordPath) -> dict[RecordPath, Seen]:
    """What a scan knew of a good file at `path` that is gone now."""
    file = put(folder, relative_path(path))
    known = dict(look(folder).seen)
    file.unlink()
    return known


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b'{"text": "he', b"[]", b"\0\0\0", b"<html>", b'{"n": 1.5}', b'{"a":1,"a":2}'),
        b'<<<<<<< HEAD\n{"n": 1}\n=======\n{"n": 2}\n>>>>>>> theirs\n',
        b'{"$type": "com.example.other"}',
        b"[" * 100_000,
        b"\xff\xfe{}",
    ],
)
def test_a_file_that_is_no_record_is_inert(folder: Folder, content: bytes) -> None:
    known = look_and_forget(folder, X)
    put(folder, f"{POST}/x.json", content)
    for found in both(folder, X, known):
        assert set(found.problems) == {X}
        assert found.problems[X].path == X
        assert found.problems[X].reason
        assert not found.absent(X)
        assert not found.seen


def test_a_syntax_error_is_told_with_line_and_column(folder: Folder) -> None:
    put(folder, f"{POST}/x.json", b'{\n  "text": oops\n}\n')
    problem = look(folder).problems[X]
    assert (problem.line, problem.column) == (2, 11)


@pytest.mark.parametrize(
    "kind", ["link", "loop", "dangling", "directory", "fifo", "socket", "null"]
)
def test_what_is_not_a_regular_file_is_inert_and_never_opened(
    folder: Folder, tmp_path: Path, kind: str
) -> None:
    known = look_and_forget(folder, X)
    make_special(folder.root / POST / "x.json", kind, put(folder, "secret.json"))
    for found in both(folder, X, known):
        assert "not a file" in found.problems[X].reason
        assert found.problems[X].hint
        assert not found.absent(X)
        assert found.reads == 0


def make_special(file: Path, kind: str, target: Path) -> None:
    if kind == "link":
        file.symlink_to(target)
    elif kind == "loop":
        file.symlink_to(file)
    elif kind == "dangling":
        file.symlink_to("nowhere")
    elif kind == "directory":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            directory = os.open(file.parent, os.O_RDONLY)
            server.bind(f"/proc/self/fd/{directory}/{file.name}")
            os.close(directory)
    elif os.geteuid() == 0:
        os.mknod(file, 0o600 | 0o020000, os.makedev(1, 3))
    else:
        file.mkdir()


def test_a_file_larger_than_any_record_is_not_read(folder: Folder) -> None:
    os.truncate(put(folder, f"{POST}/x.json"), MAX_FILE_BYTES + 1)
    assert "more than any record" in look(folder).problems[X].reason


def test_an_unreadable_file_is_inert(folder: Folder) -> None:
    known = look_and_forget(folder, X)
    put(folder, f"{POST}/x.json").chmod(0)
    put(folder, f"{POST}/y.json")
    with as_nobody(folder):
        for found in both(folder, X, known):
            assert found.problems[X].reason == "it cannot be read: permission denied"
            assert not found.absent(X)
        assert Y in look(folder).seen


# --- What proves an absence. ----------------------------------------------------------------------


def test_a_removed_file_is_absent(folder: Folder) -> None:
    known = look_and_forget(folder, X)
    for found in both(folder, X, known):
        assert found.absent(X)


def test_a_removed_collection_is_absent_in_a_folder_that_is_there(folder: Folder) -> None:
    known = look_and_forget(folder, X)
    (folder.root / POST).rmdir()
    for found in both(folder, X, known):
        assert found.absent(X)


def test_a_partial_scan_proves_nothing_about_other_paths(folder: Folder) -> None:
    assert not look(folder, only=[X]).absent(Y)
    assert not look(folder, only=[]).absent(Y)


@pytest.mark.parametrize("kind", ["link", "loop", "dangling", "fifo", "file"])
def test_nothing_in_a_collection_that_is_no_directory_is_absent(
    folder: Folder, tmp_path: Path, kind: str
) -> None:
    known = look_and_forget(folder, X)
    (folder.root / POST).rmdir()
    if kind == "file":
        (folder.root / POST).touch()
    else:
        (tmp_path / "x.json").write_bytes(b"{}")
        make_special(folder.root / POST, kind, tmp_path)
    whole, alone = both(folder, X, known)
    assert whole.unread == {POST}
    assert [stray.path for stray in whole.strays] == [POST]
    for found in (whole, alone):
        assert not found.absent(X)
        assert not found.seen


def test_a_note_with_the_name_of_a_collection_that_never_was_is_not_worth_a_word(
    folder: Folder,
) -> None:
    (folder.root / "my.shopping.list").touch()
    found = look(folder)
    assert not found.strays
    assert found.unread == {"my.shopping.list"}


def test_nothing_in_an_unreadable_collection_is_absent(folder: Folder) -> None:
    known = look_and_forget(folder, X)
    put(folder, "com.example.thing/x.json")
    with as_nobody(folder):
        (folder.root / POST).chmod(0)
        whole, alone = both(folder, X, known)
        assert not whole.absent(X)
        assert not alone.absent(X)
        assert whole.unread == {POST}
        assert "permission denied" in whole.strays[0].reason
        assert set(whole.seen) == {at("x", "com.example.thing")}


def test_nothing_is_absent_from_a_collection_that_may_be_listed_but_not_entered(
    folder: Folder,
) -> None:
    put(folder, f"{POST}/x.json")
    with as_nobody(folder):
        (folder.root / POST).chmod(0o444)
        for found in both(folder, X):
            assert not found.absent(X)
            assert not found.seen


class Listing:
    """A directory listing that leaves entries out, or fails half-way."""

    def __init__(
        self, entries: Iterator[os.DirEntry[str]], hidden: Collection[str], fail: bool
    ) -> None:
        self.entries, self.hidden, self.fail = entries, hidden, fail

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        return iter(self)

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        for entry in sorted(self.entries, key=lambda entry: entry.name):
            if self.fail and entry.name == "m.json":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if entry.name not in self.hidden:
                yield entry


@contextmanager
def listings(*, hidden: Collection[str] = (), fail: bool = False) -> Iterator[None]:
    real = os.scandir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", lambda where: Listing(real(where), hidden, fail))
        yield


def test_a_listing_that_fails_half_way_proves_no_absence(folder: Folder) -> None:
    for rkey in ("a", "m", "z"):
        put(folder, f"{POST}/{rkey}.json")
    put(folder, "com.example.thing/a.json")
    known = dict(look(folder).seen)
    with listings(fail=True):
        found = look(folder, known, expected=[X])
    assert found.unread == {POST}
    assert "input/output error" in found.strays[0].reason
    assert set(found.seen) == {at("a"), at("a", "com.example.thing")}
    for path in (*known, X, at("never")):
        assert not found.absent(path)


def test_a_listing_of_the_folder_that_fails_proves_no_absence_anywhere(folder: Folder) -> None:
    known = look_and_forget(folder, X)

    def fail(_: object) -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "listdir", fail)
        found = look(folder, known)
    assert found.unread == {"*"}
    assert not found.absent(X)


def test_a_known_file_that_a_listing_missed_is_asked_for_by_name(folder: Folder) -> None:
    put(folder, f"{POST}/x.json")
    put(folder, f"{POST}/y.json")
    known = {X: look(folder).seen[X]}
    with listings(hidden=["x.json", "y.json"]):
        found = look(folder, known, expected=[Y])
    assert set(found.seen) == {X, Y}
    assert not found.absent(X)
    assert not found.absent(Y)


def test_a_folder_that_goes_away_while_it_is_scanned_is_wrong(
    folder: Folder, tmp_path: Path
) -> None:
    put(folder, f"{POST}/x.json")

    def take_away(_: str) -> bool:
        folder.root.rename(tmp_path / "away")
        return True

    with pytest.raises(FolderWrong, match="was replaced"):
        look(folder, in_scope=take_away)
    (tmp_path / "away").rename(folder.root)


def test_a_folder_that_is_emptied_while_it_is_scanned_is_wrong(folder: Folder) -> None:
    put(folder, f"{POST}/x.json")

    def empty(_: str) -> bool:
        (folder.root / POST / "x.json").unlink()
        (folder.root / ".syncd" / "marker").unlink()
        return True

    with pytest.raises(FolderWrong):
        look(folder, in_scope=empty)


def test_a_directory_swapped_for_a_link_while_it_is_scanned_is_unread(
    folder: Folder, tmp_path: Path
) -> None:
    put(folder, f"{POST}/x.json")
    real = os.stat

    def swap(name: str, **options: Any) -> os.stat_result:  # noqa: ANN401
        result = real(name, **options)
        if name == Nsid(POST) and not (folder.root / POST).is_symlink():
            (folder.root / POST).rename(tmp_path / "elsewhere")
            (folder.root / POST).symlink_to(tmp_path / "elsewhere")
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", swap)
        found = look(folder, {}, expected=[X])
    assert found.unread == {POST}
    assert not found.seen
    assert not found.absent(X)


def test_a_file_swapped_for_a_link_before_it_is_opened_is_not_followed(folder: Folder) -> None:
    file, secret = put(folder, f"{POST}/x.json"), put(folder, "secret.json")
    real = os.open

    def swap(name: str, *args: Any, **options: Any) -> int:  # noqa: ANN401
        if name == "x.json" and not file.is_symlink():
            file.unlink()
            file.symlink_to(secret)
        return real(name, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", swap)
        found = look(folder)
    assert "symbolic link" in found.problems[X].reason
    assert not found.seen


# --- What is not read again. ----------------------------------------------------------------------


def test_an_unchanged_file_is_not_read_again(folder: Folder) -> None:
    put(folder, f"{POST}/x.json")
    known = dict(look(folder).seen)
    again = look(folder, known)
    assert again.reads == 0
    assert again.seen[X] is known[X]


def test_a_file_changed_just_before_it_was_seen_is_read_again(folder: Folder) -> None:
    file = put(folder, f"{POST}/x.json", b'{"n": 1}')
    now_ns = file.stat().st_mtime_ns + 1_000_000
    known = dict(look(folder, now_ns=now_ns).seen)
    assert look(folder, known).reads == 1


def test_a_change_that_keeps_size_and_times_is_seen_if_the_first_look_was_too_soon(
    folder: Folder,
) -> None:
    file = put(folder, f"{POST}/x.json", b'{"n": 1}')
    before = file.stat()
    known = dict(look(folder, now_ns=before.st_mtime_ns + 1_000_000).seen)
    file.write_bytes(b'{"n": 2}')
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    now = file.stat()
    same_tick = {X: replaced(known[X], ctime_ns=now.st_ctime_ns)}
    assert look(folder, same_tick).seen[X].cid == cid_of({"$type": POST, "n": 2})


def test_an_old_modification_time_does_not_hide_a_change(folder: Folder) -> None:
    file = put(folder, f"{POST}/x.json", b'{"n": 1}')
    known = dict(look(folder).seen)
    # Within one tick of the kernel's clock both have one ctime: that case has a test of its own.
    while file.stat().st_ctime_ns == known[X].ctime_ns:
        file.write_bytes(b'{"n": 2}')
        os.utime(file, ns=(0, known[X].mtime_ns))
    assert look(folder, known).seen[X].cid == cid_of({"$type": POST, "n": 2})


def test_a_file_from_the_future_is_read_each_time(folder: Folder) -> None:
    file = put(folder, f"{POST}/x.json")
    os.utime(file, ns=(0, 2 * 10**18))
    known = dict(look(folder, now_ns=10**18).seen)
    assert look(folder, known, now_ns=10**18).reads == 1


def test_bytes_that_were_seen_before_keep_their_cid_without_being_parsed(folder: Folder) -> None:
    put(folder, f"{POST}/x.json", b'{"n": 1}')
    inexact = cid_of_block(b"a record that JSON cannot express")
    known = {X: replaced(look(folder).seen[X], cid=inexact, ctime_ns=0)}
    found = look(folder, known)
    assert found.reads == 1
    assert found.seen[X].cid == inexact


def replaced(seen: Seen, *, cid: Cid | None = None, ctime_ns: int) -> Seen:
    return Seen(
        seen.path,
        seen.inode,
        seen.size,
        seen.mtime_ns,
        ctime_ns,
        seen.seen_ns,
        seen.digest,
        cid or seen.cid,
    )


@pytest.mark.parametrize("count", [10, 1000])
def test_a_partial_scan_makes_as_many_system_calls_in_a_large_folder(
    folder: Folder, count: int
) -> None:
    for number in range(count):
        put(folder, f"{POST}/{number}.json")
    calls: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "stat", "fstat", "scandir", "listdir", "read"):
            patch.setattr(os, name, counted(getattr(os, name), name, calls))
        found = look(folder, only=[at("1"), at("none")])
    assert found.reads == 1
    assert "scandir" not in calls
    assert "listdir" not in calls
    assert len(calls) < 40


def counted(real: Callable[..., object], name: str, calls: list[str]) -> Callable[..., object]:
    def call(*args: object, **options: object) -> object:
        calls.append(name)
        return real(*args, **options)

    return call


# --- While somebody writes. -----------------------------------------------------------------------


def test_a_file_that_is_saved_in_a_loop_is_never_absent_and_never_torn(folder: Folder) -> None:
    file = put(folder, f"{POST}/x.json", b'{"n": 0}')
    saved = {cid_of({"$type": POST, "n": number}) for number in range(1000)}
    stop = threading.Event()

    def save() -> None:
        number = 0
        while not stop.is_set():
            number = (number + 1) % 1000
            temp = file.with_name(".new")
            temp.write_bytes(b'{"n": %d}' % number)
            temp.rename(file)

    editor = threading.Thread(target=save)
    editor.start()
    try:
        for _ in range(300):
            for found in both(folder, X):
                assert not found.absent(X)
                if X in found.seen:
                    assert found.seen[X].cid in saved
                else:
                    assert "being written" in found.problems[X].reason
    finally:
        stop.set()
        editor.join()


def test_files_left_over_from_an_interrupted_write_are_told(folder: Folder) -> None:
    put(folder, f"{POST}/.syncd-w-0123", b"half")
    put(folder, f"{POST}/.syncd-x-0-0-0-x.json", b"half")
    put(folder, f"{POST}/.syncd-other.json", b"somebody else's")
    found = look(folder)
    assert found.leftovers == (f"{POST}/.syncd-w-0123", f"{POST}/.syncd-x-0-0-0-x.json")
    assert kinds(found) == {"leftovers"}


def test_no_descriptor_stays_open_after_a_scan(folder: Folder) -> None:
    put(folder, relative_path(at("a" * 500)))
    put(folder, f"{POST}/x.json", b"{")
    (folder.root / "a.b.c").symlink_to(".")
    for _ in range(3):
        look(folder, expected=[at("gone"), at("x", "no.such.thing")])
        look(folder, only=[X, Y, at("x", "a.b.c")])
        with listings(fail=True):
            look(folder)
    assert open_below(folder.root) == []
