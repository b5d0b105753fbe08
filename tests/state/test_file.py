"""A state file that cannot be made or opened leaves nothing behind: no connection, no half file."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.atproto.syntax import Did
from syncd.errors import FileProblem, StateDamaged, SyncdError
from syncd.state import create_state, file, open_state

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def open_below(directory: Path) -> list[str]:
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [name for link in links if (name := str(link.readlink())).startswith(str(directory))]


@pytest.mark.parametrize("size", [0, 1000, 8000])
def test_a_state_file_that_cannot_be_made_leaves_no_file_and_no_connection(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "state.db"
    with small_files(size), pytest.raises(FileProblem) as caught:
        create_state(path, did=DID, marker="m")
    assert open_below(tmp_path) == [], caught
    assert list(tmp_path.iterdir()) == []
    create_state(path, did=DID, marker="m").close()
    open_state(path).close()


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, b"SQLite format 3\0" * 300])
def test_a_state_file_that_cannot_be_opened_leaves_no_connection(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StateDamaged) as caught:
        open_state(path)
    assert open_below(tmp_path) == [], caught


def test_a_state_file_of_a_newer_syncd_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state = create_state(path, did=DID, marker="m")
    state._sql.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    state._sql.execute("PRAGMA user_version = 99")
    state.close()
    with pytest.raises(SyncdError, match="newer") as caught:
        open_state(path)
    assert open_below(tmp_path) == [], caught


def test_a_log_that_cannot_be_looked_at_may_hold_more_than_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, log = tmp_path / "state.db", tmp_path / "state.db-wal"
    assert not file._has_log(path)
    log.touch()
    assert not file._has_log(path)
    log.write_bytes(b"x")
    assert file._has_log(path)

    def refuse(_: Path) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(Path, "stat", refuse)
    assert file._has_log(path)
