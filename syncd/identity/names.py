"""Resolve a handle to a DID, over DNS or HTTPS or by asking a PDS. Never confirms the way back.

The resolver checks that the DID names the handle too. Source:
https://atproto.com/specs/handle#handle-resolution
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from syncd.atproto import xrpc
from syncd.atproto.syntax import Did, Handle, parse_did
from syncd.errors import BadSyntax, IdentityError, NotFound, PdsError, Unreachable
from syncd.identity.web import Web

TxtLookup: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""Return the TXT records of a name, each as one text; raise Unreachable if DNS does not answer."""

RESERVED: Final = frozenset(
    ("alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion", "test")
)
"""Top-level domains without handles, except `test` if the PDS or directory is on this machine."""

_DNS_SECONDS = 5.0
_SPELLING = "check the spelling; you can also name an account by its DID"


async def lookup_txt(name: str) -> tuple[str, ...]:
    """Ask the resolver of this machine for the TXT records of `name`. Raises Unreachable."""
    import dns.asyncresolver  # noqa: PLC0415 (its import is slow, and few commands need it)

    try:
        answer = await dns.asyncresolver.resolve(name, "TXT", lifetime=_DNS_SECONDS, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.NameTooLong):
        return ()
    except dns.exception.DNSException as error:
        raise Unreachable(
            f"DNS does not answer for {name}: {type(error).__name__}",
            hint="check the network",
        ) from None
    return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in answer)


async def find_did(handle: Handle, web: Web, txt: TxtLookup) -> Did:
    """Resolve a handle: by DNS, or by the handle's web server if DNS has no record.

    Raises:
        IdentityError: The handle resolves to no DID, or to more than one.
        Unreachable: Neither DNS nor the web server answered; the handle may exist.
    """
    check_top(handle, is_local=web.is_local)
    by_dns = await _over_dns(handle, txt)
    if isinstance(by_dns, str):
        return by_dns
    by_https = await _over_https(handle, web)
    if isinstance(by_https, str):
        return by_https
    if isinstance(by_dns, Unreachable) and isinstance(by_https, Unreachable):
        # Nothing is known: the network may be down. A later try may find the handle.
        raise by_dns
    raise IdentityError(
        f"the handle {handle} does not resolve",
        hint=_SPELLING,
    )


async def ask_pds(handle: Handle, pds: str, web: Web) -> Did:
    """Ask a PDS for the DID of a handle (com.atproto.identity.resolveHandle).

    Raises:
        IdentityError: The PDS does not know the handle.
        Unreachable: The PDS did not answer.
    """
    check_top(handle, is_local=web.is_local)
    response = await web.get(pds, xrpc.resolve_handle(handle).target)
    try:
        xrpc.raise_for(response, is_write=False, now=time.time())
    except (IdentityError, PdsError) as error:
        # For a handle that it cannot resolve, the reference PDS has no name but InvalidRequest.
        if isinstance(error, IdentityError | NotFound) or response.status == 400:
            message = f"{pds} does not know the handle {handle}"
            raise IdentityError(message, hint=_SPELLING) from None
        raise
    return xrpc.read_did(response)


def check_top(handle: Handle, *, is_local: bool) -> None:
    """Raise IdentityError for a handle under a reserved top-level domain."""
    top = handle.rpartition(".")[2]
    if top in RESERVED and not (top == "test" and is_local):
        raise IdentityError(
            f"the handle {handle} cannot resolve: .{top} is a reserved name that belongs to no one",
            hint="for a PDS on this machine, name it with --pds" if top == "test" else "",
        )


async def _over_dns(handle: Handle, txt: TxtLookup) -> Did | Unreachable | None:
    """Ask DNS for the DID; None if it has no record, and Unreachable as a value.

    Raises IdentityError: several DIDs, and syncd cannot know the right one.
    """
    try:
        dids = await claimed_dids(f"_atproto.{handle}", txt)
    except Unreachable as error:
        return error
    if len(dids) > 1:
        raise IdentityError(
            f"DNS names {len(dids)} DIDs for the handle {handle}",
            hint=f"leave one TXT record at _atproto.{handle}, or name the account by its DID",
        )
    return dids.pop() if dids else None


async def claimed_dids(name: str, txt: TxtLookup) -> set[Did]:
    """Return the DIDs that the TXT records of `name` state as `did=…`. Raises Unreachable."""
    records = await txt(name)
    claims = (_did(record.removeprefix("did=")) for record in records if record[:4] == "did=")
    return {did for did in claims if did is not None}


async def _over_https(handle: Handle, web: Web) -> Did | Unreachable | None:
    try:
        response = await web.follow(f"https://{handle}", "/.well-known/atproto-did")
    except Unreachable as error:
        return error
    except IdentityError:
        return None
    lines = response.body.decode("utf-8", "replace").strip().splitlines()
    return _did(lines[0].strip()) if response.is_ok and lines else None


def _did(text: str) -> Did | None:
    try:
        return parse_did(text)
    except BadSyntax:
        return None
