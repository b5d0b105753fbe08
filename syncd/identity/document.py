"""Read the claims of a DID document about an account. Pure; never checks a claim elsewhere.

Source: https://atproto.com/specs/did#did-documents
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from syncd.atproto.keys import parse_verification_method
from syncd.atproto.syntax import Did, Handle, parse_handle
from syncd.errors import BadSyntax, IdentityError
from syncd.values import dataclass

_ADDRESS = (
    "look for a proxy or a wrong address between syncd and the server of the document; the PLC "
    "directory is that of --plc, SYNCD_PLC_URL, or plc in syncd.toml"
)
_PDS_TYPE = "AtprotoPersonalDataServer"


@dataclass(frozen=True, slots=True)
class Document:
    """The claims of a DID document.

    Attributes:
        handle: The handle as the document states it, unconfirmed; None if there is none.
        endpoint: The URL of the PDS as the document states it, unchecked; None if there is none.
        key: The signing key as a did:key.
    """

    did: Did
    handle: Handle | None
    endpoint: str | None
    key: str


def read_document(body: bytes, did: Did) -> Document:
    """Read the document of `did`.

    Raises IdentityError: it cannot be read, is of another DID, or has no usable signing key.
    """
    fields = _object(body, did)
    if fields.get("id") != did:
        raise IdentityError(f"the DID document of {did} is for another DID", hint=_ADDRESS)
    return Document(did, _handle(fields), _endpoint(fields, did), _key(fields, did))


def _object(body: bytes, did: Did) -> Mapping[str, object]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise IdentityError(f"the DID document of {did} cannot be read", hint=_ADDRESS)
    return fields


def _handle(fields: Mapping[str, object]) -> Handle | None:
    """Return the first handle among the names: only the first is the account's own."""
    names = fields.get("alsoKnownAs")
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str) and name.startswith("at://"):
            try:
                return parse_handle(name.removeprefix("at://"))
            except BadSyntax:
                continue
    return None


def _endpoint(fields: Mapping[str, object], did: Did) -> str | None:
    for service in _entries(fields, "service", f"{did}#atproto_pds"):
        endpoint = service.get("serviceEndpoint")
        if service.get("type") == _PDS_TYPE and isinstance(endpoint, str):
            return endpoint
    return None


def _key(fields: Mapping[str, object], did: Did) -> str:
    for method in _entries(fields, "verificationMethod", f"{did}#atproto"):
        try:
            return parse_verification_method(method).did_key
        except BadSyntax as error:
            raise IdentityError(
                f"the signing key of {did} cannot be used: {error.message}"
            ) from error
    raise IdentityError(f"the DID document of {did} names no signing key for atproto")


def _entries(
    fields: Mapping[str, object], name: str, absolute: str
) -> Iterator[Mapping[str, object]]:
    """Yield the objects of the list `name` with the id `absolute`, or its fragment alone."""
    entries = fields.get(name)
    relative = absolute[absolute.index("#") :]
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("id") in (absolute, relative):
            yield entry
