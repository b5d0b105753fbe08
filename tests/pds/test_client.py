"""HttpPds against scripted servers: what it sends, whom it trusts, and what each fault becomes."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.data import Record, encode
from syncd.atproto.syntax import Did, Tid
from syncd.errors import (
    BadAnswer,
    BadCar,
    Busy,
    ConfigWrong,
    CredentialsElsewhere,
    CredentialsRefused,
    FileProblem,
    LoginLimited,
    NotFound,
    RateLimited,
    Rejected,
    RepoUnavailable,
    SyncdError,
    Unknown,
    Unreachable,
)
from syncd.exchange import Session, Written
from syncd.model import Account, Change, RecordPath
from syncd.pds import (
    Bounds,
    HttpPds,
    MemoryTokens,
    Pds,
    Tokens,
    encoded_size,
    is_app_password,
    log_in,
    log_out,
)

DID = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
URL = "https://pds.example.com"
ACCOUNT = Account(DID, None, URL, "did:key:z")
PATH = RecordPath("com.example.note/one")
URI = f"at://{DID}/{PATH}"
REV = Tid("3jzfcijpj2z2a")
ONE: Record = {"$type": "com.example.note", "n": 1}
OLD, NEW, HEAD, NEXT = (cid_of_block(name) for name in (b"old", b"new", b"head", b"next"))
UPDATE = Change(PATH, OLD, NEW, ONE)
CREATION = Change(PATH, None, NEW, ONE)
DELETION = Change(PATH, OLD, None)
COMMIT = {"cid": str(NEXT), "rev": REV}
PASSWORD = "abcd-efgh-2345-6789"


def token(name: str, *, scope: str = "com.atproto.appPass", life: float | None = 7200) -> str:
    claims: dict[str, object] = {"scope": scope, "jti": name}
    if life is not None:
        claims |= {"iat": int(time.time()), "exp": int(time.time() + life)}
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts), name])


def session(name: str, **claims: Any) -> Session:  # noqa: ANN401
    return Session(DID, token(name, **claims), token(f"{name}-refresh"), URL)


FIRST = session("first")
SECOND = session("second")


def told(session: Session, did: str = DID) -> dict[str, object]:
    """What the PDS answers to give this session."""
    tokens = {"accessJwt": session.access, "refreshJwt": session.refresh}
    return {"did": did, "handle": "alice.example.com", "active": True, **tokens}


def refused(status: int, name: str, message: str = "") -> httpx.Response:
    return httpx.Response(status, json={"error": name, "message": message})


Reply = httpx.Response | Exception | Mapping[str, object]


@dataclass
class Script:
    """A server that answers each endpoint with its next reply; the last one stays."""

    replies: Mapping[str, Sequence[Reply]]
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        name = self.name_of(request)
        replies = self.replies[name]
        reply = replies[min(self.names.count(name), len(replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx.Response) else httpx.Response(200, json=reply)

    @staticmethod
    def name_of(request: httpx.Request) -> str:
        return request.url.path.rpartition(".")[2]

    @property
    def names(self) -> list[str]:
        return [self.name_of(request) for request in self.asked]

    @property
    def bearers(self) -> list[str | None]:
        return [request.headers.get("authorization") for request in self.asked]

    def body(self, at: int = -1) -> Any:  # noqa: ANN401
        return json.loads(self.asked[at].content)


@asynccontextmanager
async def pds_of(
    script: Script,
    tokens: Tokens | None = None,
    **options: Any,  # noqa: ANN401
) -> AsyncIterator[HttpPds]:
    transport = httpx.MockTransport(script)
    async with HttpPds(ACCOUNT, tokens, transport=transport, **options) as pds:
        yield pds


def logged_in(origin: str = URL) -> MemoryTokens:
    return MemoryTokens(replace(FIRST, origin=origin), PASSWORD)


# --- Requests and answers ------------------------------------------------------------------------


async def test_it_is_a_pds() -> None:
    async with pds_of(Script({})) as client:
        pds: Pds = client
        assert (pds.did, pds.requests) == (DID, 0)


async def test_public_reads_never_carry_a_token() -> None:
    script = Script(
        {
            "getLatestCommit": [COMMIT],
            "getRepoStatus": [{"did": DID, "active": False, "status": "deactivated"}],
            "getRecord": [{"uri": URI, "cid": str(NEW), "value": {}}],
            "getRepo": [httpx.Response(200, content=b"car")],
        }
    )
    async with pds_of(script, logged_in()) as pds:
        assert await pds.fetch_latest() == (NEXT, REV)
        status = await pds.fetch_status()
        assert (status.active, status.status, status.rev) == (False, "deactivated", None)
        assert await pds.fetch_record(PATH) == NEW
        assert [piece async for piece in pds.fetch_repo(REV)] == [b"car"]
        assert pds.requests == 4
    assert script.bearers == [None] * 4
    assert script.asked[-1].url.params["since"] == REV
    assert script.asked[0].headers["user-agent"].startswith("syncd/")


async def test_a_batch_is_guarded_by_the_commit_it_was_planned_against() -> None:
    results = [{"uri": URI, "cid": str(NEW)}, {}]
    script = Script({"applyWrites": [{"commit": COMMIT, "results": results}]})
    other = Change(RecordPath("com.example.note/two"), OLD, None)
    async with pds_of(script, logged_in()) as pds:
        written = await pds.write([UPDATE, other], swap=HEAD, validate=False)
    assert written == Written((NEW, None), NEXT, REV)
    assert script.bearers == [f"Bearer {FIRST.access}"]
    assert script.asked[0].headers["content-type"] == "application/json"
    assert script.body() == {
        "repo": DID,
        "writes": [
            {
                "$type": "com.atproto.repo.applyWrites#update",
                "collection": "com.example.note",
                "rkey": "one",
                "value": ONE,
            },
            {
                "$type": "com.atproto.repo.applyWrites#delete",
                "collection": "com.example.note",
                "rkey": "two",
            },
        ],
        "validate": False,
        "swapCommit": str(HEAD),
    }


async def test_an_empty_batch_is_not_sent_because_it_would_make_a_commit() -> None:
    script = Script({})
    async with pds_of(script, logged_in()) as pds:
        assert await pds.write([], swap=HEAD) == Written((), None, None)
    assert script.asked == []


@pytest.mark.parametrize(
    ("reply", "honours"),
    [
        (refused(400, "InvalidSwap"), True),
        (httpx.Response(400, text="swap mismatch"), True),
        (refused(400, "InvalidRequest", "swapCommit not supported yet"), False),
        ({"commit": COMMIT, "results": []}, False),
        (refused(400, "InvalidRequest", "no writes"), None),
        (refused(422, "Unprocessable"), None),
        (refused(413, "PayloadTooLarge"), None),
        (refused(500, "InternalServerError"), None),
        (httpx.Response(400, text="no writes"), None),
        (httpx.Response(409, text="no"), None),
    ],
)
async def test_whether_swaps_are_honoured_is_seen_from_a_batch_of_nothing(
    reply: Reply, honours: bool | None
) -> None:
    script = Script({"applyWrites": [reply]})
    async with pds_of(script, logged_in()) as pds:
        assert await pds.honours_swaps() is honours
    assert script.body()["writes"] == []
    assert script.body()["swapCommit"] not in (str(HEAD), None)


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, html="<html>"),
        httpx.Response(200),
        httpx.Response(200, json=[]),
        httpx.Response(403, text="access denied"),
        httpx.Response(400, html="<html>"),
        refused(503, "NotAvailable"),
    ],
)
async def test_a_page_in_the_place_of_an_answer_says_nothing_of_guards(
    reply: httpx.Response,
) -> None:
    script = Script({"applyWrites": [reply]})
    async with pds_of(script, logged_in()) as pds:
        with pytest.raises(Unknown):
            await pds.honours_swaps()


async def test_single_writes_name_the_record_that_they_replace() -> None:
    put = {"uri": URI, "cid": str(NEW), "commit": COMMIT}
    script = Script(
        {"putRecord": [put, put, put], "deleteRecord": [{"commit": COMMIT}, {"commit": COMMIT}]}
    )
    async with pds_of(script, logged_in()) as pds:
        assert await pds.put(UPDATE) == Written((NEW,), NEXT, REV)
        assert await pds.put(CREATION) == Written((NEW,), NEXT, REV)
        assert await pds.delete(DELETION) == Written((None,), NEXT, REV)
        assert await pds.put(UPDATE, validate=True, is_guarded=False) == Written((NEW,), NEXT, REV)
        assert await pds.delete(DELETION, is_guarded=False) == Written((None,), NEXT, REV)
    key = {"repo": DID, "collection": "com.example.note", "rkey": "one"}
    assert script.body(0) == {**key, "record": ONE, "swapRecord": str(OLD)}
    assert script.body(1) == {**key, "record": ONE, "swapRecord": None}
    assert script.body(2) == {**key, "swapRecord": str(OLD)}
    assert script.body(3) == {**key, "record": ONE, "validate": True}
    assert script.body(4) == key


async def test_a_batch_without_a_guard_sends_none() -> None:
    script = Script({"applyWrites": [{"commit": COMMIT}]})
    async with pds_of(script, logged_in()) as pds:
        await pds.write([CREATION], swap=None)
    assert script.body().keys() == {"repo", "writes"}


async def test_what_is_hidden_from_readers_says_nothing_about_credentials() -> None:
    script = Script({"getRecord": [httpx.Response(401, text="no"), refused(403, "AuthMissing")]})
    async with pds_of(script, logged_in()) as pds:
        for _ in range(2):
            with pytest.raises(Unreachable):
                await pds.fetch_record(PATH)


@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_a_car_that_is_called_a_page_is_read_in_whatever_pieces_it_comes(size: int) -> None:
    car = b"".join(write_car([OLD], [(OLD, encode(ONE))]))

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(car), size):
            yield car[start : start + size]

    reply = httpx.Response(200, content=pieces(), headers={"content-type": "text/html"})
    async with pds_of(Script({"getRepo": [reply]})) as pds:
        assert b"".join([piece async for piece in pds.fetch_repo()]) == car


async def test_a_deletion_of_nothing_is_not_sent_unguarded() -> None:
    script = Script({})
    async with pds_of(script, logged_in()) as pds:
        assert await pds.delete(Change(PATH, None, None)) == Written((None,), None, None)
    assert script.asked == []


async def test_only_the_words_record_not_found_mean_that_there_is_no_record() -> None:
    script = Script(
        {
            "getRecord": [
                refused(400, "RecordNotFound"),
                refused(400, "InvalidRequest", "Could not locate record"),
                httpx.Response(404, text="not found"),
                refused(400, "RepoDeactivated"),
                {"uri": f"at://{DID}/com.example.note/two", "cid": str(NEW), "value": {}},
            ]
        }
    )
    async with pds_of(script) as pds:
        assert await pds.fetch_record(PATH) is None
        for _ in range(4):
            with pytest.raises(SyncdError):
                await pds.fetch_record(PATH)


async def test_without_tokens_no_write_leaves() -> None:
    script = Script({})
    async with pds_of(script, None) as pds:
        writes: list[Callable[[], Awaitable[Written]]] = [
            lambda: pds.write([UPDATE], swap=HEAD),
            lambda: pds.put(UPDATE),
            lambda: pds.write([CREATION], swap=None),
            lambda: pds.delete(DELETION),
        ]
        for write in writes:
            with pytest.raises(CredentialsRefused):
                await write()
        assert pds.requests == 0
    assert script.asked == []


def test_the_size_of_a_change_is_that_of_its_json_and_at_least_that_of_its_block() -> None:
    in_json, in_block = encoded_size(replace(UPDATE, block=encode(ONE)))
    assert in_json > len(json.dumps(ONE, separators=(",", ":")))
    assert in_block > len(encode(ONE))
    assert encoded_size(DELETION)[0] < in_json


@pytest.mark.parametrize("url", ["http://pds.example.com", "ftp://x", "https://a/b", ""])
def test_a_pds_that_is_not_a_secure_origin_is_refused(url: str) -> None:
    with pytest.raises(ConfigWrong):
        HttpPds(local(url), None)


async def test_every_request_is_told_in_one_line_that_holds_no_secret() -> None:
    lines: list[tuple[str, int | None, float]] = []
    script = Script(
        {
            "putRecord": [refused(400, "ExpiredToken"), httpx.ReadTimeout("late")],
            "refreshSession": [told(SECOND)],
        }
    )
    tell = lambda *line: lines.append(line)  # noqa: E731
    async with pds_of(script, logged_in(), on_request=tell) as pds:
        with pytest.raises(Unknown):
            await pds.put(UPDATE)
        assert pds.requests == 3
    assert [(nsid.rpartition(".")[2], status) for nsid, status, _ in lines] == [
        ("putRecord", 400),
        ("refreshSession", 200),
        ("putRecord", None),
    ]
    assert all(seconds >= 0 for _, _, seconds in lines)


def limited(remaining: int, *, window: int = 3600) -> dict[str, str]:
    """The headers of a limit of 5,000 points."""
    return {
        "RateLimit-Limit": "5000",
        "RateLimit-Remaining": str(remaining),
        "RateLimit-Reset": str(int(time.time()) + 100),
        "RateLimit-Policy": f"5000;w={window}",
    }


async def test_the_last_rate_limit_that_a_write_was_told_is_remembered() -> None:
    answers: list[Reply] = [
        httpx.Response(200, json=DONE, headers=limited(12)),
        httpx.Response(200, json=DONE),
        httpx.Response(429, json={"error": "RateLimitExceeded"}, headers={"Retry-After": "30"}),
    ]
    async with pds_of(Script({"putRecord": answers}), logged_in()) as pds:
        assert pds.rate_limit is None
        for _ in range(2):
            await pds.put(UPDATE)
        assert pds.rate_limit is not None
        assert (pds.rate_limit.remaining, pds.rate_limit.window_seconds) == (12, 3600)
        with pytest.raises(RateLimited) as caught:
            await pds.put(UPDATE)
        assert caught.value.retry_seconds == 30


async def test_the_limit_of_reads_and_of_logins_is_none_of_writes() -> None:
    """A large host answers a login with `100;w=86400`, which is the length of a day of writes."""
    script = Script(
        {
            "getLatestCommit": [httpx.Response(200, json=COMMIT, headers=limited(1))],
            "refreshSession": [refused(400, "ExpiredToken")],
            "createSession": [
                httpx.Response(200, json=told(SECOND), headers=limited(1, window=86_400))
            ],
            "putRecord": [refused(400, "ExpiredToken"), DONE],
        }
    )
    async with pds_of(script, logged_in()) as pds:
        await pds.fetch_latest()
        await pds.put(UPDATE)
        assert script.names[-2:] == ["createSession", "putRecord"]
        assert pds.rate_limit is None


@pytest.mark.parametrize(
    ("refresh", "login"), [(429, 200), (400, 429)], ids=["its renewal", "a new login"]
)
async def test_a_limit_of_logins_says_that_it_is_one_and_when_it_ends(
    refresh: int, login: int
) -> None:
    wait = {"Retry-After": "300"}
    script = Script(
        {
            "putRecord": [refused(400, "ExpiredToken")],
            "refreshSession": [httpx.Response(refresh, json={"error": "Any"}, headers=wait)],
            "createSession": [httpx.Response(login, json=told(SECOND), headers=wait)],
        }
    )
    async with pds_of(script, logged_in()) as pds:
        with pytest.raises(LoginLimited) as caught:
            await pds.put(UPDATE)
    assert caught.value.retry_seconds == 300
    assert "log in" in caught.value.message
    assert PASSWORD not in f"{caught.value.message}{caught.value.hint}"


async def test_a_limit_of_logins_promises_no_login_where_none_was_kept() -> None:
    """A daemon repeats the login of a password that it has, and not one that was typed."""
    limited = httpx.Response(429, json={"error": "Any"}, headers={"Retry-After": "300"})
    script = Script({"createSession": [limited]})
    with pytest.raises(LoginLimited) as caught:
        await log_in(URL, DID, PASSWORD, transport=httpx.MockTransport(script))
    async with pds_of(script, MemoryTokens(None, PASSWORD)) as pds:
        with pytest.raises(LoginLimited) as kept:
            await pds.put(UPDATE)
    assert ["syncd run" in each.value.hint for each in (caught, kept)] == [False, True]
    assert caught.value.retry_seconds == 300


async def test_a_login_on_a_pds_that_has_too_much_to_do_is_not_limited() -> None:
    busy = httpx.Response(503, json={"error": "Any"}, headers={"Retry-After": "9"})
    script = Script({"createSession": [busy]})
    with pytest.raises(Busy):
        await log_in(URL, DID, PASSWORD, transport=httpx.MockTransport(script))


# --- Blocks --------------------------------------------------------------------------------------


def car_of(blocks: Sequence[bytes], roots: Sequence[Cid] = ()) -> httpx.Response:
    content = b"".join(write_car(roots, [(cid_of_block(block), block) for block in blocks]))
    return httpx.Response(200, content=content)


async def test_blocks_are_asked_for_once_each_and_a_hundred_at_a_time() -> None:
    blocks = [encode({"n": n}) for n in range(150)]
    script = Script({"getBlocks": [car_of(blocks[:100]), car_of(blocks[100:])]})
    cids = [cid_of_block(block) for block in blocks]
    async with pds_of(script) as pds:
        found = await pds.fetch_blocks(cids + cids)
        assert found == dict(zip(cids, blocks, strict=True))
        assert await pds.fetch_blocks([]) == {}
    assert [len(r.url.params.get_list("cids")) for r in script.asked] == [100, 50]
    assert max(len(str(request.url)) for request in script.asked) < 8192


async def test_a_block_that_is_gone_is_not_found() -> None:
    gone = refused(400, "InvalidRequest", "Could not find cids: bafy")
    for reply in (gone, car_of([b"other"])):
        async with pds_of(Script({"getBlocks": [reply]})) as pds:
            with pytest.raises(NotFound):
                await pds.fetch_blocks([OLD])


async def test_a_block_that_is_not_what_it_is_called_is_refused() -> None:
    forged = b"".join(write_car([], [(OLD, b"forged")]))
    async with pds_of(Script({"getBlocks": [httpx.Response(200, content=forged)]})) as pds:
        with pytest.raises(BadCar):
            await pds.fetch_blocks([OLD])


async def test_blocks_nobody_asked_for_are_dropped() -> None:
    async with pds_of(Script({"getBlocks": [car_of([b"old", b"extra"])]})) as pds:
        assert await pds.fetch_blocks([OLD]) == {OLD: b"old"}


async def test_a_repo_that_cannot_be_read_is_an_error_and_not_an_empty_car() -> None:
    page = httpx.Response(200, html="<html></html>")
    async with pds_of(Script({"getRepo": [refused(400, "RepoTakendown"), page]})) as pds:
        with pytest.raises(RepoUnavailable) as caught:
            [piece async for piece in pds.fetch_repo()]
        assert caught.value.status == "takendown"
        with pytest.raises(BadAnswer):
            [piece async for piece in pds.fetch_repo()]


# --- Sessions ------------------------------------------------------------------------------------

DONE: dict[str, object] = {"uri": URI, "cid": str(NEW), "commit": COMMIT}


@pytest.mark.parametrize(
    ("status", "name"), [(400, "ExpiredToken"), (401, "ExpiredToken"), (400, "InvalidToken")]
)
async def test_an_expired_token_is_refreshed_once_and_the_write_sent_again(
    status: int, name: str
) -> None:
    script = Script({"putRecord": [refused(status, name), DONE], "refreshSession": [told(SECOND)]})
    tokens = logged_in()
    async with pds_of(script, tokens) as pds:
        assert (await pds.put(UPDATE)).commit == NEXT
    assert script.names == ["putRecord", "refreshSession", "putRecord"]
    assert script.bearers == [
        f"Bearer {FIRST.access}",
        f"Bearer {FIRST.refresh}",
        f"Bearer {SECOND.access}",
    ]
    assert script.asked[1].content == b""
    assert "content-type" not in script.asked[1].headers
    assert tokens.session == SECOND


async def test_many_writes_at_once_share_one_refresh() -> None:
    live = {FIRST.access: False, SECOND.access: True}

    def server(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("refreshSession"):
            refreshes.append(request)
            return httpx.Response(200, json=told(SECOND))
        bearer = request.headers["authorization"].removeprefix("Bearer ")
        return httpx.Response(200, json=DONE) if live[bearer] else refused(400, "ExpiredToken")

    refreshes: list[httpx.Request] = []
    transport = httpx.MockTransport(server)
    async with HttpPds(ACCOUNT, logged_in(), transport=transport) as pds:
        written = await asyncio.gather(*(pds.put(UPDATE) for _ in range(10)))
    assert len(written) == 10
    assert len(refreshes) == 1


async def test_a_session_that_another_process_renewed_is_taken_over() -> None:
    tokens = logged_in()

    def server(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == f"Bearer {FIRST.access}":
            tokens.keep(SECOND)
            return refused(400, "ExpiredToken")
        return httpx.Response(200, json=DONE)

    async with HttpPds(ACCOUNT, tokens, transport=httpx.MockTransport(server)) as pds:
        await pds.put(UPDATE)
        assert pds.requests == 2


async def test_a_renewed_session_of_another_process_may_have_expired_too() -> None:
    third = session("third")
    tokens = logged_in()
    script = Script(
        {
            "putRecord": [DONE, refused(400, "ExpiredToken"), refused(400, "ExpiredToken"), DONE],
            "refreshSession": [told(third)],
        }
    )
    async with pds_of(script, tokens) as pds:
        await pds.put(UPDATE)
        tokens.keep(SECOND)
        await pds.put(UPDATE)
    assert script.bearers[1:] == [
        f"Bearer {FIRST.access}",
        f"Bearer {SECOND.access}",
        f"Bearer {SECOND.refresh}",
        f"Bearer {third.access}",
    ]


@pytest.mark.parametrize(
    "refusal",
    [
        refused(400, "ExpiredToken", "Token has been revoked"),
        refused(400, "InvalidToken"),
        refused(401, "AuthenticationRequired"),
        refused(400, "InvalidRequest", "no such session"),
    ],
)
async def test_a_refresh_that_is_refused_leads_back_to_the_password(
    refusal: httpx.Response,
) -> None:
    script = Script(
        {
            "putRecord": [refused(400, "ExpiredToken"), DONE],
            "refreshSession": [refusal],
            "createSession": [told(SECOND)],
        }
    )
    async with pds_of(script, logged_in()) as pds:
        await pds.put(UPDATE)
    assert script.names == ["putRecord", "refreshSession", "createSession", "putRecord"]
    assert script.body(2) == {"identifier": DID, "password": PASSWORD}
    assert script.bearers[2] is None


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (refused(401, "AccountTakedown"), RepoUnavailable),
        (refused(403, "AccountNotFound"), RepoUnavailable),
        (refused(429, "RateLimitExceeded"), RateLimited),
        (refused(502, "BadGateway"), Unreachable),
        (refused(503, "NotAvailable"), Unreachable),
        (httpx.ConnectError("no route"), Unreachable),
        (httpx.Response(200, html="<html>"), BadAnswer),
        (httpx.Response(403, text="access denied"), Unreachable),
        (httpx.Response(403, html="<html>"), Unreachable),
    ],
)
async def test_a_refresh_that_says_nothing_about_the_token_does_not_spend_the_password(
    refusal: Reply, error: type[SyncdError]
) -> None:
    script = Script({"putRecord": [refused(400, "ExpiredToken")], "refreshSession": [refusal]})
    async with pds_of(script, logged_in()) as pds:
        with pytest.raises(error):
            await pds.put(UPDATE)
    assert "createSession" not in script.names


BROKEN = refused(500, "InternalServerError")


@pytest.mark.parametrize(
    ("life", "refusal"),
    [
        (-1, BROKEN),
        (3600, BROKEN),
        (None, BROKEN),
        (-1, refused(502, "")),
        (3600, httpx.Response(401, text="Unauthorized")),
        (-1, httpx.Response(403, text="access denied")),
    ],
)
async def test_a_failure_to_refresh_leads_back_to_the_password(
    life: float | None, refusal: Reply
) -> None:
    """A PDS may fail on a token that it cannot read, or whose time is over."""
    old = Session(DID, token("old", life=-90), token("old-refresh", life=life), URL)
    script = Script(
        {
            "putRecord": [refused(400, "ExpiredToken"), DONE],
            "refreshSession": [refusal],
            "createSession": [told(SECOND)],
        }
    )
    async with pds_of(script, MemoryTokens(old, PASSWORD)) as pds:
        await pds.put(UPDATE)
    assert script.names == ["putRecord", "refreshSession", "createSession", "putRecord"]


async def test_a_failure_to_refresh_that_no_password_helps_names_the_login() -> None:
    """It may pass, so it is no halt."""
    script = Script({"putRecord": [refused(400, "ExpiredToken")], "refreshSession": [BROKEN]})
    async with pds_of(script, MemoryTokens(FIRST, None)) as pds:
        with pytest.raises(Unreachable) as caught:
            await pds.put(UPDATE)
    assert f"syncd login {DID}" in caught.value.hint
    assert script.names == ["putRecord", "refreshSession"]


@pytest.mark.parametrize(
    "answer",
    [
        BROKEN,
        httpx.Response(403, text="access denied"),
        httpx.Response(403, html="<html>"),
        httpx.Response(401, text="Unauthorized"),
        httpx.Response(401, html="<html>"),
        httpx.Response(403, json={"message": "Forbidden"}),
        httpx.Response(407),
    ],
)
async def test_a_pds_that_fails_at_logins_too_is_in_trouble_and_its_password_is_not(
    answer: httpx.Response,
) -> None:
    script = Script(
        {
            "putRecord": [refused(400, "ExpiredToken"), refused(400, "ExpiredToken"), DONE],
            "refreshSession": [BROKEN],
            "createSession": [answer, told(SECOND)],
        }
    )
    async with pds_of(script, logged_in()) as pds:
        with pytest.raises(Unreachable):
            await pds.put(UPDATE)
        await pds.put(UPDATE)
    assert script.names.count("createSession") == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ({"did": DID, "active": False, "status": "takendown"}, RepoUnavailable),
        ({"did": DID, "active": True}, CredentialsRefused),
        (refused(501, "MethodNotImplemented"), CredentialsRefused),
    ],
)
async def test_where_no_token_is_accepted_the_status_of_the_account_says_why(
    status: Reply, error: type[SyncdError]
) -> None:
    fresh: list[Reply] = [told(session(f"s{n}")) for n in range(20)]
    script = Script(
        {
            "putRecord": [refused(401, "InvalidToken")],
            "refreshSession": fresh,
            "getRepoStatus": [status],
        }
    )
    async with pds_of(script, logged_in()) as pds:
        with pytest.raises(error) as caught:
            await pds.put(UPDATE)
    assert getattr(caught.value, "status", "takendown") == "takendown"
    assert script.bearers[-1] is None


async def test_without_a_session_the_password_makes_one() -> None:
    tokens = MemoryTokens(None, PASSWORD)
    script = Script({"putRecord": [DONE], "createSession": [told(FIRST)]})
    async with pds_of(script, tokens) as pds:
        await pds.put(UPDATE)
    assert script.names == ["createSession", "putRecord"]
    assert tokens.session == FIRST


async def test_a_refused_password_is_not_tried_again_until_it_changes() -> None:
    tokens = MemoryTokens(None, "wrong")
    wrong = refused(401, "AuthenticationRequired", "Invalid identifier or password: wrong")
    script = Script({"putRecord": [DONE], "createSession": [wrong, told(FIRST)]})
    async with pds_of(script, tokens) as pds:
        for _ in range(3):
            with pytest.raises(CredentialsRefused) as caught:
                await pds.put(UPDATE)
            assert "wrong" not in str(caught.value)
        assert script.names == ["createSession"]
        tokens.secret = PASSWORD
        await pds.put(UPDATE)


async def test_with_neither_session_nor_password_the_next_step_is_named() -> None:
    script = Script({})
    async with pds_of(script, MemoryTokens()) as pds:
        with pytest.raises(CredentialsRefused) as caught:
            await pds.put(UPDATE)
    assert "syncd login" in caught.value.hint
    assert "SYNCD_PASSWORD" in caught.value.hint
    assert script.asked == []


async def test_a_session_of_somebody_else_is_not_used() -> None:
    script = Script({"createSession": [told(FIRST, "did:web:other.example.com")]})
    async with pds_of(script, MemoryTokens(None, PASSWORD)) as pds:
        with pytest.raises(CredentialsRefused):
            await pds.put(UPDATE)


async def test_a_server_that_expires_every_token_is_not_asked_for_ever() -> None:
    fresh: list[Reply] = [told(session(f"s{n}")) for n in range(20)]
    status = {"did": DID, "active": True}
    script = Script(
        {
            "putRecord": [refused(400, "ExpiredToken")],
            "refreshSession": fresh,
            "getRepoStatus": [status],
        }
    )
    async with pds_of(script, logged_in()) as pds:
        with pytest.raises(CredentialsRefused):
            await pds.put(UPDATE)
    assert script.names.count("putRecord") <= 3


async def test_a_scope_that_is_too_small_is_not_cured_by_a_refresh() -> None:
    script = Script({"putRecord": [refused(400, "InvalidToken", "Bad token scope")]})
    async with pds_of(script, logged_in()) as pds:
        with pytest.raises(CredentialsRefused):
            await pds.put(UPDATE)
    assert script.names == ["putRecord"]


async def test_a_token_is_renewed_a_little_before_its_end() -> None:
    tokens = MemoryTokens(session("old", life=0.3), None)
    script = Script({"putRecord": [DONE], "refreshSession": [told(SECOND)]})
    async with pds_of(script, tokens) as pds:
        await pds.put(UPDATE)
        await asyncio.sleep(0.3)
        await pds.put(UPDATE)
    assert script.names == ["putRecord", "refreshSession", "putRecord"]


async def test_a_wrong_clock_causes_one_refresh_and_not_one_per_request() -> None:
    ended = session("ended", life=-100_000)
    tokens = MemoryTokens(ended, None)
    script = Script({"putRecord": [DONE], "refreshSession": [told(session("x", life=-90_000))]})
    async with pds_of(script, tokens) as pds:
        for _ in range(4):
            await pds.put(UPDATE)
    assert script.names.count("refreshSession") <= 1


async def test_a_token_that_cannot_be_read_is_used_until_it_is_refused() -> None:
    opaque = Session(DID, "opaque", "also-opaque", URL)
    script = Script({"putRecord": [DONE]})
    async with pds_of(script, MemoryTokens(opaque, None)) as pds:
        for _ in range(3):
            await pds.put(UPDATE)
    assert script.bearers == ["Bearer opaque"] * 3


async def test_a_session_that_cannot_be_kept_still_works() -> None:
    class FullDisk(MemoryTokens):
        def keep(self, session: Session, password: str | None = None) -> None:
            raise FileProblem("no space")

    third = session("third")
    script = Script(
        {
            "putRecord": [refused(400, "ExpiredToken"), DONE, refused(400, "ExpiredToken"), DONE],
            "refreshSession": [told(SECOND), told(third)],
        }
    )
    async with pds_of(script, FullDisk(FIRST)) as pds:
        await pds.put(UPDATE)
        await pds.put(UPDATE)
    refreshes = [b for name, b in zip(script.names, script.bearers, strict=True) if "ref" in name]
    assert refreshes == [f"Bearer {FIRST.refresh}", f"Bearer {SECOND.refresh}"]


async def test_log_in_and_log_out() -> None:
    script = Script(
        {
            "createSession": [told(FIRST)],
            "deleteSession": [httpx.Response(200), refused(400, "ExpiredToken")],
        }
    )
    transport = httpx.MockTransport(script)
    session = await log_in(URL, DID, PASSWORD, transport=transport)
    assert session == FIRST
    for _ in range(2):
        await log_out(session, transport=transport)
    assert script.bearers == [None, *[f"Bearer {FIRST.refresh}"] * 2]
    assert script.asked[1].content == b""


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refused(401, "AuthenticationRequired", f"bad password {PASSWORD}!"), CredentialsRefused),
        (refused(401, "AuthFactorTokenRequired"), CredentialsRefused),
        (refused(401, "AccountTakedown"), RepoUnavailable),
        (refused(400, "InvalidRequest", f"{PASSWORD} {FIRST.access}"), SyncdError),
        (told(FIRST, "did:web:other.example.com"), CredentialsRefused),
        ({"did": DID, "accessJwt": FIRST.access}, BadAnswer),
        (httpx.Response(200, html=f"<p>{PASSWORD}"), BadAnswer),
    ],
)
async def test_no_error_of_a_log_in_shows_the_password_or_a_token(
    reply: Reply, error: type[SyncdError]
) -> None:
    transport = httpx.MockTransport(Script({"createSession": [reply]}))
    with pytest.raises(error) as caught:
        await log_in(URL, DID, PASSWORD, transport=transport)
    shown = f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    assert PASSWORD not in shown
    assert FIRST.access not in shown


@dataclass(slots=True)
class GivenTokens(MemoryTokens):
    """A password that a person gives at a place of their own."""

    place: str | None = None

    def given_at(self) -> str | None:
        return self.place


@pytest.mark.parametrize("place", ["the variable SYNCD_PASSWORD", None])
async def test_a_refused_password_is_corrected_where_it_is_given(place: str | None) -> None:
    tokens = GivenTokens(secret=PASSWORD, place=place)
    script = Script({"createSession": [refused(401, "AuthenticationRequired", "wrong")]})
    async with pds_of(script, tokens) as pds:
        hints = []
        for _ in range(2):
            with pytest.raises(CredentialsRefused) as caught:
                await pds.put(UPDATE)
            hints.append(caught.value.hint)
    assert script.names == ["createSession"]
    for hint in hints:
        assert ("syncd login" in hint) == (place is None)
        assert place is None or place in hint


@pytest.mark.parametrize("has_session", [True, False])
async def test_a_session_that_never_was_has_not_ended(has_session: bool) -> None:
    tokens = MemoryTokens(FIRST if has_session else None)
    expired = refused(400, "ExpiredToken")
    script = Script({"putRecord": [expired], "refreshSession": [expired]})
    async with pds_of(script, tokens) as pds:
        with pytest.raises(CredentialsRefused) as caught:
            await pds.put(UPDATE)
    assert ("ended" in caught.value.message) == has_session
    assert f"syncd login {DID}" in caught.value.hint


async def test_an_answer_that_echoes_the_token_is_not_quoted() -> None:
    opaque = Session(DID, "opaque-access-token", "opaque-refresh-token", URL)
    echo = refused(400, "InvalidRequest", "you sent Bearer opaque-access-token")
    async with pds_of(Script({"putRecord": [echo]}), MemoryTokens(opaque)) as pds:
        with pytest.raises(Rejected) as caught:
            await pds.put(UPDATE)
    assert "opaque" not in caught.value.message


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        (token("x"), True),
        (token("x", scope="com.atproto.appPassPrivileged"), True),
        (token("x", scope="com.atproto.access"), False),
        (token("x", scope="something else"), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.bnVsbA.c", None),
        ("a.\x00é.c", None),
        ("", None),
    ],
    ids=lambda value: None if isinstance(value, bool | None) else f"{len(value)} letters",
)
def test_an_app_password_is_told_from_the_main_password(access: str, expected: bool | None) -> None:
    assert is_app_password(Session(DID, access, "r")) is expected


def test_credentials_in_memory_are_not_shown() -> None:
    assert PASSWORD not in repr(logged_in())
    assert FIRST.access not in repr(logged_in())


# --- Faults of the connection --------------------------------------------------------------------

QUICK = Bounds(connect_seconds=1, read_seconds=0.2, write_seconds=1, total_seconds=0.5)


def local(url: str) -> Account:
    return Account(DID, None, url, "did:key:z")


Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server_that(behave: Behave) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A TCP server that reads one request's head, then does as told. Yields its URL, and heads."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    finally:
        server.close()


def answering(*pieces: bytes, pause_seconds: float = 0.0) -> Behave:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_seconds)

    return behave


def raw(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


LATEST = json.dumps(COMMIT).encode()
BOMB = gzip.compress(b" " * 50_000_000 + LATEST, 1)
FAULTS: dict[str, Behave] = {
    "no answer": answering(),
    "cut in the head": answering(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "cut in the body": answering(raw(LATEST[:10], length=len(LATEST))),
    "cut in a chunk": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n99\r\nab"),
    "not http": answering(b"220 mail.example.com ESMTP\r\n"),
    "silence": answering(b"", pause_seconds=1),
    "a drip": answering(*(bytes([byte]) for byte in raw(LATEST)), pause_seconds=0.05),
    "endless headers": answering(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"x" * 60_000 + b"\r\n"] * 5),
    "a proxy's page": answering(raw(b"<html>sign in</html>", "Content-Type: text/html")),
    "too long": answering(raw(b" " * 2_000_000)),
    "a gzip bomb": answering(raw(BOMB, "Content-Encoding: gzip")),
    "cut gzip": answering(raw(gzip.compress(LATEST)[:-4], "Content-Encoding: gzip")),
    "not gzip": answering(raw(LATEST, "Content-Encoding: gzip")),
    "other compression": answering(raw(LATEST, "Content-Encoding: br")),
    "5xx": answering(raw(b"{}", status="500 Oops")),
    "a redirect": answering(raw(b"", "Location: https://evil.example.com/", status="307 Go")),
    "a redirect to nowhere": answering(raw(b"", "Location: https://[", status="302 Go")),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_write_without_a_usable_answer_is_unknown_and_is_sent_once(fault: str) -> None:
    bounds = Bounds(1, 0.2, 1, 0.5, answer_bytes=1_000_000)
    async with (
        server_that(FAULTS[fault]) as (url, heads),
        HttpPds(local(url), logged_in(url), bounds=bounds) as pds,
    ):
        for write in (pds.put(UPDATE), pds.write([UPDATE], swap=HEAD), pds.delete(DELETION)):
            with pytest.raises(Unknown) as caught:
                await write
            assert FIRST.access not in str(caught.value)
    assert len(heads) == 3


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_read_without_a_usable_answer_is_an_error_of_ours(fault: str) -> None:
    bounds = Bounds(1, 0.2, 1, 0.5, 0.5, answer_bytes=1_000_000, stream_bytes=1_000_000)
    async with (
        server_that(FAULTS[fault]) as (url, _),
        HttpPds(local(url), None, bounds=bounds) as pds,
    ):
        with pytest.raises((Unreachable, BadAnswer)):
            await pds.fetch_latest()
        if fault not in ("a proxy's page", "too long"):
            with pytest.raises((Unreachable, BadAnswer, BadCar)):
                await pds.fetch_blocks([OLD])


async def test_a_write_that_found_no_connection_was_not_sent() -> None:
    async with server_that(answering()) as (url, _):
        pass
    async with HttpPds(local(url), logged_in(url)) as pds:
        with pytest.raises(Unreachable):
            await pds.put(UPDATE)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("refused"), Unreachable),
        (httpx.ConnectTimeout("slow"), Unreachable),
        (httpx.PoolTimeout("busy"), Unreachable),
        (httpx.WriteTimeout("slow"), Unknown),
        (httpx.WriteError("reset"), Unknown),
        (httpx.ReadTimeout("slow"), Unknown),
        (httpx.ReadError("reset"), Unknown),
        (httpx.RemoteProtocolError("garbage"), Unknown),
        (httpx.LocalProtocolError(f"Illegal header value b'Bearer {FIRST.access}'"), Unknown),
        (httpx.ProxyError("no"), Unknown),
    ],
)
async def test_a_write_is_unknown_from_its_first_byte_on(
    error: Exception, kind: type[SyncdError]
) -> None:
    async with pds_of(Script({"applyWrites": [error]}), logged_in()) as pds:
        with pytest.raises(kind) as caught:
            await pds.write([UPDATE], swap=HEAD)
    assert FIRST.access not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_no_redirect_is_followed() -> None:
    away = httpx.Response(307, headers={"location": "https://evil.example.com/xrpc"})
    script = Script({"getLatestCommit": [away], "getRepo": [away]})
    async with pds_of(script) as pds:
        with pytest.raises(BadAnswer):
            await pds.fetch_latest()
        with pytest.raises(BadAnswer):
            [piece async for piece in pds.fetch_repo()]
    assert {request.url.host for request in script.asked} == {"pds.example.com"}


async def test_a_compressed_car_is_streamed_in_bounded_pieces() -> None:
    plain = b"block" * 1_000_000
    packed = raw(gzip.compress(plain), "Content-Encoding: gzip")
    async with (
        server_that(answering(packed)) as (url, heads),
        HttpPds(local(url), None) as pds,
    ):
        pieces = [piece async for piece in pds.fetch_repo()]
    assert b"".join(pieces) == plain
    assert max(map(len, pieces)) <= 256 * 1024
    assert b"accept-encoding: gzip" in heads[0].lower()


async def test_a_stream_over_its_bound_is_stopped() -> None:
    bounds = Bounds(stream_bytes=1_000_000)
    taken: list[int] = []

    async def take() -> None:
        async for piece in pds.fetch_repo():
            taken.append(len(piece))

    async with (
        server_that(FAULTS["a gzip bomb"]) as (url, _),
        HttpPds(local(url), None, bounds=bounds) as pds,
    ):
        with pytest.raises(BadAnswer):
            await take()
    assert 0 < sum(taken) <= 1_000_000


async def test_a_stream_that_never_ends_is_stopped_however_little_comes_at_a_time() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"1\r\nx\r\n")
                await writer.drain()
                await asyncio.sleep(0.001)

    async with (
        asyncio.timeout(60),
        server_that(drip) as (url, _),
        HttpPds(local(url), None, bounds=Bounds(stream_seconds=0.1)) as pds,
    ):
        with pytest.raises(Unreachable, match="too long"):
            [piece async for piece in pds.fetch_repo()]


@pytest.mark.parametrize("count", [100, None])
async def test_a_stream_that_comes_too_slowly_is_given_up(count: int | None) -> None:
    """A byte at a time is enough as long as it ends, but not for ever."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing() and next(left, None) is not None:
                writer.write(b"1\r\n\x01\r\n")
                await writer.drain()
                await asyncio.sleep(0.001)
            writer.write(b"0\r\n\r\n")

    left = iter(range(count or 10**9))
    bounds = Bounds(slow_bytes=10**9, slow_seconds=60.0 if count else 0.02)
    async with server_that(drip) as (url, _), HttpPds(local(url), None, bounds=bounds) as pds:
        if count:
            assert sum([len(piece) async for piece in pds.fetch_repo()]) == count
            return
        with pytest.raises(Unreachable, match=r"too slowly \(\d+ bytes"):
            [piece async for piece in pds.fetch_repo()]


