"""File systems that fold case or refuse names: found out, fitted, and never a cause of loss."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import FileChanged, FileProblem, FolderWrong
from syncd.folder.names import file_name
from syncd.folder.probe import Traits, probe
from syncd.folder.respell import respell
from syncd.folder.root import Directories, Folder
from syncd.folder.scan import everything, scan
from syncd.folder.spelling import check_spelt, is_spelt, keeps_case
from syncd.folder.write import read_bytes, remove, write
from syncd.model import RecordPath, Seen, split_record_path
from tests.folder.conftest import MARKER
from tests.folder.disks import Crash, StagedDisk
from tests.folder.folding import FOLDINGS, How, folding
from tests.folder.test_write import CID, NEW, OLD

COLLECTION = "com.example.thing"
UPPER, LOWER = RecordPath(f"{COLLECTION}/Foo"), RecordPath(f"{COLLECTION}/foo")
RKEYS = ("Foo", "foo", "a:b", "CON", "con", ".Hidden", "x", "A" * 512, "a" * 512, "did:web:X.y")


def put(folder: Folder, path: RecordPath, content: bytes = OLD) -> Seen:
    return write(folder, path, content, expect=None, cid=CID)


def portable(folder: Folder) -> Folder:
    return Folder(folder.root, MARKER, portable=True)


def files(folder: Folder) -> list[str]:
    base = folder.root / COLLECTION
    return sorted(str(f.relative_to(base)) for f in base.rglob("*") if f.is_file())


# --- Probe ----------------------------------------------------------------------------------------


def test_an_ordinary_disk_takes_plain_names(tmp_path: Path) -> None:
    assert probe(tmp_path) == Traits()
    assert probe(tmp_path).lack == ""
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_folds_case_is_found_out(tmp_path: Path) -> None:
    with folding(tmp_path):
        traits = probe(tmp_path)
    assert traits == Traits(folds_case=True)
    assert traits.lack == "does not tell upper from lower case"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.ENOENT, errno.EPERM], ids=os.strerror)
def test_a_disk_that_refuses_characters_is_found_out(tmp_path: Path, refusal: int) -> None:
    """exFAT says of such a name that there is no such file."""
    with folding(tmp_path, How(folds=False, refused=':"*<>?|', refusal=refusal)):
        traits = probe(tmp_path)
    assert traits == Traits(refused=("a:b.json",))
    assert "a:b.json" in traits.lack


@pytest.mark.parametrize("most", [143, 254, 255])
def test_the_longest_name_is_found_out(tmp_path: Path, most: int) -> None:
    with folding(tmp_path, How(folds=False, name_bytes=most)):
        assert probe(tmp_path).name_bytes == most


def test_a_disk_without_the_names_that_syncd_needs_is_refused(tmp_path: Path) -> None:
    refused = pytest.raises(FolderWrong, match=r"%2ex\.json")
    with folding(tmp_path, How(refused="%")), refused as caught:
        probe(tmp_path)
    assert "another file system" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    with pytest.raises(FolderWrong, match="cannot be written to"):
        probe(tmp_path / "absent")


# --- Names that lead elsewhere --------------------------------------------------------------------


@pytest.mark.parametrize("how", FOLDINGS)
def test_a_name_leads_to_its_own_file_or_to_anothers(tmp_path: Path, how: How) -> None:
    (tmp_path / "Foo.json").touch()
    directory = os.open(tmp_path, os.O_RDONLY)
    with folding(tmp_path, how):
        assert is_spelt(directory, "Foo.json")
        assert not is_spelt(directory, "foo.json")
        check_spelt(directory, "Foo.json")
        check_spelt(directory, "bar.json")
        with pytest.raises(OSError, match="not unique") as caught:
            check_spelt(directory, "FOO.json")
        assert caught.value.errno == errno.ENOTUNIQ
        with pytest.raises(FileNotFoundError):
            is_spelt(directory, "bar.json")
    os.link(tmp_path / "Foo.json", tmp_path / "fOO.JSON")
    assert is_spelt(directory, "Foo.json"), "two names of one file, and each is there"
    os.close(directory)


@pytest.mark.parametrize("how", FOLDINGS)
def test_a_folder_that_folds_case_is_refused_unless_its_names_are_portable(
    folder: Folder, how: How
) -> None:
    with folding(folder.root, how):
        with pytest.raises(FolderWrong, match="does not tell upper from lower case") as caught:
            scan(folder, known={}, now_ns=0)
        assert 'filenames = "portable"' in caught.value.hint
        for path in (UPPER, LOWER):
            put(portable(folder), path, path.encode())
        for path in (UPPER, LOWER):
            assert read_bytes(portable(folder), path)[0] == path.encode()
    assert files(folder) == ["%46oo.json", "foo.json"]


def test_all_record_keys_live_together_on_a_disk_that_folds_and_refuses(folder: Folder) -> None:
    paths = [RecordPath(f"{COLLECTION}/{rkey}") for rkey in RKEYS]
    with folding(folder.root, How(refused=':"*<>?|')):
        for path in paths:
            put(portable(folder), path)
        assert set(scan(portable(folder), known={}, now_ns=0).seen) == set(paths)
        found = scan(portable(folder), known={}, only=paths, now_ns=0)
        assert set(found.seen) == set(paths)
        assert found.problems == {}


@pytest.mark.parametrize("how", FOLDINGS)
def test_one_collection_that_folds_case_costs_one_record_and_overwrites_nothing(
    folder: Folder, how: How
) -> None:
    """As on ext4, where a single directory may fold."""
    (folder.root / COLLECTION).mkdir()
    with folding(folder.root / COLLECTION, how):
        seen = put(folder, UPPER)
        for _ in range(2):
            with pytest.raises(FileProblem, match="with another name"):
                put(folder, LOWER, NEW)
        with pytest.raises(FileChanged):
            read_bytes(folder, LOWER)
        with pytest.raises(FileProblem):
            remove(folder, LOWER, expect=seen)
        with pytest.raises(FileProblem):
            write(folder, LOWER, NEW, expect=seen, cid=CID)
        for only in (None, [UPPER, LOWER]):
            look = scan(folder, known={}, expected=[UPPER, LOWER], only=only, now_ns=0)
            assert (set(look.seen), look.problems) == ({UPPER}, {})
            assert look.absent(LOWER)
        assert read_bytes(folder, UPPER)[0] == OLD
    assert files(folder) == ["Foo.json"]


@pytest.mark.parametrize("how", FOLDINGS)
def test_collections_that_differ_in_case_alone_are_kept_apart(folder: Folder, how: How) -> None:
    one, other = RecordPath("com.example.someThing/x"), RecordPath("com.example.something/x")
    with folding(folder.root, how):
        put(portable(folder), one)
        with pytest.raises(FileProblem, match="with another name"):
            put(portable(folder), other, NEW)
        with pytest.raises(FileChanged):
            read_bytes(portable(folder), other)
        look = scan(portable(folder), known={}, expected=[one, other], now_ns=0)
        assert set(look.seen) == {one}
        assert look.absent(other)
        assert read_bytes(portable(folder), one)[0] == OLD


def test_a_file_renamed_to_another_case_is_another_record(folder: Folder) -> None:
    (folder.root / COLLECTION).mkdir()
    with folding(folder.root / COLLECTION):
        seen = put(folder, UPPER)
    (folder.root / COLLECTION / "Foo.json").rename(folder.root / COLLECTION / "foo.json")
    with folding(folder.root / COLLECTION):
        look = scan(folder, known={UPPER: seen}, now_ns=0)
        assert set(look.seen) == {LOWER}
        assert look.absent(UPPER)


def test_whether_case_counts_is_asked_of_each_directory(folder: Folder) -> None:
    """One file shows it for all others of its directory, and for no other directory."""
    for name in (COLLECTION, "com.example.folded"):
        (folder.root / name).mkdir()
        (folder.root / name / "foo.json").write_bytes(OLD)
    with (
        folding(folder.root / "com.example.folded"),
        folder.open() as root,
        Directories(root) as directories,
    ):
        for _ in range(2):
            directories.open([COLLECTION])
            assert directories.is_spelt("foo.json")
            directories.open(["com.example.folded"])
            assert directories.is_spelt("foo.json")
            assert not directories.is_spelt("FOO.json")


def test_only_a_file_that_stays_shows_that_case_counts(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is gone by the next look has no other spelling either."""
    file = folder.root / "foo.json"
    file.write_bytes(OLD)
    (folder.root / "+.1").write_bytes(OLD)
    (folder.root / "\u00e9.json").write_bytes(OLD)
    raw = os.stat

    def gone_after(name: str, **more: Any) -> os.stat_result:  # noqa: ANN401
        found = raw(name, **more)
        file.unlink()
        return found

    with folder.open() as root:
        assert keeps_case(root, "foo.json")
        assert not keeps_case(root, "+.1"), "it has one spelling"
        assert not keeps_case(root, "\u00e9.json"), "who knows how others are folded"
        monkeypatch.setattr(os, "stat", gone_after)
        with pytest.raises(FileNotFoundError):
            keeps_case(root, "foo.json")


