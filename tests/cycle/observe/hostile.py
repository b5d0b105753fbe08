"""A repo that no PDS would make: any keys, any blocks, any signature, served as a test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from syncd.atproto.blob import BlobRef
from syncd.atproto.car import write_car
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.commit import sign_commit
from syncd.atproto.data import encode
from syncd.atproto.keys import PrivateKey, make_key
from syncd.atproto.mst import build
from syncd.atproto.syntax import Did, Tid, make_tid
from syncd.atproto.xrpc import RateLimit, RepoStatus
from syncd.errors import BlobNotFound, NotFound, RepoUnavailable, SyncdError
from syncd.exchange import Written
from syncd.model import Account, Change, RecordPath
from tests.atproto.mst.trees import FOREIGN

DID = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
KEY, OTHER_KEY = make_key("k256", b"\x01" * 32), make_key("p256", b"\x02" * 32)


def rev_of(number: int) -> Tid:
    return make_tid(1_700_000_000_000_000 + number, 1)


def account_of(key: PrivateKey = KEY, pds: str = "https://pds.example.com") -> Account:
    return Account(DID, None, pds, key.public.did_key)


@dataclass(slots=True)
class Repo:
    """`records` by tree key: a value; or bytes, the block itself; or a Cid, a leaf without one."""

    records: Mapping[str, object]
    rev: Tid = field(default_factory=lambda: rev_of(1))
    did: Did = DID
    key: PrivateKey = KEY
    root: Cid = field(init=False)
    blocks: dict[Cid, bytes] = field(init=False)

    def __post_init__(self) -> None:
        data, nodes = build({str(path): cid for path, cid in self.cids().items()})
        commit = sign_commit(self.did, self.rev, data, self.key)
        self.root = cid_of_block(commit)
        values = (value for value in self.records.values() if not isinstance(value, Cid))
        found = {cid_of_block(block): block for block in map(_block_of, values)}
        self.blocks = {self.root: commit, **nodes, **found}

    def car(self, blocks: Iterable[tuple[Cid, bytes]] | None = None) -> bytes:
        return b"".join(write_car([self.root], self.blocks.items() if blocks is None else blocks))

    def cids(self) -> dict[RecordPath, Cid]:
        return {
            RecordPath(key): value if isinstance(value, Cid) else cid_of_block(_block_of(value))
            for key, value in self.records.items()
        }


def _block_of(value: object) -> bytes:
    return value if isinstance(value, bytes) else encode({"v": value})  # type: ignore[dict-item]


@dataclass(slots=True)
class ServedPds:
    """Answers a read with what `serve` makes of `since`; there is no other way in."""

    repo: Repo
    serve: Callable[[Tid | None], bytes]
    did: Did = DID
    requests: int = 0
    rate_limit: RateLimit | None = None
    upload_limit: RateLimit | None = None
    server_time: float | None = None
    status: RepoStatus | SyncdError = field(default_factory=lambda: RepoStatus(True, None, None))
    asked: list[Tid | None] = field(default_factory=list)

    async def fetch_latest(self, *, is_poll: bool = False) -> tuple[Cid, Tid]:
        self.requests += 1
        return self.repo.root, self.repo.rev

    async def fetch_status(self) -> RepoStatus:
        if isinstance(self.status, SyncdError):
            raise self.status
        return self.status

    async def fetch_repo(self, since: Tid | None = None) -> AsyncGenerator[bytes, None]:
        self.requests += 1
        self.asked.append(since)
        car = self.serve(since)
        for start in range(0, len(car), 997):
            yield car[start : start + 997]

    async def fetch_blocks(self, cids: Iterable[Cid]) -> dict[Cid, bytes]:
        self.requests += 1
        if set(cids) - self.repo.blocks.keys():
            raise NotFound("gone")
        return {cid: self.repo.blocks[cid] for cid in cids}

    async def fetch_record(self, path: RecordPath) -> Cid | None:
        raise NotImplementedError

    @asynccontextmanager
    async def fetch_blob(self, cid: Cid) -> AsyncIterator[AsyncIterator[bytes]]:
        self.requests += 1
        raise BlobNotFound(f"there is no {cid}")
        yield

    async def fetch_blob_limit(self) -> int | None:
        return None

    async def upload_blob(
        self, file: BinaryIO, size: int, mime_type: str, expected: Cid | None = None
    ) -> BlobRef:
        raise NotImplementedError

    async def honours_swaps(self) -> bool:
        return True

    async def write(self, changes: object, **how: object) -> Written:
        raise NotImplementedError

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        raise NotImplementedError

    async def delete(self, change: Change, *, is_guarded: bool = True) -> Written:
        raise NotImplementedError


RAW = encode({"v": "the block of a record, under the CID of a blob"})


def with_foreign_leaves(records: Mapping[str, object], rev: Tid | None = None) -> Repo:
    """A repo that names some more records by CIDs that no PDS gives them, some with a block."""
    names = ("raw", *(f"foreign-{n:02}" for n in range(len(FOREIGN))))
    leaves = (cid_of_blob(RAW), *FOREIGN)
    repo = Repo(
        {**records, **{f"com.example.note/{n}": cid for n, cid in zip(names, leaves, strict=True)}},
        rev or rev_of(1),
    )
    repo.blocks[leaves[0]] = RAW
    return repo


def forged(node: bytes, *others: Repo) -> Repo:
    """A repo whose tree has `node` as its root, whatever that is; blocks of `others` come along."""
    repo, data = Repo({}), cid_of_block(node)
    commit = sign_commit(repo.did, repo.rev, data, repo.key)
    repo.root = cid_of_block(commit)
    repo.blocks = {cid: block for other in others for cid, block in other.blocks.items()}
    repo.blocks |= {data: node, repo.root: commit}
    return repo


def serving(repo: Repo) -> ServedPds:
    """An honest server of `repo`, but for a `since`, which it does not know."""
    return ServedPds(repo, lambda _: repo.car())


def unavailable(status: str) -> Callable[[Tid | None], bytes]:
    def serve(_: Tid | None) -> bytes:
        raise RepoUnavailable("the PDS answered 400", status=status)

    return serve
