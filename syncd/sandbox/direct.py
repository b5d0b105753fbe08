"""`MemoryPds`: the Pds protocol on the sandbox, for tests with thousands of cycles a minute.

Never uses HTTP or a session. Results, errors and faults are those of `HttpPds` on the sandbox over
HTTP: a refusal goes through the same table of errors.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import BinaryIO, TypeVar

from syncd.atproto import xrpc
from syncd.atproto.blob import BlobRef
from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Did, Tid
from syncd.errors import (
    BadAnswer,
    NotFound,
    Rejected,
    SwapFailed,
    SyncdError,
    Unknown,
    Unreachable,
)
from syncd.exchange import Written
from syncd.model import Change, RecordPath, make_record_path
from syncd.pds import NO_COMMIT, Meanwhile, honoured_by, op_of
from syncd.pds.upload import Upload, checked_upload, upload_refusals
from syncd.sandbox import faults
from syncd.sandbox.accounts import check_readable, check_writable
from syncd.sandbox.answer import as_habitual, invalid, too_large, too_many_requests
from syncd.sandbox.faults import Cut, Delay, DropAnswer, DropRequest, Html, Refuse, View
from syncd.sandbox.host import Sandbox
from syncd.sandbox.limits import Charge, Header
from syncd.sandbox.methods.request import (
    BLOB_BYTES,
    JSON_BYTES,
    RECORD_JSON_BYTES,
    check_blob_size,
)
from syncd.sandbox.methods.sync import blocks_since, find_blocks
from syncd.sandbox.methods.views import seen
from syncd.sandbox.repo.commits import NewCommit
from syncd.sandbox.repo.engine import Repo, check_count
from syncd.sandbox.repo.writes import (
    POINTS,
    Prepared,
    delete_record,
    prepare,
    prepare_all,
    put_record,
)

T = TypeVar("T")

PIECE_BYTES = 64 * 1024
ADDRESS = "127.0.0.1"
"""Where a client is that comes over no network."""

_DELETE = "com.atproto.repo.deleteRecord"
_RECORD, _REPO = "com.atproto.repo.getRecord", "com.atproto.sync.getRepo"
_LATEST, _STATUS = "com.atproto.sync.getLatestCommit", "com.atproto.sync.getRepoStatus"
_BLOCKS, _BLOB = "com.atproto.sync.getBlocks", "com.atproto.sync.getBlob"
_UPLOAD, _SERVER = "com.atproto.repo.uploadBlob", "com.atproto.server.describeServer"


class MemoryPds:
    """The repo of one account in a sandbox, for a logged-in client."""

    def __init__(self, sandbox: Sandbox, did: Did) -> None:
        self.did = did
        self.requests = 0
        self.rate_limit: xrpc.RateLimit | None = None
        self.upload_limit: xrpc.RateLimit | None = None
        self._sandbox = sandbox

    @property
    def server_time(self) -> float | None:
        """Return the time that an answer would carry now (see `Pds.server_time`)."""
        return self._sandbox.clock()

    async def fetch_latest(self, *, is_poll: bool = False) -> tuple[Cid, Tid]:  # noqa: ARG002
        def latest(effect: View | None) -> tuple[Cid, Tid]:
            head = seen(self._sandbox, self.did, effect).head
            return head.commit, head.rev

        return await self._read(_LATEST, latest)

    async def fetch_status(self) -> xrpc.RepoStatus:
        def status(effect: View | None) -> xrpc.RepoStatus:
            account = check_readable(self._sandbox.accounts, self.did, is_owner=True)
            if not account.is_active:
                return xrpc.RepoStatus(False, account.status.value, None)
            return xrpc.RepoStatus(True, None, seen(self._sandbox, self.did, effect).head.rev)

        return await self._read(_STATUS, status)

    async def fetch_repo(self, since: Tid | None = None) -> AsyncGenerator[bytes, None]:
        def car(effect: View | None) -> bytes:
            state = seen(self._sandbox, self.did, effect)
            asked = since if self._sandbox.habits.heeds_since else None
            return b"".join(write_car([state.head.commit], blocks_since(state, asked)))

        effect = self._meet(_REPO)
        content = await self._read_under(effect, _REPO, car)
        async for piece in _pieces(content, effect):
            yield piece

    async def fetch_blocks(self, cids: Sequence[Cid]) -> dict[Cid, bytes]:
        def blocks(effect: View | None) -> dict[Cid, bytes]:
            return dict(find_blocks(seen(self._sandbox, self.did, effect), cids))

        return await self._read(_BLOCKS, blocks)

    async def fetch_record(self, path: RecordPath) -> Cid | None:
        def record(_: View | None) -> Cid | None:
            account = self._sandbox.accounts.find(self.did)
            if account is None or not account.is_active:
                raise invalid("Could not locate record")
            found = self._sandbox.repo(self.did).current(path)
            if found is None:
                raise invalid("Could not locate record", "RecordNotFound")
            return found

        try:
            return await self._read(_RECORD, record, [path])
        except NotFound:
            return None

    @asynccontextmanager
    async def fetch_blob(self, cid: Cid) -> AsyncIterator[AsyncIterator[bytes]]:
        def blob(_: View | None) -> bytes:
            check_readable(self._sandbox.accounts, self.did)
            return self._sandbox.blobs(self.did).get(cid).data

        effect = self._meet(_BLOB)
        content = await self._read_under(effect, _BLOB, blob)
        yield _pieces(content, effect)

    async def fetch_blob_limit(self) -> int | None:
        def limit(_: View | None) -> int:
            return BLOB_BYTES

        return await self._read(_SERVER, limit)

    async def upload_blob(
        self, file: BinaryIO, size: int, mime_type: str, expected: Cid | None = None
    ) -> BlobRef:
        upload = Upload(file, size, expected)
        with upload_refusals():
            effect = self._meet(_UPLOAD)
            if isinstance(effect, DropRequest | Html):
                raise _lost_upload(is_page=isinstance(effect, Html))
            is_late = isinstance(effect, Refuse) and effect.is_done
            if not is_late:
                await self._suffer(effect, is_write=True)
            data = b"".join([piece async for piece in upload.pieces()])
            ref = self._take_blob(data, mime_type)
            if is_late:
                await self._suffer(effect, is_write=True)
            if isinstance(effect, DropAnswer | Cut):
                raise _lost_upload(is_page=isinstance(effect, Cut) and effect.clean)
        return checked_upload(ref, upload)

    def _take_blob(self, data: bytes, mime_type: str) -> BlobRef:
        with self._sandbox.lock:
            self._charge_upload()
            try:
                check_blob_size(len(data))
                return self._sandbox.blobs(self.did).upload(data, mime_type)
            except Rejected as refusal:
                raise self._error_of(refusal, is_write=True) from None

    async def honours_swaps(self) -> bool | None:
        def probe(repo: Repo) -> bool:
            repo.apply([], swap=NO_COMMIT)
            return False

        try:
            return await self._write(xrpc.apply_writes(self.did, [], swap=NO_COMMIT), [], probe)
        except (SwapFailed, Rejected, Unknown) as error:
            return honoured_by(error)

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        if not changes:
            return Written((), None, None)
        ops = [op_of(change) for change in changes]

        def apply(repo: Repo) -> Written:
            check_count(ops)
            asked = self._sandbox.habits.validation(validate)
            writes = prepare_all(ops, validate=asked)
            return _written(writes, repo.apply([write.op for write in writes], swap=swap))

        request = xrpc.apply_writes(self.did, ops, swap=swap, validate=validate)
        if meanwhile is not None:
            meanwhile()
        return await self._write(request, ops, apply)

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        swap = change.before if is_guarded else xrpc.UNGUARDED

        def apply(repo: Repo) -> Written:
            write = prepare(op, validate=self._sandbox.habits.validation(validate))
            return _written([write], put_record(repo, write, swap_record=swap))

        op = replace(op_of(change), action="update")
        request = xrpc.put_record(self.did, op, swap=swap, validate=validate)
        return await self._write(request, [op], apply)

    async def delete(self, change: Change, *, is_guarded: bool = True) -> Written:
        if change.before is None:
            return Written((None,), None, None)
        swap = change.before if is_guarded else None

        def apply(repo: Repo) -> Written:
            return _written([Prepared(op)], delete_record(repo, op, swap_record=swap))

        op = replace(op_of(change), action="delete", value=None)
        request = xrpc.delete_record(self.did, op.collection, op.rkey, swap=swap)
        return await self._write(request, [op], apply)

    # --- Calls and their faults -----------------------------------------------------------------

    def _meet(self, nsid: str, paths: Iterable[RecordPath] = ()) -> faults.Effect | None:
        self.requests += 1
        return self._sandbox.faults.meet(faults.Call(nsid, self.did, tuple(paths)))

    async def _read(
        self, nsid: str, read: Callable[[View | None], T], paths: Iterable[RecordPath] = ()
    ) -> T:
        effect = self._meet(nsid, paths)
        found = await self._read_under(effect, nsid, read)
        if isinstance(effect, Cut):
            message = f"{nsid} got no usable answer: it was cut short"
            raise BadAnswer(message) if effect.clean else Unreachable(message)
        return found

    async def _read_under(
        self, effect: faults.Effect | None, nsid: str, read: Callable[[View | None], T]
    ) -> T:
        if isinstance(effect, DropRequest | DropAnswer):
            raise Unreachable(f"{nsid} got no usable answer: the connection closed")
        if isinstance(effect, Html):
            raise BadAnswer(f"{nsid} was answered with a web page")
        await self._suffer(effect, is_write=False)
        bend = effect if isinstance(effect, View) else None
        with self._sandbox.lock:
            try:
                return read(bend)
            except Rejected as refusal:
                refusal = as_habitual(refusal, nsid, self._sandbox.habits)
                raise self._error_of(refusal, is_write=False) from None

    async def _write(
        self, request: xrpc.Request, ops: Sequence[xrpc.WriteOp], apply: Callable[[Repo], T]
    ) -> T:
        """Carry a write out; `request` is the one of an HTTP client, for its name and size."""
        paths = [make_record_path(op.collection, op.rkey) for op in ops]
        effect = self._meet(request.nsid, paths)
        if isinstance(effect, DropRequest | Html):
            raise Unknown(f"{request.nsid} got no usable answer: nothing came back")
        is_late = isinstance(effect, Refuse) and effect.is_done
        if not is_late:
            await self._suffer(effect, is_write=True)
        with self._sandbox.lock:
            try:
                self._check_size(request)
                self._charge_write(sum(POINTS[op.action] for op in ops))
                check_writable(self._sandbox.accounts, self.did)
                written = apply(self._sandbox.repo(self.did))
            except Rejected as refusal:
                refusal = as_habitual(refusal, request.nsid, self._sandbox.habits)
                raise self._error_of(refusal, is_write=True) from None
        if is_late:
            await self._suffer(effect, is_write=True)
        if isinstance(effect, DropAnswer | Cut):
            raise Unknown(f"{request.nsid} got no usable answer: the connection closed")
        return written

    async def _suffer(self, effect: faults.Effect | None, *, is_write: bool) -> None:
        """Apply the effects of a fault before the call: a delay or a refusal."""
        if isinstance(effect, Delay):
            await asyncio.sleep(effect.seconds)
        if isinstance(effect, Refuse):
            refusal = Rejected(effect.message, name=effect.name, status=effect.status)
            raise self._error_of(refusal, effect.headers, is_write=is_write)

    def _check_size(self, request: xrpc.Request) -> None:
        limit = JSON_BYTES if request.nsid == _DELETE else RECORD_JSON_BYTES
        if len(request.body or b"") > min(limit, self._sandbox.habits.json_bytes):
            raise too_large()

    def _charge_write(self, points: int) -> None:
        """Charge a write and remember the limit that its answer names. Raises RateLimited."""
        limits = self._sandbox.limits
        buckets = () if limits is None else (limits.hour, limits.day)
        charged = self._sandbox.charge([Charge(bucket, self.did, points) for bucket in buckets])
        self.rate_limit = self._limit_in(charged[1]) or self.rate_limit
        self._check_charge(*charged)

    def _charge_upload(self) -> None:
        """Charge an upload and remember the limit that its answer names. Raises RateLimited."""
        limits = self._sandbox.limits
        charged = self._sandbox.charge(
            [] if limits is None else [Charge(limits.upload, ADDRESS, 1)]
        )
        self.upload_limit = self._limit_in(charged[1]) or self.upload_limit
        self._check_charge(*charged)

    def _limit_in(self, headers: Iterable[Header]) -> xrpc.RateLimit | None:
        sent = {name.lower(): value for name, value in headers}
        return xrpc.read_rate_limit(sent, now=self._sandbox.clock())

    def _check_charge(self, may_go_on: bool, headers: Iterable[Header]) -> None:
        if not may_go_on:
            raise self._error_of(too_many_requests(), headers, is_write=True)

    def _error_of(
        self, refusal: Rejected, headers: Iterable[tuple[str, str]] = (), *, is_write: bool
    ) -> SyncdError:
        """Convert a refusal to the error of a client over HTTP."""
        body = json.dumps({"error": refusal.name, "message": refusal.message}).encode()
        sent = {name.lower(): value for name, value in headers}
        answer = xrpc.Response(refusal.status, sent, body)
        is_open = not is_write
        now = self._sandbox.clock()
        return xrpc.error_of(answer, is_write=is_write, now=now, is_open=is_open)


async def _pieces(content: bytes, effect: faults.Effect | None) -> AsyncIterator[bytes]:
    """Yield an answer in pieces, up to where a fault cuts it."""
    keep = effect.keep if isinstance(effect, Cut) else len(content)
    for start in range(0, keep, PIECE_BYTES):
        yield content[start : min(start + PIECE_BYTES, keep)]
    if isinstance(effect, Cut) and not effect.clean:
        raise Unreachable("the PDS gave no usable answer: the connection broke")


def _lost_upload(*, is_page: bool) -> SyncdError:
    message = f"{_UPLOAD} got no usable answer"
    return BadAnswer(message) if is_page else Unreachable(message)


def _written(writes: Sequence[Prepared], commit: NewCommit | None) -> Written:
    cids = tuple(write.cid for write in writes)
    validation = tuple(write.status for write in writes)
    if commit is None:
        return Written(cids, None, None, validation)
    return Written(cids, commit.after.head.commit, commit.after.head.rev, validation)