@pytest.mark.parametrize("line", [b"HTTP/1.1 100 Continue\r\n\r\n", b"x: y\r\n"])
async def test_headers_that_drip_are_given_up(line: bytes) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"" if line.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(line)
                await writer.drain()
                await asyncio.sleep(0.01)

    bounds = Bounds(connect_seconds=0.1, answer_seconds=0.1)
    async with (
        asyncio.timeout(60),
        server_that(drip) as (url, _),
        HttpPds(local(url), None, bounds=bounds) as pds,
    ):
        with pytest.raises(Unreachable, match="too long"):
            await pds.fetch_latest()


async def take_car(pds: HttpPds) -> None:
    async for _ in pds.fetch_repo():
        pass


async def take_blob(pds: HttpPds) -> None:
    async with pds.fetch_blob(NEW) as pieces:
        async for _ in pieces:
            pass


async def put_one(pds: HttpPds) -> None:
    try:
        await pds.put(UPDATE)
    except Unknown as error:
        raise Unreachable(error.message) from None


@pytest.mark.parametrize("take", [take_car, take_blob, HttpPds.fetch_status, put_one])
@pytest.mark.parametrize("status", [b"500 No", b"403 No", b"302 Found\r\nx: y"])
async def test_an_error_that_drips_is_given_up(
    take: Callable[[HttpPds], Awaitable[object]], status: bytes
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"1\r\nx\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)

    async with (
        asyncio.timeout(20),
        server_that(drip) as (url, _),
        HttpPds(local(url), logged_in(url), bounds=Bounds(answer_seconds=0.2)) as pds,
    ):
        with pytest.raises(Unreachable, match="too long"):
            await take(pds)


async def test_a_stream_that_is_left_early_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await reader.read()
        closed.set()

    async with (
        server_that(endless) as (url, _),
        HttpPds(local(url), None) as pds,
    ):
        stream = pds.fetch_repo()
        assert await anext(stream) == b"hello"
        await stream.aclose()
        await asyncio.wait_for(closed.wait(), 60)


async def test_a_car_cut_in_the_middle_is_an_error() -> None:
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    async with (
        server_that(answering(cut)) as (url, _),
        HttpPds(local(url), None) as pds,
    ):
        with pytest.raises(Unreachable):
            [piece async for piece in pds.fetch_repo()]


async def test_a_cancelled_write_stays_cancelled() -> None:
    async with (
        server_that(answering(b"", pause_seconds=5)) as (url, _),
        HttpPds(local(url), logged_in(url)) as pds,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pds.put(UPDATE)


# --- Other origins -------------------------------------------------------------------------------

ELSEWHERE = "https://elsewhere.example.com"
AWAY = replace(FIRST, origin=ELSEWHERE)


@pytest.mark.parametrize(
    "origin",
    [
        ELSEWHERE,
        "http://pds.example.com",
        "https://pds.example.com:8443",
        "https://pds.example.com.",
        "https://sub.pds.example.com",
        "https://pds.example.co",
        "https://xn--pds-example-com-0a.example.com",
        None,
    ],
)
@pytest.mark.parametrize("secret", [None, PASSWORD])
async def test_no_token_of_another_origin_is_sent(origin: str | None, secret: str | None) -> None:
    script = Script({"putRecord": [DONE], "createSession": [told(SECOND)]})
    tokens = MemoryTokens(replace(FIRST, origin=origin), secret, ELSEWHERE)
    async with pds_of(script, tokens) as pds:
        with pytest.raises(CredentialsRefused):
            await pds.put(UPDATE)
    assert script.asked == []
    assert tokens.session == replace(FIRST, origin=origin)


async def test_a_refusal_names_both_origins_and_the_next_step() -> None:
    async with pds_of(Script({}), MemoryTokens(AWAY, PASSWORD, ELSEWHERE)) as pds:
        with pytest.raises(CredentialsElsewhere) as caught:
            await pds.put(UPDATE)
    assert (caught.value.made_at, caught.value.asked) == (ELSEWHERE, URL)
    assert caught.value.exit_code == 77
    assert ELSEWHERE in caught.value.message
    assert URL in caught.value.message
    assert "syncd login" in caught.value.hint


async def test_a_password_for_this_origin_begins_a_session_beside_one_of_another() -> None:
    tokens = MemoryTokens(AWAY, PASSWORD, URL)
    script = Script({"putRecord": [DONE], "createSession": [told(SECOND)]})
    async with pds_of(script, tokens) as pds:
        await pds.put(UPDATE)
    assert script.names == ["createSession", "putRecord"]
    assert tokens.session == SECOND


async def test_a_login_at_another_origin_is_not_replaced_by_a_renewal_here() -> None:
    """A daemon that still talks to the old PDS must not undo a move."""
    tokens = logged_in()
    script = Script({"putRecord": [DONE, refused(400, "ExpiredToken")], "refreshSession": []})
    async with pds_of(script, tokens) as pds:
        await pds.put(UPDATE)
        tokens.keep(AWAY, PASSWORD)
        with pytest.raises(CredentialsElsewhere):
            await pds.put(UPDATE)
    assert script.names == ["putRecord", "putRecord"]
    assert tokens.session == AWAY


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example.com/xrpc/com.atproto.repo.putRecord",
        "https://pds.example.com:8443/xrpc/com.atproto.repo.putRecord",
        "http://pds.example.com/xrpc/com.atproto.repo.putRecord",
        "//evil.example.com/",
        "https://pds.example.com/elsewhere",
    ],
)
@pytest.mark.parametrize("name", ["putRecord", "refreshSession", "createSession", "deleteSession"])
async def test_no_redirect_takes_a_secret_along(status: int, location: str, name: str) -> None:
    """Not even one within the origin: nothing says what it is for."""
    away = httpx.Response(status, headers={"location": location})
    expired = refused(400, "ExpiredToken")
    refusing = {"putRecord": [expired], "refreshSession": [expired], "createSession": [expired]}
    script = Script({**refusing, name: [away]})
    if name == "deleteSession":
        with suppress(SyncdError):
            await log_out(FIRST, transport=httpx.MockTransport(script))
    else:
        async with pds_of(script, logged_in()) as pds:
            with pytest.raises(SyncdError):
                await pds.put(UPDATE)
    assert name in script.names
    for request in script.asked:
        assert (request.url.scheme, request.url.host, request.url.port) == (
            "https",
            "pds.example.com",
            None,
        )
        assert request.url.path.startswith("/xrpc/com.atproto.")


async def test_a_session_that_does_not_say_who_made_it_is_not_sent_to_be_ended() -> None:
    script = Script({})
    await log_out(replace(FIRST, origin=None), transport=httpx.MockTransport(script))
    assert script.asked == []
