"""Blobs in the sandbox beyond the contract: chunks, limits, faults, a compressed text."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import Record, cid_of
from syncd.errors import BadAnswer, Busy, Rejected, SyncdError, Unreachable, UploadLimited
from syncd.model import Account, Change, parse_record_path
from syncd.pds import HttpPds, MemoryTokens, Pds
from syncd.sandbox import Bucket, Login, MemoryPds, RateLimits, Sandbox, faults
from syncd.sandbox.http.server import start
from syncd.sandbox.methods.request import BLOB_BYTES

UPLOAD = "com.atproto.repo.uploadBlob"
DATA = b"words"
CID = cid_of_blob(DATA)

Make = Callable[[Sandbox, Login], Pds]


async def upload(pds: Pds, data: bytes = DATA) -> BlobRef:
    return await pds.upload_blob(io.BytesIO(data), len(data), "text/plain")


@pytest.fixture(params=["memory", "http"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Reach a sandbox without HTTP, and over it."""
    servers = []

    def over_http(sandbox: Sandbox, login: Login) -> Pds:
        servers.append(start(sandbox))
        key = sandbox.accounts.get(login.did).key.public.did_key
        account = Account(login.did, login.handle, servers[-1].url, key)
        return HttpPds(account, MemoryTokens(secret=login.password))

    yield (
        over_http
        if request.param == "http"
        else lambda sandbox, login: MemoryPds(sandbox, login.did)
    )
    for server in servers:
        server.stop()


async def left(pds: Pds) -> None:
    if isinstance(pds, HttpPds):
        await pds.aclose()


async def test_uploads_have_a_limit_of_their_own(make: Make) -> None:
    sandbox = Sandbox(limits=RateLimits(upload=Bucket("upload-blob", 2, 86400)))
    pds = make(sandbox, sandbox.create_account())
    for number in range(2):
        await upload(pds, b"%d" % number)
    assert pds.upload_limit is not None
    assert (pds.upload_limit.limit, pds.upload_limit.remaining) == (2, 0)
    with pytest.raises(UploadLimited) as caught:
        await upload(pds)
    assert 86_000 < caught.value.retry_seconds <= 86_400
    record: Record = {"$type": "com.example.note"}
    await pds.put(Change(parse_record_path("com.example.note/a"), None, cid_of(record), record))
    assert pds.rate_limit is not None
    assert pds.rate_limit.limit != 2
    await left(pds)


@pytest.mark.parametrize(
    ("effect", "kind", "is_there"),
    [
        (faults.DropRequest(), Unreachable, False),
        (faults.DropAnswer(), Unreachable, True),
        (faults.Refuse(500), Unreachable, False),
        (faults.Refuse(500, is_done=True), Unreachable, True),
        (faults.Refuse(400, "InvalidRequest"), Rejected, False),
        (faults.Refuse(503, headers=(("Retry-After", "9"),)), Busy, False),
        (faults.Html(), BadAnswer, False),
        (faults.Cut(20), Unreachable, True),
        (faults.Cut(20, clean=True), BadAnswer, True),
    ],
)
async def test_a_fault_of_an_upload_is_the_same_on_both_ways(
    make: Make, effect: faults.Effect, kind: type[SyncdError], is_there: bool
) -> None:
    sandbox = Sandbox()
    login = sandbox.create_account()
    pds = make(sandbox, login)
    sandbox.faults.add(effect, UPLOAD)
    with pytest.raises(kind) as caught:
        await upload(pds)
    assert type(caught.value) is kind
    assert sandbox.blobs(login.did).count == is_there
    assert await upload(pds) == BlobRef(CID, "text/plain", len(DATA))
    await left(pds)


@pytest.mark.parametrize("is_clean", [False, True])
async def test_a_download_that_is_cut_ends_early_or_breaks_off(make: Make, is_clean: bool) -> None:
    sandbox = Sandbox()
    pds = make(sandbox, sandbox.create_account())
    ref = await upload(pds)
    record: Record = {"$type": "com.example.note", "text": ref.value}
    await pds.put(Change(parse_record_path("com.example.note/a"), None, cid_of(record), record))
    sandbox.faults.add(faults.Cut(3, clean=is_clean), "com.atproto.sync.getBlob")
    got = b""
    try:
        async with pds.fetch_blob(CID) as pieces:
            async for piece in pieces:
                got += piece
        assert is_clean
    except Unreachable:
        assert not is_clean
    assert got in (b"", DATA[:3])
    await left(pds)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """The owner of an account over HTTP, who knows nothing of syncd."""
    sandbox = Sandbox()
    login = sandbox.create_account()
    with (
        start(sandbox) as server,
        closing(httpx.Client(base_url=server.url, timeout=60, trust_env=False)) as http,
    ):
        body = {"identifier": login.did, "password": login.password}
        session = http.post("/xrpc/com.atproto.server.createSession", json=body).json()
        http.headers["authorization"] = f"Bearer {session['accessJwt']}"
        http.params = httpx.QueryParams({"did": login.did})
        yield http


def send(http: httpx.Client, content: Any) -> httpx.Response:  # noqa: ANN401
    headers = {"content-type": "text/plain"}
    return http.post(f"/xrpc/{UPLOAD}", params={}, content=content, headers=headers)


def test_chunks_over_the_limit_leave_a_connection_that_answers_nothing(
    client: httpx.Client,
) -> None:
    """And a body of a stated length leaves one that does."""
    data = bytes(BLOB_BYTES + 1)
    assert send(client, data).status_code == 413
    assert send(client, DATA).status_code == 200
    assert send(client, (DATA for _ in range(2))).status_code == 200
    chunks = (data[at : at + BLOB_BYTES // 4] for at in range(0, len(data), BLOB_BYTES // 4))
    assert send(client, chunks).status_code == 413
    client.timeout = httpx.Timeout(0.5)
    with pytest.raises(httpx.TimeoutException):
        send(client, DATA)


def test_a_text_comes_compressed_to_whoever_takes_it_so(client: httpx.Client) -> None:
    ref = send(client, DATA).json()["blob"]
    did = client.params["did"]
    body = {"repo": did, "collection": "com.example.note", "record": {"text": ref}}
    client.post("/xrpc/com.atproto.repo.createRecord", params={}, json=body).raise_for_status()
    found = client.get("/xrpc/com.atproto.sync.getBlob", params={"did": did, "cid": str(CID)})
    assert (found.headers["content-encoding"], found.content) == ("gzip", DATA)


def test_what_is_said_to_be_compressed_and_is_not_is_refused(client: httpx.Client) -> None:
    for content in (DATA, gzip.compress(DATA)[:-3], gzip.compress(DATA)[:10] + b"xxxx"):
        answer = client.post(
            f"/xrpc/{UPLOAD}",
            content=content,
            headers={"content-type": "text/plain", "content-encoding": "gzip"},
        )
        assert answer.status_code == 400
