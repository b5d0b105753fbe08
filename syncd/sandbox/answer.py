"""The answers of a PDS as values: JSON, a CAR, or a refusal with its status and error name.

Never sends anything. A refusal is `errors.Rejected`, raised by the code that finds the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid
from syncd.errors import Rejected
from syncd.sandbox.faults import Habits
from syncd.values import dataclass

Json = Mapping[str, object]

JSON = "application/json; charset=utf-8"
CAR = "application/vnd.ipld.car"
HTML = "text/html; charset=utf-8"
_GET_RECORD = "com.atproto.repo.getRecord"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. The names of `headers` keep their case."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def json_answer(body: Json, status: int = 200) -> Answer:
    """Make an answer of JSON. Omits keys with the value None, as atproto does."""
    present = {key: value for key, value in body.items() if value is not None}
    text = json.dumps(present, ensure_ascii=False, separators=(",", ":"))
    return Answer(status, JSON, text.encode())


def car_answer(roots: Iterable[Cid], blocks: Iterable[tuple[Cid, bytes]]) -> Answer:
    """Make an answer of a CAR."""
    return Answer(200, CAR, b"".join(write_car(tuple(roots), blocks)))


def empty_answer() -> Answer:
    """Make an answer with status 200 and no body."""
    return Answer(200, "", b"")


def refusal_answer(refusal: Rejected) -> Answer:
    """Make the error answer of XRPC for a refusal; one without a name is plain text."""
    if not refusal.name:
        return Answer(refusal.status, "text/plain", refusal.message.encode())
    return json_answer({"error": refusal.name, "message": refusal.message}, refusal.status)


def invalid(message: str, name: str = "InvalidRequest") -> Rejected:
    return Rejected(message, name=name, status=400)


def unauthorized(
    message: str = "Authentication Required", name: str = "AuthenticationRequired"
) -> Rejected:
    return Rejected(message, name=name, status=401)


def internal() -> Rejected:
    """Make the refusal for input the reference PDS does not expect. It never gives a reason."""
    return Rejected("Internal Server Error", name="InternalServerError", status=500)


def as_habitual(refusal: Rejected, nsid: str, habits: Habits) -> Rejected:
    """Return the answer that a PDS with these habits gives instead of `refusal`."""
    if refusal.name == "RecordNotFound" and nsid == _GET_RECORD and not habits.shows_absence:
        return Rejected("Unauthorized", name="", status=401)
    if refusal.name == "BlobNotFound" and not habits.names_missing_blobs:
        return Rejected("Internal Server Error", name="", status=500)
    return refusal


def too_large() -> Rejected:
    return Rejected("request entity too large", name="PayloadTooLargeError", status=413)


def too_many_requests() -> Rejected:
    return Rejected("Rate Limit Exceeded", name="RateLimitExceeded", status=429)
