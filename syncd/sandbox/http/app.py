"""The sandbox as an ASGI application: XRPC, the event stream, and a PLC directory on one origin.

Converts HTTP to `Request` and `Answer` to HTTP, and applies the faults of the exchange itself.
Never looks into a repo.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import assert_never

from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from syncd.atproto.firehose import StreamError, encode_frame
from syncd.sandbox import faults
from syncd.sandbox.accounts import did_document
from syncd.sandbox.answer import Answer, json_answer, refusal_answer
from syncd.sandbox.faults import Effect, LoseBlock, Stale, Torn
from syncd.sandbox.host import Sandbox
from syncd.sandbox.methods.dispatch import dispatch, target_of
from syncd.sandbox.methods.request import BLOB_BYTES, XrpcRequest, too_large_blob

HANG_UP = "hang_up"
"""The key in the ASGI state for the server's function to close the connection."""

DEAFEN = "deafen"
"""The key of its function to read nothing more from the connection."""

_POLICY_VIOLATION = 1008


class Hangup(Exception):
    """The fault demands to close the connection without an answer."""


def make_app(sandbox: Sandbox) -> Starlette:
    """Make the application. Without `HANG_UP` from its server, a dropped call is a 500."""

    async def xrpc(http: HttpRequest) -> Response:
        request = await _read(http)
        effect = sandbox.faults.meet(target_of(sandbox, request))
        try:
            if answer := _refuse_chunks(http, request):
                return answer
            answer = await _respond(sandbox, request, effect, _hang_up_of(http))
            answer.headers["date"] = formatdate(sandbox.clock(), usegmt=True)
            return answer
        except Hangup:
            _hang_up_of(http)()
            await _disconnected(http)
            return Response(status_code=500)

    async def plc(http: HttpRequest) -> Response:
        account = sandbox.accounts.find(http.path_params["did"])
        if account is None:
            return JSONResponse({"message": "DID not registered"}, 404)
        return JSONResponse(did_document(account, _origin(http)))

    async def atproto_did(http: HttpRequest) -> Response:
        account = sandbox.accounts.find(http.url.hostname or "")
        found = account is not None and account.is_active
        return PlainTextResponse(account.did if account and found else "", 200 if found else 404)

    async def subscribe(socket: WebSocket) -> None:
        await _serve_stream(sandbox, socket)

    return Starlette(
        routes=[
            Route("/xrpc/{nsid}", xrpc, methods=["GET", "POST"]),
            WebSocketRoute("/xrpc/com.atproto.sync.subscribeRepos", subscribe),
            Route("/.well-known/atproto-did", atproto_did),
            Route("/{did}", plc),
        ]
    )


async def _read(http: HttpRequest) -> XrpcRequest:
    params: dict[str, tuple[str, ...]] = {}
    for name, value in http.query_params.multi_items():
        params[name] = (*params.get(name, ()), value)
    return XrpcRequest(
        verb="GET" if http.method == "HEAD" else http.method,
        nsid=http.path_params["nsid"],
        params=params,
        headers=dict(http.headers),
        body=await http.body(),
        address=http.client.host if http.client else "",
        origin=_origin(http),
    )


def _refuse_chunks(http: HttpRequest, request: XrpcRequest) -> Response | None:
    """Refuse a chunked body above the limit, and read nothing more from its connection.

    The reference PDS does so. A body of a stated length leaves the connection usable.
    """
    if "content-length" in request.headers or len(request.body) <= BLOB_BYTES:
        return None
    getattr(http.state, DEAFEN, lambda: None)()
    return _to_http(refusal_answer(too_large_blob()))


def _origin(http: HttpRequest) -> str:
    return str(http.base_url).rstrip("/")


async def _respond(
    sandbox: Sandbox, request: XrpcRequest, effect: Effect | None, hang_up: Callable[[], None]
) -> Response:
    """Answer a request under a fault. Raises Hangup if the fault demands no answer."""
    match effect:
        case None | Stale() | Torn() | LoseBlock():
            return _to_http(dispatch(sandbox, request, effect))
        case faults.DropRequest():
            raise Hangup
        case faults.DropAnswer():
            dispatch(sandbox, request)
            raise Hangup
        case faults.Delay(seconds):
            await asyncio.sleep(seconds)
            return _to_http(dispatch(sandbox, request))
        case faults.Refuse(status, name, message, headers, is_done):
            if is_done:
                dispatch(sandbox, request)
            refusal = json_answer({"error": name, "message": message}, status)
            return _to_http(Answer(status, refusal.content_type, refusal.body, headers))
        case faults.Html(body):
            return Response(body, 200, media_type="text/html")
        case faults.Cut(keep, clean):
            return _cut(dispatch(sandbox, request), keep, None if clean else hang_up)
        case _:
            assert_never(effect)


def _to_http(answer: Answer) -> Response:
    headers = dict(answer.headers)
    return Response(answer.body, answer.status, headers, answer.content_type or None)


def _cut(answer: Answer, keep: int, hang_up: Callable[[], None] | None) -> Response:
    """Send the start of an answer in chunks, so that only the broken connection shows the cut."""

    async def body() -> AsyncIterator[bytes]:
        yield answer.body[:keep]
        if hang_up is not None:
            hang_up()
            # The connection closes on the next turn of the loop; send nothing before.
            await asyncio.sleep(0.01)

    return StreamingResponse(body(), answer.status, media_type=answer.content_type)


def _hang_up_of(http: HttpRequest) -> Callable[[], None]:
    hang_up: Callable[[], None] = getattr(http.state, HANG_UP, lambda: None)
    return hang_up


async def _disconnected(http: HttpRequest) -> None:
    """Return once the connection is closed: a later answer reaches nobody."""
    if hasattr(http.state, HANG_UP):
        while (await http.receive())["type"] != "http.disconnect":
            pass


async def _serve_stream(sandbox: Sandbox, socket: WebSocket) -> None:
    """Send the events from the cursor on, until either side closes the socket."""
    await socket.accept()
    cursor = socket.query_params.get("cursor")
    if cursor is not None and not cursor.isdecimal():
        await socket.send_bytes(encode_frame(StreamError("InvalidRequest", "Bad cursor")))
        await socket.close(_POLICY_VIOLATION)
        return
    sending = asyncio.create_task(_send_events(sandbox, socket, cursor))
    receiving = asyncio.create_task(_receive_until_gone(socket))
    _, pending = await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


async def _send_events(sandbox: Sandbox, socket: WebSocket, cursor: str | None) -> None:
    code = 1000
    try:
        async for event in sandbox.stream.follow(None if cursor is None else int(cursor)):
            await socket.send_bytes(encode_frame(event))
            code = _POLICY_VIOLATION if isinstance(event, StreamError) else code
        await socket.close(code)
    except (WebSocketDisconnect, RuntimeError):
        # The client closed the socket during a send.
        return


async def _receive_until_gone(socket: WebSocket) -> None:
    """Read until the client closes the socket; clients send nothing on this stream."""
    try:
        while True:
            await socket.receive_bytes()
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return
