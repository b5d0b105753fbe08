"""The newest commit where the PDS does not name it: the CAR of the repo does."""

from __future__ import annotations

import httpx
import pytest

from syncd.atproto.car import write_car
from syncd.errors import BadAnswer, PdsError, RateLimited, RepoUnavailable, SyncdError, Unreachable
from syncd.pds import HttpPds
from syncd.sandbox import Sandbox
from tests.rigs.device import account_of

SANDBOX = Sandbox()
LOGIN = SANDBOX.create_account("alice")
STATE = SANDBOX.repo(LOGIN.did).state
HEAD = (STATE.head.commit, STATE.head.rev)
CAR = b"".join(write_car([HEAD[0]], ((cid, b.data) for cid, b in STATE.blocks.items())))
OTHER = b"".join(write_car([HEAD[0]], ()))


async def latest(
    answer: httpx.Response | Exception, car: httpx.Response, *, is_poll: bool = False
) -> tuple[object, int]:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.endswith("getRepo"):
            return car
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx.MockTransport(respond)
    async with HttpPds(account_of(SANDBOX, LOGIN), None, transport=transport) as pds:
        try:
            return await pds.fetch_latest(is_poll=is_poll), len(asked)
        except SyncdError as error:
            return type(error), len(asked)


def error(status: int, name: str = "") -> httpx.Response:
    return httpx.Response(status, json={"error": name, "message": "no"})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        error(501, "MethodNotImplemented"),
        error(400, "InvalidRequest"),
        error(500, "InternalServerError"),
        error(401, "AuthMissing"),
        httpx.Response(200, text="<!doctype html>"),
        httpx.Response(200, json={"root": "bafy"}),
        httpx.Response(200, json={"cid": str(HEAD[0])}),
        httpx.Response(204),
    ],
    ids=["404", "501", "400", "500", "401", "a page", "other fields", "no rev", "204"],
)
async def test_where_only_this_method_fails_the_repo_names_its_commit(
    answer: httpx.Response,
) -> None:
    assert await latest(answer, httpx.Response(200, content=CAR)) == (HEAD, 2)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(400, "RepoDeactivated"), RepoUnavailable),
        (error(429), RateLimited),
        (httpx.ConnectError("down"), Unreachable),
    ],
)
async def test_what_is_an_answer_or_no_server_leads_to_no_second_question(
    answer: httpx.Response | Exception, kind: type[SyncdError]
) -> None:
    assert await latest(answer, httpx.Response(200, content=CAR)) == (kind, 1)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_poll_of_a_pds_that_fails_begins_no_repo(status: int) -> None:
    car = httpx.Response(200, content=CAR)
    assert await latest(error(status), car, is_poll=True) == (Unreachable, 1)
    assert await latest(error(501, "MethodNotImplemented"), car, is_poll=True) == (HEAD, 2)


@pytest.mark.parametrize(
    "car",
    [
        httpx.Response(200, content=OTHER),
        httpx.Response(200, content=CAR[:40]),
        httpx.Response(200, text="<!doctype html>"),
        error(500),
        httpx.Response(404),
    ],
    ids=["no commit in it", "half", "a page", "500", "404"],
)
async def test_where_the_repo_cannot_be_had_either_the_first_answer_counts(
    car: httpx.Response,
) -> None:
    assert await latest(httpx.Response(404), car) == (BadAnswer, 2)
    assert (await latest(error(400, "InvalidRequest"), car))[0] is PdsError
