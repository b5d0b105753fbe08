"""Answer a request: find the method, check token and body, charge the limits. Never serves HTTP.

The order is that of the reference PDS: token, body, rate limit, method. So a malformed body costs
no points, and a refused write costs as many as a successful one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from syncd.atproto.syntax import Did, parse_nsid, parse_rkey
from syncd.errors import BadSyntax, Rejected
from syncd.model import RecordPath, make_record_path
from syncd.sandbox import faults
from syncd.sandbox.answer import (
    CAR,
    HTML,
    Answer,
    as_habitual,
    internal,
    invalid,
    json_answer,
    refusal_answer,
    too_many_requests,
    unauthorized,
)
from syncd.sandbox.faults import Habits, View
from syncd.sandbox.host import Sandbox
from syncd.sandbox.limits import Charge, Header, RateLimits
from syncd.sandbox.methods import account as account_methods
from syncd.sandbox.methods import migration as migration_methods
from syncd.sandbox.methods import repo as repo_methods
from syncd.sandbox.methods import sync as sync_methods
from syncd.sandbox.methods.call import Auth, CheckedCall, Method
from syncd.sandbox.methods.lexjson import parse_json
from syncd.sandbox.methods.request import Fields, XrpcRequest
from syncd.sandbox.sessions import FULL, Sessions, TokenClaims

METHODS: Mapping[str, Method] = {
    **account_methods.METHODS,
    **migration_methods.METHODS,
    **repo_methods.METHODS,
    **sync_methods.METHODS,
}
"""Every XRPC method of the sandbox, except the event stream."""

VERSION = "0.5.35-sandbox"
"""The version in the answer of `_health`: that of the reference PDS this sandbox imitates."""

_GET_REPO = "com.atproto.sync.getRepo"
_UPLOAD = "com.atproto.repo.uploadBlob"
_READS = ("com.atproto.sync.", "com.atproto.repo.")
_CREATE_SESSION = "com.atproto.server.createSession"


def dispatch(sandbox: Sandbox, request: XrpcRequest, effect: View | None = None) -> Answer:
    """Carry a request out. `effect` is a fault on reading."""
    if request.nsid == "_health":
        return json_answer({"version": VERSION})
    with sandbox.lock:
        try:
            call = _checked(sandbox, request, effect)
        except Rejected as refusal:
            return refusal_answer(refusal)
        may_go_on, headers = _charged(call)
        if not may_go_on:
            return _with(refusal_answer(too_many_requests()), headers)
        return _with(_answered(call), headers)


def target_of(sandbox: Sandbox, request: XrpcRequest) -> faults.Call:
    """Extract the criteria for faults from an unchecked request. Never raises."""
    params = {name: values[0] for name, values in request.params.items() if values}
    name = params.get("did") or params.get("repo")
    items: list[object] = [params]
    try:
        body = parse_json(request.body) if request.media_type == "application/json" else None
    except Rejected:
        body = None
    if isinstance(body, dict):
        name = str(body.get("repo", ""))
        writes = body.get("writes")
        items = writes if isinstance(writes, list) else [body]
    account = sandbox.accounts.find(name) if name else None
    did = account.did if account else Did(name) if name else None
    return faults.Call(request.nsid, did, tuple(_paths(items)))


def _paths(items: Iterable[object]) -> Iterable[RecordPath]:
    for item in items:
        match item:
            case {"collection": str(collection), "rkey": str(rkey)}:
                try:
                    yield make_record_path(parse_nsid(collection), parse_rkey(rkey))
                except BadSyntax:
                    continue


def _checked(sandbox: Sandbox, request: XrpcRequest, effect: View | None) -> CheckedCall:
    method = METHODS.get(request.nsid)
    if method is None:
        raise Rejected("Method Not Implemented", name="MethodNotImplemented", status=501)
    if request.verb != method.verb:
        raise invalid(f"Incorrect HTTP method ({request.verb}) expected {method.verb}")
    claims = _authorize(sandbox.sessions, request, _asked_for(sandbox.habits, request, method))
    body = _body(request, method, sandbox.habits)
    return CheckedCall(sandbox, request, claims, body, effect)


def _asked_for(habits: Habits, request: XrpcRequest, method: Method) -> Auth:
    """Return the token that a request needs by the habits of the PDS."""
    is_read = method.verb == "GET" and request.nsid.startswith(_READS)
    return "access" if is_read and not habits.reads_openly else method.auth


def _body(request: XrpcRequest, method: Method, habits: Habits) -> Fields:
    match method.body:
        case "json":
            return request.json_body(min(method.limit, habits.json_bytes))
        case "blob":
            request.blob_body()
        case "car":
            request.check_car()
        case "none":
            request.no_body()
    return Fields({})


def _authorize(sessions: Sessions, request: XrpcRequest, auth: Auth) -> TokenClaims | None:
    """Check the token of a request. Raises Rejected if it does not fit the method."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if auth == "none" or (auth == "optional" and not scheme):
        return None
    if not scheme:
        raise unauthorized(name="AuthMissing")
    if scheme.lower() != "bearer":
        raise invalid("Unexpected authorization type", "InvalidToken")
    if auth in ("refresh", "expired"):
        return sessions.read_refresh(token, may_be_expired=auth == "expired")
    claims = sessions.read_access(token)
    if auth == "full" and claims.scope != FULL:
        raise invalid("Bad token scope", "InvalidToken")
    return claims


def _charged(call: CheckedCall) -> tuple[bool, tuple[Header, ...]]:
    limits = call.sandbox.limits
    return (True, ()) if limits is None else call.sandbox.charge(list(_charges(call, limits)))


def _charges(call: CheckedCall, limits: RateLimits) -> Iterable[Charge]:
    request, method = call.request, METHODS[call.request.nsid]
    if method.points is not None:
        points = method.points(call)
        yield Charge(limits.hour, call.caller.did, points)
        yield Charge(limits.day, call.caller.did, points)
    if request.nsid == _CREATE_SESSION:
        identifier = call.body.members.get("identifier", "")
        yield Charge(limits.login, f"{identifier}-{request.address}", 1)
    if request.nsid == _UPLOAD:
        # By address, whoever's the blob is.
        yield Charge(limits.upload, request.address, 1)
    bucket = limits.export if request.nsid == _GET_REPO else limits.address
    yield Charge(bucket, request.address, 1)


def _answered(call: CheckedCall) -> Answer:
    try:
        answer = METHODS[call.request.nsid].answer(call)
        is_mislabelled = answer.content_type == CAR and not call.sandbox.habits.labels_cars
        return replace(answer, content_type=HTML) if is_mislabelled else answer
    except Rejected as refusal:
        return refusal_answer(as_habitual(refusal, call.request.nsid, call.sandbox.habits))
    except BadSyntax as error:
        return refusal_answer(invalid(error.message))
    except RecursionError:
        return refusal_answer(internal())


def _with(answer: Answer, headers: tuple[Header, ...]) -> Answer:
    return replace(answer, headers=(*answer.headers, *headers))
