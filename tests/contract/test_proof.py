"""A record, or that there is none, is proven by what a PDS answers to sync.getRecord."""

from __future__ import annotations

from contextlib import closing

from syncd.atproto import xrpc
from syncd.atproto.data import Record, cid_of
from syncd.atproto.keys import parse_did_key
from syncd.atproto.proof import Proof, read_proof
from syncd.atproto.syntax import Nsid, Rkey
from syncd.model import Change, RecordPath, make_record_path
from syncd.pds import HttpPds
from tests.contract.rungs import Ground

SCHEMA, NSID = Nsid("com.atproto.lexicon.schema"), Rkey("com.example.thing")
RECORD: Record = {"$type": SCHEMA, "lexicon": 1, "id": NSID, "defs": {}}
OTHER: Record = {"$type": "com.example.note"}


def proof(ground: Ground, rkey: Rkey) -> Proof:
    account = ground.account
    with closing(ground.login.client()) as client:
        client.headers.pop("authorization", None)
        answer = client.get(xrpc.get_record_proof(account.did, SCHEMA, rkey).target)
    key, path = parse_did_key(account.key), make_record_path(SCHEMA, rkey)
    return read_proof(answer.raise_for_status().content, path, did=account.did, key=key)


async def published(ground: Ground) -> None:
    """Write a lexicon, and another record beside it."""
    async with HttpPds(ground.account, ground.login.tokens()) as pds:
        for path, record in (
            (make_record_path(SCHEMA, NSID), RECORD),
            (RecordPath("com.example.note/one"), OTHER),
        ):
            await pds.put(Change(path, None, cid_of(record), record), is_guarded=False)


async def test_a_published_lexicon_is_proven(http_ground: Ground) -> None:
    await published(http_ground)
    found = proof(http_ground, NSID)
    assert (found.cid, found.block is None) == (cid_of(RECORD), False)


async def test_that_there_is_no_such_lexicon_is_proven(http_ground: Ground) -> None:
    await published(http_ground)
    found = proof(http_ground, NSID)
    none = proof(http_ground, Rkey("com.example.other"))
    assert (none.cid, none.block, none.rev) == (None, None, found.rev)
