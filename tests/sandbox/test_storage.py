"""A sandbox with a directory is itself again after a restart."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from syncd.atproto.data import Record
from syncd.model import parse_record_path
from syncd.sandbox import Sandbox, Status
from syncd.sandbox.accounts import check_login

A, B, C = (parse_record_path(f"com.example.thing/{rkey}") for rkey in "abc")


def thing(number: int) -> Record:
    return {"$type": "com.example.thing", "n": number}


def test_accounts_repos_and_revs_of_blocks_are_as_they_were(tmp_path: Path) -> None:
    before = Sandbox(data=tmp_path)
    login = before.create_account("alice")
    repo = before.repo(login.did)
    repo.put(A, thing(1))
    repo.put(B, thing(2))
    repo.put(A, thing(3))
    repo.put(C, thing(3))
    repo.put(A, thing(1))
    repo.delete(B)
    after = Sandbox(data=tmp_path)
    assert after.repo(login.did).state == repo.state
    assert list(after.accounts) == list(before.accounts)
    assert check_login(after.accounts, "alice.test", login.password)[0].did == login.did


def test_a_repo_goes_on_where_it_stood(tmp_path: Path) -> None:
    did = Sandbox(data=tmp_path).create_account("alice").did
    head = None
    for number in range(3):
        repo = Sandbox(data=tmp_path).repo(did)
        assert head in (None, repo.head)
        repo.put(A, thing(number))
        head = repo.head
    assert Sandbox(data=tmp_path).repo(did).record(A) == thing(2)


def test_access_tokens_survive_a_restart(tmp_path: Path) -> None:
    before = Sandbox(data=tmp_path)
    did = before.create_account("alice").did
    token = before.sessions.open(did, "com.atproto.appPass").access
    assert Sandbox(data=tmp_path).sessions.read_access(token).did == did


def test_statuses_and_deletions_survive_a_restart(tmp_path: Path) -> None:
    before = Sandbox(data=tmp_path)
    gone, asleep = before.create_account("alice"), before.create_account("bob")
    before.delete_account(gone.did)
    before.set_status(asleep.did, Status.DEACTIVATED)
    after = Sandbox(data=tmp_path)
    assert [(a.did, a.status) for a in after.accounts] == [(asleep.did, Status.DEACTIVATED)]


def test_a_file_that_was_being_written_does_not_count(tmp_path: Path) -> None:
    before = Sandbox(data=tmp_path)
    login = before.create_account("alice")
    before.repo(login.did).put(A, thing(1))
    (directory,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (directory / "commits" / "zzzzzzzzzzzzz.partial").write_bytes(b"half a commit")
    assert Sandbox(data=tmp_path).repo(login.did).record(A) == thing(1)


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    Sandbox(data=data).create_account("alice")
    for path in (data, *data.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("data", [None, "kept"])
def test_no_file_is_written_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    sandbox = Sandbox(data=None if data is None else Path(data))
    sandbox.repo(sandbox.create_account("alice").did).put(A, thing(1))
    assert [path.name for path in tmp_path.iterdir()] == ([] if data is None else [data])
