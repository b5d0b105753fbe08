"""The main job on every rung behind HTTP: two devices, another client, one repo, one stream.

Another client writes at the worst moment: after syncd has looked and right before it writes. Where
the PDS honours guards nothing is lost. Where it honours none, what was lost was heard in the
stream, is named, and is kept: docs/pushing.md says which window that leaves.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, cid_of, encode
from syncd.exchange import Written
from syncd.model import Change, RecordPath, split_record_path
from syncd.pds import HttpPds, Meanwhile, MemoryTokens
from syncd.pds.stream import pds_stream
from tests.contract.conftest import ALTERAN, ARROBA, OLDER, REFERENCE
from tests.contract.rungs import Rung
from tests.rigs.device import Device
from tests.rigs.machine import PATIENCE_SECONDS

A, B, C, Z = (RecordPath(f"com.example.note/{name}") for name in "abcz")
HEARD = RecordPath("com.example.heard/one")


def note(v: int) -> Record:
    return {"$type": "com.example.note", "v": v}


def change(path: RecordPath, before: Cid | None, v: int) -> Change:
    record = {**note(v), "$type": split_record_path(path)[0]}
    return Change(path, before, cid_of(record), record, encode(record))


class Overtaken(HttpPds):
    """Another client writes `first` after syncd has looked, right before its write is sent."""

    first: Change | None = None

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        if changes:
            await self._overtake()
        return await super().write(changes, swap=swap, validate=validate, meanwhile=meanwhile)

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        await self._overtake()
        return await super().put(change, validate=validate, is_guarded=is_guarded)

    async def delete(self, change: Change, *, is_guarded: bool = True) -> Written:
        await self._overtake()
        return await super().delete(change, is_guarded=is_guarded)

    async def _overtake(self) -> None:
        first, self.first = self.first, None
        if first is None:
            return
        if first.before is None:
            await super().write([first], swap=None)
        else:
            await super().put(first, is_guarded=False)


@dataclass(slots=True)
class Home:
    """An account, two devices, another client, and what the stream tells the laptop."""

    laptop: Device
    phone: Device
    ours: Overtaken
    other: HttpPds

    async def settle(self) -> None:
        for _ in range(2):
            for device in (self.laptop, self.phone):
                assert (await device.sync()).halted is None

    def agree(self) -> bool:
        """Return whether both have the same records, whatever the form of their files."""
        found = [
            {name: json.loads(text) for name, text in device.files().items()}
            for device in (self.laptop, self.phone)
        ]
        return found[0] == found[1]

    @asynccontextmanager
    async def hearing(self) -> AsyncIterator[None]:
        """Let the laptop hear the stream of the PDS, until it has told of all that is done."""
        heard: set[Cid | None] = set()

        async def listen() -> None:
            overheard = self.laptop.mirror.outbox.answers.overheard
            overheard.is_listening = True
            async with aclosing(pds_stream(self.laptop.mirror.account).rings()) as rings:
                async for ring in rings:
                    heard.add(ring.commit)
                    if ring.event is not None:
                        overheard.hear(ring.event)

        listening = asyncio.create_task(listen())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                # A server may take a connection before it listens to its own commits.
                for v in itertools.count():
                    if heard - {None}:
                        break
                    await self.other.put(change(HEARD, None, v), is_guarded=False)
                    await asyncio.sleep(0.1)
                yield
                for _ in itertools.count():
                    if (await self.other.fetch_latest())[0] in heard or listening.done():
                        break
                    await asyncio.sleep(0.05)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


@pytest.fixture(scope="session", params=["sandbox", REFERENCE, ARROBA, OLDER, ALTERAN])
def rung(request: pytest.FixtureRequest) -> Rung:
    found: Rung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture
async def home(rung: Rung, tmp_path: Path) -> AsyncIterator[Home]:
    login = rung.login()
    account = login.account
    ours = Overtaken(account, login.tokens())
    theirs, other = (HttpPds(account, login.tokens()) for _ in range(2))
    laptop = Device.make(tmp_path / "laptop", account, ours)
    yield Home(laptop, Device.make(tmp_path / "phone", account, theirs), ours, other)
    for pds in (ours, theirs, other):
        await pds.aclose()


async def test_what_is_made_edited_renamed_and_deleted_here_is_so_there(home: Home) -> None:
    for path, v in ((A, 1), (B, 2), (Z, 3)):
        home.laptop.save(path, v=v)
    await home.settle()
    assert home.agree()
    home.laptop.save(A, v=10)
    home.laptop.delete(B)
    home.laptop.file(Z).rename(home.laptop.file(C))
    report = await home.laptop.sync()
    assert (report.problems, report.conflicts, report.halted) == ((), (), None)
    await home.settle()
    assert home.agree()
    assert [home.phone.has(path) for path in (A, B, C, Z)] == [True, False, True, False]
    assert home.phone.read(A)["v"] == 10
    assert [await home.other.fetch_record(path) for path in (B, Z)] == [None, None]


async def test_a_creation_of_somebody_else_at_the_worst_moment_is_a_conflict(home: Home) -> None:
    home.laptop.save(B, v=2)
    await home.laptop.sync()
    for path in (A, C):
        home.laptop.save(path, v=1)
    home.ours.first = change(A, None, 9)
    report = await home.laptop.sync()
    assert await home.other.fetch_record(A) == cid_of(note(9))
    assert home.laptop.read(A)["v"] == 1
    assert [conflict.path for conflict in report.conflicts] == [A]
    assert report.pushed == (C,)


async def test_edits_of_both_sides_are_a_conflict_and_both_versions_stay(home: Home) -> None:
    home.laptop.save(A, v=1)
    await home.settle()
    await home.other.put(change(A, cid_of(note(1)), 7), is_guarded=False)
    home.laptop.save(A, v=2)
    report = await home.laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == [A]
    assert home.laptop.read(A)["v"] == 2
    assert {kept["v"] for kept in home.laptop.kept_conflicts()} == {7}
    assert await home.other.fetch_record(A) == cid_of(note(7))


@pytest.mark.parametrize("is_deleted", [False, True], ids=["edit", "deletion"])
async def test_an_edit_of_another_client_at_the_worst_moment_is_not_lost_unsaid(
    home: Home, is_deleted: bool
) -> None:
    """Where no guard stops our write, theirs is named by path and CID, and is in history."""
    home.laptop.save(A, v=1)
    await home.settle()
    theirs = change(A, cid_of(note(1)), 9)
    async with home.hearing():
        await home.laptop.sync()
        home.ours.first = theirs
        if is_deleted:
            home.laptop.delete(A)
        else:
            home.laptop.save(A, v=2)
        first = await home.laptop.sync()
        assert home.ours.first is None
    last = await home.laptop.sync()
    assert theirs.after is not None
    if home.laptop.mirror.history.content(theirs.after) is not None:
        told = [r for r in (*first.remarks, *last.remarks) if str(theirs.after) in r]
        assert [r.startswith(f"{A}: ") for r in told] == [True]
        return
    # A guard has stopped our write: theirs is in the repo. An edit of ours stays in its file, and
    # a deletion gives way to the edit.
    assert await home.other.fetch_record(A) == theirs.after
    assert home.laptop.read(A)["v"] == (9 if is_deleted else 2)
    assert [conflict.path for conflict in last.conflicts] == ([] if is_deleted else [A])
    assert {kept["v"] for kept in home.laptop.kept_conflicts()} >= (set() if is_deleted else {9})


async def test_a_password_that_is_not_the_one_is_no_fault_of_a_record(home: Home) -> None:
    """arroba answers 400 InvalidRequest to a bad token, as to a bad record."""
    account = home.laptop.mirror.account
    stranger = HttpPds(account, MemoryTokens(secret="another one"))
    device = Device.make(home.laptop.root.with_name("stranger"), account, stranger)
    device.save(A, v=1)
    report = await device.sync()
    assert report.halted is not None
    assert report.problems == ()
    await stranger.aclose()
