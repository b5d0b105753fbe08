"""What a PDS makes of blobs: when they are there, what is checked, and when they go.

All laws of a rung share an account, and each has bytes and keys of its own. arroba takes no
uploads: `deviations` says which laws that breaks.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import Record, cid_of, encode, to_json
from syncd.errors import BadAnswer, BlobNotFound, Rejected, RepoUnavailable, TooLarge
from syncd.model import Change, RecordPath
from syncd.pds import HttpPds, Pds
from syncd.sandbox import Status
from tests.contract.conftest import ARROBA, REFERENCE
from tests.contract.rungs import HttpRung, Login, Rung, shared_login
from tests.contract.words import COLLECTION, head, path
from tests.rigs.machine import PATIENCE_SECONDS

LIMIT = 5 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDAT"
"""As much of a picture as the reference PDS reads before it says what it is."""


@dataclass(frozen=True, slots=True)
class Album:
    """An account and the pictures of one law, which no other law has."""

    rung: Rung
    login: Login
    pds: Pds
    law: str

    def data(self, start: bytes = PNG, number: int = 0) -> bytes:
        return start + f" {self.law} {number}".encode()

    def path(self, number: int = 0) -> RecordPath:
        return path(f"r{cid_of_blob(self.law.encode())!s:.20}-{number}")

    async def upload(self, data: bytes, mime_type: str = "image/png") -> BlobRef:
        return await self.pds.upload_blob(io.BytesIO(data), len(data), mime_type)

    async def picture(self, number: int = 0) -> BlobRef:
        return await self.upload(self.data(number=number))

    async def fetch(self, ref: BlobRef) -> bytes:
        async with self.pds.fetch_blob(ref.cid) as pieces:
            return b"".join([piece async for piece in pieces])

    async def has(self, ref: BlobRef) -> bool:
        try:
            return cid_of_blob(await self.fetch(ref)) == ref.cid
        except BlobNotFound:
            return False

    async def write(self, *changes: Change) -> None:
        await self.pds.write(changes, swap=await head(self.pds))

    async def create(self, ref: BlobRef, number: int = 0) -> Change:
        change = made(self.path(number), None, naming(ref))
        await self.write(change)
        return change


def naming(*refs: BlobRef) -> Record:
    return {"$type": COLLECTION, "images": [ref.value for ref in refs]}


def made(path: RecordPath, before: Record | None, after: Record | None) -> Change:
    old, new = (None if record is None else cid_of(record) for record in (before, after))
    return Change(path, old, new, after, None if after is None else encode(after))


@pytest.fixture(scope="session", params=["memory", "sandbox", REFERENCE, ARROBA])
def blob_rung(request: pytest.FixtureRequest) -> Rung:
    found: Rung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture(scope="session", params=["sandbox", REFERENCE])
def http_blob_rung(request: pytest.FixtureRequest) -> HttpRung:
    found: HttpRung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture
def login(blob_rung: Rung) -> Login:
    return shared_login(blob_rung)


@pytest.fixture
def http_login(http_blob_rung: HttpRung) -> Login:
    return shared_login(http_blob_rung)


async def album_of(rung: Rung, login: Login, law: str) -> AsyncIterator[Album]:
    pds = rung.pds(login, login.tokens())
    yield Album(rung, login, pds, law)
    if isinstance(pds, HttpPds):
        await pds.aclose()


@pytest.fixture
async def album(
    blob_rung: Rung, login: Login, request: pytest.FixtureRequest
) -> AsyncIterator[Album]:
    async for found in album_of(blob_rung, login, request.node.name):
        yield found


@pytest.fixture
async def http_album(
    http_blob_rung: HttpRung, http_login: Login, request: pytest.FixtureRequest
) -> AsyncIterator[Album]:
    async for found in album_of(http_blob_rung, http_login, request.node.name):
        yield found


@pytest.fixture
def owner(http_album: Album) -> Iterator[httpx.Client]:
    with closing(http_album.login.client()) as client:
        client.timeout = httpx.Timeout(PATIENCE_SECONDS)
        yield client


# --- What an upload says --------------------------------------------------------------------------


async def test_an_upload_says_the_hash_the_size_and_the_type(album: Album) -> None:
    data = album.data()
    assert await album.upload(data) == BlobRef(cid_of_blob(data), "image/png", len(data))


@pytest.mark.parametrize(
    ("start", "sent", "stored"),
    [
        (PNG, "text/plain", "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "application/octet-stream", "image/jpeg"),
        (b"GIF89a", "*/*", "image/gif"),
        (b"%PDF-1.7\n", "text/plain", "application/pdf"),
        (b"<?xml version='1.0'?><svg>", "image/svg+xml", "application/xml"),
        (b"<svg>", "image/svg+xml", "image/svg+xml"),
        (b"<!doctype html>", "text/html", "text/html"),
        (b"words", "text/markdown; charset=utf-8", "text/markdown"),
        (b"words", "IMAGE/PNG", "IMAGE/PNG"),
        (b"words", "*/*", "*/*"),
    ],
    ids=range(10),
)
async def test_the_first_bytes_say_the_type_and_else_the_upload(
    album: Album, start: bytes, sent: str, stored: str
) -> None:
    ref = await album.upload(album.data(start), sent)
    assert ref.mime_type == stored
    await album.create(ref)
    assert await album.has(ref)


async def test_the_type_of_the_first_upload_stays_whatever_the_second_is_told(album: Album) -> None:
    data = album.data(b"words")
    first = await album.upload(data, "text/plain")
    second = await album.upload(data, "text/markdown")
    assert (first.mime_type, second.mime_type) == ("text/plain", "text/markdown")
    with pytest.raises(Rejected) as caught:
        await album.create(second)
    assert caught.value.name == "InvalidMimeType"
    assert "Expected: text/plain, Got: text/markdown" in str(caught.value)
    await album.create(first)


async def test_an_empty_blob_is_taken(album: Album) -> None:
    ref = await album.upload(b"", "text/plain")
    assert ref == BlobRef(cid_of_blob(b""), "text/plain", 0)


async def test_a_blob_of_the_limit_is_taken_and_one_byte_more_is_too_much(album: Album) -> None:
    data = album.data().ljust(LIMIT, b"x")
    assert (await album.upload(data)).size == LIMIT
    with pytest.raises(TooLarge):
        await album.upload(data + b"x")
    assert (await album.picture()).size < LIMIT


# --- Temporary and permanent ----------------------------------------------------------------------


async def test_a_blob_can_be_fetched_once_a_record_names_it(album: Album) -> None:
    ref = await album.picture()
    assert not await album.has(ref)
    await album.create(ref)
    assert await album.fetch(ref) == album.data()


async def test_a_record_without_its_blob_is_refused_and_with_it_the_whole_batch(
    album: Album,
) -> None:
    absent = BlobRef(cid_of_blob(album.data(number=9)), "image/png", 9)
    there = await album.picture()
    changes = [
        made(album.path(number), None, naming(ref)) for number, ref in enumerate((there, absent))
    ]
    with pytest.raises(Rejected) as caught:
        await album.write(*changes)
    assert caught.value.name == "BlobNotFound"
    assert await album.pds.fetch_record(album.path(0)) is None
    await album.write(changes[0])
    assert await album.has(there)


async def test_a_size_that_is_not_the_blob_s_is_refused(album: Album) -> None:
    ref = await album.picture()
    with pytest.raises(Rejected) as caught:
        await album.create(replace(ref, size=7))
    assert caught.value.name == "InvalidSize"
    assert f"Expected: {ref.size}, Got: 7" in str(caught.value)
    await album.create(ref)


async def test_of_a_blob_that_a_record_names_nothing_is_checked(album: Album) -> None:
    ref = await album.picture()
    await album.create(ref)
    await album.create(BlobRef(ref.cid, "text/html", 1), 1)
    assert await album.has(ref)


@pytest.mark.parametrize("extra", [{"alt": "x"}, {"ref": "no link"}])
async def test_a_map_that_is_nearly_a_reference_needs_no_blob(
    album: Album, extra: dict[str, str]
) -> None:
    ref = BlobRef(cid_of_blob(album.data()), "image/png", 9)
    record: Record = {"$type": COLLECTION, "image": {**ref.value, "$type": "picture", **extra}}
    await album.write(made(album.path(), None, record))
    assert await album.pds.fetch_record(album.path()) == cid_of(record)


async def test_a_blob_of_another_account_is_not_found(album: Album) -> None:
    ref = await album.picture()
    await album.create(ref)
    other = album.rung.login()
    pds = album.rung.pds(other, other.tokens())
    with pytest.raises(Rejected) as caught:
        await pds.write([made(album.path(), None, naming(ref))], swap=await head(pds))
    assert caught.value.name == "BlobNotFound"
    if isinstance(pds, HttpPds):
        await pds.aclose()


async def test_an_account_that_is_deactivated_takes_blobs_and_gives_none(album: Album) -> None:
    ref = await album.picture()
    await album.create(ref)
    album.rung.set_status(album.login.account.did, Status.DEACTIVATED)
    try:
        assert await album.picture(1)
        with pytest.raises(RepoUnavailable):
            await album.fetch(ref)
    finally:
        album.rung.set_status(album.login.account.did, Status.ACTIVE)
    assert await album.has(ref)


# --- Gone -----------------------------------------------------------------------------------------


async def test_a_blob_goes_with_the_last_record_that_names_it(album: Album) -> None:
    ref = await album.picture()
    await album.create(ref)
    await album.create(ref, 1)
    await album.write(made(album.path(), naming(ref), None))
    assert await album.has(ref)
    await album.write(made(album.path(1), naming(ref), None))
    assert not await album.has(ref)
    with pytest.raises(Rejected) as caught:
        await album.create(ref)
    assert caught.value.name == "BlobNotFound"


async def test_a_blob_that_went_can_be_uploaded_again_as_another_type(album: Album) -> None:
    data = album.data(b"words")
    ref = await album.upload(data, "text/plain")
    await album.create(ref)
    await album.write(made(album.path(), naming(ref), None))
    other = await album.upload(data, "text/markdown")
    await album.create(other)
    assert await album.has(other)


async def test_a_blob_stays_with_a_record_that_takes_it_in_the_same_batch(album: Album) -> None:
    ref = await album.picture()
    await album.create(ref)
    deletion = made(album.path(), naming(ref), None)
    await album.write(deletion, made(album.path(1), None, naming(ref)))
    assert await album.has(ref)
    dropping = made(album.path(1), naming(ref), naming())
    await album.write(dropping, made(album.path(2), None, naming(ref)))
    assert await album.has(ref)


async def test_a_blob_that_an_edit_replaces_goes_and_the_new_one_stays(album: Album) -> None:
    old, new = await album.picture(0), await album.picture(1)
    await album.create(old)
    await album.write(made(album.path(), naming(old), naming(new)))
    assert [await album.has(old), await album.has(new)] == [False, True]


async def test_an_edit_that_keeps_a_blob_keeps_it(album: Album) -> None:
    one, two = await album.picture(0), await album.picture(1)
    await album.create(one)
    await album.write(made(album.path(), naming(one), naming(two, one)))
    assert [await album.has(one), await album.has(two)] == [True, True]


async def test_a_blob_that_was_taken_down_is_gone_for_everybody_until_that_is_undone(
    album: Album,
) -> None:
    """And no edit of a record that names it is taken any more, whatever the edit changes."""
    ref, did = await album.picture(), album.login.account.did
    await album.create(ref)
    album.rung.take_blob_down(did, ref.cid, is_down=True)
    assert not await album.has(ref)
    edit = made(album.path(), naming(ref), naming(ref) | {"text": "edited"})
    for change in (edit, made(album.path(1), None, naming(ref))):
        with pytest.raises(Rejected) as caught:
            await album.write(change)
        assert caught.value.name == "BlobNotFound"
    with pytest.raises(Rejected):
        await album.picture()
    album.rung.take_blob_down(did, ref.cid, is_down=False)
    assert await album.has(ref)
    await album.write(edit)


# --- Over HTTP alone ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "sent", "served"),
    [(PNG, "image/png", "image/png"), (b"words", "text/plain", "text/plain; charset=utf-8")],
    ids=["picture", "text"],
)
async def test_a_blob_is_served_whole_with_its_length_and_never_as_a_page(
    http_album: Album, owner: httpx.Client, start: bytes, sent: str, served: str
) -> None:
    data = http_album.data(start)
    ref = await http_album.upload(data, sent)
    await http_album.create(ref)
    place = {"did": http_album.login.account.did, "cid": str(ref.cid)}
    headers = {"accept-encoding": "identity", "range": "bytes=2-3"}
    url = "/xrpc/com.atproto.sync.getBlob"
    answer = ask(owner, "GET", url, params=place, headers=headers)
    assert (answer.status_code, answer.content) == (200, data)
    assert "etag" not in answer.headers
    for found in (answer, ask(owner, "HEAD", url, params=place, headers=headers)):
        assert found.headers["content-type"] == served
        assert found.headers["content-length"] == str(len(data))
        assert found.headers["content-disposition"] == f'attachment; filename="{ref.cid}"'
        assert found.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert found.headers["x-content-type-options"] == "nosniff"


async def test_an_upload_that_was_compressed_is_stored_as_it_was_before(
    http_album: Album, owner: httpx.Client
) -> None:
    data = http_album.data()
    answer = upload(owner, gzip.compress(data), **{"content-encoding": "gzip"})
    ref = BlobRef(cid_of_blob(data), "image/png", len(data))
    assert answer.json()["blob"] == to_json(ref.value)


async def test_an_upload_without_a_type_or_a_token_is_refused(
    http_album: Album, owner: httpx.Client
) -> None:
    data = http_album.data()
    assert upload(owner, data, **{"content-type": ""}).json()["error"] == "InvalidRequest"
    del owner.headers["authorization"]
    answer = upload(owner, data)
    assert (answer.status_code, answer.json()["error"]) == (401, "AuthMissing")


UPLOAD = "/xrpc/com.atproto.repo.uploadBlob"


def ask(client: httpx.Client, verb: str, url: str, **how: Any) -> httpx.Response:  # noqa: ANN401
    return client.request(verb, url, **how)


def upload(client: httpx.Client, data: bytes, **headers: str) -> httpx.Response:
    return client.post(UPLOAD, content=data, headers={"content-type": "image/png"} | headers)


# --- At another server ----------------------------------------------------------------------------


class Keeper(httpx.AsyncBaseTransport):
    """Stands before a PDS, and says that its blobs are at `place`; serves `place` from them.

    Attributes:
        public: Another address by which the PDS is asked; None: by its own.
        wants_login: Only who is logged in learns the place.
        asked: The requests to other servers.
    """

    def __init__(self, real: str, place: str, *, public: str | None = None) -> None:
        self.real, self.place, self.public = httpx.URL(real), place, httpx.URL(public or real)
        self.wants_login = False
        self.asked: list[httpx.Request] = []
        self._inner = httpx.AsyncHTTPTransport(verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != self.public.host:
            self.asked.append(request)
            if request.url.path == "/again":
                return httpx.Response(302, headers={"location": "/again"})
            return await self._pass_on(request, str(request.url.params["from"]))
        if "getBlob" not in request.url.path:
            return await self._pass_on(request, request.url.raw_path.decode())
        if self.wants_login and "authorization" not in request.headers:
            return httpx.Response(401, json={"error": "AuthMissing", "message": "log in"})
        query = httpx.QueryParams({"from": request.url.raw_path.decode()})
        return httpx.Response(302, headers={"location": f"{self.place}?{query}"})

    async def _pass_on(self, request: httpx.Request, path: str) -> httpx.Response:
        url = self.real.join(path)
        headers = {**request.headers, "host": url.netloc.decode()}
        body = await request.aread()
        return await self._inner.handle_async_request(
            httpx.Request(request.method, url, headers=headers, content=body)
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


async def fetched_by(keeper: Keeper, album: Album, ref: BlobRef) -> bytes:
    account = replace(album.login.account, pds=str(keeper.public).rstrip("/"))
    async with HttpPds(account, album.login.tokens(), transport=keeper) as pds:
        return await replace(album, pds=pds).fetch(ref)


@pytest.mark.parametrize("wants_login", [False, True])
async def test_a_blob_at_another_server_is_fetched_there_and_no_session_goes_along(
    http_album: Album, *, wants_login: bool
) -> None:
    ref = await http_album.picture()
    await http_album.create(ref)
    keeper = Keeper(http_album.login.account.pds, "https://store.example.com/a")
    keeper.wants_login = wants_login
    assert await fetched_by(keeper, http_album, ref) == http_album.data()
    (request,) = keeper.asked
    assert not {"authorization", "cookie", "dpop", "atproto-proxy"} & set(request.headers)


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        ("http://store.example.com/a", 0),
        ("https://10.0.0.7/a", 0),
        ("https://127.0.0.1/a", 0),
        ("https://store.example.com/again", 3),
    ],
)
async def test_a_place_where_nobody_should_ask_is_refused(
    http_album: Album, place: str, asked: int
) -> None:
    ref = await http_album.picture()
    await http_album.create(ref)
    keeper = Keeper(http_album.login.account.pds, place, public="https://pds.example.com")
    with pytest.raises(BadAnswer) as caught:
        await fetched_by(keeper, http_album, ref)
    assert caught.value.message.startswith("the PDS redirects a request for a blob")
    assert len(keeper.asked) == asked
