"""A lexicon counts only if DNS, the DID document and the signed tree of a repo all lead to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.commit import sign_commit
from syncd.atproto.data import Record, cid_of, encode
from syncd.atproto.keys import PrivateKey, make_key
from syncd.atproto.mst import build
from syncd.atproto.syntax import Did, Nsid, Tid
from syncd.errors import (
    BadAnswer,
    BadCar,
    BadCommit,
    BadData,
    IdentityError,
    MissingBlocks,
    NotFound,
    SyncdError,
    Unreachable,
    WrongKey,
)
from syncd.identity.lexicons import COLLECTION, MAX_PROOF_BYTES, Published, resolve_lexicon
from tests.identity.test_identity import DID, OTHER, document

NSID = Nsid("com.example.blog.post")
NAME = "_lexicon.blog.example.com"
REV = Tid("3jzfcijpj2z2a")
KEY = make_key("k256", b"\x01" * 32)
LEXICON: Record = {"$type": COLLECTION, "lexicon": 1, "id": NSID, "defs": {}}
PROOF = "https://pds.example.com/xrpc/com.atproto.sync.getRecord"


@dataclass(slots=True)
class Owner:
    """An account that publishes records, and what its PDS sends for a proof."""

    did: Did = DID
    key: PrivateKey = KEY
    records: dict[str, Record] = field(default_factory=lambda: {NSID: LEXICON})
    left_out: int | None = None

    def car(self) -> bytes:
        blocks = {f"{COLLECTION}/{rkey}": encode(each) for rkey, each in self.records.items()}
        cids = {path: cid_of_block(block) for path, block in blocks.items()}
        root, nodes = build(cids)
        commit = sign_commit(self.did, REV, root, self.key)
        pairs: list[tuple[Cid, bytes]] = [(cid_of_block(commit), commit), *nodes.items()]
        pairs += [(cids[path], block) for path, block in blocks.items()]
        kept = [pair for at, pair in enumerate(pairs) if at != self.left_out]
        return b"".join(write_car([cid_of_block(commit)], kept))


async def ask(
    answer: bytes | httpx.Response | Exception | None = None,
    txt: Sequence[str] | Exception = (f"did={DID}",),
    doc: Mapping[str, Any] | None = None,
    nsid: Nsid = NSID,
) -> Published:
    asked: list[str] = []

    async def lookup(name: str) -> Sequence[str]:
        asked.append(name)
        if isinstance(txt, Exception):
            raise txt
        return txt if name == NAME else ()

    def send(request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers
        url = str(request.url)
        if url == f"https://plc.directory/{DID}":
            return httpx.Response(200, json=doc or document())
        assert url.startswith(PROOF), url
        assert dict(request.url.params) == {"did": DID, "collection": COLLECTION, "rkey": nsid}
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        headers = {"content-type": "application/vnd.ipld.car"}
        return httpx.Response(200, content=answer or Owner().car(), headers=headers)

    found = await resolve_lexicon(nsid, txt=lookup, transport=httpx.MockTransport(send))
    assert asked == [NAME]
    return found


async def test_a_lexicon_is_found_by_dns_did_and_the_signed_tree() -> None:
    assert await ask() == Published(NSID, DID, REV, cid_of(LEXICON), LEXICON)


async def test_only_the_group_itself_is_asked_for() -> None:
    """What `example.com` or `posts.blog.example.com` publishes is of other groups."""
    for other in ("com.example.post", "com.example.blog.posts.one"):
        with pytest.raises(NotFound):
            await ask(nsid=Nsid(other))


@pytest.mark.parametrize(
    ("txt", "kind"),
    [
        ((), NotFound),
        (("v=spf1 -all", "did=nonsense"), NotFound),
        ((f"did={DID}", f"did={OTHER}"), IdentityError),
        (Unreachable("no network"), Unreachable),
    ],
    ids=["none", "others", "two", "silent"],
)
async def test_dns_must_name_one_account(
    txt: Sequence[str] | Exception, kind: type[SyncdError]
) -> None:
    with pytest.raises(kind):
        await ask(txt=txt)


async def test_the_same_account_named_twice_is_one_account() -> None:
    assert (await ask(txt=(f"did={DID}", "x", f"did={DID}"))).did == DID


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        (Owner(key=make_key("k256", b"\x02" * 32)), WrongKey),
        (Owner(did=OTHER), BadCommit),
        (Owner(left_out=0), MissingBlocks),
        (Owner(left_out=1), MissingBlocks),
        (Owner(left_out=2), MissingBlocks),
        (Owner(records={"com.example.blog.other": LEXICON}), NotFound),
        (Owner(records={}), NotFound),
        (Owner(records={NSID: {**LEXICON, "$type": "com.example.thing"}}), BadData),
    ],
    ids=["key", "did", "commit", "node", "record", "absent", "empty", "type"],
)
async def test_what_is_not_proven_is_not_believed(owner: Owner, kind: type[SyncdError]) -> None:
    with pytest.raises(kind):
        await ask(owner.car())


def forged(car: bytes) -> bytes:
    """Change one letter within the record: its hash is another one then."""
    assert car.count(b"example.blog") >= 2
    return car[:-40] + car[-40:].replace(b"e", b"f")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"<html>login</html>", BadAnswer),
        (Owner().car()[:-1], BadCar),
        (forged(Owner().car()), BadCar),
        (httpx.Response(302, headers={"location": "http://127.0.0.1/"}), SyncdError),
        (httpx.Response(400, json={"error": "RepoNotFound", "message": "none"}), SyncdError),
        (httpx.Response(401), Unreachable),
        (httpx.Response(502), Unreachable),
        (httpx.ConnectError("no route"), Unreachable),
        (b"\x00" * (MAX_PROOF_BYTES + 1), IdentityError),
    ],
    ids=["page", "cut", "forged", "redirect", "400", "401", "502", "silent", "long"],
)
async def test_an_answer_that_is_no_proof_is_an_error(
    answer: bytes | httpx.Response | Exception, kind: type[SyncdError]
) -> None:
    with pytest.raises(kind):
        await ask(answer)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1", "http://pds.example.com", "https://10.1.2.3", "file:///etc/passwd"]
)
async def test_a_pds_in_a_private_network_is_never_asked(url: str) -> None:
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": url}
    with pytest.raises(IdentityError) as caught:
        await ask(doc=document(service=[service]))
    assert "--pds" not in caught.value.hint


async def test_a_document_of_ten_thousand_definitions_fits() -> None:
    definitions: Record = {f"d{n}": {"type": "token"} for n in range(10_000)}
    found = await ask(Owner(records={NSID: {**LEXICON, "defs": definitions}}).car())
    assert len(found.record["defs"]) == 10_000  # type: ignore[arg-type]
