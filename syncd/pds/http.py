"""Send one XRPC request to one server and bring back its answer, within bounds of time and size.

Never follows a redirect but that of a blob, never repeats a request, and never lets a foreign
exception out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self, TypeAlias

import httpx

from syncd import __version__
from syncd.atproto.xrpc import (
    Origin,
    RateLimit,
    Request,
    Response,
    check_car,
    describe_server,
    is_long_enough,
    parse_origin,
    raise_for,
    read_rate_limit,
)
from syncd.connect import Transport, trust
from syncd.errors import BadAnswer, BadSyntax, ConfigWrong, Unknown, Unreachable
from syncd.pds.bounds import DEFAULT_BOUNDS, Bounds, Pace, TooSlow
from syncd.pds.elsewhere import followed, is_elsewhere
from syncd.pds.inflate import Inflater
from syncd.pds.protocol import Meanwhile
from syncd.pds.upload import Upload
from syncd.waiting import waiting_for

OnRequest: TypeAlias = Callable[[str, int | None, float], None]
"""Called once per request: its NSID, the status (None without an answer), seconds it took."""

USER_AGENT = f"syncd/{__version__}"

# The reference PDS drops a connection that was idle for 5 s: leave it before it can break a write.
_IDLE_SECONDS = 4.0
_LIMITS = httpx.Limits(max_connections=8, keepalive_expiry=_IDLE_SECONDS)

_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)

NOT_MODIFIED = 304
CONTENT_TOO_LARGE = 413

CARS = ("com.atproto.sync.getRepo", "com.atproto.sync.getBlocks")
"""What is answered with a CAR, which may take a server a while to begin."""

BLOB = "com.atproto.sync.getBlob"

SENT = "http11.send_request_body.complete"
"""How httpcore names the moment at which a request is sent (HTTP/1.1 is all that is spoken)."""

_HINT = "check the network and the PDS; `syncd run` tries again on its own"


class Http:
    """One server. Counts its requests and remembers the last rate limit in the answer to a write.

    `origin` is the server's, in the one form in which origins are compared. `last_status` is that
    of the last answer, None if the last request got none.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        bounds: Bounds = DEFAULT_BOUNDS,
        on_request: OnRequest | None = None,
        is_named: bool = False,
    ) -> None:
        """Make a client of the origin `url`. Raises ConfigWrong unless https:// or on the loopback.

        `is_named`: a person named it, so its name may lead into a private network.
        """
        try:
            origin = parse_origin(url)
        except BadSyntax as error:
            raise ConfigWrong(f"the PDS cannot be used: {error.message}") from error
        self.origin = str(origin)
        self.requests = 0
        self.rate_limit: RateLimit | None = None
        self.upload_limit: RateLimit | None = None
        self.server_time: float | None = None
        self.last_status: int | None = None
        self._bounds = bounds
        self._on_request = on_request
        self._transport = transport
        self._client = httpx.AsyncClient(
            base_url=str(origin),
            transport=transport or _transport(origin, is_named=is_named),
            follow_redirects=False,
            headers={"user-agent": USER_AGENT, "accept-encoding": "gzip"},
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def send(
        self,
        request: Request,
        *,
        bearer: str | None = None,
        secret: str | None = None,
        etag: str | None = None,
        meanwhile: Meanwhile | None = None,
        upload: Upload | None = None,
    ) -> Response:
        """Return the whole answer if it is a 2xx. `secret` is cut from what an error quotes.

        `meanwhile` is called once the request is sent and not answered yet; it must not raise.
        With the `etag` of an earlier answer, a 304 says that the answer is still that one.
        `upload` is the body of a request that has one from elsewhere.

        Raises what `raise_for` raises; Unreachable if nothing was sent, or a read brought nothing
        back; Unknown if a write may have been sent and no usable answer came.
        """
        with self._watched(request) as statuses, self._waiting(request):
            async with asyncio.timeout(self._longest(upload)):
                begun = await self._begin(request, bearer, etag, meanwhile, upload)
                async with aclosing(begun) as answer:
                    statuses.append(answer.status_code)
                    body = await self._body_of(answer, upload)
        response = Response(answer.status_code, dict(answer.headers), body)
        if etag is None or response.status != NOT_MODIFIED:
            self._raise_for(response, request, bearer or secret)
        return response

    def _longest(self, upload: Upload | None) -> float:
        bounds = self._bounds
        return bounds.total_seconds if upload is None else bounds.stream_seconds

    async def _body_of(self, answer: httpx.Response, upload: Upload | None) -> bytes:
        """Return the body. Do not read that of a refused upload, which ends the connection.

        Some servers answer nothing on such a connection any more.
        """
        if upload is not None and answer.status_code == CONTENT_TOO_LARGE:
            return b""
        return await self._whole(answer)

    async def _whole(self, answer: httpx.Response) -> bytes:
        """Return a body. No error takes long to send."""
        encoding = answer.headers.get("content-encoding", "")
        inflater = Inflater(encoding, limit=self._bounds.answer_bytes)
        async with asyncio.timeout(None if answer.is_success else self._bounds.answer_seconds):
            pieces = [piece async for chunk in _stream_of(answer) for piece in inflater.feed(chunk)]
        return b"".join(pieces) + inflater.close()

    @asynccontextmanager
    async def blob(
        self, request: Request, *, bearer: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the pieces of the blob that answers `request`. Raises as `send`, throughout."""
        deadline = time.monotonic() + self._bounds.stream_seconds
        with self._watched(request) as statuses:
            async with AsyncExitStack() as stack:
                with self._waiting(request):
                    answer = await self._begin(request, bearer, None, None)
                    stack.push_async_callback(answer.aclose)
                    if is_elsewhere(answer):
                        place = followed(answer, self.origin, self._bounds, self._transport)
                        answer = await stack.enter_async_context(place)
                statuses.append(answer.status_code)
                await self._check(answer, request, bearer)
                pieces = self._pieces(answer, request, deadline)
                yield await stack.enter_async_context(aclosing(pieces))

    async def stream(
        self, request: Request, *, bearer: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the CAR that answers `request`. Raises as `send` does, also between pieces."""
        deadline = time.monotonic() + self._bounds.stream_seconds
        with self._watched(request) as statuses:
            answer = await self._open_car(request, bearer)
            async with aclosing(answer):
                statuses.append(answer.status_code)
                await self._check(answer, request, bearer)
                pieces = self._pieces(answer, request, deadline)
                async for piece in _as_car(answer, pieces):
                    yield piece

    async def _check(self, answer: httpx.Response, request: Request, bearer: str | None) -> None:
        """Raise the error of a stream that did not begin."""
        if not answer.is_success:
            body = await self._whole(answer)
            response = Response(answer.status_code, dict(answer.headers), body)
            self._raise_for(response, request, bearer)

    async def _pieces(
        self, answer: httpx.Response, request: Request, deadline: float
    ) -> AsyncGenerator[bytes, None]:
        """Yield the plain bytes of a body. Raises TimeoutError after the moment `deadline`."""
        encoding = answer.headers.get("content-encoding", "")
        inflater = Inflater(encoding, limit=self._bounds.stream_bytes)
        chunks, pace = aiter(_stream_of(answer)), Pace(self._bounds)
        while (chunk := await self._next(chunks, request, pace)) is not None:
            for piece in inflater.feed(chunk):
                yield piece
            if time.monotonic() > deadline:
                raise TimeoutError
        if rest := inflater.close():
            yield rest

    async def _open_car(self, request: Request, bearer: str | None) -> httpx.Response:
        """Send a request whose answer may take long to make, if the server responds at all.

        One that accepts connections and answers nothing is found out by a question that is
        answered without work, so that it costs no more than `silent_seconds` twice.
        """
        silent, total = self._bounds.silent_seconds, self._bounds.total_seconds
        with self._waiting(request):
            with suppress(TimeoutError, httpx.ReadTimeout):
                async with asyncio.timeout(silent):
                    return await self._open(request, bearer)
            self.requests += 1
            async with asyncio.timeout(silent):
                # Whatever it says: a server that refuses is there.
                await (await self._open(describe_server(), None)).aclose()
            async with asyncio.timeout(total):
                return await self._open(request, bearer)

    async def _next(
        self, chunks: AsyncIterator[bytes], request: Request, pace: Pace
    ) -> bytes | None:
        """Return the next chunk; None at the end. Raises TooSlow."""
        started = time.monotonic()
        with self._waiting(request):
            chunk = await anext(chunks, None)
        if chunk is not None:
            pace.count(len(chunk), time.monotonic() - started)
        return chunk

    def _waiting(self, request: Request) -> AbstractContextManager[None]:
        return waiting_for(f"{self.origin} ({request.nsid})")

    async def _begin(
        self,
        request: Request,
        bearer: str | None,
        etag: str | None,
        meanwhile: Meanwhile | None,
        upload: Upload | None = None,
    ) -> httpx.Response:
        """Open a request as `_open` does, with a time limit for the head of an answer to a read.

        A header a second, or interim answers without end, are no silence.
        """
        bounds = self._bounds
        is_read = request.method == "GET"
        longest = bounds.connect_seconds + bounds.answer_seconds if is_read else None
        async with asyncio.timeout(longest):
            return await self._open(request, bearer, etag, meanwhile, upload)

    async def _open(
        self,
        request: Request,
        bearer: str | None,
        etag: str | None = None,
        meanwhile: Meanwhile | None = None,
        upload: Upload | None = None,
    ) -> httpx.Response:
        """Send a request; return when status and headers are read, but not the body."""
        message = self._client.build_request(
            request.method,
            request.target,
            content=request.body if upload is None else upload.pieces(),
            headers=_headers(request, bearer, etag, upload),
            extensions={"trace": _calling(meanwhile)} if meanwhile else None,
            timeout=self._patience(request),
        )
        answer = await self._client.send(message, stream=True)
        self.server_time = read_date(answer.headers)
        return answer

    def _patience(self, request: Request) -> httpx.Timeout:
        """Return the longest silences to accept; longer for a server that works on a write."""
        bounds = self._bounds
        read = bounds.read_seconds
        if request.method == "GET" and request.nsid not in CARS:
            read = min(read, bounds.answer_seconds)
        return httpx.Timeout(
            connect=bounds.connect_seconds,
            read=read,
            write=bounds.write_seconds,
            pool=bounds.total_seconds,
        )

    def _raise_for(self, response: Response, request: Request, secret: str | None) -> None:
        now, is_upload = time.time(), request.upload is not None
        # Logins and reads have limits of their own, in windows of the same length.
        if request.is_write:
            self.rate_limit = read_rate_limit(response.headers, now=now) or self.rate_limit
        if is_upload:
            self.upload_limit = read_rate_limit(response.headers, now=now) or self.upload_limit
        if secret:
            hidden = response.body.replace(secret.encode(), b"(hidden)")
            response = Response(response.status, response.headers, hidden)
        is_open = secret is None and request.auth == "none" and request.method == "GET"
        is_write = request.is_write or is_upload
        raise_for(response, is_write=is_write, now=now, is_open=is_open)

    @contextmanager
    def _watched(self, request: Request) -> Iterator[list[int]]:
        """Count and report a request; the caller appends its status. Translate exceptions."""
        statuses: list[int] = []
        started = time.monotonic()
        self.requests += 1
        try:
            with _translated(request, self.origin):
                yield statuses
        finally:
            self.last_status = status = statuses[0] if statuses else None
            if self._on_request is not None:
                self._on_request(request.nsid, status, time.monotonic() - started)


def _calling(meanwhile: Meanwhile) -> Callable[[str, object], Awaitable[None]]:
    """Call `meanwhile` once the system has the last byte of a request."""

    async def trace(event: str, _: object) -> None:
        if event == SENT:
            meanwhile()

    return trace


def _headers(
    request: Request, bearer: str | None, etag: str | None, upload: Upload | None
) -> dict[str, str]:
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    if etag is not None:
        headers["if-none-match"] = etag
    if request.body is not None:
        headers["content-type"] = "application/json"
    if upload is not None:
        headers |= {"content-type": request.upload or "*/*", "content-length": str(upload.size)}
    if request.nsid == BLOB:
        # A text would come compressed otherwise, and without a length.
        headers["accept-encoding"] = "identity"
    return headers


def _transport(origin: Origin, *, is_named: bool) -> httpx.AsyncBaseTransport:
    """Choose the transport: to any address if a person named the server, else to public ones.

    The resolver refuses an address that is not public unless a person named it.
    """
    if origin.is_loopback:
        return httpx.AsyncHTTPTransport(verify=trust(), limits=_LIMITS, trust_env=False)
    is_anywhere = is_named or not origin.is_public
    return Transport(lambda _: is_anywhere, limits=_LIMITS)


@contextmanager
def _translated(request: Request, origin: str) -> Iterator[None]:
    lost = Unknown if request.is_write else Unreachable
    try:
        yield
    except _NOTHING_SENT as error:
        raise Unreachable(f"cannot connect to {origin}: {_words(error)}", hint=_HINT) from None
    except (httpx.HTTPError, TimeoutError) as error:
        message = f"{request.nsid} got no usable answer: {_words(error)}"
        raise lost(message, hint="" if request.is_write else _HINT) from None
    except BadAnswer as error:
        if request.is_write:
            raise Unknown(error.message, hint=error.hint) from None
        raise


def _words(error: Exception) -> str:
    """Describe the error. Quote only a connect error: others may contain a header."""
    match error:
        case TooSlow():
            return str(error)
        case httpx.TimeoutException() | TimeoutError():
            return "it took too long"
        case httpx.ConnectError() if str(error):
            return str(error)
        case httpx.NetworkError() | httpx.ProtocolError():
            return "the connection broke, or the answer was not HTTP"
        case _:
            return type(error).__name__


async def _as_car(
    answer: httpx.Response, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Yield `pieces`, the first ones together once they show that the body can be a CAR."""
    response = Response(answer.status_code, dict(answer.headers))
    held, is_checked = b"", False
    async with aclosing(pieces):
        async for piece in pieces:
            if is_checked:
                yield piece
            elif is_long_enough(held := held + piece):
                check_car(response, held)
                is_checked = True
                yield held
    if not is_checked:
        check_car(response, held)
        yield held


def read_date(headers: Mapping[str, str]) -> float | None:
    """Return the Date of an answer in unix seconds (RFC 9110); None without a valid one."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


def _stream_of(answer: httpx.Response) -> httpx.AsyncByteStream:
    """Return the body as it came: httpx decodes it without a bound on the size of a chunk."""
    assert isinstance(answer.stream, httpx.AsyncByteStream)
    return answer.stream
