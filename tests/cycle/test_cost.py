"""What pulling one changed record costs: it grows with the change and not with the repo."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.commit import sign_commit
from syncd.atproto.data import encode
from syncd.atproto.mst import build, insert
from syncd.atproto.syntax import Tid
from syncd.cycle.look import Watermark, look
from syncd.model import Head

from .hostile import Repo, ServedPds, account_of, rev_of

SMALL, LARGE, CHANGES = 2_000, 100_000, 40


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one pull: requests sent, bytes fetched, tree nodes read from what was kept."""

    requests: int
    fetched: int
    nodes: int


def path_of(n: int) -> str:
    return f"com.example.note/{hashlib.sha256(str(n).encode()).hexdigest()[:13]}"


async def costs(records: int) -> list[Cost]:
    """The cost of each of a few pulls of one changed record, from a repo of so many."""
    entries = {path_of(n): cid_of_block(encode({"v": n})) for n in range(records)}
    data, nodes = build(entries)
    head = Head(cid_of_block(b"the commit before"), rev_of(1), data)
    return [await cost_of(nodes, head, n) for n in range(CHANGES)]


async def cost_of(nodes: dict[Cid, bytes], head: Head, number: int) -> Cost:
    record, fresh = encode({"v": "another", "n": number}), dict[Cid, bytes]()
    data = insert(head.data, path_of(number), cid_of_block(record), nodes.get, fresh.__setitem__)
    repo = Repo({}, rev_of(2))
    commit = sign_commit(repo.did, repo.rev, data, repo.key)
    repo.root = cid_of_block(commit)
    repo.blocks = {repo.root: commit, cid_of_block(record): record, **fresh}
    reads: list[Cid] = []

    def kept(cid: Cid) -> bytes | None:
        reads.append(cid)
        return nodes.get(cid)

    def since(rev: Tid | None) -> bytes:
        assert rev == head.rev
        return repo.car()

    pds = ServedPds(repo, since)
    sight = await look(pds, account_of(), Watermark(head, kept, head.rev))
    assert list(sight.view.changes) == [path_of(number)]
    await sight.records(pds, [cid for _, cid in sight.view.after()])
    return Cost(pds.requests, len(repo.car()), len(reads))


async def test_one_changed_record_costs_the_same_in_a_small_repo_and_in_a_large_one() -> None:
    small, large = await costs(SMALL), await costs(LARGE)
    assert {cost.requests for cost in small + large} == {1}
    for measure in ("fetched", "nodes"):
        before = sum(getattr(cost, measure) for cost in small)
        after = sum(getattr(cost, measure) for cost in large)
        assert after <= 1.5 * before, (measure, before / CHANGES, after / CHANGES)
