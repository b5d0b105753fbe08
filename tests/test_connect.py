"""Connections: to public addresses only, the very ones that were checked, or where one was told."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from syncd import connect
from syncd.atproto.syntax import Did
from syncd.atproto.xrpc import describe_server
from syncd.connect import LookUp, Transport, public_addresses
from syncd.errors import BadAnswer, IdentityError, Unreachable
from syncd.identity import resolve
from syncd.identity.web import Web
from syncd.model import Account
from syncd.pds import HttpPds
from syncd.pds.http import Http
from syncd.pds.stream import pds_stream

HOST = "pds.example.com"
PUBLIC, OTHER, SIX = "93.184.216.34", "93.184.216.35", "2606:2800:220:1:248:1893:25c8:1946"
DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.9.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.178.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "::7f00:1",
    "::ffff:0:127.0.0.1",
    "fec0::2",
    "3fff::1",
    "5f00::1",
    "192.0.0.8",
    "192.88.99.1",
]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "wss_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def answering(*answers: Sequence[str]) -> LookUp:
    """A resolver that says something else each time; the last answer stays."""
    left = list(answers)

    async def ask(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return ask


class Wire:
    """What would go to the network: where to, and for whom."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead
        self.sent: list[tuple[str, str, object]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        seen = request.url.host, request.headers["host"], request.extensions.get("sni_hostname")
        self.sent.append(seen)
        if request.url.host in self.dead:
            raise httpx.ConnectError("nobody there")
        return httpx.Response(200, text="hello")


def transport(wire: Wire, ask: LookUp, *, is_named: bool = False) -> Transport:
    direct = httpx.MockTransport(wire)
    return Transport(lambda _: is_named, limits=httpx.Limits(), ask=ask, direct=direct)


async def get(carrier: httpx.AsyncBaseTransport, url: str = f"https://{HOST}/x") -> httpx.Response:
    async with httpx.AsyncClient(transport=carrier) as client:
        return await client.get(url)


# --- What is public -------------------------------------------------------------------------------


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_an_address_of_a_machine_or_a_private_network_is_refused(address: str) -> None:
    with pytest.raises(IdentityError, match="private network") as caught:
        await public_addresses(HOST, 443, answering([address]))
    assert "--pds" in caught.value.hint


@pytest.mark.parametrize(
    "address", [PUBLIC, SIX, f"::ffff:{PUBLIC}", "64:ff9b::5db8:d822", "2002:5db8:d822::1"]
)
async def test_an_address_of_the_public_internet_is_taken(address: str) -> None:
    assert await public_addresses(HOST, 443, answering([address])) == [address]


async def test_of_mixed_addresses_only_the_public_ones_are_taken() -> None:
    found = await public_addresses(HOST, 443, answering(["10.0.0.1", PUBLIC, "::1", SIX]))
    assert found == [PUBLIC, SIX]


async def test_a_host_with_many_addresses_is_not_tried_for_ever() -> None:
    found = await public_addresses(HOST, 443, answering([f"93.184.216.{n}" for n in range(50)]))
    assert len(found) == connect.TRIES


@pytest.mark.parametrize("host", ["a" * 70 + ".example.com", "a..example.com"])
async def test_what_is_no_host_name_has_no_address(host: str) -> None:
    with pytest.raises(OSError, match="not a host name"):
        await public_addresses(host, 443)


# --- Where a request goes -------------------------------------------------------------------------


async def test_a_request_goes_to_the_address_that_was_checked_in_the_name_of_the_host() -> None:
    """The second lookup, which would lead home, is never made."""
    wire = Wire()
    answer = await get(transport(wire, answering([PUBLIC], ["127.0.0.1"])))
    assert answer.text == "hello"
    assert str(answer.request.url) == f"https://{HOST}/x"
    assert wire.sent == [(PUBLIC, HOST, HOST)]


async def test_a_name_that_changes_later_is_refused_later() -> None:
    wire = Wire()
    carrier = transport(wire, answering([PUBLIC], ["192.168.0.1"]))
    await carrier.handle_async_request(httpx.Request("GET", f"https://{HOST}/"))
    with pytest.raises(IdentityError):
        await carrier.handle_async_request(httpx.Request("GET", f"https://{HOST}/"))
    assert len(wire.sent) == 1


async def test_an_address_that_is_dead_gives_way_to_the_next() -> None:
    wire = Wire(SIX, PUBLIC)
    await get(transport(wire, answering([SIX, PUBLIC, OTHER])))
    assert [host for host, *_ in wire.sent] == [SIX, PUBLIC, OTHER]


async def test_a_host_without_addresses_cannot_be_connected_to() -> None:
    async def ask(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for lookup in (ask, answering([])):
        with pytest.raises(httpx.ConnectError, match="no address"):
            await get(transport(Wire(), lookup))


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1:8443/"])
async def test_an_address_in_the_url_is_checked_too(url: str) -> None:
    async def ask(host: str, port: int) -> Sequence[str]:
        return [host]

    wire = Wire()
    with pytest.raises(IdentityError):
        await get(transport(wire, ask), url)
    assert wire.sent == []


async def test_a_host_that_a_person_named_may_be_anywhere() -> None:
    wire = Wire()
    await get(transport(wire, answering(["10.0.0.1"]), is_named=True))
    assert wire.sent == [(HOST, HOST, None)]


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that hears where to connect to, and hangs up."""
    asked: list[str] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode().strip())
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize("name", ["https_proxy", "all_proxy"])
async def test_a_proxy_of_the_environment_looks_names_up_by_itself(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with proxy() as (address, asked):
        monkeypatch.setenv(name, address)
        wire = Wire()
        with pytest.raises(httpx.HTTPError):
            await get(transport(wire, answering(["10.0.0.1"])))
        monkeypatch.setenv("no_proxy", "example.com")
        with pytest.raises(IdentityError):
            await get(transport(wire, answering(["10.0.0.1"])))
    assert asked == [f"CONNECT {HOST}:443 HTTP/1.1"]
    assert wire.sent == []


@pytest.mark.parametrize("name", ["wss_proxy", "https_proxy", "all_proxy"])
async def test_a_stream_goes_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with home(monkeypatch) as (origin, came), proxy() as (address, asked):
        monkeypatch.setenv(name, f"http://{address}")
        with pytest.raises(Unreachable):
            await _listen(Account(DID, None, origin, "did:key:z"))
    assert came == []
    assert asked == [f"CONNECT {origin.removeprefix('https://')} HTTP/1.1"]


# --- Over TLS -------------------------------------------------------------------------------------


def certificate(host: str, directory: Path) -> tuple[Path, Path]:
    """A key and a certificate that vouches for `host` and for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = directory / f"{host}.pem", directory / f"{host}.key"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@asynccontextmanager
async def https_server(host: str, directory: Path) -> AsyncIterator[tuple[int, Path]]:
    """A server on the loopback that can prove to be `host`: its port and its certificate."""
    chain, key = certificate(host, directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], chain


@pytest.mark.parametrize(("proves", "is_taken"), [(HOST, True), ("other.example.com", False)])
async def test_whoever_is_at_the_address_must_prove_to_be_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proves: str, is_taken: bool
) -> None:
    monkeypatch.setattr(connect, "is_public_address", lambda _: True)
    async with https_server(proves, tmp_path) as (port, chain):
        trust = ssl.create_default_context(cafile=str(chain))
        carrier = Transport(
            lambda _: False,
            limits=httpx.Limits(),
            ask=answering(["127.0.0.1"]),
            direct=httpx.AsyncHTTPTransport(verify=trust),
        )
        url = f"https://{HOST}:{port}/"
        if is_taken:
            assert (await get(carrier, url)).text == "hello"
        else:
            with pytest.raises(httpx.ConnectError, match=r"[Hh]ostname"):
                await get(carrier, url)


@pytest.mark.parametrize("is_trusted", [True, False])
@pytest.mark.parametrize("channel", ["request", "stream"])
async def test_requests_and_streams_believe_the_same_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: str, is_trusted: bool
) -> None:
    use = {"request": _fetch, "stream": _listen}[channel]
    async with https_server(HOST, tmp_path) as (port, chain):
        monkeypatch.setattr(socket, "getaddrinfo", lead_home)
        if is_trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(chain))
        connect.trust.cache_clear()
        origin = f"https://{HOST}:{port}"
        with pytest.raises((BadAnswer, Unreachable)) as caught:
            await use(Account(DID, None, origin, "did:key:z", is_named=True))
        connect.trust.cache_clear()
    assert ("cert" in str(caught.value).lower()) is not is_trusted


