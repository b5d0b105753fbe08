"""Doorbells: what is heard is never more than a reason to look, whatever a server sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection

from syncd.atproto.cid import cid_of_block
from syncd.atproto.firehose import (
    AccountEvent,
    CommitEvent,
    Event,
    IdentityEvent,
    Info,
    Op,
    OtherEvent,
    StreamError,
    SyncEvent,
    encode_frame,
)
from syncd.atproto.syntax import Did, make_tid
from syncd.errors import Crowded, Unreachable
from syncd.model import Account
from syncd.pds import Doorbell, Reason, Ring
from syncd.pds import stream as stream_module
from syncd.pds.doorbell import (
    FOREIGN_BYTES,
    FOREIGN_FRAMES,
    Crowd,
    Heard,
    read_frame,
    read_jetstream,
)
from syncd.pds.hearing import Ear
from syncd.pds.stream import Line, jetstream, jetstream_line, pds_line, pds_stream
from syncd.sandbox import Sandbox
from syncd.sandbox.http.server import serve
from tests.pds.wire import Wire, listening, refusal, stay

US = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
THEM = Did("did:plc:ragtjsm2j2vknwkz3zp4oxrd")
COMMIT = cid_of_block(b"a commit")
REV = make_tid(1_700_000_000_000_000, 1)
OPEN, NEWS, UNCLEAR = Ring(Reason.OPEN), Ring(Reason.REPO, COMMIT), Ring(Reason.UNCLEAR)
STREAM = "/xrpc/com.atproto.sync.subscribeRepos"
SECOND = "/xrpc/network.bsky.jetstream.subscribeEvents"


def account(wire: Wire) -> Account:
    return Account(US, None, wire.origin, "did:key:z")


def commit_of(did: Did, seq: int = 1) -> CommitEvent:
    return CommitEvent(seq, did, COMMIT, REV, None, b"", (), "2026-01-01T00:00:00Z")


def frames(*events: Event) -> list[bytes]:
    return [encode_frame(event) for event in events]


async def heard(doorbell: Doorbell, count: int) -> list[Ring]:
    """The first `count` rings."""
    found: list[Ring] = []
    async with asyncio.timeout(60), aclosing(doorbell.rings()) as rings:
        async for ring in rings:
            found.append(ring)
            if len(found) == count:
                break
    return found


async def heard_all(doorbell: Doorbell) -> list[Ring]:
    """Every ring until it raises, which it must."""
    found: list[Ring] = []
    async with asyncio.timeout(60), aclosing(doorbell.rings()) as rings:
        try:
            async for ring in rings:
                found.append(ring)
        except Unreachable:
            return found
    raise AssertionError("a doorbell never just ends")


def ours(heard: Heard | None) -> Ring | None:
    """What a message is worth to us."""
    return heard[1] if heard is not None and heard[0] in (None, US) else None


# --- What one message is worth -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (commit_of(US), NEWS),
        (commit_of(THEM), None),
        (SyncEvent(1, US, REV, b"", ""), Ring(Reason.REPO)),
        (SyncEvent(1, THEM, REV, b"", ""), None),
        (IdentityEvent(1, US, ""), Ring(Reason.ACCOUNT)),
        (IdentityEvent(1, THEM, ""), None),
        (AccountEvent(1, US, "", False, "deactivated"), Ring(Reason.ACCOUNT)),
        (AccountEvent(1, THEM, "", True), None),
        (Info("OutdatedCursor"), UNCLEAR),
        (OtherEvent("#later"), None),
    ],
)
def test_a_message_rings_if_it_is_about_us(event: Event, expected: Ring | None) -> None:
    assert ours(read_frame(encode_frame(event))) == expected


@pytest.mark.parametrize("name", ["FutureCursor", "ConsumerTooSlow", "InvalidRequest", "x" * 999])
def test_a_goodbye_ends_the_listening(name: str) -> None:
    with pytest.raises(Unreachable) as caught:
        read_frame(encode_frame(StreamError(name)))
    assert name[:60] in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("frame", [b"", b"\xff" * 99, b"\xa0", b"\x00" * 1000, "text", b"\x9f" * 9])
def test_a_message_that_cannot_be_read_may_be_about_us(frame: bytes | str) -> None:
    assert ours(read_frame(frame)) == UNCLEAR


FOREIGN_CID = b"\xd8\x2a\x58\x26\x00\x01\xa9\x02\x12\x20" + bytes(32)


@pytest.mark.parametrize(
    "change",
    [
        (b"create", b"rename"),
        (b"\x65blobs\x80", b"\x65blobs\x81" + FOREIGN_CID),
        (b"\x64time\x74", b"\x64tame\x74"),
        (b"\x63rev\x6d3", b"\x63rev\x6d1"),
    ],
    ids=["an unknown action", "a foreign CID", "no time", "no rev"],
)
def test_a_malformed_event_about_another_account_rings_for_that_one_alone(
    change: tuple[bytes, bytes],
) -> None:
    old, new = change
    ops = (Op("create", "com.example.note/1", COMMIT),)
    for did, expected in ((US, {NEWS, UNCLEAR}), (THEM, {None})):
        frame = encode_frame(replace(commit_of(did), ops=ops))
        assert frame.count(old) == 1
        assert ours(read_frame(frame.replace(old, new))) in expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"did": US, "time_us": 1, "kind": "commit", "commit": {}}, Ring(Reason.REPO)),
        ({"did": THEM, "time_us": 1, "kind": "commit", "commit": {}}, None),
        ({"did": US, "time_us": 1, "kind": "identity"}, Ring(Reason.ACCOUNT)),
        ({"did": US, "time_us": 1, "kind": "account"}, Ring(Reason.ACCOUNT)),
        ({"$type": "message", "payload": {"$type": f"{SECOND}#commit", "did": US}},
         Ring(Reason.REPO)),
        ({"$type": "message", "payload": {"$type": f"{SECOND}#account", "did": US}},
         Ring(Reason.ACCOUNT)),
        ({"$type": "message", "payload": {"$type": f"{SECOND}#sync", "did": THEM}}, None),
        ({"$type": "error", "name": "ConsumerTooSlow"}, UNCLEAR),
        ([], UNCLEAR),
        ({"did": 3, "kind": None}, UNCLEAR),
    ],
)  # fmt: skip
def test_both_versions_of_jetstream_are_understood(event: object, expected: Ring | None) -> None:
    assert ours(read_jetstream(json.dumps(event))) == expected


@pytest.mark.parametrize("frame", [b"\xff\xfe", "{", "[" * 100_000, "", b""])
def test_a_jetstream_may_say_anything(frame: bytes | str) -> None:
    assert ours(read_jetstream(frame)) == UNCLEAR


def test_a_crowd_is_counted_by_the_minute() -> None:
    now = [0.0]
    crowd = Crowd(lambda: now[0])
    for _ in range(3):
        for _ in range(FOREIGN_FRAMES):
            crowd.count(10)
        now[0] += 60
    crowd.count(FOREIGN_BYTES)
    with pytest.raises(Crowded):
        crowd.count(1)


# --- Over the wire --------------------------------------------------------------------------------


async def test_every_commit_of_the_account_rings_and_nobody_elses() -> None:
    sandbox = Sandbox()
    alice, bob = sandbox.create_account("alice"), sandbox.create_account("bob")
    async with serve(sandbox) as url:
        doorbell = pds_stream(Account(alice.did, None, url, "did:key:z"))
        async with asyncio.timeout(60), aclosing(doorbell.rings()) as rings:
            assert await anext(rings) == OPEN
            while not sandbox.stream.listeners:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            sandbox.repo(bob.did).apply([])
            commit = sandbox.repo(alice.did).apply([])
            assert await anext(rings) == Ring(Reason.REPO, commit.after.head.commit)
            sandbox.stream.break_off()
            with pytest.raises(Unreachable):
                await anext(rings)
        while sandbox.stream.listeners:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_no_cursor_is_sent() -> None:
    wire = Wire()
    async with listening(wire):
        await heard(pds_stream(account(wire)), 1)
    assert wire.paths == [STREAM]


async def test_repeated_reordered_and_forged_messages_are_rings_and_no_more() -> None:
    wire = Wire()
    wire.says(*frames(*(commit_of(US, seq) for seq in (5, 5, 1, 10**15, 2))), b"garbage", "text")
    async with listening(wire):
        assert await heard(pds_stream(account(wire)), 8) == [OPEN, *[NEWS] * 5, UNCLEAR, UNCLEAR]


async def test_a_message_of_five_million_bytes_is_read_and_a_longer_one_ends_the_stream() -> None:
    wire = Wire()
    bare = encode_frame(commit_of(US))
    head, tail = bare.split(b"\x66blocks\x40")
    size = 5_000_000 - len(bare) - 4
    largest = head + b"\x66blocks\x5a" + size.to_bytes(4, "big") + bytes(size) + tail
    assert len(largest) == 5_000_000
    wire.says(largest, b"\x00" * 5_000_001)
    async with listening(wire):
        assert await heard_all(pds_stream(account(wire))) == [OPEN, NEWS]


@pytest.mark.parametrize("name", ["FutureCursor", "ConsumerTooSlow"])
async def test_a_server_that_says_goodbye_is_left(name: str) -> None:
    wire = Wire()
    wire.says(*frames(commit_of(US), StreamError(name), commit_of(US)))
    async with listening(wire):
        assert await heard_all(pds_stream(account(wire))) == [OPEN, NEWS]


async def test_a_stream_full_of_others_is_left() -> None:
    wire = Wire()
    wire.says(*frames(commit_of(THEM)) * (FOREIGN_FRAMES + 1))
    async with listening(wire):
        with pytest.raises(Crowded):
            await heard(pds_stream(account(wire)), 2)


async def test_garbage_without_end_is_a_crowd_too() -> None:
    wire = Wire()
    wire.says(*[b"\xff"] * (FOREIGN_FRAMES + 1))
    async with listening(wire):
        with pytest.raises(Crowded):
            await heard(pds_stream(account(wire)), FOREIGN_FRAMES + 2)


BEGINNING = b"\x02\x00"
"""The first part of a message, and not the last."""


def flooding(frame: bytes, *, reads: bool) -> Wire:
    """A server that sends one raw frame for ever; `reads` says whether it takes any answer."""

    async def flood(connection: ServerConnection) -> None:
        if not reads:
            connection.transport.pause_reading()
        if frame[0] == 0:
            connection.transport.write(BEGINNING)
        while not connection.transport.is_closing():
            connection.transport.write(frame * 1_000)
            await asyncio.sleep(0)

    wire = Wire()
    wire.says(then=flood)
    return wire


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize(
    "frame",
    [b"\x89\x7d" + bytes(125), b"\x89\x00", b"\x8a\x00", b"\x00\x00"],
    ids=["long pings", "pings", "pongs", "parts of a message that never ends"],
)
async def test_a_flood_of_frames_that_are_no_message_is_cut_off(frame: bytes, reads: bool) -> None:
    wire = flooding(frame, reads=reads)
    async with listening(wire):
        # Some versions of websockets bound the parts of a message themselves.
        with pytest.raises(Crowded if frame[0] else (Crowded, Unreachable)):
            await heard(pds_stream(account(wire)), 9)
    assert wire.visits == 1


async def test_a_stream_that_cannot_be_written_to_is_left_at_once() -> None:
    wire = flooding(b"\x81\x00", reads=False)
    async with listening(wire):
        doorbell = pds_stream(account(wire))
        assert await heard(doorbell, 1) == [OPEN]


async def test_a_stream_that_has_died_is_noticed_by_its_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_module, "PING_SECONDS", 0.1)

    async def freeze(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await stay(connection)

    wire = Wire()
    wire.says(then=freeze)
    async with listening(wire):
        assert await heard_all(pds_stream(account(wire))) == [OPEN]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 503])
async def test_a_refusal_or_a_redirect_is_not_followed(status: int) -> None:
    elsewhere = Wire()
    async with listening(elsewhere):
        wire = Wire(refuses={STREAM: refusal(status, location=f"{elsewhere.origin}/other")})
        async with listening(wire):
            assert await heard_all(pds_stream(account(wire))) == []
    assert elsewhere.visits == 0


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:1", "http://192.0.2.1", "ftp://x", "nonsense"]
)
async def test_what_cannot_be_reached_or_is_not_secure_is_unreachable(origin: str) -> None:
    assert await heard_all(pds_stream(Account(US, None, origin, "did:key:z"))) == []


async def test_a_jetstream_is_asked_in_its_second_version_and_for_one_account() -> None:
    wire = Wire()
    wire.says(json.dumps({"$type": "message", "payload": {"$type": "x#commit", "did": US}}))
    async with listening(wire):
        assert await heard(jetstream(wire.origin, US), 2) == [OPEN, Ring(Reason.REPO)]
    assert wire.paths == [f"{SECOND}?dids=did%3Aplc%3Aewvi7nxzyoun6zhxrhs64oiz"]
    assert wire.subprotocols == ["xrpc.v1.json"]


async def test_a_jetstream_of_the_first_version_is_asked_in_that() -> None:
    wire = Wire(refuses={SECOND: refusal(404)})
    wire.says(json.dumps({"did": US, "time_us": 1, "kind": "commit"}))
    async with listening(wire):
        assert await heard(jetstream(wire.origin, US), 2) == [OPEN, Ring(Reason.REPO)]
    assert wire.paths[1] == "/subscribe?wantedDids=did%3Aplc%3Aewvi7nxzyoun6zhxrhs64oiz"


MANY = [Did(f"did:web:user{number}.example.com") for number in range(500)]
HELLO = "/subscribe?requireHello=true"


def first_version(said: list[object]) -> Callable[[ServerConnection], Awaitable[None]]:
    """A Jetstream that waits for a message with what is wanted, and then sends a commit."""

    async def talk(connection: ServerConnection) -> None:
        said.append(json.loads(await connection.recv()))
        await connection.send(json.dumps({"did": MANY[-1], "time_us": 1, "kind": "commit"}))
        await stay(connection)

    return talk


async def next_of(line: Line) -> Heard:
    try:
        await line.open()
        return await line.next(set(MANY).__contains__)
    finally:
        await line.leave()


async def test_many_accounts_are_named_in_a_message_and_not_in_a_long_address() -> None:
    said: list[object] = []
    wire = Wire(first_version(said))
    async with listening(wire):
        heard = await next_of(jetstream_line(wire.origin, MANY))
    assert heard == (MANY[-1], Ring(Reason.REPO))
    assert wire.paths == [HELLO]
    assert said == [{"type": "options_update", "payload": {"wantedDids": sorted(MANY)}}]


async def test_where_no_message_is_taken_many_accounts_are_named_in_the_address() -> None:
    wire = Wire(refuses={"/subscribe": refusal(404)})
    wire.says(json.dumps({"$type": "message", "payload": {"$type": "x#commit", "did": MANY[0]}}))
    async with listening(wire):
        heard = await next_of(jetstream_line(wire.origin, MANY[:150]))
    assert heard == (MANY[0], Ring(Reason.REPO))
    assert wire.paths[0] == HELLO
    path, _, query = wire.paths[1].partition("?")
    assert (path, parse_qs(query)) == (SECOND, {"dids": sorted(MANY[:150])})
    assert wire.subprotocols == ["xrpc.v1.json"]


async def test_a_jetstream_that_refuses_the_accounts_it_is_told_is_unreachable() -> None:
    async def refuse(connection: ServerConnection) -> None:
        await connection.recv()

    wire = Wire(refuse)
    async with listening(wire):
        with pytest.raises(Unreachable):
            await next_of(jetstream_line(wire.origin, MANY))


async def test_a_connection_whose_greeting_is_given_up_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()
        gone.set()

    async def never(*_: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(ClientConnection, "send", never)
    wire = Wire(listen)
    async with listening(wire):
        opening = asyncio.ensure_future(jetstream_line(wire.origin, MANY).open())
        await asyncio.wait_for(begun.wait(), 60)
        opening.cancel()
        with suppress(asyncio.CancelledError):
            await opening
        await asyncio.wait_for(gone.wait(), 60)


async def test_hanging_up_ends_the_listening() -> None:
    wire = Wire()
    async with listening(wire):
        doorbell = pds_stream(account(wire))
        async with aclosing(doorbell.rings()) as rings:
            assert await anext(rings) == OPEN
            asyncio.get_running_loop().call_later(0.05, doorbell.hang_up)
            with pytest.raises(Unreachable):
                await anext(rings)


# --- Which doorbell is heard ----------------------------------------------------------------------


class FakeDoorbell:
    """Rings OPEN, then does what the test says: 'stay', or the error it fails with."""

    def __init__(self, name: str, end: Exception | None, *, answers: bool = True) -> None:
        self.name = name
        self.tries = 0
        self._end = end
        self._answers = answers

    def hang_up(self) -> None:
        raise AssertionError("nobody asked for that")

    async def rings(self) -> AsyncGenerator[Ring, None]:
        self.tries += 1
        if self._answers:
            yield OPEN
        if self._end is not None:
            raise self._end
        await asyncio.Event().wait()


async def listen(ear: Ear, seconds: float, has_begun: Callable[[], bool] = lambda: True) -> int:
    """Listen until it has begun, then for some time; returns how many rings there were."""
    rings = 0

    async def count() -> None:
        nonlocal rings
        async with aclosing(ear.rings()) as heard_rings:
            async for _ in heard_rings:
                rings += 1

    listening = asyncio.create_task(count())
    async with asyncio.timeout(60):
        while not has_begun():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await asyncio.sleep(seconds)
    assert not listening.done(), "an ear listens for ever"
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    return rings


async def test_the_next_doorbell_is_taken_while_the_best_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("syncd.pds.hearing.PAUSE_SECONDS", (0.01, 0.02))
    broken = FakeDoorbell("own", Unreachable("gone"), answers=False)
    good = FakeDoorbell("jetstream", None)
    ear = Ear(lambda: [broken, good], lambda: 0.0)
    assert await listen(ear, 0.3, lambda: ear.is_listening) == 1
    assert (broken.tries, good.tries) == (1, 1)
    assert not ear.is_listening


async def test_a_crowded_doorbell_is_left_alone_for_a_good_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("syncd.pds.hearing.PAUSE_SECONDS", (0.01, 0.01))
    crowded = FakeDoorbell("own", Crowded("too many"))
    ear = Ear(lambda: [crowded], lambda: 0.0)
    await listen(ear, 0.2, lambda: crowded.tries > 0)
    assert crowded.tries == 1


async def test_pauses_between_tries_grow_even_if_the_server_answers_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("syncd.pds.hearing.PAUSE_SECONDS", (0.02, 1.0))
    flapping = FakeDoorbell("own", Unreachable("gone"))
    ear = Ear(lambda: [flapping], lambda: 0.999)
    await listen(ear, 0.5, lambda: flapping.tries > 1)
    assert 2 <= flapping.tries <= 8


async def test_with_no_doorbell_nothing_is_heard_and_nothing_is_busy() -> None:
    assert await listen(Ear(list, lambda: 0.0), 0.1) == 0


async def test_a_close_that_is_cancelled_leaves_no_connection_open() -> None:
    wire = Wire()
    async with listening(wire):
        line = pds_line(wire.origin, is_named=True)
        await line.open()
        assert line._connection is not None
        transport = line._connection.transport
        leaving = asyncio.create_task(line.leave())
        await asyncio.sleep(0)
        assert not transport.is_closing(), "the server's goodbye is awaited"
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert transport.is_closing()
