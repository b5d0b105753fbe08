"""Reading one file: as it stood at one moment, or not at all."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import cid_of
from syncd.errors import FileProblem
from syncd.folder import linux
from syncd.folder.problems import explain, printable
from syncd.folder.read import (
    IDLE_NS,
    Texts,
    is_at_rest,
    kind_problem,
    read_file,
    read_meant,
    read_record,
)
from syncd.model import Problem, RecordPath, Seen


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def changing(file: Path, times: int) -> Iterator[None]:
    """Change `file` after each of the first `times` reads, with ever new modification times."""
    real, numbers = os.read, count()

    def read(descriptor: int, size: int) -> bytes:
        content = real(descriptor, size)
        if (number := next(numbers)) < times:
            file.write_bytes(b"%010d" % number)
            os.utime(file, ns=(0, number))
        return content

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "read", read)
        yield


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"0123456789")
    with opened(tmp_path) as directory, changing(file, 2):
        content, now = read_file(directory, "x")
    assert content == file.read_bytes()
    assert now.mtime_ns == file.stat().st_mtime_ns


def test_a_file_that_never_stops_changing_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"0123456789")
    with (
        opened(tmp_path) as directory,
        changing(file, 1000),
        pytest.raises(FileProblem, match="being written"),
    ):
        read_file(directory, "x")


def test_a_new_content_does_not_count_while_a_program_has_the_file_open_for_writing(
    tmp_path: Path,
) -> None:
    """Written byte over byte, half of a save may be a whole record."""
    path = RecordPath("com.example.note/x")
    (tmp_path / "x.json").write_bytes(b'{"$type": "com.example.note", "a": 1, "b": 1}')
    with opened(tmp_path) as directory:
        known = read_record(directory, "x.json", path, None, seen_ns=time.time_ns())
        assert isinstance(known, Seen)
        with (tmp_path / "x.json").open("r+b", buffering=0) as writer:
            now = time.time_ns()
            same = read_record(directory, "x.json", path, known, seen_ns=now)
            assert isinstance(same, Seen)
            writer.write(b'{"$type": "com.example.note", "a": 2')
            now = time.time_ns()
            half = read_record(directory, "x.json", path, known, seen_ns=now)
            assert isinstance(half, Problem)
            assert half.reason == "another program has it open for writing"
            idle = read_record(directory, "x.json", path, known, seen_ns=now + 2 * IDLE_NS)
            assert isinstance(idle, Seen)
        whole = read_record(directory, "x.json", path, known, seen_ns=time.time_ns())
        assert isinstance(whole, Seen)
        assert whole.cid != known.cid


def test_a_content_of_the_same_time_and_size_is_new_all_the_same(tmp_path: Path) -> None:
    """Two changes within one tick of a file system's clock leave equal stats."""
    path, file = RecordPath("com.example.note/x"), tmp_path / "x.json"
    file.write_bytes(b'{"$type": "com.example.note", "a": 1}')
    with opened(tmp_path) as directory:
        seen = read_record(directory, "x.json", path, None, seen_ns=time.time_ns())
        assert isinstance(seen, Seen)
        before = replace(seen, digest=b"\0" * 32, cid=cid_of_block(b"before"))
        texts = Texts()
        again = read_record(directory, "x.json", path, before, seen_ns=1, texts=texts)
        assert again == replace(seen, seen_ns=1)
        assert texts.get(seen.digest) == file.read_bytes()
        with file.open("r+b"):
            written = read_record(directory, "x.json", path, before, seen_ns=time.time_ns())
        assert isinstance(written, Problem)


def test_a_file_is_at_rest_only_with_the_right_content_and_no_writer(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"content")
    with opened(tmp_path) as directory:
        digest = read_file(directory, "x")[1].digest
        assert is_at_rest(directory, "x", digest)
        assert not is_at_rest(directory, "x", b"\0" * 32)
        assert not is_at_rest(directory, "gone", digest)
        with file.open("rb"):
            assert is_at_rest(directory, "x", digest)
        with file.open("ab"):
            assert not is_at_rest(directory, "x", digest)
        file.unlink()
        file.symlink_to("x")
        assert not is_at_rest(directory, "x", digest)


def test_a_lease_ends_when_somebody_wants_to_write_and_the_process_lives_on(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"content")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        lease = linux.take_lease(descriptor)
        assert lease.holds()
        with pytest.raises(BlockingIOError):
            os.open(file, os.O_WRONLY | os.O_NONBLOCK)
        assert not lease.holds()
    finally:
        os.close(descriptor)


def test_a_file_is_what_was_agreed_only_if_it_is_whole_and_means_it(tmp_path: Path) -> None:
    path = RecordPath("com.example.note/x")
    agreed = cid_of({"$type": "com.example.note", "a": 1})
    whole = b'{"a": 1, "$type": "com.example.note"}'
    others = (whole[:-1], whole.replace(b"1", b"2"), b'{"a": 1, "a": 1}', b"", b"\xff")
    (tmp_path / "link").symlink_to("x")
    (tmp_path / "below").mkdir()
    with opened(tmp_path) as directory:

        def read(name: str) -> Seen | None:
            found = read_meant(directory, name, path, agreed, seen_ns=5)
            assert found is None or found[1] == {"$type": "com.example.note", "a": 1}
            return None if found is None else found[0]

        for other in others:
            (tmp_path / "x").write_bytes(other)
            assert read("x") is None
        (tmp_path / "x").write_bytes(whole)
        with (tmp_path / "x").open("r+b"):
            assert read("x") == read_record(directory, "x", path, read("x"), seen_ns=5)
        assert [read(name) for name in ("link", "below", "nothing")] == [None] * 3


def test_where_there_are_no_leases_no_writer_is_assumed() -> None:
    reader, writer = os.pipe()
    try:
        assert linux.take_lease(reader).holds()
    finally:
        os.close(reader)
        os.close(writer)


def test_every_refusal_of_the_system_has_words_and_a_next_step() -> None:
    for code in (1, 2, 5, 12, 13, 20, 28, 30, 36, 40, 122):
        cause, hint = explain(OSError(code, os.strerror(code)))
        assert cause
        assert hint[0].islower()


def test_a_name_is_shown_without_bytes_that_are_no_text() -> None:
    assert printable(os.fsdecode(b"a\xff\xc3\xa9")) == "a\\xffé"


@pytest.mark.parametrize(("mode", "is_link"), [(stat.S_IFLNK, True), (stat.S_IFIFO, False)])
def test_only_a_link_is_told_that_links_are_not_followed(mode: int, is_link: bool) -> None:
    assert ("links" in kind_problem("com.example.note/one", mode).hint) == is_link
