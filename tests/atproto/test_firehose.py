"""Stream frames: every event there and back, and nothing but BadFrame for anything else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.car import CarReader, write_car
from syncd.atproto.cid import cid_of_block
from syncd.atproto.dagcbor import Value, encode
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
    parse_frame,
)
from syncd.atproto.syntax import make_tid, parse_did, parse_handle
from syncd.errors import BadFrame

DID = parse_did("did:plc:44ybard66vv44zksje25o7dz")
REV, LATER = make_tid(1, 0), make_tid(2, 0)
CID = cid_of_block(b"block")
TIME = "2026-01-02T03:04:05.678Z"
CREATED = Op("create", "com.example.thing/1", CID)

cids = st.binary(max_size=4).map(cid_of_block)
seqs = st.integers(1, 2**53 - 1)
texts = st.text(max_size=20)
tids = st.builds(make_tid, st.integers(0, 2**53 - 1), st.integers(0, 1023))
ops = st.builds(
    Op, st.sampled_from(["create", "update", "delete"]), texts, st.none() | cids, st.none() | cids
)
events = st.one_of(
    st.builds(
        CommitEvent,
        seqs,
        st.just(DID),
        cids,
        tids,
        st.none() | tids,
        st.binary(max_size=50),
        st.lists(ops, max_size=3).map(tuple),
        texts,
        st.none() | cids,
    ),
    st.builds(SyncEvent, seqs, st.just(DID), tids, st.binary(max_size=50), texts),
    st.builds(
        IdentityEvent, seqs, st.just(DID), texts, st.sampled_from([None, parse_handle("a.test")])
    ),
    st.builds(AccountEvent, seqs, st.just(DID), texts, st.booleans(), st.none() | texts),
    st.builds(Info, texts, st.none() | texts),
    st.builds(StreamError, texts, st.none() | texts),
    st.builds(OtherEvent, texts.filter(lambda kind: not kind.startswith("#"))),
)


def frame(header: Value, payload: Value) -> bytes:
    return encode(header) + encode(payload)


def message(kind: str, payload: Value) -> bytes:
    return frame({"op": 1, "t": kind}, payload)


COMMIT: dict[str, Value] = {
    "seq": 1,
    "repo": DID,
    "commit": CID,
    "rev": LATER,
    "since": REV,
    "blocks": b"",
    "ops": [],
    "time": TIME,
}
SYNC: dict[str, Value] = {"seq": 1, "did": DID, "rev": REV, "blocks": b"", "time": TIME}
IDENTITY: dict[str, Value] = {"seq": 1, "did": DID, "time": TIME}
ACCOUNT: dict[str, Value] = {"seq": 1, "did": DID, "time": TIME, "active": True}


@given(events)
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    assert parse_frame(encode_frame(event)) == event


@given(events, st.integers(min_value=0), st.integers(0, 255))
def test_an_altered_frame_is_an_event_or_is_refused(event: Event, at: int, byte: int) -> None:
    altered = bytearray(encode_frame(event))
    altered[at % len(altered)] = byte
    for data in (bytes(altered), bytes(altered[: at % len(altered)])):
        with suppress(BadFrame):
            parse_frame(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xff" * 8,
        b"<html>",
        encode({"op": 1, "t": "#commit"}),
        frame({"op": 2, "t": "#commit"}, COMMIT),
        frame({"t": "#commit"}, COMMIT),
        frame({"op": 1}, COMMIT),
        frame({"op": 1, "t": 7}, COMMIT),
        frame([], {}),
        frame({"op": 1, "t": "#commit"}, []),
        frame({"op": -1}, None),
        b"\x81" * 1000 + b"\x00",
    ],
)
def test_what_is_no_header_and_payload_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        parse_frame(data)


@pytest.mark.parametrize(
    ("kind", "fields", "needed"),
    [
        ("#commit", COMMIT, {"seq", "repo", "commit", "rev", "blocks", "ops"}),
        ("#sync", SYNC, {"seq", "did", "rev", "blocks"}),
        ("#identity", IDENTITY, {"seq", "did"}),
        ("#account", ACCOUNT, {"seq", "did", "active"}),
        ("#info", {"name": "OutdatedCursor"}, {"name"}),
    ],
)
def test_a_field_that_is_needed_must_be_there(
    kind: str, fields: dict[str, Value], needed: set[str]
) -> None:
    parse_frame(message(kind, fields))
    for name in needed:
        with pytest.raises(BadFrame):
            parse_frame(message(kind, {k: v for k, v in fields.items() if k != name}))
        with pytest.raises(BadFrame):
            parse_frame(message(kind, {**fields, name: {"other": "kind"}}))


@pytest.mark.parametrize(
    "change",
    [
        {"repo": "alice.test"},
        {"rev": "yesterday"},
        {"since": "yesterday"},
        {"since": 1},
        {"prevData": "text"},
        {"time": 1},
        {"ops": [None]},
        {"ops": [{"action": "rename", "path": "a/b"}]},
        {"ops": [{"action": "create", "path": None}]},
        {"ops": [{"action": "create", "path": "a/b", "cid": "text"}]},
        {"ops": [{"action": "delete", "path": "a/b", "prev": 1}]},
    ],
    ids=str,
)
def test_a_commit_with_a_field_of_another_form_is_refused(change: dict[str, Value]) -> None:
    with pytest.raises(BadFrame):
        parse_frame(message("#commit", {**COMMIT, **change}))


def test_a_commit_of_a_server_before_sync_1_1_is_read() -> None:
    old = {**COMMIT, "since": None, "prev": None, "rebase": False, "tooBig": True, "blobs": []}
    event = parse_frame(message("#commit", old))
    assert isinstance(event, CommitEvent)
    assert (event.since, event.prev_data, event.ops) == (None, None, ())


def test_fields_of_a_later_lexicon_are_passed_over() -> None:
    for kind, fields in (("#commit", COMMIT), ("#sync", SYNC), ("#account", ACCOUNT)):
        later = message(kind, {**fields, "later": {"than": 2026}})
        assert parse_frame(later) == parse_frame(message(kind, fields))


def test_an_event_of_a_later_lexicon_is_passed_over() -> None:
    assert parse_frame(message("#tombstone", {"did": DID})) == OtherEvent("#tombstone")


def test_keys_in_another_order_are_read() -> None:
    """A frame proves nothing, so nothing is gained by refusing one that is not canonical."""
    shuffled = b"\xa2\x62op\x01\x61t\x65#info" + b"\xa2\x64name\x61n\x67message\x61m"
    assert parse_frame(shuffled) == Info("n", "m")


def test_an_error_frame_is_read() -> None:
    data = frame({"op": -1}, {"error": "FutureCursor", "message": "Cursor in the future."})
    assert parse_frame(data) == StreamError("FutureCursor", "Cursor in the future.")
    assert parse_frame(frame({"op": -1}, {})) == StreamError("")


def test_an_optional_field_without_a_value_is_left_out() -> None:
    assert encode_frame(IdentityEvent(1, DID, TIME)) == message("#identity", IDENTITY)
    assert encode_frame(AccountEvent(1, DID, TIME, active=True)) == message("#account", ACCOUNT)
    assert encode_frame(Info("n")) == message("#info", {"name": "n"})


def test_a_commit_carries_every_field_the_lexicon_requires() -> None:
    event = CommitEvent(1, DID, CID, LATER, REV, b"", (CREATED,), TIME)
    op: Value = {"action": "create", "path": "com.example.thing/1", "cid": CID}
    deprecated: dict[str, Value] = {"blobs": [], "rebase": False, "tooBig": False}
    assert encode_frame(event) == message("#commit", {**COMMIT, "ops": [op], **deprecated})


def test_another_implementation_reads_the_same_commit() -> None:
    import atproto  # type: ignore[import-untyped]  # noqa: PLC0415 (its import is slow)

    record = encode({"$type": "com.example.thing", "n": 1})
    cid = cid_of_block(record)
    blocks = b"".join(write_car([cid], [(cid, record)]))
    op = Op("update", "com.example.thing/1", cid, CID)
    event = CommitEvent(7, DID, cid, LATER, REV, blocks, (op,), TIME, CID)
    parsed = atproto.firehose_models.Frame.from_bytes(encode_frame(event))
    assert isinstance(parsed, atproto.firehose_models.MessageFrame)
    found = atproto.parse_subscribe_repos_message(parsed)
    assert (found.seq, found.repo, found.rev, found.since) == (7, DID, LATER, REV)
    assert (str(found.commit), str(found.prev_data)) == (str(cid), str(CID))
    assert [(o.action, o.path, str(o.cid), str(o.prev)) for o in found.ops] == [
        ("update", "com.example.thing/1", str(cid), str(CID))
    ]
    assert {str(c): b for c, b in atproto.CAR.from_bytes(found.blocks).blocks.items()} == {
        str(cid): {"$type": "com.example.thing", "n": 1}
    }
    assert CarReader().feed(found.blocks) == [(cid, record)]
