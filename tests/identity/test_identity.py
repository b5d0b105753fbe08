"""Identity: handles and DIDs resolve only where both ends agree, and only to places we may ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import dns.asyncresolver
import dns.message
import dns.rrset
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.atproto.keys import make_key
from syncd.atproto.syntax import Did, Handle
from syncd.errors import (
    BadSyntax,
    ConfigWrong,
    IdentityError,
    SyncdError,
    Unreachable,
)
from syncd.identity import lookup_txt, resolve
from syncd.identity.document import read_document
from syncd.identity.names import RESERVED
from syncd.identity.resolver import named
from syncd.model import Account

DID = Did("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
OTHER = Did("did:plc:bbbbbbbbbbbbbbbbbbbbbbbb")
HANDLE = Handle("alice.example.com")
PDS = "https://pds.example.com"
PUBLIC = make_key("k256", b"\x01" * 32).public
KEY = PUBLIC.did_key
NEAR = {"id": "#atproto", "type": "Multikey", "publicKeyMultibase": PUBLIC.multibase}
"""A key that is named by its fragment alone: whose it is, only the document says."""
LOCAL_PLC = "http://localhost:2582"
LOCAL_PDS = "http://127.0.0.1:2583"

Routes = Mapping[str, httpx.Response | Exception | Callable[[], httpx.Response]]


def document(did: str = DID, **changes: object) -> dict[str, object]:
    return {
        "id": did,
        "alsoKnownAs": [f"at://{HANDLE}"],
        "verificationMethod": [
            {
                "id": f"{did}#atproto",
                "type": "Multikey",
                "controller": did,
                "publicKeyMultibase": PUBLIC.multibase,
            }
        ],
        "service": [
            {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": PDS}
        ],
        **changes,
    }


def at_endpoint(url: object) -> dict[str, object]:
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": url}
    return document(service=[service])


def plc(doc: object = None, did: str = DID) -> dict[str, httpx.Response]:
    return {f"https://plc.directory/{did}": httpx.Response(200, json=doc or document(did))}


def well_known(text: str, status: int = 200) -> dict[str, httpx.Response]:
    return {f"https://{HANDLE}/.well-known/atproto-did": httpx.Response(status, text=text)}


class Net:
    """The internet as a few pages and TXT records. Everything else cannot be reached."""

    def __init__(self, routes: Routes, txt: Mapping[str, Sequence[str] | Exception]) -> None:
        self.routes = routes
        self.txt = txt
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        assert "authorization" not in request.headers
        reply = self.routes.get(str(request.url), httpx.ConnectError("no such host"))
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx.Response) else reply()

    async def lookup(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        records = self.txt.get(name, ())
        if isinstance(records, Exception):
            raise records
        return records


async def ask(
    text: str,
    routes: Routes,
    txt: Mapping[str, Sequence[str] | Exception] | None = None,
    **options: Any,  # noqa: ANN401
) -> tuple[Account, list[str]]:
    net = Net(routes, txt or {})
    transport = httpx.MockTransport(net)
    account = await resolve(text, transport=transport, txt=net.lookup, **options)
    return account, net.asked


TXT = {f"_atproto.{HANDLE}": [f"did={DID}"]}
ALICE = Account(DID, HANDLE, PDS, KEY)


# --- By handle -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [HANDLE, "Alice.Example.COM", f"@{HANDLE}", f"at://{HANDLE}", f" {HANDLE}\n"]
)
async def test_a_handle_resolves_over_dns_however_it_is_typed(text: str) -> None:
    account, asked = await ask(text, plc(), TXT)
    assert account == ALICE
    assert asked == [f"_atproto.{HANDLE}", f"https://plc.directory/{DID}"]


@pytest.mark.parametrize("body", [DID, f"  {DID}\n", f"{DID}\nsecond line", f"\r\n{DID}\r\n"])
async def test_a_handle_without_a_dns_record_resolves_over_https(body: str) -> None:
    account, _ = await ask(HANDLE, plc() | well_known(body))
    assert account == ALICE


@pytest.mark.parametrize(
    "records",
    [
        [f"did={DID}", f"did={DID}"],
        ["v=spf1 -all", f"did={DID}"],
        ["did=nonsense", f"did={DID}", "did="],
    ],
)
async def test_other_records_beside_the_one_valid_did_do_not_matter(records: list[str]) -> None:
    account, _ = await ask(HANDLE, plc(), {f"_atproto.{HANDLE}": records})
    assert account == ALICE


async def test_dns_wins_over_https() -> None:
    account, asked = await ask(HANDLE, plc() | well_known(OTHER), TXT)
    assert account == ALICE
    assert not [url for url in asked if "well-known" in url]


async def test_two_dids_in_dns_are_an_error_and_not_a_choice() -> None:
    txt = {f"_atproto.{HANDLE}": [f"did={DID}", f"did={OTHER}"]}
    with pytest.raises(IdentityError):
        await ask(HANDLE, plc() | well_known(DID), txt)


@pytest.mark.parametrize(
    "routes",
    [
        well_known("", 200),
        well_known("<html>404</html>"),
        well_known(DID, 404),
        well_known(DID, 500),
        well_known("x" * 300_000),
        {},
    ],
    ids=["empty", "page", "404", "500", "long", "nobody"],
)
async def test_a_handle_that_points_nowhere_does_not_resolve(
    routes: dict[str, httpx.Response],
) -> None:
    with pytest.raises(IdentityError):
        await ask(HANDLE, plc() | routes)


async def test_when_nobody_can_be_asked_the_handle_may_still_exist() -> None:
    txt = {f"_atproto.{HANDLE}": Unreachable("no network")}
    with pytest.raises(Unreachable):
        await ask(HANDLE, {}, txt)
    account, _ = await ask(HANDLE, plc() | well_known(DID), txt)
    assert account == ALICE


def redirect(to: str) -> httpx.Response:
    return httpx.Response(302, headers={"location": to})


async def test_the_handles_server_may_redirect_within_https() -> None:
    start = f"https://{HANDLE}/.well-known/atproto-did"
    routes = {
        **plc(),
        start: redirect("https://www.example.com/did"),
        "https://www.example.com/did": redirect("/there"),
        "https://www.example.com/there": httpx.Response(200, text=DID),
    }
    account, _ = await ask(HANDLE, routes)
    assert account == ALICE


@pytest.mark.parametrize(
    "to",
    [
        "http://www.example.com/did",
        "https://127.0.0.1/did",
        "https://10.0.0.1/did",
        "http://localhost:8080/did",
        "file:///etc/passwd",
        "https://[",
        f"https://{HANDLE}/.well-known/atproto-did",
        "",
    ],
)
async def test_no_redirect_leads_out_of_the_public_web_or_in_circles(to: str) -> None:
    start = f"https://{HANDLE}/.well-known/atproto-did"
    inside = {"http://localhost:8080/did": httpx.Response(200, text=DID)}
    net = Net({**plc(), **inside, start: redirect(to)}, {})
    with pytest.raises(IdentityError):
        await resolve(HANDLE, transport=httpx.MockTransport(net), txt=net.lookup)
    assert set(net.asked) <= {start, f"_atproto.{HANDLE}"}
    assert len(net.asked) < 8


@pytest.mark.parametrize("to", ["https://elsewhere.example.com/", "/there", "http://127.0.0.1/"])
async def test_a_directory_that_redirects_is_not_followed_and_the_way_on_is_said(to: str) -> None:
    (place,) = plc()
    net = Net({place: redirect(to)}, {})
    with pytest.raises(IdentityError) as caught:
        await resolve(DID, transport=httpx.MockTransport(net), txt=net.lookup)
    assert net.asked == [place]
    assert "--plc" in caught.value.hint


@pytest.mark.parametrize(
    "names",
    [[], ["at://mallory.example.com"], ["at://mallory.example.com", f"at://{HANDLE}"], None, "x"],
)
async def test_a_handle_that_the_document_does_not_name_is_refused(names: object) -> None:
    with pytest.raises(IdentityError) as caught:
        await ask(HANDLE, plc(document(alsoKnownAs=names)), TXT)
    assert DID in caught.value.hint


@pytest.mark.parametrize("top", sorted(RESERVED))
async def test_handles_under_reserved_names_are_not_even_looked_up(top: str) -> None:
    net = Net({}, {})
    with pytest.raises(IdentityError):
        await resolve(f"alice.{top}", transport=httpx.MockTransport(net), txt=net.lookup)
    assert net.asked == []


@pytest.mark.parametrize("text", ["", "alice", "alice@example.com", "did:", "did:plc:", "../x"])
async def test_what_is_neither_handle_nor_did_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        await ask(text, {})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"https://bsky.app/profile/{HANDLE}", HANDLE),
        (f"https://bsky.app/profile/@{HANDLE}/post/3k2?x=1#top", HANDLE),
        (f"https://bsky.app/profile/{DID}", DID),
        (f"https://bsky.app/profile/{DID.replace(':', '%3A')}/feed", DID),
        (f"http://{HANDLE}/", HANDLE),
        (f"https://{HANDLE}", HANDLE),
        (f"at://{DID}/com.example.note/3k2", DID),
        (f"\u202a{HANDLE}\u202c", HANDLE),
        (f"\u2066@{HANDLE}\u2069\ufeff", HANDLE),
        ("did:web:localhost%3A2583", "did:web:localhost%3A2583"),
        ("https://bsky.app/profile", "bsky.app"),
        ("https://", "https://"),
        ("", ""),
    ],
)
def test_an_account_is_named_by_what_people_copy(text: str, name: str) -> None:
    assert named(text) == name


@given(st.text(max_size=40) | st.text("%/@:?#at ", max_size=9))
def test_whatever_is_pasted_stands_for_one_name(text: str) -> None:
    assert f"{HANDLE}" == named(f"@{HANDLE}/{text}")
    assert isinstance(named(text), str)


# --- By DID --------------------------------------------------------------------------------------


async def test_a_did_resolves_and_its_handle_is_confirmed() -> None:
    account, _ = await ask(DID, plc(), TXT)
    assert account == ALICE


@pytest.mark.parametrize(
    "txt",
    [
        {},
        {f"_atproto.{HANDLE}": [f"did={OTHER}"]},
        {f"_atproto.{HANDLE}": [f"did={DID}", f"did={OTHER}"]},
        {f"_atproto.{HANDLE}": Unreachable("no network")},
    ],
)
async def test_a_handle_that_is_not_confirmed_is_left_out(
    txt: Mapping[str, Sequence[str] | Exception],
) -> None:
    account, _ = await ask(DID, plc(), txt)
    assert account == Account(DID, None, PDS, KEY)


async def test_an_account_need_not_have_a_handle() -> None:
    account, asked = await ask(DID, plc(document(alsoKnownAs=["https://example.com"])))
    assert account.handle is None
    assert asked == [f"https://plc.directory/{DID}"]


async def test_a_did_of_the_web_is_asked_for_at_its_host() -> None:
    did = "did:web:example.com"
    routes = {"https://example.com/.well-known/did.json": httpx.Response(200, json=document(did))}
    account, _ = await ask(did, routes)
    assert (account.did, account.pds, account.key) == (did, PDS, KEY)


async def test_a_did_of_localhost_is_only_for_local_settings() -> None:
    did = "did:web:localhost%3A2583"
    url = "http://localhost:2583/.well-known/did.json"
    routes = {url: httpx.Response(200, json=document(did))}
    with pytest.raises(IdentityError):
        await ask(did, routes)
    account, _ = await ask(did, routes, plc=LOCAL_PLC)
    assert account.did == did


async def test_a_did_of_a_host_whose_page_says_404_is_not_known() -> None:
    url = "https://example.com/.well-known/did.json"
    net = Net({url: httpx.Response(404, html="<html>not here")}, {})
    with pytest.raises(IdentityError):
        await resolve("did:web:example.com", transport=httpx.MockTransport(net), txt=net.lookup)


@pytest.mark.parametrize(
    "did",
    [
        "did:web:example.com:user",
        "did:web:example.com%3A8443",
        "did:web:10.0.0.1",
        "did:web:127.0.0.1",
        "did:web:router",
        "did:web:nas.local",
        "did:web:example.com%2Fpath",
        "did:web:user%40example.com",
        "did:web:%00",
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
        "did:plc:short",
        "did:plc:AAAAAAAAAAAAAAAAAAAAAAAA",
        "did:plc:..%2F..%2Fx",
    ],
)
async def test_dids_that_atproto_does_not_use_are_asked_of_nobody(did: str) -> None:
    net = Net({}, {})
    with pytest.raises(IdentityError):
        await resolve(did, transport=httpx.MockTransport(net), txt=net.lookup)
    assert net.asked == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.Response(404, json={"message": "DID not registered"}), IdentityError),
        (httpx.Response(410, json={"message": "DID not available"}), IdentityError),
        (httpx.Response(400), IdentityError),
        (httpx.Response(500), Unreachable),
        (httpx.Response(429), Unreachable),
        (httpx.Response(403, text="RBAC: access denied"), Unreachable),
        (httpx.Response(401), Unreachable),
        (httpx.Response(404, text="\n<html>not here"), Unreachable),
        (httpx.Response(410, text="<html>"), Unreachable),
        (httpx.ConnectError("no route"), Unreachable),
        (httpx.ReadTimeout("slow"), Unreachable),
        (redirect("https://evil.example.com/doc"), IdentityError),
        (httpx.Response(200, text="<html>"), Unreachable),
        (httpx.Response(200, text="[]"), Unreachable),
        (httpx.Response(200, text="[" * 100_000), Unreachable),
        (httpx.Response(200, content=b"\xff"), Unreachable),
        (httpx.Response(200, content=b""), Unreachable),
        (httpx.Response(200, text="{"), IdentityError),
        (httpx.Response(200, text=json.dumps(document()) + " " * 300_000), IdentityError),
        (httpx.Response(200, json=document(OTHER)), IdentityError),
        (httpx.Response(200, json=document(OTHER, verificationMethod=[NEAR])), IdentityError),
        (httpx.Response(200, json={}), IdentityError),
        (httpx.Response(200, json=document(verificationMethod=[])), IdentityError),
        (
            httpx.Response(200, json=document(verificationMethod=[{"id": "#atproto"}])),
            IdentityError,
        ),
        (httpx.Response(200, json=document(service=[])), IdentityError),
        (httpx.Response(200, json=document(service=None)), IdentityError),
        (httpx.Response(200, json=at_endpoint("http://pds.example.com")), IdentityError),
        (httpx.Response(200, json=at_endpoint("https://pds.example.com/path")), IdentityError),
        (httpx.Response(200, json=at_endpoint("https://u:p@pds.example.com")), IdentityError),
        (httpx.Response(200, json=at_endpoint("https://192.168.1.1")), IdentityError),
        (httpx.Response(200, json=at_endpoint("https://localhost")), IdentityError),
        (httpx.Response(200, json=at_endpoint(LOCAL_PDS)), IdentityError),
        (httpx.Response(200, json=at_endpoint(None)), IdentityError),
        (httpx.Response(200, json=at_endpoint({})), IdentityError),
    ],
    ids=range(34),
)
async def test_a_document_that_cannot_be_trusted_makes_no_account(
    reply: httpx.Response | Exception, error: type[SyncdError]
) -> None:
    with pytest.raises(error):
        await ask(DID, {f"https://plc.directory/{DID}": reply})


def test_an_id_may_be_relative_or_absolute_and_others_are_passed_over() -> None:
    other = {"id": "#other", "type": "Multikey", "publicKeyMultibase": "z"}
    method = {"type": "Multikey", "publicKeyMultibase": PUBLIC.multibase}
    service = {"type": "AtprotoPersonalDataServer", "serviceEndpoint": PDS}
    labeler = {"id": "#atproto_pds", "type": "AtprotoLabeler", "serviceEndpoint": "https://x.com"}
    for prefix in ("", DID):
        doc = document(
            verificationMethod=[None, 7, other, method | {"id": f"{prefix}#atproto"}],
            service=["x", labeler, service | {"id": f"{prefix}#atproto_pds"}],
            alsoKnownAs=[7, "https://a.com", "at://not a handle", f"at://{HANDLE}"],
        )
        read = read_document(json.dumps(doc).encode(), DID)
        assert (read.endpoint, read.key, read.handle) == (PDS, KEY, HANDLE)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from([DID, "#atproto"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "service", "verificationMethod", "alsoKnownAs", "type"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=30) | JSON.map(lambda doc: json.dumps(doc).encode()))
def test_no_document_raises_anything_but_an_identity_error(body: bytes) -> None:
    with pytest.raises(IdentityError):
        read_document(body, DID)


# --- With a PDS or a directory that was named ----------------------------------------------------


def at(url: str, doc: object = None) -> dict[str, httpx.Response]:
    return {f"{url}/{DID}": httpx.Response(200, json=doc or document())}


def as_pds(url: str, handle: str, did: str = DID) -> dict[str, httpx.Response]:
    target = f"{url}/xrpc/com.atproto.identity.resolveHandle?handle={handle}"
    return {target: httpx.Response(200, json={"did": did})}


async def test_a_pds_that_was_named_is_asked_for_the_handle_and_used_for_the_repo() -> None:
    test = document(alsoKnownAs=["at://alice.test"])
    routes = at(LOCAL_PLC, test) | as_pds(LOCAL_PDS, "alice.test")
    account, asked = await ask("alice.test", routes, plc=LOCAL_PLC, pds=LOCAL_PDS)
    assert account == Account(DID, Handle("alice.test"), LOCAL_PDS, KEY, is_named=True)
    assert len(asked) == 2


async def test_a_local_directory_may_name_a_local_pds() -> None:
    account, _ = await ask(DID, at(LOCAL_PLC, at_endpoint(LOCAL_PDS)), plc=LOCAL_PLC)
    assert account.pds == LOCAL_PDS
    assert account.is_named


async def test_a_pds_that_only_a_document_names_was_named_by_nobody() -> None:
    account, _ = await ask(DID, plc())
    assert not account.is_named


async def test_a_pds_in_a_private_network_can_be_named_but_not_found() -> None:
    private = "https://pds.home.internal"
    routes = plc(at_endpoint(private)) | as_pds(private, HANDLE)
    with pytest.raises(IdentityError) as caught:
        await ask(DID, routes)
    assert "--pds" in caught.value.hint
    account, _ = await ask(HANDLE, routes, pds=private)
    assert account == Account(DID, HANDLE, private, KEY, is_named=True)


async def test_a_named_pds_does_not_need_a_document_with_one() -> None:
    account, _ = await ask(DID, plc(document(service=[])), pds="https://other.example.com/")
    assert account == Account(DID, None, "https://other.example.com", KEY, is_named=True)


async def test_a_handle_that_the_named_pds_does_not_know_does_not_resolve() -> None:
    target = f"{PDS}/xrpc/com.atproto.identity.resolveHandle?handle={HANDLE}"
    for name in ("HandleNotFound", "InvalidRequest"):
        unknown = {target: httpx.Response(400, json={"error": name, "message": "no"})}
        with pytest.raises(IdentityError):
            await ask(HANDLE, plc() | unknown, TXT, pds=PDS)
    # Another one answered, and knows nothing of handles.
    elsewhere = {target: httpx.Response(302, headers={"location": "https://wifi.example.com/"})}
    with pytest.raises(SyncdError) as caught:
        await ask(HANDLE, plc() | elsewhere, TXT, pds=PDS)
    assert not isinstance(caught.value, IdentityError)
    assert caught.value.hint


@pytest.mark.parametrize("url", ["http://plc.example.com", "plc.example.com", "https://x/y", ""])
async def test_settings_that_are_not_secure_origins_are_refused(url: str) -> None:
    with pytest.raises(ConfigWrong):
        await ask(DID, plc(), plc=url)
    with pytest.raises(ConfigWrong):
        await ask(DID, plc(), pds=url)


# --- DNS -----------------------------------------------------------------------------------------


class NameServer(asyncio.DatagramProtocol):
    """Answers every query for TXT records from a table; a name that is absent does not exist."""

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        self.table = table

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:  # noqa: ANN401
        query = dns.message.from_wire(data)
        name = query.question[0].name
        reply = dns.message.make_response(query)
        records = self.table.get(name.to_text(omit_final_dot=True))
        if records is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif records:
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *records))
        self.transport.sendto(reply.to_wire(), addr)


@pytest.fixture
async def name_server(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401
    table: dict[str, Sequence[str]] = {}
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: NameServer(table), local_addr=("127.0.0.1", 0)
    )
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]
    monkeypatch.setattr(dns.asyncresolver, "default_resolver", resolver)
    yield table
    transport.close()


async def test_txt_records_are_joined_and_absence_is_no_error(
    name_server: dict[str, Sequence[str]],
) -> None:
    name_server["_atproto.a.example.com"] = [f'"did=did:plc:" "{"a" * 24}"', '"other"']
    name_server["_atproto.b.example.com"] = []
    assert sorted(await lookup_txt("_atproto.a.example.com")) == [f"did={DID}", "other"]
    assert await lookup_txt("_atproto.b.example.com") == ()
    assert await lookup_txt("_atproto.c.example.com") == ()
    assert await lookup_txt("_atproto." + "a." * 123 + "example") == ()


async def test_a_resolver_that_is_silent_is_unreachable(
    name_server: dict[str, Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.identity.names._DNS_SECONDS", 0.2)
    monkeypatch.setattr(NameServer, "datagram_received", lambda *_: None)
    with pytest.raises(Unreachable):
        await lookup_txt("_atproto.a.example.com")
