"""Blobs over HTTP: how they go out, how they come in, and what each refusal means."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import to_json
from syncd.errors import (
    BadAnswer,
    BlobNotFound,
    Busy,
    CredentialsRefused,
    FileChanged,
    RateLimited,
    Rejected,
    RepoUnavailable,
    SyncdError,
    TooLarge,
    Unreachable,
    UploadLimited,
)
from syncd.pds import HttpPds
from syncd.pds.upload import NO_UPLOADS_HINT, PIECE_BYTES, Upload
from tests.pds.test_client import ACCOUNT, DID, SECOND, Script, logged_in, pds_of, refused, told

DATA = b"\x89PNG\r\n\x1a\n" + b"0" * 100
CID = cid_of_blob(DATA)
REF = BlobRef(CID, "image/png", len(DATA))
UPLOADED = {"blob": to_json(REF.value)}


def sending(*replies: object) -> Script:
    return Script({"uploadBlob": replies, "refreshSession": [told(SECOND)]})  # type: ignore[dict-item]


async def upload(script: Script, data: bytes = DATA, size: int | None = None) -> BlobRef:
    async with pds_of(script, logged_in()) as pds:
        size = len(data) if size is None else size
        return await pds.upload_blob(io.BytesIO(data), size, "image/png")


async def fetch(script: Script) -> bytes:
    async with pds_of(script, logged_in()) as pds, pds.fetch_blob(CID) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_large_blob_comes_in_pieces_as_large_as_the_kernel_has_them() -> None:
    content, size = bytes(8_000_000), 8_000_000

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + content)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        account = replace(ACCOUNT, pds=f"http://127.0.0.1:{port}")
        async with HttpPds(account, None) as pds, pds.fetch_blob(CID) as pieces:
            found = [len(piece) async for piece in pieces]
    assert sum(found) == size
    assert max(found) > 1 << 16


# --- Up -------------------------------------------------------------------------------------------


async def test_a_blob_is_sent_with_its_length_and_type_under_a_token() -> None:
    script = sending(UPLOADED)
    assert await upload(script) == REF
    (request,) = script.asked
    assert request.content == DATA
    assert request.headers["content-type"] == "image/png"
    assert request.headers["content-length"] == str(len(DATA))
    assert "transfer-encoding" not in request.headers
    assert request.headers["authorization"].startswith("Bearer ")


async def test_the_bytes_before_the_place_of_the_file_are_not_sent() -> None:
    file = io.BytesIO(b"before" + DATA)
    file.seek(6)
    script = sending(UPLOADED)
    async with pds_of(script, logged_in()) as pds:
        assert await pds.upload_blob(file, len(DATA), "image/png") == REF
    assert script.asked[0].content == DATA


async def test_after_a_new_token_the_whole_file_is_sent_again() -> None:
    script = sending(refused(400, "ExpiredToken"), UPLOADED)
    assert await upload(script) == REF
    assert [r.content for r in script.asked if Script.name_of(r) == "uploadBlob"] == [DATA, DATA]


@pytest.mark.parametrize("size", [len(DATA) + 1, len(DATA) - 1, 1])
async def test_a_file_of_another_size_is_no_blob(size: int) -> None:
    with pytest.raises(FileChanged):
        await upload(sending(UPLOADED), size=size)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"blob": None},
        {"blob": {}},
        {"blob": to_json(REF.value) | {"size": "1"}},  # type: ignore[operator]
        {"blob": {"cid": str(CID), "mimeType": "image/png"}},
        {"blob": to_json(BlobRef(cid_of_blob(b"other"), "image/png", len(DATA)).value)},
        {"blob": to_json(BlobRef(CID, "image/png", 1).value)},
        httpx.Response(200, text="<html>"),
    ],
)
async def test_an_answer_about_other_bytes_is_not_believed(answer: object) -> None:
    with pytest.raises(BadAnswer):
        await upload(sending(answer))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refused(413, "PayloadTooLarge"), TooLarge),
        (httpx.Response(413, text="no JSON"), TooLarge),
        (refused(400, "InvalidRequest", "Blob has been takendown, cannot re-upload"), Rejected),
        (refused(409, "Whatever"), Rejected),
        (refused(501, "MethodNotImplemented"), Rejected),
        (refused(401, "AuthMissing"), CredentialsRefused),
        (refused(401, "AccountTakedown"), RepoUnavailable),
        (refused(429, "RateLimitExceeded"), UploadLimited),
        (httpx.Response(503, headers={"retry-after": "9"}), Busy),
        (refused(500, "InternalServerError"), Unreachable),
        (httpx.Response(502, text="<html>"), Unreachable),
        (httpx.Response(403, text="access denied"), Unreachable),
        (httpx.Response(400, text="Bad Request"), Unreachable),
        (httpx.Response(409, text="Conflict"), Unreachable),
        (httpx.Response(302, headers={"location": "https://elsewhere.example/"}), Unreachable),
        (httpx.ReadTimeout("x"), Unreachable),
        (httpx.WriteError("x"), Unreachable),
    ],
)
async def test_each_refusal_says_whose_move_is_next(reply: object, kind: type[SyncdError]) -> None:
    script = sending(reply)
    with pytest.raises(kind) as caught:
        await upload(script)
    assert type(caught.value) is kind
    assert script.names == ["uploadBlob"]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (refused(501, "MethodNotImplemented"), 501),
        (refused(400, "InvalidRequest", "output with value `('Not implemented', 501)`"), 501),
        (refused(400, "InvalidRequest", "another reason"), 400),
    ],
)
async def test_a_pds_that_takes_no_uploads_is_known_by_what_it_says(
    reply: object, status: int
) -> None:
    with pytest.raises(Rejected) as caught:
        await upload(sending(reply))
    assert caught.value.status == status
    assert (caught.value.hint == NO_UPLOADS_HINT) is (status == 501)


async def test_the_limit_of_uploads_is_not_that_of_writes() -> None:
    headers = {
        "ratelimit-limit": "1000",
        "ratelimit-remaining": "0",
        "ratelimit-reset": "86393",
        "ratelimit-policy": "1000;w=86400",
        "retry-after": "86393",
    }
    script = sending(httpx.Response(429, headers=headers, json={"error": "RateLimitExceeded"}))
    async with pds_of(script, logged_in()) as pds:
        with pytest.raises(UploadLimited) as caught:
            await pds.upload_blob(io.BytesIO(DATA), len(DATA), "image/png")
        assert caught.value.retry_seconds == 86393
        assert pds.rate_limit is None
        assert pds.upload_limit is not None
        assert (pds.upload_limit.remaining, pds.upload_limit.window_seconds) == (0, 86400)


async def test_a_mirror_without_credentials_uploads_nothing() -> None:
    script = sending(UPLOADED)
    async with pds_of(script) as pds:
        with pytest.raises(CredentialsRefused):
            await pds.upload_blob(io.BytesIO(DATA), len(DATA), "image/png")
    assert script.asked == []


async def test_nothing_is_sent_on_a_connection_whose_blob_was_too_large() -> None:
    """The reference PDS may answer nothing any more where it refused one. This server does not."""
    serving: list[asyncio.Task[None] | None] = []
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}"
    body = json.dumps(UPLOADED).encode()
    taken = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        is_first = len(serving) == 1
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(DATA) in head.lower()
        await reader.readexactly(len(DATA))
        writer.write(refusal if is_first else taken)
        with suppress(OSError):
            await reader.read()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with HttpPds(replace(ACCOUNT, pds=url), logged_in(url)) as pds:
            with pytest.raises(TooLarge):
                await pds.upload_blob(io.BytesIO(DATA), len(DATA), "image/png")
            assert await pds.upload_blob(io.BytesIO(DATA), len(DATA), "image/png") == REF
        await asyncio.gather(*(task for task in serving if task))
    assert len(serving) == 2


class _Sparse(io.RawIOBase):
    """A file of `size` zeros that counts the most that anybody read at once."""

    def __init__(self, size: int) -> None:
        self.left, self.most = size, 0

    def tell(self) -> int:
        return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def read(self, size: int = -1) -> bytes:
        self.most = max(self.most, size)
        found = min(size, self.left)
        self.left -= found
        return bytes(found)


async def test_no_more_than_a_piece_of_a_file_is_read_at_once() -> None:
    file = _Sparse(40 * PIECE_BYTES + 1)
    sent: Any = file
    assert [len(piece) async for piece in Upload(sent, 40 * PIECE_BYTES + 1).pieces()] == [
        *[PIECE_BYTES] * 40,
        1,
    ]
    assert file.most == PIECE_BYTES


@given(st.binary(max_size=300_000), st.integers(0, 9))
def test_an_upload_sends_every_byte_once_and_knows_their_name(data: bytes, before: int) -> None:
    file = io.BytesIO(b"." * before + data)
    file.seek(before)
    upload = Upload(file, len(data))
    for _ in range(2):
        assert b"".join(_driven(upload)) == data
        assert upload.cid == cid_of_blob(data)


async def _answered(file: io.BytesIO, answer: BlobRef) -> BlobRef:
    """Upload what was DATA when it was hashed; the PDS says that it got `answer`."""
    script = sending({"blob": to_json(answer.value)})
    async with pds_of(script, logged_in()) as pds:
        return await pds.upload_blob(file, len(DATA), "image/png", REF.cid)


async def test_bytes_that_were_hashed_before_are_not_hashed_again() -> None:
    upload = Upload(io.BytesIO(DATA), len(DATA), REF.cid)
    assert b"".join([piece async for piece in upload.pieces()]) == DATA
    assert upload.cid is None
    assert await _answered(io.BytesIO(DATA), REF) == REF


async def test_an_answer_with_other_bytes_than_were_hashed_is_not_believed() -> None:
    other = replace(REF, cid=cid_of_blob(b"other"))
    with pytest.raises(BadAnswer):
        await _answered(io.BytesIO(DATA), other)
    with pytest.raises(BadAnswer):
        await _answered(io.BytesIO(DATA), replace(REF, size=len(DATA) - 1))


async def test_a_file_that_changed_since_it_was_hashed_is_not_the_fault_of_the_pds() -> None:
    changed = bytes(len(DATA))
    found = await _answered(io.BytesIO(changed), replace(REF, cid=cid_of_blob(changed)))
    assert found.cid != REF.cid
    with pytest.raises(FileChanged):
        await _answered(io.BytesIO(changed), replace(REF, cid=cid_of_blob(b"between")))


def _driven(upload: Upload) -> Iterator[bytes]:
    """Step through the pieces, which wait for nothing."""
    pieces = upload.pieces()
    while True:
        try:
            pieces.__anext__().send(None)  # type: ignore[attr-defined]
        except StopIteration as done:
            yield done.value
        except StopAsyncIteration:
            return


# --- Down -----------------------------------------------------------------------------------------


async def test_a_blob_is_asked_for_without_a_token_and_as_it_is() -> None:
    script = Script({"getBlob": [httpx.Response(200, content=DATA)]})
    assert await fetch(script) == DATA
    (request,) = script.asked
    assert dict(request.url.params) == {"did": DID, "cid": str(CID)}
    assert "authorization" not in request.headers
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refused(400, "InvalidRequest", "Blob not found"), BlobNotFound),
        (refused(400, "BlobNotFound", ""), BlobNotFound),
        (refused(404, "BlobNotFound", ""), BlobNotFound),
        (refused(400, "RepoDeactivated"), RepoUnavailable),
        (refused(400, "RepoNotFound"), RepoUnavailable),
        (httpx.Response(404, text="<html>"), BadAnswer),
        (refused(429, "RateLimitExceeded"), RateLimited),
        (refused(500, "InternalServerError"), Unreachable),
        (httpx.Response(302, headers={"location": "http://elsewhere.example/"}), BadAnswer),
        (httpx.ConnectError("x"), Unreachable),
    ],
)
async def test_a_blob_that_does_not_come_says_why(reply: object, kind: type[SyncdError]) -> None:
    script = Script({"getBlob": [reply]})  # type: ignore[list-item]
    with pytest.raises(kind) as caught:
        await fetch(script)
    assert type(caught.value) is kind
    assert script.names == ["getBlob"]


async def test_a_blob_that_breaks_off_raises_between_its_pieces() -> None:
    async def body() -> Any:  # noqa: ANN401
        yield DATA[:50]
        raise httpx.ReadError("gone")

    script = Script({"getBlob": [httpx.Response(200, content=body())]})
    with pytest.raises(Unreachable):
        await fetch(script)
