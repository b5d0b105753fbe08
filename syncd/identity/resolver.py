"""Resolve a person's input to an Account: DID, handle, PDS and signing key. Never caches.

A handle counts only if it resolves to the DID and the DID's document names the handle.
Sources: https://atproto.com/specs/did and https://atproto.com/specs/handle
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category
from urllib.parse import unquote

import httpx

from syncd.atproto.syntax import Did, Handle, parse_at_identifier
from syncd.atproto.xrpc import Origin, Response, parse_origin
from syncd.errors import BadSyntax, ConfigWrong, IdentityError, SyncdError, Unreachable
from syncd.identity.document import Document, read_document
from syncd.identity.names import TxtLookup, ask_pds, find_did, lookup_txt
from syncd.identity.web import Web
from syncd.model import Account

PLC_DIRECTORY: Final = "https://plc.directory"

_PLC_DID = re.compile(r"did:plc:[a-z2-7]{24}")


async def resolve(
    text: str,
    *,
    plc: str = PLC_DIRECTORY,
    pds: str | None = None,
    txt: TxtLookup = lookup_txt,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Account:
    """Find the account that `text` names, by handle or DID.

    Addresses on this machine or in a private network are refused, unless `plc` or `pds` is on this
    machine. If `text` is a DID, the account's handle is None unless it is confirmed.

    Args:
        text: A handle or a DID, also as `named` takes it.
        plc: The origin of the PLC directory.
        pds: The origin of a PDS, used instead of the document's endpoint and for handles.
        txt: Looks up TXT records.
        transport: The HTTP transport, for tests.

    Raises:
        BadSyntax: `text` is neither a handle nor a DID.
        IdentityError: `text` does not resolve, or handle and document do not name each other.
        Unreachable: A server that had to answer did not.
        ConfigWrong: `plc` or `pds` is not a secure origin.
    """
    directory = _setting("plc", plc)
    server = None if pds is None else _setting("pds", pds)
    is_local = directory.is_loopback or (server is not None and server.is_loopback)
    settings = {str(origin) for origin in (directory, server) if origin is not None}
    async with Web(transport=transport, is_local=is_local, settings=settings) as web:
        return await _Resolver(directory, server, web, txt).account(text)


async def find_repo(did: Did, plc: Origin, web: Web) -> Account:
    """Find the PDS and the signing key of `did`; its handle stays unknown. Raises as `resolve`."""
    resolver = _Resolver(plc, None, web, lookup_txt)
    return resolver.repo(await resolver.document(did), None)


def named(text: str) -> str:
    """Return the account in a text that people copy; the text itself if it holds none.

    That is `@handle`, an at:// URI, the URL of a profile, or that of the handle's own page. Marks
    that no screen shows, such as those of a text's direction, are copied with a handle unseen.
    """
    shown = "".join(sign for sign in text if category(sign) != "Cf").strip()
    parts = [part for part in re.split(r"[/?#]+", re.sub(r"^(at|https?):/*", "", shown)) if part]
    at = parts.index("profile") + 1 if "profile" in parts[:-1] else 0
    found = parts[at].removeprefix("@") if parts else shown
    # A DID of its own may have a percent sign: did:web:localhost%3A2583.
    return found if found.startswith("did:") else unquote(found)


class _Resolver:
    def __init__(self, plc: Origin, pds: Origin | None, web: Web, txt: TxtLookup) -> None:
        self._plc = plc
        self._pds = pds
        self._web = web
        self._txt = txt

    async def account(self, text: str) -> Account:
        name = parse_at_identifier(named(text))
        if not name.startswith("did:"):
            return await self._by_handle(Handle(name))
        document = await self.document(Did(name))
        handle = document.handle
        if handle is not None and not await self._is_confirmed(handle, document.did):
            # The DID alone identifies the account. The document's handle is only a claim, and the
            # handle may belong to another account by now.
            handle = None
        return self.repo(document, handle)

    async def _by_handle(self, handle: Handle) -> Account:
        document = await self.document(await self._find_did(handle))
        if document.handle != handle:
            # Any owner of a domain can point it at any DID. Only the document's owner can confirm
            # the handle.
            raise IdentityError(
                f"the handle {handle} points to {document.did}, whose handle is {document.handle}",
                hint=f"if you mean this account, name it by its DID: {document.did}",
            )
        return self.repo(document, handle)

    async def _find_did(self, handle: Handle) -> Did:
        if self._pds is not None:
            # A person named this PDS: its handles may exist nowhere else, as on a private network.
            return await ask_pds(handle, str(self._pds), self._web)
        return await find_did(handle, self._web, self._txt)

    async def _is_confirmed(self, handle: Handle, did: Did) -> bool:
        try:
            return await self._find_did(handle) == did
        except SyncdError:
            # Not even a network error may stop a resolution by DID: the handle is not needed.
            return False

    def repo(self, document: Document, handle: Handle | None) -> Account:
        if self._pds is not None:
            return Account(document.did, handle, str(self._pds), document.key, is_named=True)
        if document.endpoint is None:
            raise IdentityError(
                f"the DID document of {document.did} names no PDS",
                hint="if you know where the account is, name its PDS with --pds",
            )
        # The endpoint comes from an untrusted document: a private address in it would make syncd
        # send requests into the person's own network.
        self._web.check(document.endpoint)
        endpoint = str(parse_origin(document.endpoint))
        return Account(document.did, handle, endpoint, document.key, is_named=self._web.is_local)

    async def document(self, did: Did) -> Document:
        origin, target = self._document_url(did)
        response = await self._web.get(origin, target)
        _check_status(response, did, origin)
        _check_form(response.body, did, origin)
        return read_document(response.body, did)

    def _document_url(self, did: Did) -> tuple[str, str]:
        """Return (origin, path) of the document of a DID (https://atproto.com/specs/did)."""
        if _PLC_DID.fullmatch(did):
            return str(self._plc), f"/{did}"
        method, _, host = did.removeprefix("did:").partition(":")
        if method == "web" and host and ":" not in host:
            return _web_origin(unquote(host)), "/.well-known/did.json"
        raise IdentityError(
            f"{did} is not a DID that atproto uses",
            hint="atproto uses did:plc, and did:web with a host",
        )


def _web_origin(host: str) -> str:
    """Return the origin of a did:web host. Only `localhost` may have a port, and has no TLS.

    `Web` decides whether requests to it are allowed. Raises IdentityError for another port.
    """
    is_localhost = host.partition(":")[0] == "localhost"
    if ":" in host and not is_localhost:
        raise IdentityError(f"did:web:{host} has a port, which only localhost may have")
    return f"{'http' if is_localhost else 'https'}://{host}"


_OTHER: Final = "try again later; a firewall, a proxy or a login page may have answered"
_ON_THE_WAY = (401, 403, 404, 407, 408, 410, 429)


def _check_status(response: Response, did: Did, origin: str) -> None:
    if response.is_ok:
        return
    is_page = response.body.lstrip()[:1] == b"<"
    # A directory answers in JSON; the host of a did:web may have a page for what it lacks.
    is_own = not (is_page and did.startswith("did:plc:"))
    if response.status in (404, 410) and is_own:
        gone = "is closed" if response.status == 410 else "is not known"
        raise IdentityError(f"{did} {gone} at {origin}", hint="check the spelling of the DID")
    if response.status in _ON_THE_WAY or response.status >= 500:
        # The server is busy or broken, or another one answered: it says nothing about the DID.
        form = " with a web page" if is_page else ""
        raise Unreachable(
            f"{origin} answered {response.status}{form} for {did}",
            hint=_OTHER,
        )
    is_moved = 300 <= response.status < 400
    hints = ["syncd does not follow redirects of a DID document"] if is_moved else []
    if did.startswith("did:plc:"):
        hints.append(
            "give the address of the PLC directory itself: --plc, SYNCD_PLC_URL, or plc in "
            "syncd.toml"
        )
    raise IdentityError(f"{origin} answered {response.status} for {did}", hint="; ".join(hints))


def _check_form(body: bytes, did: Did, origin: str) -> None:
    """Raise Unreachable for what no directory sends: it says nothing about the DID."""
    start = body.lstrip()[:1]
    if start != b"{":
        what = "a web page" if start == b"<" else "something else"
        raise Unreachable(
            f"{origin} answered with {what} in place of the DID document of {did}", hint=_OTHER
        )


def _setting(name: str, url: str) -> Origin:
    try:
        return parse_origin(url)
    except BadSyntax as error:
        raise ConfigWrong(f"{name} cannot be used: {error.message}") from error
