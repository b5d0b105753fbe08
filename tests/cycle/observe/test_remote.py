"""The remote view: exactly what the account signed, or a named refusal, whatever is sent."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from syncd.atproto.car import MAX_SKIPPED_BYTES, write_car
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import Record, decode, encode
from syncd.atproto.keys import sign
from syncd.atproto.mst import build
from syncd.atproto.syntax import Did, Tid
from syncd.cycle.home import Home
from syncd.cycle.observe.fetch import Fetched, Fetching, Writing
from syncd.cycle.observe.remote import REPAIRS, Watermark, look
from syncd.errors import BadCar, BadCommit, BadTree, RolledBack, SyncdError, Unverified, WrongKey
from syncd.model import Head, RecordPath
from tests.atproto.mst.trees import FOREIGN
from tests.atproto.test_car import varint
from tests.chance import seeded, times
from tests.cycle.observe.hostile import (
    KEY,
    OTHER_KEY,
    Repo,
    ServedPds,
    account_of,
    forged,
    rev_of,
    serving,
)

MUTATIONS = VARIATIONS = times(10_000)
ACCOUNT = account_of()
THEM = Did("did:plc:ragtjsm2j2vknwkz3zp4oxrd")
FORMS_OF_A_REPO = 20
"""How many answers of one repo are tried: to sign a commit costs more than to read one."""
RECORDS = {f"com.example.note/{n:02}": n for n in range(24)}


def nothing(newest: Tid | None = None) -> Watermark:
    return Watermark(None, lambda _: None, newest)


def knowing(repo: Repo) -> Watermark:
    """What a mirror knows that is at `repo`."""
    data, nodes = build({str(path): cid for path, cid in repo.cids().items()})
    kept = {**nodes, repo.root: repo.blocks[repo.root]}
    return Watermark(Head(repo.root, repo.rev, data), kept.get, repo.rev)


async def records_of(pds: ServedPds, known: Watermark, base: Repo | None) -> dict[RecordPath, Cid]:
    """The view, as all records of the repo."""
    sight = await look(Home(ACCOUNT, pds), known)
    found = {} if sight.view.is_whole or base is None else base.cids()
    for path, (_, after) in sight.view.changes.items():
        if after is None:
            del found[path]
        else:
            found[path] = after
    return found


# --- 10,000 ways to send something else -----------------------------------------------------------


def mutated(repo: Repo, rng: random.Random) -> bytes:
    """The repo's CAR with its blocks or its bytes changed in some way."""
    blocks = list(repo.blocks.items())
    for _ in range(rng.randrange(3)):
        at = rng.randrange(len(blocks))
        cid, block = blocks[at]
        match rng.randrange(6):
            case 0:
                del blocks[at]
            case 1:
                blocks.insert(rng.randrange(len(blocks)), blocks[at])
            case 2:
                rng.shuffle(blocks)
            case 3:
                blocks[at] = cid, block[: rng.randrange(len(block) + 1)]
            case 4:
                changed = flipped(block, rng)
                blocks[at] = cid_of_block(changed), changed
            case _:
                blocks[at] = blocks[rng.randrange(len(blocks))][0], block
        if not blocks:
            break
    car = repo.car(blocks)
    if rng.randrange(2):
        car = flipped(car, rng)
    return car[: rng.randrange(len(car) + 1)] if rng.randrange(8) == 0 else car


def flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data or b"\x00")
    for _ in range(rng.randrange(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


async def test_mutations_of_an_answer_give_the_true_view_or_a_named_refusal() -> None:
    rng = seeded()
    before = Repo({**RECORDS, "com.example.note/gone": 1})
    after = Repo({**RECORDS, "com.example.note/03": "new", "com.example.note/zz": 1}, rev_of(2))
    truth, seen, refused = after.cids(), 0, set[type[SyncdError]]()
    for n in range(MUTATIONS):
        car = mutated(after, rng)
        known, base = (nothing(), None) if n % 2 else (knowing(before), before)
        pds = ServedPds(after, lambda _, car=car: car)  # type: ignore[misc]
        try:
            assert await records_of(pds, known, base) == truth
            seen += 1
        except SyncdError as error:
            refused.add(type(error))
        assert pds.requests <= 3 + REPAIRS
    assert MUTATIONS // 20 < seen < MUTATIONS
    assert {BadCar, Unverified} <= refused <= {BadCar, BadCommit, BadTree, Unverified, WrongKey}


# --- 10,000 ways to send the same -----------------------------------------------------------------


def legal(records: Mapping[str, object], number: int, rng: random.Random) -> Repo:
    """A repo of `records` at the rev `number`, whose commit is of any form that was ever made."""
    some = {key: value for key, value in records.items() if rng.randrange(6)}
    leaves = {f"com.example.{rng.choice('aznot')}/{n}": rng.choice(FOREIGN) for n in range(9)}
    repo = Repo(
        {**some, **dict(rng.sample(sorted(leaves.items()), rng.randrange(4)))}, rev_of(number)
    )
    fields = decode(repo.blocks.pop(repo.root))
    assert isinstance(fields, dict)
    fields["version"] = rng.choice((2, 3, 3))
    match rng.randrange(4):
        case 0:
            del fields["prev"]
        case 1:
            fields["prev"] = rng.choice(tuple(repo.blocks))
    del fields["sig"]
    commit = encode({**fields, "sig": sign(KEY, encode(fields))})
    repo.root = cid_of_block(commit)
    repo.blocks[repo.root] = commit
    return repo


def sent(repo: Repo, rng: random.Random, others: Iterable[tuple[Cid, bytes]] = ()) -> bytes:
    """A CAR of the repo in any order, with roots, duplicates and blocks that nothing links to."""
    blocks = [*repo.blocks.items()]
    blocks += rng.sample(blocks, rng.randrange(len(blocks)))
    blocks += rng.sample([*others], rng.randrange(1 + len([*others])))
    blocks += ((cid, rng.randbytes(rng.randrange(99))) for cid in rng.choices(FOREIGN[1:], k=2))
    rng.shuffle(blocks)
    roots = [repo.root, *rng.choices([*repo.blocks, *FOREIGN], k=rng.choice((0, 0, 1, 3)))]
    fields: Record = {"version": 1, "roots": list(roots)}
    header = encode({**fields, "made by": "another client"} if rng.randrange(2) else fields)
    sections = [header, *(cid + block for cid, block in blocks)]
    return b"".join(varint(len(section)) + section for section in sections)


async def test_every_legal_form_of_an_answer_is_read() -> None:
    rng = seeded()
    before = legal({**RECORDS, "com.example.note/gone": 1}, 1, rng)
    for n in range(VARIATIONS):
        if n % FORMS_OF_A_REPO == 0:
            kept = knowing(before)
            after = legal({**RECORDS, "com.example.note/03": n, "com.example.y/y": 1}, n + 2, rng)
        car = sent(after, rng, before.blocks.items())
        pds = ServedPds(after, lambda _, car=car: car)  # type: ignore[misc]
        known, base = (kept, before) if n % 2 else (nothing(), None)
        assert await records_of(pds, known, base) == after.cids()
        assert pds.requests == (1 if n % 2 else 2)
        if n % FORMS_OF_A_REPO == FORMS_OF_A_REPO - 1:
            before = after


async def test_blocks_that_nothing_links_to_are_bounded_as_a_whole() -> None:
    repo = Repo(RECORDS)
    large = b"\x01\x71\x13\x40" + bytes(3_000_000)
    one = varint(len(large)) + large
    pds = ServedPds(repo, lambda _: repo.car() + one)
    assert dict((await look(Home(ACCOUNT, pds), nothing())).view.after()) == repo.cids()
    pds = ServedPds(repo, lambda _: repo.car() + one * (1 + MAX_SKIPPED_BYTES // len(one)))
    with pytest.raises(BadCar, match=str(MAX_SKIPPED_BYTES)):
        await look(Home(ACCOUNT, pds), nothing())


async def test_an_answer_that_repeats_itself_for_ever_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.cycle.observe.fetch.REPO_BYTES", 1_000_000)
    repo = Repo(RECORDS)
    again = [*repo.blocks.items()] * 1_000
    with pytest.raises(Unverified, match="more than 1000000 bytes"):
        await look(Home(ACCOUNT, ServedPds(repo, lambda _: repo.car(again))), nothing())


async def test_what_the_tree_names_by_no_cid_of_a_record_is_never_asked_for() -> None:
    block = encode({"v": "the block of a record, under the CID of a blob"})
    raw = cid_of_blob(block)
    repo = Repo({**RECORDS, "com.example.raw/1": raw, "com.example.raw/2": FOREIGN[1]})
    repo.blocks[raw] = block
    pds = serving(repo)
    sight = await look(Home(ACCOUNT, pds), nothing())
    asked = pds.requests
    found = await sight.records(pds, repo.cids().values())
    assert found.keys() == {cid for cid in repo.cids().values() if cid.is_block}
    assert pds.requests == asked


# --- Each oddity by its name ----------------------------------------------------------------------


def cars(repo: Repo) -> Iterator[tuple[str, bytes, type[SyncdError]]]:
    """Answers that do not add up, and the refusal of each."""
    record = next(iter(repo.cids().values()))
    node = next(cid for cid in repo.blocks if cid not in (repo.root, *repo.cids().values()))
    for name, lost in (("root", repo.root), ("node", node)):
        left = [(cid, block) for cid, block in repo.blocks.items() if cid != lost]
        yield f"no {name}", repo.car(left), Unverified
    swapped = {**repo.blocks, record: b"\xa0"}
    yield "wrong hash", repo.car(swapped.items()), BadCar
    yield "empty", b"", BadCar
    yield "cut", repo.car()[:-1], BadCar
    yield "a page", b"<html>", BadCar
    blob = cid_of_blob(b"no commit")
    for name, roots in (("no root in the header", []), ("a root that is a blob", [blob])):
        yield name, b"".join(write_car(roots, repo.blocks.items())), BadCar
    yield (
        "another repo",
        Repo(RECORDS, did=Did("did:plc:ragtjsm2j2vknwkz3zp4oxrd")).car(),
        BadCommit,
    )
    yield "another key", Repo(RECORDS, key=OTHER_KEY).car(), WrongKey


@pytest.mark.parametrize(
    ("car", "refusal"), [pytest.param(c, r, id=name) for name, c, r in cars(Repo(RECORDS))]
)
async def test_an_answer_that_does_not_add_up_is_refused_by_name(
    car: bytes, refusal: type[SyncdError]
) -> None:
    pds = ServedPds(Repo(RECORDS), lambda _: car)
    with pytest.raises(refusal):
        await look(Home(ACCOUNT, pds), nothing())


async def test_a_record_that_never_arrives_leaves_the_proven_tree_to_be_believed() -> None:
    """Its PDS may have lost it; that it is in the repo is proven all the same."""
    repo = Repo(RECORDS)
    path, lost = next(iter(repo.cids().items()))
    left = [(cid, block) for cid, block in repo.blocks.items() if cid != lost]
    repo.blocks.pop(lost)
    pds = ServedPds(repo, lambda _: repo.car(left))
    sight = await look(Home(ACCOUNT, pds), nothing())
    assert dict(sight.view.after()) == {**repo.cids(), path: lost}
    assert await sight.records(pds, repo.cids().values()) == {
        cid: repo.blocks[cid] for cid in repo.cids().values() if cid != lost
    }


async def test_records_that_did_not_come_are_asked_for_and_a_lost_one_hides_no_other() -> None:
    before, after = Repo({}), Repo(RECORDS, rev_of(2))
    lost, *others = after.cids().values()
    nodes = [(cid, block) for cid, block in after.blocks.items() if cid not in (lost, *others)]
    after.blocks.pop(lost)
    pds = ServedPds(after, lambda _: after.car(nodes))
    sight = await look(Home(ACCOUNT, pds), knowing(before))
    found = await sight.records(pds, [lost, *others])
    assert found == {cid: after.blocks[cid] for cid in others}
    assert pds.requests < len(others)


def renamed(block: bytes, old: bytes, new: bytes) -> bytes:
    assert old in block
    return block.replace(old, new)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda b: renamed(b, b"/aa", b"/zz"), id="unsorted"),
        pytest.param(lambda b: b[:-1] + b"\xf7", id="not canonical"),
        pytest.param(lambda b: b + b"\x00", id="trailing bytes"),
        pytest.param(lambda b: encode({"e": [], "l": None, "x": 1}), id="a field too many"),
    ],
)
async def test_a_node_that_breaks_the_rules_of_the_tree_is_refused(
    change: Callable[[bytes], bytes],
) -> None:
    repo = Repo({"com.example.note/aa": 1, "com.example.note/bb": 2, "com.example.note/cc": 3})
    node = next(block for block in repo.blocks.values() if b"com.example.note/aa" in block)
    with pytest.raises(BadTree):
        await look(Home(ACCOUNT, serving(forged(change(node), repo))), nothing())


async def test_a_repo_that_is_older_than_what_was_seen_is_refused() -> None:
    repo = Repo(RECORDS, rev_of(1))
    with pytest.raises(RolledBack):
        await look(Home(ACCOUNT, serving(repo)), nothing(newest=rev_of(2)))


@pytest.mark.parametrize("is_whole", [False, True])
async def test_another_commit_of_the_same_rev_is_refused(is_whole: bool) -> None:
    """Both are signed; a rev that does not grow is no clock."""
    known, fork = Repo(RECORDS, rev_of(2)), Repo({}, rev_of(2))
    pds = ServedPds(fork, lambda since: b"" if since and is_whole else fork.car())
    with pytest.raises(RolledBack, match=str(known.root)):
        await look(Home(ACCOUNT, pds), knowing(known))
    assert pds.asked == ([known.rev, None] if is_whole else [known.rev])


async def test_a_since_that_is_ahead_of_the_repo_is_no_news() -> None:
    ahead, behind = Repo(RECORDS, rev_of(5)), Repo({}, rev_of(4))
    pds = ServedPds(behind, lambda since: behind.car(() if since else None))
    with pytest.raises(RolledBack):
        await look(Home(ACCOUNT, pds), knowing(ahead))
    assert pds.asked == [ahead.rev, None]


async def test_a_small_answer_that_does_not_add_up_leads_to_a_full_fetch() -> None:
    before, after = Repo(RECORDS), Repo({**RECORDS, "com.example.note/x": 1}, rev_of(2))
    pds = ServedPds(after, lambda since: after.car(() if since else None))
    assert await records_of(pds, knowing(before), before) == after.cids()
    assert pds.asked == [before.rev, None]


async def test_holes_of_a_busy_repo_are_filled_by_what_came_since() -> None:
    """The first answers each have the next root and lack what it needs."""
    repos = [Repo({**RECORDS, "com.example.note/x": n}, rev_of(n)) for n in range(1, 4)]

    def serve(_: Tid | None) -> bytes:
        now = repos[min(len(pds.asked), len(repos)) - 1]
        held = now.blocks if now is repos[-1] else {now.root: now.blocks[now.root]}
        return now.car(held.items())

    pds = ServedPds(repos[0], serve)
    assert await records_of(pds, nothing(), None) == repos[-1].cids()
    assert pds.asked == [None, repos[0].rev, repos[0].rev]


async def test_a_record_that_was_replaced_while_the_repo_was_sent_is_a_hole_too() -> None:
    """The tree is whole, but the PDS has that version no more: only the next tree has it all."""
    before, after = Repo(RECORDS), Repo({**RECORDS, "com.example.note/00": "new"}, rev_of(2))
    gone = before.cids()[RecordPath("com.example.note/00")]
    left = [(cid, block) for cid, block in before.blocks.items() if cid != gone]
    pds = ServedPds(before, lambda since: after.car() if since else before.car(left))
    assert await records_of(pds, nothing(), None) == after.cids()
    assert pds.asked == [None, before.rev]


async def test_the_fetching_is_told_chunk_by_chunk() -> None:
    repo, told = Repo(RECORDS), list[Fetching | Writing]()
    await look(Home(ACCOUNT, serving(repo)), nothing(), told.append)
    fetching = [at for at in told if isinstance(at, Fetching)]
    assert fetching == sorted(fetching, key=lambda at: (at.repairs, at.size))
    assert len(fetching) == len(told) > 2
    assert fetching[-1].blocks == len(repo.blocks)


async def test_a_repo_that_never_gets_whole_is_given_up_for_now() -> None:
    repo = Repo(RECORDS)
    pds = ServedPds(repo, lambda _: repo.car([(repo.root, repo.blocks[repo.root])]))
    with pytest.raises(Unverified) as caught:
        await look(Home(ACCOUNT, pds), nothing())
    assert "try again later" in caught.value.hint
    assert len(pds.asked) == 1 + REPAIRS


async def test_a_repo_without_end_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("syncd.cycle.observe.fetch.REPO_BYTES", 20_000)
    repo = Repo({**RECORDS, **{f"com.example.blob/{n}": f"{n}" + "x" * 500 for n in range(100)}})
    sent = []

    def serve(_: Tid | None) -> bytes:
        sent.append(repo.car())
        return sent[-1]

    with pytest.raises(Unverified, match="more than 20000 bytes"):
        await look(Home(ACCOUNT, ServedPds(repo, serve)), nothing())
    assert len(sent) == 1


async def test_the_same_blocks_again_and_again_take_no_memory() -> None:
    repo = Repo(RECORDS)
    many = [*repo.blocks.items()] * 200
    sight = await look(Home(ACCOUNT, ServedPds(repo, lambda _: repo.car(many))), nothing())
    assert dict(sight.view.after()) == repo.cids()


async def test_the_tree_rebuilt_from_the_view_has_the_root_that_was_signed() -> None:
    repo = Repo({f"com.example.c{n % 7}/{n:05}": n for n in range(2_000)})
    sight = await look(Home(ACCOUNT, serving(repo)), nothing())
    assert build({str(p): cid for p, cid in sight.view.after()})[0] == sight.view.head.data


@dataclass(slots=True)
class LeftPds(ServedPds):
    """Knows whether somebody still holds its last answer open."""

    is_open: bool = False

    async def fetch_repo(self, since: Tid | None = None) -> AsyncGenerator[bytes, None]:
        self.is_open = True
        try:
            async with aclosing(ServedPds.fetch_repo(self, since)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self.is_open = False


async def test_a_repo_that_is_refused_in_the_middle_leaves_no_connection_open() -> None:
    """The error keeps all that was under way, so nobody else would close it."""
    repo = Repo(RECORDS)
    pds = LeftPds(repo, lambda _: b"\x00" + repo.car()[1:])
    try:
        await Fetched().add(pds, None)
    except BadCar as error:
        held = error
    assert held.__traceback__ is not None
    assert not pds.is_open