def test_a_file_that_another_one_replaces_does_not_show_that_case_counts(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two there was no file of either spelling."""
    file = folder.root / "foo.json"
    file.write_bytes(OLD)
    file.with_name("kept").hardlink_to(file)
    raw = os.stat

    def replaced_at(name: str, **more: Any) -> os.stat_result:  # noqa: ANN401
        if name == "FOO.JSON":
            file.unlink()
            file.write_bytes(OLD)
        return raw(name, **more)

    monkeypatch.setattr(os, "stat", replaced_at)
    with folder.open() as root:
        assert not keeps_case(root, "foo.json")


def test_a_name_that_is_too_long_for_the_disk_is_a_problem_of_its_own(folder: Folder) -> None:
    long = RecordPath(f"{COLLECTION}/{'x' * 200}")
    with folding(folder.root, How(folds=False, name_bytes=143)):
        with pytest.raises(FileProblem, match="name is too long"):
            put(folder, long)
        put(folder, LOWER)
    assert files(folder) == ["foo.json"]


# --- Another setting ------------------------------------------------------------------------------


def spelt(*, is_portable: bool) -> list[str]:
    return sorted(file_name(split_record_path(RecordPath(f"{COLLECTION}/{rkey}"))[1],
                            portable=is_portable) for rkey in RKEYS)  # fmt: skip


@pytest.mark.parametrize("to_portable", [True, False])
def test_every_file_is_renamed_to_the_other_setting_and_keeps_its_content(
    folder: Folder, to_portable: bool
) -> None:
    before, after = (
        Folder(folder.root, MARKER, not to_portable),
        Folder(folder.root, MARKER, to_portable),
    )
    paths = [RecordPath(f"{COLLECTION}/{rkey}") for rkey in RKEYS]
    for path in paths:
        put(before, path, path.encode())
    (folder.root / COLLECTION / "Not a record.json").write_bytes(b"x")
    (folder.root / "Notes.json").write_bytes(b"x")
    known = scan(before, known={}, now_ns=0)
    different = len(set(spelt(is_portable=True)) - set(spelt(is_portable=False)))
    assert respell(after, everything) == different
    assert respell(after, everything) == 0
    assert files(folder) == sorted([*spelt(is_portable=to_portable), "Not a record.json"])
    for path in paths:
        assert read_bytes(after, path)[0] == path.encode()
    look = scan(after, known=known.seen, now_ns=0)
    assert not any(look.absent(path) for path in paths)


def test_a_new_name_that_is_taken_is_left_alone_and_named(folder: Folder) -> None:
    put(folder, UPPER)
    (folder.root / COLLECTION / "%46oo.json").write_bytes(NEW)
    assert respell(portable(folder), everything) == 0
    assert (folder.root / COLLECTION / "%46oo.json").read_bytes() == NEW
    assert (folder.root / COLLECTION / "Foo.json").read_bytes() == OLD
    (stray,) = scan(portable(folder), known={}, now_ns=0).strays
    assert stray.hint == "rename it to %46oo.json"


def test_collections_out_of_scope_keep_their_names(folder: Folder) -> None:
    put(folder, UPPER)
    assert respell(portable(folder), lambda name: name != COLLECTION) == 0
    assert files(folder) == ["Foo.json"]


def test_what_lies_aside_is_renamed_too(folder: Folder) -> None:
    aside = folder.root / ".syncd" / "conflicts" / "Foo.json"
    aside.parent.mkdir()
    aside.write_bytes(OLD)
    names = [(".syncd/conflicts/Foo.json", ".syncd/conflicts/%46oo.json")]
    assert respell(portable(folder), everything, names) == 0
    assert [file.name for file in aside.parent.iterdir()] == ["%46oo.json"]


def test_a_crash_at_any_step_of_the_renaming_loses_nothing_and_the_next_run_ends_it(
    folder: Folder,
) -> None:
    paths = [RecordPath(f"{COLLECTION}/{rkey}") for rkey in ("Foo", "foo", "B" * 300, "c:d")]
    for crash_at in range(40):
        for path in paths:
            put(folder, path, path.encode())
        disk = StagedDisk(crash_at=crash_at)
        try:
            respell(Folder(folder.root, MARKER, True, disk), everything)
        except Crash:
            look = scan(portable(folder), known={}, expected=paths, now_ns=0)
            assert not any(look.absent(path) for path in paths)
            respell(portable(folder), everything)
            is_over = False
        else:
            is_over = True
        for path in paths:
            content, now = read_bytes(portable(folder), path)
            assert content == path.encode()
            remove(portable(folder), path, expect=now.seen(path, CID, seen_ns=0))
        if is_over:
            return
    pytest.fail("the renaming takes more steps than this test allows for")