def test_what_is_believed_is_read_once_for_all_connections() -> None:
    assert connect.trust() is connect.trust()


# --- Who connects ---------------------------------------------------------------------------------


def lead_home(_host: str, to: int, *_: object, **__: object) -> list[object]:
    """What getaddrinfo answers where every name leads to this machine."""
    address = ("127.0.0.1", int(to or 0))
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]


@asynccontextmanager
async def home(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, list[int]]]:
    """An origin whose name leads to a server on this machine, and who came there."""
    came: list[int] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        writer.close()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", lead_home)
        yield f"https://{HOST}:{port}", came


async def _fetch(account: Account) -> object:
    async with HttpPds(account, None) as pds:
        return await pds.fetch_latest()


async def _listen(account: Account) -> object:
    async for _ in pds_stream(account).rings():
        pass
    return None


@pytest.mark.parametrize(("use", "refusal"), [(_fetch, IdentityError), (_listen, Unreachable)])
async def test_a_pds_whose_name_leads_home_is_connected_to_only_if_it_was_named(
    monkeypatch: pytest.MonkeyPatch,
    use: Callable[[Account], Awaitable[object]],
    refusal: type[Exception],
) -> None:
    async with home(monkeypatch) as (origin, came):
        with pytest.raises(refusal):
            await use(Account(DID, None, origin, "did:key:z"))
        assert came == []
        with pytest.raises(Unreachable):
            await use(Account(DID, None, origin, "did:key:z", is_named=True))
        assert came


async def test_a_server_that_a_handle_or_did_names_is_connected_to_only_in_public(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with home(monkeypatch) as (origin, came):
        async with Web() as web:
            with pytest.raises(IdentityError, match="private network"):
                await web.get(origin, "/")
        async with Web(settings={origin}) as web:
            with pytest.raises(Unreachable):
                await web.get(origin, "/")
        assert len(came) == 1


async def test_a_did_of_the_web_whose_host_leads_home_does_not_resolve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with home(monkeypatch) as (_, came):
        with pytest.raises(IdentityError, match="private network"):
            await resolve(f"did:web:{HOST}")
        assert came == []


async def test_a_request_searches_for_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search for a module that is not there is made each time, and costs as much as a request."""

    hung_up = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        writer.close()
        hung_up.set()

    sought: list[str] = []

    class Finder:
        def find_spec(self, name: str, *_: object) -> None:
            sought.append(name)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        async with Http(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as http:
            await http.send(describe_server())
            monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
            await http.send(describe_server())
        await hung_up.wait()
    assert sought == []
