"""A crash while tokens are rotated costs nothing: the old refresh token still leads onwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from syncd.atproto.data import Record, cid_of
from syncd.atproto.syntax import Did
from syncd.credentials import Credentials
from syncd.credentials.secretfile import STALE_SECONDS
from syncd.exchange import Session
from syncd.model import Change, RecordPath
from syncd.pds import HttpPds, log_in
from tests.contract.rungs import Ground, HttpRung

NOTE = RecordPath("com.example.note/one")


class Crash(BaseException):
    """The process ends here: nothing of ours catches it."""


def crash(*_: object) -> None:
    raise Crash


def credentials(ground: Ground, home: Path) -> Credentials:
    """What a process finds that starts now; there is no password to fall back on."""
    return Credentials(ground.account.did, config_dir=home, environ={}, keyring=lambda: None)


async def begin(ground: Ground, home: Path) -> Session:
    """A session whose access token has expired."""
    made = await log_in(ground.account.pds, ground.account.did, ground.login.password)
    expired = replace(made, access=cast("HttpRung", ground.rung).expired(ground.account.did))
    credentials(ground, home).keep(expired)
    return expired


async def push(ground: Ground, home: Path, v: int) -> None:
    record: Record = {"$type": "com.example.note", "v": v}
    async with HttpPds(ground.account, credentials(ground, home)) as pds:
        before = await pds.fetch_record(NOTE)
        await pds.put(Change(NOTE, before, cid_of(record), record))


def dies_before_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.credentials.store.write_secret", crash)


def dies_in_the_middle_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", crash)


def dies_before_the_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", crash)


def dies_after_the_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.credentials.secretfile._sync_directory", crash)


WAYS = (
    dies_before_keeping,
    dies_in_the_middle_of_the_file,
    dies_before_the_rename,
    dies_after_the_rename,
)


@pytest.mark.parametrize("die", WAYS, ids=lambda way: way.__name__)
async def test_a_crash_while_tokens_are_rotated_needs_no_new_login(
    http_ground: Ground, tmp_path: Path, die: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Also when it happens over and over."""
    old = await begin(http_ground, tmp_path)
    for _ in range(3):
        with pytest.MonkeyPatch.context() as dying:
            die(dying)
            with pytest.raises(Crash):
                await push(http_ground, tmp_path, 1)
        kept = credentials(http_ground, tmp_path).load()
        assert kept is not None, "a session is whole, old or new"
        if kept.access != old.access:
            break
    await push(http_ground, tmp_path, 2)
    kept = credentials(http_ground, tmp_path).load()
    assert kept is not None
    assert kept.refresh != old.refresh
    found = await http_ground.other.fetch_record(NOTE)
    assert found == cid_of({"$type": "com.example.note", "v": 2})


KILLED = """
import os, signal, sys
from pathlib import Path
from syncd.credentials import Credentials
from syncd.exchange import Session
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
did, home = sys.argv[1:]
Credentials(did, config_dir=Path(home), environ={}).keep(
    Session(did, "new-token", "new-refresh", "https://pds.example.com")
)
"""


def test_what_a_killed_process_left_of_a_secret_is_swept_up(tmp_path: Path) -> None:
    did = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
    mine = Credentials(did, config_dir=tmp_path, environ={}, keyring=lambda: None)
    old = Session(did, "old-token", "old-refresh", "https://pds.example.com")
    mine.keep(old)
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, did, str(tmp_path)], check=False)
        assert done.returncode == -signal.SIGKILL
    assert mine.load() == old
    directory = tmp_path / "credentials"
    left = list(directory.glob(".*.tmp"))
    assert len(left) == 2
    assert {file.stat().st_mode & 0o777 for file in left} == {0o600}
    past = time.time() - STALE_SECONDS - 1
    os.utime(left[0], (past, past))
    mine.keep(Session(did, "newer", "newest", old.origin))
    assert list(directory.glob(".*.tmp")) == [left[1]], "another process may be writing it"
    os.utime(left[1], (past, past))
    mine.forget()
    assert list(directory.glob(".*.tmp")) == []
