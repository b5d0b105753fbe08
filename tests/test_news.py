"""News: what is heard and polled leads to looks, and to no more looks than it is worth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection

from syncd.atproto.cid import cid_of_block
from syncd.atproto.firehose import AccountEvent, CommitEvent, Info, encode_frame
from syncd.atproto.syntax import Handle, make_tid
from syncd.backoff import Backoff
from syncd.config import Config
from syncd.cycle.observe.account import Whereabouts, describe_change
from syncd.cycle.observe.views import Dirty
from syncd.daemon import Daemon, Phase
from syncd.errors import SyncdError
from syncd.model import Account, RecordPath, Report
from syncd.news import FUTILE_RINGS, SILENT_POLLS, choose_doorbells
from syncd.pds import HttpPds
from syncd.sandbox import DropRequest, Sandbox, Status
from syncd.sandbox.http.server import serve
from tests.pds.wire import Wire, listening, stay
from tests.rigs.device import Device, World

ONE, TWO = "com.example.note/one", "com.example.note/two"
NOWHERE, REV = cid_of_block(b"no commit"), make_tid(1_700_000_000_000_000, 1)
SLOW = 60.0
"""So many seconds between polls that none happens in a test."""


class Quiet:
    """A folder in which nothing is saved but what a test tells."""

    def __init__(self) -> None:
        self.saved: asyncio.Queue[RecordPath] = asyncio.Queue()

    async def changes(self, *, quiet_seconds: float, max_seconds: float) -> Dirty:
        return (await self.saved.get(),)


@dataclass(slots=True)
class Desk:
    """A daemon that works, and what it told."""

    world: World
    device: Device
    daemon: Daemon = field(init=False)
    watcher: Quiet = field(default_factory=Quiet)
    phases: list[Phase] = field(default_factory=list)
    errors: list[SyncdError] = field(default_factory=list)
    looks: int = 0

    def told(self, phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        self.phases.append(phase)
        self.looks += phase is Phase.SYNCING and report is None
        if error is not None:
            self.errors.append(error)

    def is_idle(self) -> bool:
        return bool(self.phases) and self.phases[-1] is Phase.IDLE


async def until(is_true: Callable[[], bool], what: str, seconds: float = 60.0) -> float:
    began = time.monotonic()
    while not is_true():
        assert time.monotonic() - began < seconds, what
        await asyncio.sleep(0.005)
    return time.monotonic() - began


@asynccontextmanager
async def working(world: World, pds_url: str, **settings: Any) -> AsyncIterator[Desk]:  # noqa: ANN401
    """A daemon whose doorbells are those of `pds_url`."""
    config = Config(world.login.did, full_look_seconds=SLOW, **settings)
    device = world.device(config=config)
    home = device.mirror.home
    device.mirror.home = replace(home, account=replace(home.account, pds=pds_url))
    desk = Desk(world, device)
    desk.daemon = Daemon(
        device.mirror, desk.watcher, desk.told, jitter=lambda: 0.0, doorbells=choose_doorbells
    )
    running = asyncio.create_task(desk.daemon.run())
    try:
        await until(desk.is_idle, "the first cycle")
        yield desk
    finally:
        desk.daemon.stop()
        await running
        device.mirror.state.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


async def hears(world: World) -> None:
    await until(lambda: world.sandbox.stream.listeners == 1, "the stream")


async def rests(desk: Desk) -> None:
    """Until no look follows any more, not even the one after a stream was found."""
    looks = 0
    while looks < desk.looks or not desk.is_idle():
        looks = desk.looks
        await asyncio.sleep(0.3)


async def test_a_remote_write_is_on_disk_at_once_without_a_poll(world: World) -> None:
    async with serve(world.sandbox) as url, working(world, url, poll_seconds=SLOW) as desk:
        await hears(world)
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE), "the pull")


async def test_a_message_that_the_stream_lost_is_found_by_a_slow_poll(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.news.NET_SECONDS", 0.3)
    async with serve(world.sandbox) as url, working(world, url, poll_seconds=0.1) as desk:
        await hears(world)
        await until(desk.is_idle, "the look after the stream was found")
        await asyncio.sleep(0.2)
        world.sandbox.stream.lose(1)
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE), "the pull", 30.0)


async def test_a_stream_that_did_not_tell_of_news_is_left_and_found_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.news.NET_SECONDS", 0.1)
    monkeypatch.setattr("syncd.pds.hearing.PAUSE_SECONDS", (0.01, 0.01))
    wire = Wire()
    async with listening(wire), working(world, wire.origin, poll_seconds=0.05) as desk:
        await until(lambda: wire.visits == 1 and desk.is_idle(), "the stream")
        await asyncio.sleep(0.3)
        assert wire.visits == 1
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE), "the poll")
        await until(lambda: wire.visits == 2, "another connection")


async def test_after_a_move_the_stream_of_the_new_pds_is_heard(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.pds.hearing.PAUSE_SECONDS", (0.01, 0.01))
    old, new = Wire(), Wire()

    async def tell(connection: ServerConnection) -> None:
        await go_on.wait()
        await connection.send(encode_frame(AccountEvent(1, world.login.did, "", True)))
        await stay(connection)

    async def resolve() -> Account:
        return replace(world.account(), pds=new.origin)

    go_on, old.script = asyncio.Event(), tell
    async with (
        listening(old),
        listening(new),
        working(world, old.origin, poll_seconds=SLOW) as desk,
    ):
        mirror = desk.device.mirror
        mirror.whereabouts = Whereabouts(resolve, lambda _: mirror.pds, lambda *_: None)
        await until(lambda: old.visits == 1, "the stream of the old PDS")
        assert new.visits == 0
        go_on.set()
        await until(lambda: new.visits == 1, "the stream of the new PDS")
        await asyncio.sleep(0.1)
        assert (old.visits, mirror.account.pds) == (1, new.origin)


async def test_while_a_broken_stream_is_away_the_pds_is_polled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.pds.hearing.PAUSE_SECONDS", (SLOW, SLOW))
    async with serve(world.sandbox) as url, working(world, url, poll_seconds=0.1) as desk:
        await hears(world)
        world.sandbox.stream.break_off()
        await until(lambda: not world.sandbox.stream.listeners, "the break")
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE), "the poll")


async def test_a_broken_stream_is_taken_up_again(world: World) -> None:
    async with serve(world.sandbox) as url, working(world, url, poll_seconds=SLOW) as desk:
        await hears(world)
        world.sandbox.stream.break_off()
        await until(lambda: not world.sandbox.stream.listeners, "the break")
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE), "the look that follows the connection")
        await hears(world)


async def test_what_is_written_here_comes_back_as_one_look_and_no_write(world: World) -> None:
    async with serve(world.sandbox) as url, working(world, url, poll_seconds=SLOW) as desk:
        await hears(world)
        await rests(desk)
        looks, commits = desk.looks, world.sandbox.stream.last_seq
        desk.device.save(ONE, v=1)
        desk.watcher.saved.put_nowait(RecordPath(ONE))
        await until(lambda: ONE in world.records(), "the push")
        await rests(desk)
        assert desk.looks <= looks + 3, "the save, what came of it, and the news of it"
        assert world.sandbox.stream.last_seq == commits + 1


async def test_what_another_client_writes_costs_one_look(world: World) -> None:
    async with serve(world.sandbox) as url, working(world, url, poll_seconds=SLOW) as desk:
        await hears(world)
        await rests(desk)
        before = desk.looks
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE) and desk.is_idle(), "the pull")
        await asyncio.sleep(0.2)
        assert desk.looks == before + 1


@pytest.mark.parametrize("kind", ["repeated", "garbage", "outdated"])
async def test_rings_for_nothing_cost_no_more_than_polling_would(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.news.NET_SECONDS", 0.5)
    forged = CommitEvent(1, world.login.did, NOWHERE, REV, None, b"", (), "")
    frame = {
        "repeated": encode_frame(forged),
        "garbage": b"\xff",
        "outdated": encode_frame(Info("OutdatedCursor")),
    }[kind]

    async def shower(connection: ServerConnection) -> None:
        for _ in range(200):
            await connection.send(frame)
            await asyncio.sleep(0.002)
        await stay(connection)

    wire = Wire(shower)
    async with listening(wire), working(world, wire.origin, poll_seconds=0.2) as desk:
        before, began = desk.looks, time.monotonic()
        await asyncio.sleep(1.0)
        polls = (time.monotonic() - began) / 0.2
        assert desk.looks - before <= FUTILE_RINGS + 2 + polls
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE), "the pull", 30.0)


async def test_the_news_that_an_account_is_back_end_the_pause(world: World) -> None:
    async with serve(world.sandbox) as url, working(world, url, poll_seconds=0.1) as desk:
        await hears(world)
        world.sandbox.set_status(world.login.did, Status.DEACTIVATED)
        await until(lambda: Phase.HALTED in desk.phases, "the halt")
        assert "is deactivated" in desk.errors[0].message
        desk.daemon.backoff = replace(desk.daemon.backoff, failures=9)
        await until(lambda: desk.phases.count(Phase.HALTED) == 2, "the long pause")
        world.sandbox.set_status(world.login.did, Status.ACTIVE)
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE), "the pull", 30.0)


async def test_a_shower_about_an_account_that_is_away_cuts_no_more_pauses_than_polls_would(
    world: World,
) -> None:
    told = encode_frame(AccountEvent(1, world.login.did, "", False, "deactivated"))

    async def shower(connection: ServerConnection) -> None:
        await go_on.wait()
        for _ in range(200):
            await connection.send(told)
            await asyncio.sleep(0.002)
        await stay(connection)

    go_on, wire = asyncio.Event(), Wire(shower)
    async with listening(wire), working(world, wire.origin, poll_seconds=0.3) as desk:
        desk.daemon.backoff = Backoff(0.01, SLOW, failures=20)
        world.sandbox.set_status(world.login.did, Status.DEACTIVATED)
        began = time.monotonic()
        go_on.set()
        await until(lambda: len(desk.errors) > 1, "a second look")
        await asyncio.sleep(0.7)
        assert len(desk.errors) <= 2 + (time.monotonic() - began) / 0.3


async def test_a_forged_end_of_the_account_changes_nothing(world: World) -> None:
    wire = Wire()
    wire.says(encode_frame(AccountEvent(1, world.login.did, "", False, "deleted")))
    await world.write(ONE, v=1)
    async with listening(wire), working(world, wire.origin, poll_seconds=SLOW) as desk:
        await until(lambda: wire.visits == 1 and desk.is_idle(), "the message")
        await asyncio.sleep(0.1)
        assert desk.device.has(ONE)
        assert desk.errors == []


async def test_news_of_the_account_have_it_resolved_and_a_shower_of_them_once(
    world: World,
) -> None:
    wire = Wire()
    told = [encode_frame(AccountEvent(n, world.login.did, "", True)) for n in range(50)]

    async def later(connection: ServerConnection) -> None:
        await go_on.wait()
        for frame in told:
            await connection.send(frame)
        await stay(connection)

    go_on, resolved = asyncio.Event(), list[Account]()

    async def resolve() -> Account:
        resolved.append(account)
        return account

    wire.script = later
    async with listening(wire), working(world, wire.origin, poll_seconds=0.05) as desk:
        account = replace(desk.device.mirror.account, handle=Handle("bob.test"))
        changes = list[tuple[str, ...]]()
        desk.device.mirror.whereabouts = Whereabouts(
            resolve,
            lambda _: desk.device.mirror.pds,
            lambda before, after: changes.append(describe_change(before, after)),
        )
        go_on.set()
        await until(lambda: bool(resolved), "the resolving")
        await asyncio.sleep(0.3)
        assert len(resolved) == 1
        assert changes == [("alice.test is now called bob.test",)]


async def test_only_polling_is_only_polling(world: World) -> None:
    async with (
        serve(world.sandbox) as url,
        working(world, url, poll_seconds=0.1, doorbell="poll") as desk,
    ):
        await world.write(ONE, v=1)
        await until(lambda: desk.device.has(ONE), "the poll", 30.0)
        assert world.sandbox.stream.listeners == 0


async def test_a_pds_that_is_gone_is_noticed_although_nothing_was_to_be_done(
    world: World,
) -> None:
    async with (
        serve(world.sandbox) as url,
        working(world, url, poll_seconds=0.05, doorbell="poll") as desk,
    ):
        world.sandbox.faults.add(DropRequest(), times=SILENT_POLLS - 1)
        await until(lambda: not world.sandbox.faults.waiting, "the polls")
        await asyncio.sleep(0.1)
        assert Phase.OFFLINE not in desk.phases
        world.sandbox.faults.add(DropRequest(), times=SILENT_POLLS + 1)
        await until(lambda: Phase.OFFLINE in desk.phases, "the look")
        await until(desk.is_idle, "the return")


def test_what_is_listened_to_follows_from_the_settings(world: World) -> None:
    account, there = world.account(), "https://jetstream.example.com"

    def names(doorbell: str, named: str | None) -> list[str]:
        config = Config(world.login.did, doorbell=doorbell, jetstream=named)
        return [bell.name.split(" ")[1] for bell in choose_doorbells(config, account)]

    assert names("auto", None) == ["stream"]
    assert names("auto", there) == ["stream", "Jetstream"]
    assert names("stream", there) == ["stream"]
    assert names("jetstream", there) == ["Jetstream"]
    assert names("poll", there) == []


async def test_a_poll_of_no_news_brings_no_body(world: World) -> None:
    tags: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tags.append(request.headers.get("if-none-match"))
        if tags[-1] == '"1"':
            return httpx.Response(304)
        return httpx.Response(200, json={"cid": str(NOWHERE), "rev": REV}, headers={"etag": '"1"'})

    transport = httpx.MockTransport(answer)
    async with HttpPds(world.account(), None, transport=transport) as pds:
        assert [await pds.fetch_latest() for _ in range(3)] == [(NOWHERE, REV)] * 3
    assert tags == [None, '"1"', '"1"']


async def test_a_pds_that_says_not_modified_without_being_asked_is_not_believed(
    world: World,
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(304))
    async with HttpPds(world.account(), None, transport=transport) as pds:
        with pytest.raises(SyncdError):
            await pds.fetch_latest()
