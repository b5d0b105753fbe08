"""Account life: every state is told apart, a move is followed, and no file is touched by it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.atproto.data import Record, encode
from syncd.atproto.keys import PrivateKey, make_key
from syncd.atproto.syntax import Handle
from syncd.atproto.xrpc import RepoStatus
from syncd.cycle.observe.account import RESOLVE_SECONDS, Whereabouts, describe_change
from syncd.cycle.observe.unmappable import NAMED, unnamed_after
from syncd.errors import (
    BadTree,
    RepoUnavailable,
    RolledBack,
    SyncdError,
    Unreachable,
    WrongKey,
)
from syncd.model import Account, Head, RecordPath
from syncd.pds import Pds
from syncd.replica import View
from syncd.sandbox import Sandbox
from tests.cycle.observe.hostile import (
    KEY,
    OTHER_KEY,
    Repo,
    ServedPds,
    account_of,
    forged,
    rev_of,
    serving,
    unavailable,
)
from tests.rigs.device import Device, rework
from tests.rigs.device import World as Writable

THIRD_KEY = make_key("k256", b"\x03" * 32)
ONE, TWO = "com.example.note/one", "com.example.note/two"
OLD, NEW = "https://old.example.com", "https://new.example.com"


@dataclass(slots=True)
class World:
    """A directory of identities with one entry, and the PDSs that it may point to."""

    account: Account
    pdses: dict[str, ServedPds]
    resolved: int = 0
    changes: list[tuple[str, ...]] = field(default_factory=list)
    failure: SyncdError | None = None
    connected: Pds | None = None

    async def resolve(self) -> Account:
        self.resolved += 1
        if self.failure is not None:
            raise self.failure
        return self.account

    def connect(self, account: Account) -> Pds:
        return self.connected or self.pdses[account.pds]

    def changed(self, before: Account, after: Account) -> None:
        self.changes.append(describe_change(before, after))

    def device(self, root: Path) -> Device:
        device = Device.make(root, self.account, self.pdses[self.account.pds])
        device.mirror.whereabouts = Whereabouts(self.resolve, self.connect, self.changed)
        return device


@pytest.fixture
def writable(tmp_path: Path) -> Writable:
    """An account that can be written to."""
    sandbox = Sandbox()
    return Writable(tmp_path, sandbox, sandbox.create_account("alice"))


def one_pds(repo: Repo, *, pds: str = OLD) -> World:
    return World(account_of(repo.key, pds), {pds: serving(repo)})


async def synced(world: World, tmp_path: Path) -> Device:
    device = world.device(tmp_path / "laptop")
    await device.sync()
    world.resolved = 0
    return device


# --- Away -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("deactivated", "is deactivated by its owner"),
        ("takendown", "was taken down by its PDS"),
        ("suspended", "is suspended"),
        ("deleted", "was deleted"),
        ("throttled", "is throttled"),
    ],
)
async def test_each_state_of_an_account_has_its_own_sentence_and_touches_no_file(
    tmp_path: Path, status: str, words: str
) -> None:
    world = one_pds(Repo({ONE: 1, TWO: 2}))
    device = await synced(world, tmp_path)
    files, base = device.files(), device.base()
    pds = world.pdses[OLD]
    pds.serve, pds.status = unavailable("notfound"), RepoStatus(False, status, None)
    with pytest.raises(RepoUnavailable) as caught:
        await device.sync()
    assert words in caught.value.message
    assert caught.value.status == status
    assert caught.value.hint
    assert (device.files(), device.base()) == (files, base)
    assert world.resolved == 1


async def test_an_account_that_its_pds_does_not_know_is_told_so(tmp_path: Path) -> None:
    world = one_pds(Repo({ONE: 1}))
    device = await synced(world, tmp_path)
    gone = RepoUnavailable("the PDS answered 400", status="notfound")
    world.pdses[OLD].serve, world.pdses[OLD].status = unavailable("notfound"), gone
    with pytest.raises(RepoUnavailable, match="is not known to its PDS"):
        await device.sync()
    assert device.has(ONE)


async def test_an_account_that_is_back_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    world = one_pds(Repo({ONE: 1}))
    device = await synced(world, tmp_path)
    pds = world.pdses[OLD]
    pds.serve = unavailable("deactivated")
    with pytest.raises(RepoUnavailable):
        await device.sync()
    later = Repo({ONE: 1, TWO: 2}, rev_of(2))
    pds.repo, pds.serve = later, lambda _: later.car()
    assert (await device.sync()).pulled == (TWO,)


# --- Another key ----------------------------------------------------------------------------------


async def test_a_new_key_in_the_did_document_is_taken_up(tmp_path: Path) -> None:
    world = one_pds(Repo({ONE: 1}))
    device = await synced(world, tmp_path)
    rotated = Repo({ONE: 1, TWO: 2}, rev_of(2), key=OTHER_KEY)
    world.pdses[OLD].serve = lambda _: rotated.car()
    world.account = account_of(OTHER_KEY, OLD)
    assert (await device.sync()).pulled == (TWO,)
    assert world.resolved == 1
    assert "signs with" in world.changes[0][0]


@pytest.mark.parametrize("now", [KEY, OTHER_KEY])
async def test_a_signature_that_no_key_explains_halts_with_the_keys_named(
    tmp_path: Path, now: PrivateKey
) -> None:
    world = one_pds(Repo({ONE: 1}))
    device = await synced(world, tmp_path)
    third = Repo({}, rev_of(2), key=THIRD_KEY)
    world.pdses[OLD].serve = lambda _: third.car()
    world.account = account_of(now, OLD)
    with pytest.raises(WrongKey) as caught:
        await device.sync()
    assert KEY.public.did_key in caught.value.message
    assert world.account.key in caught.value.message
    assert world.resolved == 1
    assert device.has(ONE)


# --- Another PDS ----------------------------------------------------------------------------------


@pytest.mark.parametrize("old", ["deactivated", "notfound", "unreachable", "stale"])
async def test_a_move_is_followed_whatever_the_old_pds_says_and_however_old_the_revs(
    tmp_path: Path, old: str
) -> None:
    before, after = Repo({ONE: 1}, rev_of(9)), Repo({ONE: 1, TWO: 2}, rev_of(3))
    world = World(account_of(KEY, OLD), {OLD: serving(before), NEW: serving(after)})
    device = await synced(world, tmp_path)
    files = device.files()
    world.account = account_of(KEY, NEW)
    world.pdses[OLD].serve = {
        "unreachable": unreachable,
        "stale": lambda _: Repo({}, rev_of(1)).car(),
    }.get(old, unavailable(old))
    report = await device.sync()
    assert report.pulled == (TWO,)
    assert report.requests == 3
    assert files.items() <= device.files().items()
    assert device.mirror.account.pds == NEW
    assert world.changes == [(f"{before.did} moved from {OLD} to {NEW}",)]
    assert device.mirror.state.newest() == after.rev
    assert (await device.sync()).pulled == ()


def unreachable(_: object) -> bytes:
    raise Unreachable("no route")


async def test_a_move_while_nobody_was_looking_is_a_full_verified_pull(tmp_path: Path) -> None:
    """Only the account is another when the device comes up; the new revs mean nothing to it."""
    before, after = Repo({ONE: 1}, rev_of(9)), Repo({ONE: 2}, rev_of(3))
    world = World(account_of(KEY, OLD), {OLD: serving(before), NEW: serving(after)})
    device = await synced(world, tmp_path)
    device.mirror.state.close()
    moved = Device.open(device.root, account_of(KEY, NEW), world.pdses[NEW])
    assert (await moved.sync()).pulled == (ONE,)
    assert world.pdses[NEW].asked[0] is None


async def test_a_repo_that_went_back_without_moving_is_refused(tmp_path: Path) -> None:
    world = one_pds(Repo({ONE: 1}, rev_of(9)))
    device = await synced(world, tmp_path)
    back = Repo({}, rev_of(3))
    world.pdses[OLD].serve = lambda _: back.car()
    for _ in range(2):
        with pytest.raises(RolledBack):
            await device.sync()
    assert device.has(ONE)


async def test_what_a_repo_lost_when_it_went_back_is_in_history_once_it_is_followed_again(
    tmp_path: Path,
) -> None:
    old, new = (encode({"$type": "com.example.note", "v": n}) for n in (1, 2))
    world = one_pds(Repo({ONE: new, TWO: new}, rev_of(9)))
    device = await synced(world, tmp_path)
    lost = {path: device.base()[RecordPath(path)] for path in (ONE, TWO)}
    back, on = Repo({ONE: old}, rev_of(3)), Repo({ONE: old}, rev_of(10))
    world.pdses[OLD].serve = lambda _: back.car()
    with pytest.raises(RolledBack):
        await device.sync()
    world.pdses[OLD].serve = lambda _: on.car()
    report = await device.sync()
    assert (report.pulled, report.deleted) == ((ONE, TWO), (TWO,))
    kept = {event.path: event.cid for event in device.mirror.history.events()}
    assert kept == lost


async def test_a_move_to_a_pds_that_does_not_show_the_repo_yet_waits(tmp_path: Path) -> None:
    world = World(account_of(KEY, OLD), {OLD: serving(Repo({ONE: 1})), NEW: serving(Repo({}))})
    device = await synced(world, tmp_path)
    world.account = account_of(KEY, NEW)
    world.pdses[OLD].serve = unavailable("deactivated")
    world.pdses[NEW].serve = unavailable("deactivated")
    world.pdses[NEW].status = RepoStatus(False, "deactivated", None)
    with pytest.raises(RepoUnavailable, match=NEW):
        await device.sync()
    assert device.has(ONE)


async def test_after_a_move_nothing_is_sent_to_the_old_pds(writable: Writable) -> None:
    device = writable.device("laptop")
    old, new = device.mirror.pds, writable.pds()
    await device.sync()
    account = replace(device.mirror.account, pds=NEW)
    world = World(account, {}, connected=new)
    device.mirror.whereabouts = Whereabouts(world.resolve, world.connect, world.changed)
    sent = old.requests
    assert await device.mirror.find_again()
    device.save(ONE, v=1)
    device.save(TWO, v=1)
    assert (await device.sync()).pushed == (ONE, TWO)
    assert old.requests == sent
    assert new.requests > 0


async def test_while_nobody_knows_the_account_the_first_error_stands(tmp_path: Path) -> None:
    world = one_pds(Repo({ONE: 1}))
    device = await synced(world, tmp_path)
    world.pdses[OLD].serve, world.failure = unreachable, Unreachable("no directory either")
    with pytest.raises(Unreachable, match="no route"):
        await device.sync()


async def test_a_pds_that_is_down_does_not_make_the_directory_be_asked_each_time(
    tmp_path: Path,
) -> None:
    world = one_pds(Repo({ONE: 1}))
    device = await synced(world, tmp_path)
    now = [10**18]
    rework(device.mirror, clock_ns=lambda: now[0])
    world.pdses[OLD].serve = unreachable
    for seconds, expected in ((0, 1), (1, 1), (RESOLVE_SECONDS, 2)):
        now[0] += seconds * 10**9
        with pytest.raises(Unreachable):
            await device.sync()
        assert world.resolved == expected


def test_every_change_of_an_account_is_one_sentence() -> None:
    before = replace(account_of(KEY, OLD), handle=Handle("alice.example.com"))
    after = replace(account_of(OTHER_KEY, NEW), handle=Handle("alice.example.org"))
    assert describe_change(before, before) == ()
    assert [line.split()[0:3] for line in describe_change(before, after)] == [
        ["alice.example.com", "is", "now"],
        ["alice.example.org", "moved", "from"],
        ["alice.example.org", "now", "signs"],
    ]
    assert describe_change(before, replace(before, handle=None)) == ()


# --- What has no name -----------------------------------------------------------------------------


def neighbours(directory: Path) -> list[str]:
    """What lies beside the folder: it must stay alone."""
    return sorted(path.name for path in directory.iterdir())


STRANGE = ("notannsid/one", "com.example.note/..", "com.example.note/.", "a.b/x", "COM.x/y")


async def test_records_that_no_file_can_stand_for_are_told_and_touch_nothing(
    tmp_path: Path,
) -> None:
    world = one_pds(Repo({ONE: 1, **dict.fromkeys(STRANGE, 1)}))
    device = world.device(tmp_path / "laptop")
    report = await device.sync()
    assert report.pulled == (ONE,)
    assert {problem.path for problem in report.problems} == set(STRANGE)
    assert neighbours(tmp_path) == ["laptop"]
    for dirty in (None, (), None):
        report = await device.mirror.cycle(dirty)
        assert {problem.path for problem in report.problems} == set(STRANGE)
    later = Repo({ONE: 1, STRANGE[0]: 2}, rev_of(2))
    world.pdses[OLD].serve = lambda _: later.car()
    report = await device.mirror.cycle(())
    assert [problem.path for problem in report.problems] == [STRANGE[0]]


async def test_a_million_of_them_would_not_flood_anybody(tmp_path: Path) -> None:
    world = one_pds(Repo({f"nonsense/{n}": 1 for n in range(NAMED + 50)}))
    device = world.device(tmp_path / "laptop")
    report = await device.sync()
    assert len(report.problems) == NAMED + 1
    assert "50 more" in " ".join(problem.reason for problem in report.problems)
    empty = Repo({}, rev_of(2))
    world.pdses[OLD].serve = lambda _: empty.car()
    assert (await device.sync()).problems == ()


def test_what_is_not_in_a_whole_repo_is_told_no_more() -> None:
    head = Head(cid_of_block(b"a commit"), rev_of(2), cid_of_block(b"a tree"))
    view = View(head, unnamed={"a/new": head.data, "a/old": None})
    assert unnamed_after(("a/old", "a/other"), view) == ("a/new", "a/other")
    assert unnamed_after(("a/old", "a/other"), replace(view, is_whole=True)) == ("a/new",)


@pytest.mark.parametrize(
    "key",
    ["com.example.note/a/b", "/x", "x", "com.example.note/", "../../x", "a/\0", "a/\n", "ä/x"],
)
async def test_a_key_that_no_tree_can_hold_is_a_refusal(tmp_path: Path, key: str) -> None:
    entry: Record = {"k": key.encode(), "p": 0, "t": None, "v": cid_of_block(b"\xa0")}
    world = one_pds(forged(encode({"e": [entry], "l": None})))
    device = world.device(tmp_path / "laptop")
    with pytest.raises(BadTree):
        await device.sync()
    assert neighbours(tmp_path) == ["laptop"]


@pytest.mark.parametrize("block", [b"\xff", b"\x80", b"not cbor", b"\xa1\x61a\xfb" + b"\x00" * 7])
async def test_a_record_that_cannot_be_read_is_a_problem_of_its_own(
    tmp_path: Path, block: bytes
) -> None:
    world = one_pds(Repo({ONE: 1, TWO: block}))
    device = world.device(tmp_path / "laptop")
    report = await device.sync()
    assert report.pulled == (ONE,)
    assert [problem.path for problem in report.problems] == [TWO]
    assert not device.has(TWO)


async def test_a_conflict_with_a_record_that_cannot_be_read_stops_nothing_else(
    tmp_path: Path,
) -> None:
    world = one_pds(Repo({ONE: 1, TWO: 2}))
    device = await synced(world, tmp_path)
    device.save(TWO, v="mine")
    later = Repo({ONE: 3, TWO: b"not cbor"}, rev_of(2))
    world.pdses[OLD].repo, world.pdses[OLD].serve = later, lambda _: later.car()
    report = await device.sync()
    assert report.pulled == (ONE,)
    assert [conflict.path for conflict in report.conflicts] == [TWO]
    assert device.read(TWO)["v"] == "mine"


@pytest.mark.parametrize("rkey", ["x" * 512, ".hidden", "con", "a:b", "~", "-", "A"])
async def test_a_legal_name_however_odd_lies_within_the_folder(tmp_path: Path, rkey: str) -> None:
    world = one_pds(Repo({f"com.example.note/{rkey}": 1}))
    device = world.device(tmp_path / "laptop")
    assert len((await device.sync()).pulled) == 1
    assert neighbours(tmp_path) == ["laptop"]
