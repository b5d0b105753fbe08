"""Situation, request, answer, and what syncd does: the way of every write, on PDSes over HTTP.

A device with a folder pushes to the PDS through a line that loses or replaces answers, while other
clients of the same account write.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid
from syncd.atproto.data import Record, cid_of
from syncd.config import Config
from syncd.errors import RateLimited, Rejected, SyncdError, Unknown
from syncd.model import Change, RecordPath, Report
from syncd.pds import HttpPds
from tests.chance import seeded, times
from tests.contract.lines import Answer, Line, once
from tests.contract.rungs import BarePds, Ground, HttpRung, fresh_ground
from tests.contract.words import fetch
from tests.rigs.device import Device

COLLECTION = "com.example.note"
ONE, FOREIGN = RecordPath(f"{COLLECTION}/one"), RecordPath(f"{COLLECTION}/foreign")
TURNS = 15
Edit = Callable[..., None]

PUT, DELETE, APPLY = "putRecord", "deleteRecord", "applyWrites"


@dataclass(slots=True)
class Scene:
    """A device that knows the records `one`, `old0`, `old1` …, and the line it talks through."""

    ground: Ground
    line: Line
    laptop: Device

    @property
    def is_guarded(self) -> bool:
        return not isinstance(self.ground.pds, BarePds)

    @property
    def methods(self) -> dict[str, str]:
        """How each kind of change is written. Without guards only creations go in batches."""
        create = PUT if self.is_guarded else APPLY
        return {"creation": create, "update": PUT, "deletion": DELETE, "batch": APPLY}

    async def revs(self) -> str:
        return (await self.ground.other.fetch_latest())[1]

    async def records(self) -> dict[str, Cid]:
        return (await fetch(self.ground.other)).records

    async def write(self, path: RecordPath, **fields: object) -> None:
        """Another client writes a record, whatever was there."""
        record: Record = {"$type": COLLECTION, **fields}  # type: ignore[dict-item]
        before = await self.ground.other.fetch_record(path)
        await self.ground.other.put(Change(path, before, cid_of(record), record))

    async def delete(self, path: RecordPath) -> None:
        """Another client deletes a record. arroba does so, and says 400."""
        before = await self.ground.other.fetch_record(path)
        with suppress(Rejected):
            await self.ground.other.delete(Change(path, before, None))
        assert await self.ground.other.fetch_record(path) is None


async def no_sleep(_: float) -> None:
    """Tests wait for nobody."""


@pytest.fixture
async def scene(http_rung: HttpRung, tmp_path: Path) -> AsyncIterator[Scene]:
    async with fresh_ground(http_rung) as ground:
        line = Line()
        pds = HttpPds(ground.account, ground.login.tokens(), transport=line)
        async with pds:
            config = Config(ground.account.did, brake_records=1000)
            laptop = Device.make(tmp_path / "laptop", ground.account, pds, config)
            laptop.mirror = replace(laptop.mirror, sleep=no_sleep)
            laptop.save(ONE, v=0)
            for turn in range(TURNS):
                laptop.save(f"{COLLECTION}/old{turn}", text="old", turn=turn)
            await laptop.sync()
            laptop.save(ONE, v=1)
            await laptop.sync()
            found = Scene(ground, line, laptop)
            assert found.laptop.base() == await found.records()
            assert line.writes[-1] == PUT, "the first update tells which guards there are"
            line.writes.clear()
            yield found
            laptop.mirror.state.close()


# --- The changes of a row, other ones for every turn ----------------------------------------------


def create(laptop: Device, turn: int = 0) -> None:
    laptop.save(f"{COLLECTION}/new{turn}", text="new", turn=turn)


def update(laptop: Device, turn: int = 0) -> None:
    laptop.save(ONE, v=turn + 2)


def delete(laptop: Device, turn: int = 0) -> None:
    laptop.delete(f"{COLLECTION}/old{turn}")


def many(laptop: Device, turn: int = 0) -> None:
    create(laptop, turn)
    update(laptop, turn)
    delete(laptop, turn)


def error(status: int, name: str, message: str = "no", **headers: str) -> Answer:
    told = (("content-type", "application/json"), *headers.items())
    body = json.dumps({"error": name, "message": message}).encode()
    return Answer(status, body, tuple((key.replace("_", "-"), value) for key, value in told))


LOST = Answer(is_sent=True)
NEVER = Answer()
PAGE = Answer(200, b"<!doctype html><p>Sign in", (("content-type", "text/html"),))
BAD_GATEWAY = Answer(502, b"<html>Bad Gateway</html>", (("content-type", "text/html"),))
PLAIN = Answer(503, b"upstream connect error", (("content-type", "text/plain"),))
EMPTY = Answer(200, b"")
OBJECT = Answer(200, b"{}")

ONES = [("creation", create), ("update", update), ("deletion", delete)]
ALL = [*ONES, ("batch", many)]


@pytest.mark.parametrize(("what", "edit"), ALL, ids=[row[0] for row in ALL])
async def test_an_answer_as_it_should_be_takes_one_write(
    scene: Scene, what: str, edit: Edit
) -> None:
    edit(scene.laptop)
    report = await scene.laptop.sync()
    assert scene.line.writes == [scene.methods[what]]
    assert report.is_settled
    assert scene.laptop.base() == await scene.records()


UNCLEAR: list[tuple[Answer, bool]] = [
    (LOST, True),
    (replace(PAGE, is_sent=True), True),
    (replace(BAD_GATEWAY, is_sent=True), True),
    (replace(PLAIN, is_sent=True), True),
    (replace(EMPTY, is_sent=True), True),
    (replace(OBJECT, is_sent=True), True),
    (NEVER, False),
    (PAGE, False),
    (BAD_GATEWAY, False),
    (PLAIN, False),
    (EMPTY, False),
    (OBJECT, False),
    (Answer(200, b'{"error": "InternalServerError", "message": "no"}'), False),
    (error(500, "InternalServerError"), False),
    (error(501, "MethodNotImplemented"), False),
]
"""Answers that do not tell what happened, and whether the write was carried out."""

REFUSALS = [
    error(400, "InvalidRequest", "Invalid record"),
    error(400, "BlobNotFound", "Could not find blob"),
    error(400, "InvalidMimeType"),
    error(400, "InvalidSize"),
    error(413, "PayloadTooLargeError"),
]

PAUSES = [
    error(429, "RateLimitExceeded", retry_after="60"),
    error(429, "RateLimitExceeded", retry_after="Fri, 31 Dec 2100 23:59:59 GMT"),
    error(
        429,
        "RateLimitExceeded",
        ratelimit_limit="5000",
        ratelimit_remaining="0",
        ratelimit_reset="60",
        ratelimit_policy="5000;w=3600",
    ),
    error(503, "NotNow", retry_after="60"),
    Answer(429, b"slow down", (("content-type", "text/plain"),)),
]


@pytest.mark.parametrize(("what", "edit"), ALL, ids=[row[0] for row in ALL])
async def test_an_unclear_answer_makes_one_commit_all_the_same(
    scene: Scene, what: str, edit: Edit
) -> None:
    """What had been done is found done and not sent again; what had not been is sent again."""
    for turn, (answer, is_applied) in enumerate(UNCLEAR):
        scene.line.writes.clear()
        edit(scene.laptop, turn)
        scene.line.meddle = once(answer)
        report = await scene.laptop.sync()
        sent = scene.line.writes
        # A deletion that seems to have found nothing goes again in another way.
        assert (sent[0], len(sent)) == (scene.methods[what], 1 if is_applied else 2), answer
        assert report.is_settled
        assert report.halted is None
        assert scene.laptop.base() == await scene.records()
        rev = await scene.revs()
        await scene.laptop.sync()
        assert await scene.revs() == rev


@pytest.mark.parametrize(("what", "edit"), ONES, ids=[row[0] for row in ONES])
async def test_a_refusal_is_a_problem_of_the_file_and_is_not_sent_again(
    scene: Scene, what: str, edit: Edit
) -> None:
    before = await scene.records()
    for turn, answer in enumerate(REFUSALS):
        scene.line.writes.clear()
        known = {problem.reason for problem in (await scene.laptop.sync()).problems}
        edit(scene.laptop, turn)
        scene.line.meddle = once(answer)
        report = await scene.laptop.sync()
        await scene.laptop.sync()
        assert scene.line.writes == [scene.methods[what]], answer
        (reason,) = {problem.reason for problem in report.problems} - known
        assert f"{answer.status} {json.loads(answer.body)['error']}" in reason
        assert await scene.records() == before


async def test_a_blob_that_the_pds_lacks_costs_a_batch_one_request_where_it_is_named(
    scene: Scene,
) -> None:
    poison = scene.laptop.file(f"{COLLECTION}/p3")
    for n in range(8):
        scene.laptop.save(f"{COLLECTION}/p{n}", v=n)
    cid = "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy"
    blob = {"$type": "blob", "ref": {"$link": cid}, "mimeType": "image/png", "size": 9}
    poison.write_text(json.dumps({"$type": COLLECTION, "ref": blob}))
    report = await scene.laptop.sync()
    assert len(report.pushed) == 7
    assert [problem.path for problem in report.problems] == [f"{COLLECTION}/p3"]
    assert "BlobNotFound" in report.problems[0].reason
    # Else it is found by halving the batch.
    assert len(scene.line.writes) <= (2 if cid in report.problems[0].reason else 7)


@pytest.mark.parametrize(("what", "edit"), ALL, ids=[row[0] for row in ALL])
async def test_a_pause_that_is_asked_for_is_made(scene: Scene, what: str, edit: Edit) -> None:
    for turn, answer in enumerate(PAUSES):
        time_passes(scene.laptop)
        # After a day a PDS without guards is asked for them again: that is not the write here.
        scene.laptop.save(f"{COLLECTION}/later", turn=turn)
        await scene.laptop.sync()
        scene.line.writes.clear()
        edit(scene.laptop, turn)
        scene.line.meddle = once(answer)
        for _ in range(2):
            report = await scene.laptop.sync()
            assert isinstance(report.halted, RateLimited), answer
            assert 0 < report.halted.retry_seconds <= 86_400
        assert scene.line.writes == [scene.methods[what]]
    time_passes(scene.laptop)
    assert (await scene.laptop.sync()).halted is None
    assert scene.laptop.base() == await scene.records()


@pytest.mark.parametrize(("what", "edit"), ALL, ids=[row[0] for row in ALL])
async def test_a_write_that_was_done_although_a_pause_was_asked_for_is_not_sent_again(
    scene: Scene, what: str, edit: Edit
) -> None:
    edit(scene.laptop)
    scene.line.meddle = once(replace(error(503, "NotNow", retry_after="60"), is_sent=True))
    assert isinstance((await scene.laptop.sync()).halted, RateLimited)
    report = await scene.laptop.sync()
    assert (report.halted, scene.line.writes) == (None, [scene.methods[what]])
    assert scene.laptop.base() == await scene.records()


def time_passes(laptop: Device) -> None:
    """More than any pause lasts."""
    now_ns = laptop.mirror.workspace.clock_ns() + 2 * 86_400 * 10**9
    laptop.mirror = replace(
        laptop.mirror, workspace=replace(laptop.mirror.workspace, clock_ns=lambda: now_ns)
    )


INTERFERENCES: dict[str, tuple[Callable[[Scene], Awaitable[None]], bool]] = {
    "another record": (lambda scene: scene.write(FOREIGN, v=9), False),
    "the same record": (lambda scene: scene.write(ONE, v=9), True),
    "the same record, deleted": (lambda scene: scene.delete(ONE), False),
    "the same record, equally": (lambda scene: scene.write(ONE, v=2), False),
}


@pytest.mark.parametrize("interference", INTERFERENCES)
@pytest.mark.parametrize("is_batch", [False, True])
async def test_somebody_writes_between_our_look_and_our_write(
    scene: Scene, interference: str, is_batch: bool
) -> None:
    act, is_conflict = INTERFERENCES[interference]
    update(scene.laptop)
    if is_batch:
        create(scene.laptop)
    scene.line.before_write = lambda: act(scene)
    report = await scene.laptop.sync()
    assert [conflict.path for conflict in report.conflicts] == ([ONE] if is_conflict else [])
    assert scene.laptop.read(ONE)["v"] == 2
    if not is_conflict:
        assert scene.laptop.base() == await scene.records()
    if is_batch:
        assert (await scene.records())[f"{COLLECTION}/new0"]


async def test_credentials_that_are_refused_halt_pushes_alone(scene: Scene) -> None:
    """Pulls need none, and go on."""
    refused = error(401, "AuthenticationRequired", "Invalid identifier or password")
    update(scene.laptop)
    await scene.write(FOREIGN, v=9)
    scene.line.meddle = once(refused, times=9)
    report = await scene.laptop.sync()
    assert report.pulled == (FOREIGN,)
    assert isinstance(report.halted, SyncdError)
    assert report.halted.exit_code == 77
    assert len(scene.line.writes) == 1
    scene.line.meddle = once(refused, times=0)
    assert (await scene.laptop.sync()).pushed == (ONE,)


MOVES = {
    "to a later key": ({"a": 1}, {"b": 1}, 1),
    "to an earlier key": ({"b": 1}, {"a": 1}, 2),
    "swapped": ({"a": 1, "b": 2}, {"a": 2, "b": 1}, 2),
    "in a row": ({"a": 1, "b": 2, "c": 3}, {"a": 2, "b": 3, "d": 1}, None),
    "a copy edited": ({"a": 1}, {"a": 2, "b": 1}, 1),
}


@pytest.mark.parametrize("move", MOVES)
async def test_contents_that_move_between_files_arrive_whole(scene: Scene, move: str) -> None:
    before, after, requests = MOVES[move]
    for rkey, v in before.items():
        scene.laptop.save(f"com.example.move/{rkey}", v=v)
    await scene.laptop.sync()
    scene.line.writes.clear()
    for rkey in before.keys() - after.keys():
        scene.laptop.delete(f"com.example.move/{rkey}")
    for rkey, v in after.items():
        scene.laptop.save(f"com.example.move/{rkey}", v=v)
    await scene.laptop.sync()
    assert requests in (None, len(scene.line.writes)) or not scene.is_guarded
    whole = await fetch(scene.ground.other)
    assert set(whole.records.values()) <= whole.blocks.keys()
    assert scene.laptop.base() == whole.records


async def test_answers_lost_at_random_make_no_commit_too_many(scene: Scene) -> None:
    """Each set of changes is one commit, however often the answer to it is lost.

    Without guards that is one of all creations, and one of each other change.
    """
    rng, version = seeded(), 0
    for _ in range(times(500)):
        there = 0
        chosen = rng.sample(range(12), rng.randint(1, 5))
        for n in chosen:
            path, version = f"{COLLECTION}/r{n:02}", version + 1
            there += scene.laptop.has(path)
            if scene.laptop.has(path) and rng.random() < 0.3:
                scene.laptop.delete(path)
            else:
                scene.laptop.save(path, v=version)
        landed = Counter[bool]()

        def meddle(_: object, landed: Counter[bool] = landed) -> Answer | None:
            is_lost = rng.random() < 0.5
            landed[is_lost] += 1
            return LOST if is_lost else None

        scene.line.meddle = meddle
        report = await scene.laptop.sync()
        commits = 1 if scene.is_guarded else there + (there < len(chosen))
        assert landed.total() == commits, "what was applied was sent again"
        assert report.halted is None
        assert scene.laptop.base() == await scene.records()
    local = {path.parent.name + "/" + path.stem for path in scene.laptop.root.glob("com.*/*.json")}
    assert local == set(await scene.records())


async def test_a_pds_that_fails_every_write_is_given_up_for_now(scene: Scene) -> None:
    many(scene.laptop)
    scene.line.meddle = once(BAD_GATEWAY, times=1000)
    report: Report = await scene.laptop.sync()
    assert isinstance(report.halted, Unknown)
    assert report.problems == ()
    assert len(scene.line.writes) <= 16
    scene.line.meddle = once(BAD_GATEWAY, times=0)
    assert len((await scene.laptop.sync()).pushed) == 3
