"""Mirrors on one PDS share its stream, and the trouble of one is not that of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from syncd.errors import Crowded, Unreachable
from syncd.model import Account
from syncd.pds.doorbell import FOREIGN_FRAMES, Doorbell, Reason, Ring, size_of
from syncd.pds.shared import SharedStreams
from syncd.sandbox import Login, Sandbox
from syncd.sandbox.http.server import serve

OPEN = Ring(Reason.OPEN)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@dataclass(slots=True, eq=False)
class Mirror:
    """What one mirror hears, until it stops to listen."""

    login: Login
    bell: Doorbell
    heard: list[Ring] = field(default_factory=list)
    error: Exception | None = None
    task: asyncio.Task[None] | None = None

    def listens(self) -> None:
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            async for ring in self.bell.rings():
                self.heard.append(ring)
        except (Unreachable, Crowded) as error:
            self.error = error

    async def stops(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@dataclass(slots=True)
class Office:
    """A PDS, and mirrors of its accounts in one process.

    The accounts are older than any stream, so that no event of their making is heard.
    """

    sandbox: Sandbox
    url: str
    logins: list[Login]
    streams: SharedStreams = field(default_factory=SharedStreams)
    mirrors: list[Mirror] = field(default_factory=list)

    def mirror(self, login: Login | None = None) -> Mirror:
        login = login or self.logins.pop()
        made = Mirror(login, self.streams.stream(Account(login.did, None, self.url, "did:key:z")))
        self.mirrors.append(made)
        made.listens()
        return made

    async def open(self, count: int) -> list[Mirror]:
        """So many mirrors that listen."""
        made = [self.mirror() for _ in range(count)]
        await until(lambda: all(mirror.heard for mirror in made))
        await self.connections(1)
        return made

    async def connections(self, count: int) -> None:
        await until(lambda: self.sandbox.stream.listeners == count)

    async def rings(self, mirror: Mirror) -> None:
        """A commit of its account is heard by this mirror."""
        commit = self.sandbox.repo(mirror.login.did).apply([])
        ring = Ring(Reason.REPO, commit.after.head.commit)
        await until(lambda: ring in mirror.heard)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    sandbox = Sandbox()
    logins = [sandbox.create_account(f"user{number}") for number in range(6)]
    async with serve(sandbox) as url:
        made = Office(sandbox, url, logins)
        yield made
        for mirror in made.mirrors:
            await mirror.stops()
        await made.connections(0)


async def test_all_listen_to_one_stream_and_each_hears_its_own(office: Office) -> None:
    mirrors = await office.open(5)
    for mirror in (*mirrors, *reversed(mirrors)):
        await office.rings(mirror)
    assert [len(mirror.heard) for mirror in mirrors] == [3] * 5
    assert {mirror.heard[0].reason for mirror in mirrors} == {Reason.OPEN}
    await office.connections(1)


async def test_two_mirrors_of_one_account_both_hear_of_it(office: Office) -> None:
    (one,) = await office.open(1)
    other = office.mirror(one.login)
    await until(lambda: other.heard == [OPEN])
    await office.rings(one)
    await until(lambda: other.heard == one.heard)


async def test_who_comes_later_is_told_that_the_stream_is_open(office: Office) -> None:
    """Only a look after this ring finds what was written before it."""
    (one,) = await office.open(1)
    late = office.mirror()
    await until(lambda: late.heard == [OPEN])
    await office.rings(late)
    assert one.heard == [OPEN]


@pytest.mark.parametrize("leaving", range(3))
async def test_who_leaves_leaves_the_stream_to_the_others(office: Office, leaving: int) -> None:
    """Whoever it is that reads for all just then."""
    mirrors = await office.open(3)
    await mirrors.pop(leaving).stops()
    for mirror in mirrors:
        await office.rings(mirror)
    await office.connections(1)


@pytest.mark.parametrize("leaving", range(3))
async def test_who_hangs_up_ends_alone_and_finds_another_stream(
    office: Office, leaving: int
) -> None:
    mirrors = await office.open(3)
    deaf = mirrors.pop(leaving)
    deaf.bell.hang_up()
    await until(lambda: isinstance(deaf.error, Unreachable))
    for mirror in mirrors:
        await office.rings(mirror)
    deaf.heard.clear()
    deaf.listens()
    await until(lambda: deaf.heard == [OPEN])
    await office.connections(2)
    await office.rings(deaf)
    for mirror in mirrors:
        await mirror.stops()
    await office.connections(1)
    await office.rings(deaf)


async def test_a_stream_that_ends_ends_for_all_and_is_found_again(office: Office) -> None:
    mirrors = await office.open(3)
    office.sandbox.stream.break_off()
    await until(lambda: all(isinstance(mirror.error, Unreachable) for mirror in mirrors))
    for mirror in mirrors:
        mirror.heard.clear()
        mirror.listens()
    await until(lambda: all(mirror.heard == [OPEN] for mirror in mirrors))
    await office.connections(1)
    for mirror in mirrors:
        await office.rings(mirror)


async def test_a_pds_that_is_away_is_away_for_each(office: Office) -> None:
    office.url = "http://127.0.0.1:9"
    mirrors = [office.mirror() for _ in range(3)]
    await until(lambda: all(isinstance(mirror.error, Unreachable) for mirror in mirrors))
    assert [mirror.heard for mirror in mirrors] == [[], [], []]


async def test_a_stream_that_others_crowd_is_left_by_all(office: Office) -> None:
    mirrors = await office.open(2)
    stranger = office.logins.pop()
    for _ in range(FOREIGN_FRAMES + 1):
        office.sandbox.repo(stranger.did).apply([])
    await until(lambda: all(isinstance(mirror.error, Crowded) for mirror in mirrors))


async def test_hanging_up_before_and_after_listening_changes_nothing(office: Office) -> None:
    (one,) = await office.open(1)
    office.streams.stream(Account(one.login.did, None, office.url, "did:key:z")).hang_up()
    await one.stops()
    one.bell.hang_up()
    two = office.mirror()
    await until(lambda: two.heard == [OPEN])


async def test_what_a_mirror_does_not_ask_for_is_bounded(office: Office) -> None:
    (one,) = await office.open(1)
    office.streams.unheard = 8
    idle = office.streams.stream(Account(one.login.did, None, office.url, "did:key:z"))
    rings = idle.rings()
    assert await anext(rings) == OPEN
    for _ in range(13):
        await office.rings(one)
    waiting = [await anext(rings) for _ in range(8)]
    assert waiting == one.heard[-8:]
    await rings.aclose()


async def test_of_the_events_that_a_mirror_does_not_ask_for_little_is_kept(office: Office) -> None:
    (one,) = await office.open(1)
    office.streams.unheard_bytes = 5_000
    idle = office.streams.stream(Account(one.login.did, None, office.url, "did:key:z"))
    rings = idle.rings()
    assert await anext(rings) == OPEN
    for _ in range(20):
        await office.rings(one)
    waiting = [await anext(rings) for _ in range(20)]
    assert waiting == one.heard[-20:]
    sizes = [0 if ring.event is None else size_of(ring.event) for ring in waiting]
    assert 0 < sum(sizes) <= 5_000
    assert sizes[-1] == 0
    await rings.aclose()
