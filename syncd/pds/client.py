"""`HttpPds`: the Pds protocol over HTTP. Never looks at a folder, and decides nothing about a plan.

Reads go out without a token: the public endpoints answer everyone, but refuse an expired one. A PDS
that shows its repos only to those who are logged in is asked again with one.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from types import TracebackType
from typing import BinaryIO, Final, Self

import httpx

from syncd.atproto import xrpc
from syncd.atproto.blob import BlobRef
from syncd.atproto.car import CarReader
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.commit import parse_commit
from syncd.atproto.syntax import Did, Tid
from syncd.errors import (
    BadAnswer,
    BadCar,
    BadCommit,
    CredentialsRefused,
    GuardUnsupported,
    LoginLimited,
    LoginWanted,
    NotFound,
    PdsError,
    RateLimited,
    Rejected,
    RepoUnavailable,
    SwapFailed,
    SyncdError,
    Unknown,
    Unreachable,
)
from syncd.exchange import Written
from syncd.model import Account, Change, RecordPath, split_record_path
from syncd.pds.bounds import DEFAULT_BOUNDS, Bounds
from syncd.pds.http import NOT_MODIFIED, Http, OnRequest
from syncd.pds.protocol import Meanwhile, Tokens
from syncd.pds.session import LiveSession
from syncd.pds.upload import Upload, checked_upload, upload_refusals

MAX_BLOCKS: Final = 100
"""CIDs in one getBlocks: each takes 65 bytes of a URL, which servers bound at 8 KiB."""

PROOF_BYTES: Final = 2_000
"""What one write adds to a commit besides its record: tree nodes, on the generous side."""

COMMIT_WITHIN_BYTES: Final = 2_000_000
"""Where the commit of a repo must stand in its CAR: it comes first everywhere."""

MAX_ETAG: Final = 200
"""A longer ETag is not sent back."""

MAX_PAGES: Final = 1_000
"""Pages of a list, at 500 entries each: a list without an end has to end."""

OF_THE_REQUEST: Final = frozenset({400, 405, 409, 422, 500, 501})
"""The statuses by which a PDS may refuse an odd request and carry out the next."""

NO_COMMIT: Final = cid_of_block(b"a commit that no repo has")
"""What a probe names as the commit to build on."""


def encoded_size(change: Change) -> tuple[int, int]:
    """Return the bytes of a change in the JSON of an applyWrites, and in the blocks of its commit.

    A change with a record needs its block too.
    """
    assert (change.record is None) == (change.block is None)
    return xrpc.encoded_size(op_of(change)), len(change.block or b"") + PROOF_BYTES


def op_of(change: Change) -> xrpc.WriteOp:
    """Return the write that carries `change` out."""
    collection, rkey = split_record_path(change.path)
    action = xrpc.choose_action(change.before, change.after)
    return xrpc.WriteOp(action, collection, rkey, None if action == "delete" else change.record)


def honoured_by(error: SwapFailed | Rejected | Unknown) -> bool | None:
    """Return what the refusal of a batch of nothing shows of guards; None for nothing.

    Raises `error` if it may not be the word of the PDS, or is none about this request.
    """
    if isinstance(error, SwapFailed):
        return True
    if isinstance(error, GuardUnsupported):
        return False
    if isinstance(error, Unknown) and error.status not in OF_THE_REQUEST:
        raise error
    # It may as well refuse a batch of nothing, before it looks at any guard.
    return None


class HttpPds:
    """One account's repo on its PDS. Without `tokens` it is read-only: a write never leaves."""

    def __init__(
        self,
        account: Account,
        tokens: Tokens | None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        bounds: Bounds = DEFAULT_BOUNDS,
        on_request: OnRequest | None = None,
    ) -> None:
        """Raise ConfigWrong unless the PDS is https:// or on the loopback."""
        self._did = account.did
        self._latest: tuple[str, tuple[Cid, Tid]] | None = None
        self._no_login_before = -math.inf
        self._http = Http(
            account.pds,
            transport=transport,
            bounds=bounds,
            on_request=on_request,
            is_named=account.is_named,
        )
        self._session = None if tokens is None else LiveSession(self._http, account.did, tokens)

    @property
    def did(self) -> Did:
        return self._did

    @property
    def requests(self) -> int:
        """Return the number of HTTP requests sent so far, including those for sessions."""
        return self._http.requests

    @property
    def rate_limit(self) -> xrpc.RateLimit | None:
        """Return the rate limit that the PDS reported last; None if it reported none."""
        return self._http.rate_limit

    @property
    def upload_limit(self) -> xrpc.RateLimit | None:
        """Return the rate limit of uploads that the PDS reported last; None if it reported none."""
        return self._http.upload_limit

    @property
    def server_time(self) -> float | None:
        """Return the Date of the last answer, in unix seconds; None if it had none."""
        return self._http.server_time

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def fetch_latest(self, *, is_poll: bool = False) -> tuple[Cid, Tid]:
        """Return the newest commit as `Pds.fetch_latest` does, or from the beginning of getRepo."""
        etag, known = self._latest or (None, None)
        try:
            answer = await self._read(xrpc.get_latest_commit(self._did), etag)
            if known is not None and answer.status == NOT_MODIFIED:
                return known
            latest = xrpc.read_latest(answer)
        except (RepoUnavailable, RateLimited):
            raise
        except (PdsError, BadAnswer) as error:
            # A server that did not even answer would not answer the next question either. And one
            # that fails is not to begin a whole repo with each poll: the next look asks for it.
            is_failing = is_poll and isinstance(error, Unreachable)
            if self._http.last_status is None or is_failing:
                raise
            return await self._latest_by_repo(error)
        tag = answer.headers.get("etag", "")
        self._latest = (tag, latest) if 0 < len(tag) <= MAX_ETAG else None
        return latest

    async def _latest_by_repo(self, error: SyncdError) -> tuple[Cid, Tid]:
        """Return the commit that the CAR of the repo names. Raises `error` if it has none."""
        reader, size = CarReader(), 0
        try:
            async with aclosing(self.fetch_repo()) as pieces:
                async for piece in pieces:
                    found = dict(reader.feed(piece))
                    if reader.commit is not None and reader.commit in found:
                        return reader.commit, parse_commit(found[reader.commit]).rev
                    size += len(piece)
                    if size > COMMIT_WITHIN_BYTES:
                        break
        except (BadCar, BadCommit, BadAnswer, Unreachable):
            raise error from None
        raise error

    async def fetch_status(self) -> xrpc.RepoStatus:
        answer = await self._read(xrpc.get_repo_status(self._did))
        return xrpc.read_repo_status(answer, self._did)

    def fetch_repo(self, since: Tid | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the repo as `Pds.fetch_repo` does; close the generator if you leave it early."""
        return self._stream(xrpc.get_repo(self._did, since))

    async def fetch_blocks(self, cids: Sequence[Cid]) -> dict[Cid, bytes]:
        wanted = list(dict.fromkeys(cids))
        found: dict[Cid, bytes] = {}
        for start in range(0, len(wanted), MAX_BLOCKS):
            found |= await self._fetch_chunk(wanted[start : start + MAX_BLOCKS])
        return found

    async def _fetch_chunk(self, wanted: Sequence[Cid]) -> dict[Cid, bytes]:
        reader, found, asked = CarReader(), dict[Cid, bytes](), frozenset(wanted)
        async with aclosing(self._stream(xrpc.get_blocks(self._did, wanted))) as pieces:
            async for piece in pieces:
                # Blocks that nobody asked for would fill memory, each with a hash that is right.
                found.update(block for block in reader.feed(piece) if block[0] in asked)
        reader.close()
        absent = [cid for cid in wanted if cid not in found]
        if absent:
            raise NotFound(f"the PDS does not have {len(absent)} of {len(wanted)} blocks any more")
        return {cid: found[cid] for cid in wanted}

    async def fetch_record(self, path: RecordPath) -> Cid | None:
        try:
            request = xrpc.get_record(self._did, *split_record_path(path))
            record = xrpc.read_record(await self._read(request))
        except NotFound:
            return None
        if not record.uri.endswith(f"/{path}"):
            raise BadAnswer(f"the PDS answered for another record than {path}")
        return record.cid

    @asynccontextmanager
    async def fetch_blob(self, cid: Cid) -> AsyncIterator[AsyncIterator[bytes]]:
        request = xrpc.get_blob(self._did, cid)
        async with AsyncExitStack() as stack:
            try:
                pieces = await stack.enter_async_context(self._http.blob(request))
            except LoginWanted as error:
                session = self._key(error)
                with self._knocking(error):
                    pieces = await stack.enter_async_context(session.blob(request))
            yield pieces

    async def fetch_blob_limit(self) -> int | None:
        return xrpc.read_server(await self._http.send(xrpc.describe_server())).blob_limit

    async def upload_blob(
        self, file: BinaryIO, size: int, mime_type: str, expected: Cid | None = None
    ) -> BlobRef:
        """Upload as `Pds.upload_blob` does. Raises BadAnswer if the PDS has stored other bytes."""
        upload = Upload(file, size, expected)
        with upload_refusals():
            answer = await self._send(xrpc.upload_blob(mime_type), upload=upload)
        return checked_upload(xrpc.read_blob_ref(answer), upload)

    async def fetch_missing_blobs(self) -> list[Cid]:
        """Return the blobs that records name and that the PDS says it lacks.

        Only the import of a repo makes such blobs. Raises as a write: it needs a session.
        """
        found: dict[Cid, None] = {}
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            answer = await self._send(xrpc.list_missing_blobs(cursor))
            cids, cursor = xrpc.read_missing_blobs(answer)
            found |= dict.fromkeys(cids)
            if not cids or cursor is None:
                break
        return list(found)

    async def honours_swaps(self) -> bool | None:
        request = xrpc.apply_writes(self._did, [], swap=NO_COMMIT)
        try:
            answer = await self._send(request)
        except (SwapFailed, Rejected, Unknown) as error:
            return honoured_by(error)
        # A page with the status 200 is not the word of a PDS.
        xrpc.read_applied(answer, [])
        return False

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        """Write as `Pds.write` does. Without a change, send nothing: it would make a commit."""
        if not changes:
            return Written((), None, None)
        ops = [op_of(change) for change in changes]
        request = xrpc.apply_writes(self._did, ops, swap=swap, validate=validate)
        return _written(xrpc.read_applied(await self._send(request, meanwhile), ops))

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        op = op_of(change)
        swap = change.before if is_guarded else xrpc.UNGUARDED
        request = xrpc.put_record(self._did, op, swap=swap, validate=validate)
        return _written(xrpc.read_put(await self._send(request), op))

    async def delete(self, change: Change, *, is_guarded: bool = True) -> Written:
        """Delete as `Pds.delete` does. If there was no record, send nothing: it has no guard."""
        if change.before is None:
            return Written((None,), None, None)
        collection, rkey = split_record_path(change.path)
        swap = change.before if is_guarded else None
        request = xrpc.delete_record(self._did, collection, rkey, swap=swap)
        return _written(xrpc.read_deleted(await self._send(request)))

    async def _read(self, request: xrpc.Request, etag: str | None = None) -> xrpc.Response:
        """Send a read. Raises LoginWanted if the PDS answers neither without a token nor with it.

        A read says nothing about credentials: a login that is refused for it halts no push.
        """
        try:
            return await self._http.send(request, etag=etag)
        except LoginWanted as error:
            session = self._key(error)
            with self._knocking(error):
                return await session.send(request)

    async def _stream(self, request: xrpc.Request) -> AsyncGenerator[bytes, None]:
        """Stream a CAR, read as `_read` does. Close the generator if you leave it early."""
        try:
            async with aclosing(self._http.stream(request)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        except LoginWanted as error:
            # It comes in the place of the first piece.
            wanted = error
        session = self._key(wanted)
        with self._knocking(wanted):
            async with aclosing(session.stream(request)) as pieces:
                async for piece in pieces:
                    yield piece

    def _key(self, error: LoginWanted) -> LiveSession:
        """Return the session for a read. Raises `error` if none may be requested now."""
        if self._session is None or time.monotonic() < self._no_login_before:
            raise error
        return self._session

    @contextmanager
    def _knocking(self, error: LoginWanted) -> Iterator[None]:
        """Raise `error` if no login helps; delay the next login as long as the PDS asks."""
        try:
            yield
        except CredentialsRefused as refused:
            # What a person can do is with the login: it may be one of another server.
            raise LoginWanted(error.message, hint=refused.hint or error.hint) from None
        except LoginLimited as limit:
            self._no_login_before = time.monotonic() + limit.retry_seconds
            raise error from None

    async def _send(
        self,
        request: xrpc.Request,
        meanwhile: Meanwhile | None = None,
        upload: Upload | None = None,
    ) -> xrpc.Response:
        if self._session is None:
            raise CredentialsRefused(
                "this mirror is read-only: nothing was sent to the PDS",
                hint="run `syncd login` and set read_only = false in syncd.toml to write",
            )
        return await self._session.send(request, meanwhile, upload)


def _written(answer: xrpc.WriteAnswer) -> Written:
    return Written(answer.cids, answer.commit, answer.rev, answer.validation)
