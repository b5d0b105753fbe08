"""The sandbox as an ASGI application: XRPC, the event stream, and a PLC directory on one origin.

Knows nothing of repos: it turns HTTP into `Request`, `Answer` into HTTP, and makes the faults that
concern the exchange itself come true.
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
from syncd.sandbox.answer import Answer, json_answer
from syncd.sandbox.faults import Effect, LoseBlock, Stale, Torn
from syncd.sandbox.host import Sandbox
from syncd.sandbox.methods.dispatch import dispatch, target_of
from syncd.sandbox.methods.request import Request

HANG_UP = "hang_up"
"""The key of the ASGI state under which a server leaves the function that closes its connection."""

_POLICY_VIOLATION = 1008


class Hangup(Exception):
    """The connection is to be closed without an answer."""


def make_app(sandbox: Sandbox) -> Starlette:
    """The application. Its server should offer `HANG_UP`; without that, a dropped call is a 500."""

    async def xrpc(http: HttpRequest) -> Response:
        request = await _read(http)
        effect = sandbox.faults.meet(target_of(sandbox, request))
        try:
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


async def _read(http: HttpRequest) -> Request:
    params: dict[str, tuple[str, ...]] = {}
    for name, value in http.query_params.multi_items():
        params[name] = (*params.get(name, ()), value)
    return Request(
        verb=http.method,
        nsid=http.path_params["nsid"],
        params=params,
        headers=dict(http.headers),
        body=await http.body(),
        address=http.client.host if http.client else "",
        origin=_origin(http),
    )


def _origin(http: HttpRequest) -> str:
    return str(http.base_url).rstrip("/")


async def _respond(
    sandbox: Sandbox, request: Request, effect: Effect | None, hang_up: Callable[[], None]
) -> Response:
    """The answer under a fault. Raises Hangup if there is to be none."""
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
        case faults.Refuse(status, name, message, headers):
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
    """The start of an answer, chunked, so that only a broken connection tells that it was cut."""

    async def body() -> AsyncIterator[bytes]:
        yield answer.body[:keep]
        if hang_up is not None:
            hang_up()
            # The connection closes on the loop's next turn; nothing may be sent before it does.
            await asyncio.sleep(0.01)

    return StreamingResponse(body(), answer.status, media_type=answer.content_type)


def _hang_up_of(http: HttpRequest) -> Callable[[], None]:
    hang_up: Callable[[], None] = getattr(http.state, HANG_UP, lambda: None)
    return hang_up


async def _disconnected(http: HttpRequest) -> None:
    """Return once the connection is gone: what is answered then is sent to nobody."""
    if hasattr(http.state, HANG_UP):
        while (await http.receive())["type"] != "http.disconnect":
            pass


async def _serve_stream(sandbox: Sandbox, socket: WebSocket) -> None:
    """Send the events from the cursor on, until either side ends it."""
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
        # The client left while something was being sent.
        return


async def _receive_until_gone(socket: WebSocket) -> None:
    """Clients have nothing to say on this stream; their leaving is noticed by reading."""
    try:
        while True:
            await socket.receive_bytes()
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return
