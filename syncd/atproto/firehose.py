"""Frames of com.atproto.sync.subscribeRepos to events and back. Bytes in, values out; no socket.

Never verifies an event: treat each as a reason to look at a repo, and trust none of its claims.
Sources: https://atproto.com/specs/event-stream and the lexicon named above
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal, assert_never

from syncd.atproto.cid import Cid
from syncd.atproto.dagcbor import Value, encode, read_cbor
from syncd.atproto.data import Record
from syncd.atproto.syntax import Did, Handle, Tid, parse_did, parse_handle, parse_tid
from syncd.errors import BadData, BadFrame, BadSyntax
from syncd.values import dataclass

MAX_FRAME_BYTES = 5_000_000
"""The longest message of the stream (sync spec)."""

_ARRAY_OF_TWO = b"\x82"


@dataclass(frozen=True, slots=True)
class Op:
    """One record of a commit, as its author announces the change; None is absence."""

    action: Literal["create", "update", "delete"]
    path: str
    cid: Cid | None
    prev: Cid | None = None


@dataclass(frozen=True, slots=True)
class CommitEvent:
    """A repo got a new commit. `blocks` is a CAR of the new blocks, rooted at the commit."""

    seq: int
    repo: Did
    commit: Cid
    rev: Tid
    since: Tid | None
    blocks: bytes
    ops: tuple[Op, ...]
    time: str
    prev_data: Cid | None = None


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """A repo is now at a commit, whatever came before. `blocks` is a CAR of the commit alone."""

    seq: int
    did: Did
    rev: Tid
    blocks: bytes
    time: str


@dataclass(frozen=True, slots=True)
class IdentityEvent:
    """The DID document or the handle of an account may have changed."""

    seq: int
    did: Did
    time: str
    handle: Handle | None = None


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """An account is now hosted or not; `status` is the reason (deactivated, takendown, ...)."""

    seq: int
    did: Did
    time: str
    active: bool
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Info:
    """A notice about the stream itself; OutdatedCursor: the server skipped events."""

    name: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class StreamError:
    """The last frame before the server closes: FutureCursor, ConsumerTooSlow, InvalidRequest."""

    error: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """A kind of event from a later version of the lexicon, `#kind`; ignore it."""

    kind: str


Message = CommitEvent | SyncEvent | IdentityEvent | AccountEvent | Info | OtherEvent
Event = Message | StreamError


def parse_frame(frame: bytes) -> Event:
    """Read one binary message of the stream. Raises BadFrame."""
    try:
        return _parse(read_cbor(_ARRAY_OF_TWO + frame))
    except (BadData, BadSyntax) as error:
        raise BadFrame(f"a frame of the stream cannot be read: {error.message}") from None


def encode_frame(event: Event) -> bytes:
    """Encode one binary message: a header, then a payload (empty for an OtherEvent)."""
    if isinstance(event, StreamError):
        payload: Record = {"error": event.error, **_given(message=event.message)}
        return encode({"op": -1}) + encode(payload)
    kind, payload = _payload(event)
    return encode({"op": 1, "t": kind}) + encode(payload)


def _parse(frame: Value) -> Event:
    match frame:
        case [{"op": 1, "t": str(kind)}, dict() as payload]:
            try:
                return _parse_event(kind, payload)
            except (BadFrame, BadSyntax) as error:
                # One malformed event must not be news for every account of the server.
                raise BadFrame(error.message, about=_about(payload)) from None
        case [{"op": -1}, dict() as payload]:
            return StreamError(_text(payload, "error") or "", _text(payload, "message"))
        case _:
            raise BadFrame("a frame of the stream is not a header and a payload")


def _parse_event(kind: str, payload: Record) -> Event:
    match kind, payload:
        case "#commit", _:
            return _parse_commit(payload)
        case "#sync", {"seq": int(seq), "did": str(did), "rev": str(rev), "blocks": bytes(blocks)}:
            return SyncEvent(seq, parse_did(did), parse_tid(rev), blocks, _time(payload))
        case "#identity", {"seq": int(seq), "did": str(did)}:
            handle = _text(payload, "handle")
            known = None if handle is None else parse_handle(handle)
            return IdentityEvent(seq, parse_did(did), _time(payload), known)
        case "#account", {"seq": int(seq), "did": str(did), "active": bool(active)}:
            status = _text(payload, "status")
            return AccountEvent(seq, parse_did(did), _time(payload), active, status)
        case "#info", {"name": str(name)}:
            return Info(name, _text(payload, "message"))
        case (("#sync" | "#identity" | "#account" | "#info"), _):
            raise BadFrame(f"a {kind} event of the stream lacks a field that it needs")
        case _:
            return OtherEvent(kind)


def _about(payload: Record) -> str | None:
    """Return the DID that an event is about, whatever else is wrong with it."""
    match payload:
        case {"repo": str(did)} | {"did": str(did)}:
            with suppress(BadSyntax):
                return parse_did(did)
    return None


def _parse_commit(payload: Record) -> CommitEvent:
    match payload:
        case {
            "seq": int(seq),
            "repo": str(repo),
            "commit": Cid() as commit,
            "rev": str(rev),
            "blocks": bytes(blocks),
            "ops": [*ops],
        }:
            since, prev_data = _text(payload, "since"), _cid(payload, "prevData")
            return CommitEvent(
                seq=seq,
                repo=parse_did(repo),
                commit=commit,
                rev=parse_tid(rev),
                since=None if since is None else parse_tid(since),
                blocks=blocks,
                ops=tuple(_parse_op(op) for op in ops),
                time=_time(payload),
                prev_data=prev_data,
            )
        case _:
            raise BadFrame("a #commit event of the stream lacks a field that it needs")


def _parse_op(op: Value) -> Op:
    match op:
        case {"action": "create" | "update" | "delete" as action, "path": str(path)} if isinstance(
            op, dict
        ):
            return Op(action, path, _cid(op, "cid"), _cid(op, "prev"))
        case _:
            raise BadFrame("an operation of a #commit event is not create, update or delete")


def _time(payload: Record) -> str:
    return _text(payload, "time") or ""


def _text(payload: Record, name: str) -> str | None:
    value = payload.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadFrame(f"the field {name} of an event of the stream is not text")


def _cid(payload: Record, name: str) -> Cid | None:
    value = payload.get(name)
    if value is None or isinstance(value, Cid):
        return value
    raise BadFrame(f"the field {name} of an event of the stream is not a CID")


def _payload(event: Message) -> tuple[str, Record]:
    match event:
        case CommitEvent():
            return "#commit", _commit_payload(event)
        case SyncEvent(seq, did, rev, blocks, time):
            return "#sync", {"seq": seq, "did": did, "rev": rev, "blocks": blocks, "time": time}
        case IdentityEvent(seq, did, time, handle):
            return "#identity", {"seq": seq, "did": did, "time": time, **_given(handle=handle)}
        case AccountEvent(seq, did, time, active, status):
            fields: Record = {"seq": seq, "did": did, "time": time, "active": active}
            return "#account", {**fields, **_given(status=status)}
        case Info(name, message):
            return "#info", {"name": name, **_given(message=message)}
        case OtherEvent(kind):
            return kind, {}
        case _:
            assert_never(event)


def _commit_payload(event: CommitEvent) -> Record:
    """Build the payload with every required field of the lexicon, also the deprecated."""
    return {
        "seq": event.seq,
        "repo": event.repo,
        "commit": event.commit,
        "rev": event.rev,
        "since": event.since,
        "blocks": event.blocks,
        "ops": [
            {"action": op.action, "path": op.path, "cid": op.cid, **_given(prev=op.prev)}
            for op in event.ops
        ],
        "time": event.time,
        "blobs": [],
        "rebase": False,
        "tooBig": False,
        **_given(prevData=event.prev_data),
    }


def _given(**fields: Value) -> Record:
    """Keep the fields with a value: the lexicon omits optional fields and does not allow null."""
    return {name: value for name, value in fields.items() if value is not None}
