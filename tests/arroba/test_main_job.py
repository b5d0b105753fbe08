"""The main job on arroba, the PDS without guards: two devices and somebody else, one repo."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, cid_of, encode
from syncd.atproto.syntax import parse_did, parse_handle
from syncd.exchange import Written
from syncd.model import Account, Change, RecordPath
from syncd.pds import HttpPds, Meanwhile, MemoryTokens
from tests.arroba.pds import PASSWORD, ArrobaPds
from tests.rigs.device import Device

A, B, C, Z = (RecordPath(f"com.example.note/{name}") for name in "abcz")


def note(v: int) -> Record:
    return {"$type": "com.example.note", "v": v}


def change(path: RecordPath, before: Cid | None, v: int) -> Change:
    return Change(path, before, cid_of(note(v)), note(v), encode(note(v)))


class Overtaken(HttpPds):
    """Somebody else creates `first` after syncd has looked, right before its batch is sent."""

    first: Change | None = None

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        first, self.first = self.first, None
        if first is not None:
            await super().write([first], swap=None)
        return await super().write(changes, swap=swap, validate=validate, meanwhile=meanwhile)


@dataclass(slots=True)
class Home:
    """An account on arroba, two devices, and another client."""

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


@pytest.fixture
async def home(arroba_pds: ArrobaPds, tmp_path: Path) -> AsyncIterator[Home]:
    made = arroba_pds.new_account()
    account = Account(parse_did(made.did), parse_handle(made.handle), arroba_pds.url, made.key)
    ours = Overtaken(account, MemoryTokens(secret=PASSWORD))
    theirs, other = (HttpPds(account, MemoryTokens(secret=PASSWORD)) for _ in range(2))
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


async def test_a_password_that_is_not_the_one_is_no_fault_of_a_record(
    home: Home, arroba_pds: ArrobaPds
) -> None:
    """It answers 400 InvalidRequest to a bad token, as to a bad record."""
    account = home.laptop.mirror.account
    stranger = HttpPds(account, MemoryTokens(secret="another one"))
    device = Device.make(home.laptop.root.with_name("stranger"), account, stranger)
    device.save(A, v=1)
    report = await device.sync()
    assert report.halted is not None
    assert report.problems == ()
    await stranger.aclose()
