"""The activity log: bounded, one line for many new records, and never believed beyond its lines."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.syntax import Tid
from syncd.state import ACTIVITY_FILE, Activity, ActivityLog, How
from tests.chance import times

REV = Tid("3jzfcijpj2z2a")
OLDER_FILE = "activity.older.jsonl"


def cid(number: int) -> Cid:
    return cid_of_block(str(number).encode())


def created(number: int, *, how: How = How.PULLED, at: int = 5) -> Activity:
    path = f"com.example.note/n{number}"
    return Activity(at, how, path, None, cid(number), rev=REV, commit=cid(-1), pds="https://a.b")


def replaced(number: int, *, at: int = 5) -> Activity:
    path = f"com.example.note/n{number}"
    return Activity(at, How.PUSHED, path, cid(number), cid(number + 1), pds="https://a.b")


def test_what_is_kept_is_read_newest_first_and_as_it_was(tmp_path: Path) -> None:
    log = ActivityLog(tmp_path)
    first, second = [created(1), replaced(2)], [replaced(3)]
    log.keep(first)
    log.keep(second)
    read = log.read()
    assert list(read.found) == [*second, *first[::-1]]
    assert read.unread == 0
    assert list(log.read(1).found) == second
    assert (tmp_path / ACTIVITY_FILE).stat().st_mode & 0o777 == 0o600


def test_many_new_records_take_one_line_and_each_of_them_is_found(tmp_path: Path) -> None:
    log = ActivityLog(tmp_path)
    log.keep(created(number) for number in range(2_500))
    assert (tmp_path / ACTIVITY_FILE).read_bytes().count(b"\n") == 3
    found = log.read().found
    assert sum(activity.count for activity in found) == 2_500
    paths = {path for activity in found for path in activity.paths}
    assert paths == {f"com.example.note/n{number}" for number in range(2_500)}
    (one,) = log.read(about=['"n2400"']).found
    assert "com.example.note/n2400" in one.paths


def test_what_replaces_a_version_says_which_however_many_there_are(tmp_path: Path) -> None:
    log = ActivityLog(tmp_path)
    log.keep(replaced(number) for number in range(50))
    assert [activity.before for activity in log.read().found] == [cid(n) for n in range(49, -1, -1)]


def test_both_files_together_stay_within_the_bound_and_have_the_newest(tmp_path: Path) -> None:
    log = ActivityLog(tmp_path, most_bytes=8_000)
    for number in range(200):
        log.keep([replaced(number)])
        sizes = [file.stat().st_size for file in tmp_path.iterdir()]
        assert sum(sizes) <= 8_000
    found = log.read()
    assert found.unread == 0
    kept = [activity.before for activity in found.found]
    assert kept == [cid(199 - n) for n in range(len(kept))]
    assert len(kept) > 10


def test_more_at_once_than_the_bound_leaves_the_newest_of_it(tmp_path: Path) -> None:
    log = ActivityLog(tmp_path, most_bytes=8_000)
    log.keep(replaced(number) for number in range(500))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 8_000
    assert log.read().found[0] == replaced(499)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-40],
        lambda text: text.replace(b"n2", b"n7"),
        lambda text: text.replace(b'"v":1', b'"v":2'),
        lambda text: b"\0" * len(text),
        lambda text: b"\xff{[" + text,
    ],
    ids=["cut", "flipped", "newer", "zeros", "garbage"],
)
def test_a_line_that_is_not_as_written_is_counted_and_the_next_one_is_whole(
    tmp_path: Path,
    damage: object,
) -> None:
    log = ActivityLog(tmp_path)
    log.keep([replaced(2)])
    file = tmp_path / ACTIVITY_FILE
    assert callable(damage)
    file.write_bytes(damage(file.read_bytes()))
    log.keep([replaced(5)])
    read = log.read()
    assert list(read.found) == [replaced(5)]
    assert read.unread == 1


@given(at=st.integers(0, 2_000), bit=st.integers(0, 7))
@settings(max_examples=times(200))
def test_no_flipped_bit_makes_an_activity_that_never_was(at: int, bit: int) -> None:
    whole = [created(1), replaced(2), created(3)]
    with TemporaryDirectory() as directory:
        log = ActivityLog(Path(directory))
        log.keep(whole)
        file = Path(directory, ACTIVITY_FILE)
        content = bytearray(file.read_bytes())
        content[at % len(content)] ^= 1 << bit
        file.write_bytes(content)
        assert set(log.read().found) <= set(whole)


def test_no_file_is_no_activity_and_a_pipe_or_link_in_its_place_is_neither_waited_for_nor_followed(
    tmp_path: Path,
) -> None:
    log = ActivityLog(tmp_path)
    assert list(log.read().found) == []
    os.mkfifo(tmp_path / ACTIVITY_FILE)
    log.keep([replaced(1)])
    assert list(log.read().found) == []
    (tmp_path / ACTIVITY_FILE).unlink()
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / ACTIVITY_FILE).symlink_to(tmp_path / "elsewhere")
    log.keep([replaced(1)])
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"
    with pytest.raises(OSError, match="symbolic"):
        log.read()


def test_a_directory_that_takes_no_file_stops_nothing_and_the_reason_is_told(
    tmp_path: Path,
) -> None:
    log = ActivityLog(tmp_path)
    assert ActivityLog(tmp_path / "missing").keep([replaced(1)])
    (tmp_path / ACTIVITY_FILE).mkdir()
    assert str(tmp_path / ACTIVITY_FILE) in log.keep([replaced(1)])
    assert list((tmp_path / ACTIVITY_FILE).iterdir()) == []
    (tmp_path / ACTIVITY_FILE).rmdir()
    assert log.keep([replaced(2)]) == log.keep([]) == ""
    assert list(log.read().found) == [replaced(2)]


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_cuts_no_entry_and_takes_the_next_one_when_it_has_room(
    tmp_path: Path, room: int
) -> None:
    log = ActivityLog(tmp_path)
    log.keep([replaced(1)])
    size = (tmp_path / ACTIVITY_FILE).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, before[1]))
    try:
        said = log.keep([replaced(2), replaced(3)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert said
    assert (tmp_path / ACTIVITY_FILE).stat().st_size == size
    assert log.keep([replaced(4)]) == ""
    read = log.read()
    assert (list(read.found), read.unread) == ([replaced(4), replaced(1)], 0)


def test_of_what_is_older_than_asked_only_so_much_is_read_as_a_clock_may_be_wrong(
    tmp_path: Path,
) -> None:
    day, log = 86_400, ActivityLog(tmp_path)
    for number in range(20):
        log.keep([replaced(number, at=number * day)])
    # This clock was set back by half a day: the entry before it is newer.
    log.keep([replaced(20, at=19 * day - day // 2)])
    found = log.read(since=18 * day).found
    assert {activity.at for activity in found} >= {18 * day, 19 * day, 19 * day - day // 2}
    assert len(found) < 6
    assert len(log.read(since=0).found) == len(log.read().found) == 21
