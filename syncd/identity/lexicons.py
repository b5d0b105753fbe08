"""Resolve an NSID to the lexicon that its owner publishes, with proof. Never caches.

DNS says which account has the lexicons of a group of NSIDs. The DID document says where its repo is
and who signs it. The signed tree of the repo has the lexicon. A group within a group needs an
answer of its own. Source: https://atproto.com/specs/lexicon#resolution
"""

from __future__ import annotations

import time
from dataclasses import field
from typing import Final

import httpx

from syncd.atproto import xrpc
from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, decode
from syncd.atproto.keys import parse_did_key
from syncd.atproto.proof import Proof, read_proof
from syncd.atproto.syntax import Did, Nsid, Rkey, Tid
from syncd.atproto.xrpc import parse_origin
from syncd.errors import BadData, BadSyntax, ConfigWrong, IdentityError, NotFound
from syncd.identity.names import TxtLookup, claimed_dids, lookup_txt
from syncd.identity.resolver import PLC_DIRECTORY, find_repo
from syncd.identity.web import Web
from syncd.model import Account, make_record_path
from syncd.values import dataclass

COLLECTION: Final = Nsid("com.atproto.lexicon.schema")
MAX_PROOF_BYTES: Final = 2 * 1024 * 1024
"""The largest answer with a lexicon in bytes: one of 1 MiB, the largest record, and its proof."""

_OWNER_HINT: Final = "only the owner of the domain can change that"


@dataclass(frozen=True, slots=True)
class Published:
    """The record that the owner of an NSID publishes as its lexicon, proven at `rev`.

    It may be any record: whether it is a lexicon is not checked.
    """

    nsid: Nsid
    did: Did
    rev: Tid
    cid: Cid
    record: Record = field(repr=False)


def name_in_dns(nsid: Nsid) -> str:
    """Return the name whose TXT record states the owner of the lexicons beside `nsid`."""
    *group, _ = nsid.split(".")
    return ".".join(("_lexicon", *reversed(group)))


async def resolve_lexicon(
    nsid: Nsid,
    *,
    plc: str = PLC_DIRECTORY,
    txt: TxtLookup = lookup_txt,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Published:
    """Return the lexicon of `nsid` as the owner of its domain publishes it.

    Addresses on this machine or in a private network are refused, unless `plc` is on this machine.

    Args:
        nsid: Of the lexicon.
        plc: The origin of the PLC directory.
        txt: Looks up TXT records.
        transport: The HTTP transport, for tests.

    Raises:
        NotFound: Nobody publishes it: DNS names no account, or its repo proves that it has none.
        IdentityError: DNS names several accounts, or the account cannot be found.
        Unreachable, RateLimited: A server that had to answer did not.
        BadCar, BadCommit, BadTree, BadData, MissingBlocks: What the PDS sent is no proof.
        ConfigWrong: `plc` is not a secure origin.
    """
    try:
        directory = parse_origin(plc)
    except BadSyntax as error:
        raise ConfigWrong(f"plc cannot be used: {error.message}") from error
    did = await _owner(nsid, txt)
    local, settings = directory.is_loopback, {str(directory)}
    async with Web(transport=transport, is_local=local, settings=settings) as web:
        try:
            owner = await find_repo(did, directory, web)
            return _published(nsid, did, await _fetch(nsid, owner, web))
        except IdentityError as error:
            # Nobody can name another PDS here, as the hints of a mirror's own account say.
            raise IdentityError(error.message, hint=_OWNER_HINT) from None


async def _owner(nsid: Nsid, txt: TxtLookup) -> Did:
    name = name_in_dns(nsid)
    dids = await claimed_dids(name, txt)
    if len(dids) > 1:
        raise IdentityError(
            f"DNS names {len(dids)} accounts for the lexicon {nsid}",
            hint=f"its owner must leave one TXT record at {name}",
        )
    if not dids:
        raise NotFound(
            f"no account publishes the lexicon {nsid}: DNS names no account at {name}",
            hint="check the spelling, or ask its author for the document: lexicons/ takes it",
        )
    return dids.pop()


async def _fetch(nsid: Nsid, owner: Account, web: Web) -> Proof:
    request = xrpc.get_record_proof(owner.did, COLLECTION, Rkey(nsid))
    response = await web.get(owner.pds, request.target, max_bytes=MAX_PROOF_BYTES)
    xrpc.raise_for(response, is_write=False, now=time.time(), is_open=True)
    xrpc.check_car(response, response.body)
    path = make_record_path(COLLECTION, Rkey(nsid))
    return read_proof(response.body, path, did=owner.did, key=parse_did_key(owner.key))


def _published(nsid: Nsid, did: Did, proof: Proof) -> Published:
    if proof.cid is None or proof.block is None:
        raise NotFound(
            f"no account publishes the lexicon {nsid}: {did} has none at rev {proof.rev}",
            hint="check the spelling, or ask its author",
        )
    record = decode(proof.block)
    if not isinstance(record, dict) or record.get("$type") != COLLECTION:
        raise BadData(f"what {did} publishes as {nsid} is not a record of {COLLECTION}")
    return Published(nsid, did, proof.rev, proof.cid, record)
