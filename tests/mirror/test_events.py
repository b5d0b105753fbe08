"""What came in, went out and was replaced: each thing once, whichever files know of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncd.atproto.data import Record, cid_of
from syncd.blobs.words import blob_words
from syncd.cli import cli
from syncd.config import FILE_NAME, Config, render_config
from syncd.cycle.push.receipts import PUSHES
from syncd.errors import SyncdError
from syncd.exchange import Written
from syncd.mirror.conflicts import open_conflicts, take_side
from syncd.mirror.notices import Notice
from syncd.mirror.past.events import (
    PULLED,
    PUSHED,
    REFUSED,
    UNCONFIRMED,
    Event,
    Question,
    read_events,
)
from syncd.model import (
    Arrival,
    Change,
    Choice,
    Departure,
    Memory,
    RecordPath,
    Side,
    Waiting,
)
from syncd.sandbox import MemoryPds
from syncd.sandbox.faults import DropAnswer, Refuse
from syncd.state import ACTIVITY_FILE, HISTORY_FILE, Activities, Activity, How
from syncd.state.activity import ActivityLog
from tests.rigs.device import Device, World, rework
from tests.rigs.pictures import drawn, upload
from tests.rigs.schema import check

NOTE, OTHER = RecordPath("com.example.note/one"), RecordPath("com.example.note/two")


class Overtaken(MemoryPds):
    """A PDS where another client writes NOTE right before the next write of it arrives."""

    is_next = False

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        if self.is_next:
            self.is_next = False
            record: Record = {"$type": "com.example.note", "v": "overtaken"}
            foreign = Change(NOTE, await self.fetch_record(NOTE), cid_of(record), record)
            await super().put(foreign, validate=False)
        return await super().put(change, validate=validate, is_guarded=is_guarded)


async def _at_once(_: float) -> None:
    return


def events(device: Device, question: Question | None = None) -> list[Event]:
    return read_events(device.mirror.workspace, question or Question())


def told(device: Device, record: RecordPath | None = None) -> list[tuple[str | None, str, str]]:
    """Each event as how, deed and path, the oldest first."""
    found = events(device, Question(record=record))
    return [(event.how, event.deed, event.path) for event in reversed(found)]


def log(device: Device, *options: str) -> Result:
    config = Config(device.mirror.account.did, pds=device.mirror.account.pds)
    (device.root / FILE_NAME).write_text(render_config(config), encoding="utf-8")
    return CliRunner().invoke(cli, ["-C", str(device.root), "log", *options])


def lines(device: Device, *options: str) -> list[dict[str, Any]]:
    ran = log(device, *options, "--json")
    assert ran.exit_code == 0, ran.output
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    for line in found:
        check("log", line)
    return found


async def test_the_story_of_a_record_says_what_came_and_went_by_which_commit(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    pushed = world.rev()
    await world.write(NOTE, v=2)
    await laptop.sync()
    laptop.delete(NOTE)
    await laptop.sync()
    assert told(laptop, NOTE) == [
        (How.PUSHED, "created", NOTE),
        (How.PULLED, "replaced", NOTE),
        (How.PUSHED, "deleted", NOTE),
    ]
    gone, came, made = events(laptop, Question(record=NOTE))
    assert (made.rev, made.side, made.before) == (pushed, Side.REMOTE, None)
    assert (came.before, came.after) == (made.after, gone.before)
    assert came.origin is not None
    assert {event.pds for event in (gone, came, made)} == {laptop.mirror.account.pds}
    assert all(event.commit for event in (gone, came, made))


async def test_a_merge_and_a_version_found_on_both_sides_are_told_too(world: World) -> None:
    config = Config(world.login.did, conflicts_merge=("*",))
    await world.write(NOTE, a=1, b=1)
    laptop = world.device(config=config)
    await laptop.sync()
    laptop.save(NOTE, a=2, b=1)
    await world.write(NOTE, a=1, b=2)
    laptop.save(OTHER, v=1)
    await world.write(OTHER, v=1)
    await laptop.sync()
    found = told(laptop)
    assert found.count((How.MERGED, "replaced", NOTE)) == 1
    assert found.count((How.ADOPTED, "created", OTHER)) == 1
    assert found[-1] == (How.PUSHED, "replaced", NOTE)


async def test_several_names_are_one_log_and_each_has_to_name_something(world: World) -> None:
    laptop = world.device()
    for path in (NOTE, OTHER):
        for number in (1, 2):
            laptop.save(path, v=number)
            await laptop.sync()
    alone = [lines(laptop, path) for path in (NOTE, OTHER)]
    both = lines(laptop, NOTE, OTHER, str(NOTE))
    assert sorted(map(str, both)) == sorted(str(line) for found in alone for line in found)
    assert [line["at"] for line in both] == sorted((line["at"] for line in both), reverse=True)
    assert len(lines(laptop, NOTE, "com.example.note")) == len(both)
    assert len(lines(laptop, NOTE, OTHER, "-n", "3")) == 3
    ran = log(laptop, NOTE, "com.example.note/three")
    assert isinstance(ran.exception, SyncdError)
    assert "com.example.note/three" in ran.exception.message


async def test_a_follower_reads_no_more_of_the_log_than_is_new(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop = world.device()
    for number in range(3):
        laptop.save(NOTE, v=number)
        await laptop.sync()
    asked: list[int | None] = []
    read = ActivityLog.read

    def noting(self: ActivityLog, most: int | None = None, **chosen: Any) -> Activities:  # noqa: ANN401
        asked.append(most)
        return read(self, most, **chosen)

    monkeypatch.setattr(ActivityLog, "read", noting)
    near = Question(hows=PUSHED, most=5, reach=5)
    assert events(laptop, near) == events(laptop, Question(hows=PUSHED, most=5))
    assert asked[0] is not None
    assert asked[1] is None


async def test_many_new_records_are_one_event_and_in_the_story_of_each(world: World) -> None:
    for number in range(30):
        await world.write(RecordPath(f"com.example.note/n{number}"), v=number)
    laptop = world.device()
    await laptop.sync()
    (one,) = events(laptop)
    assert (one.path, one.count, one.how) == ("com.example.note", 30, How.PULLED)
    assert told(laptop, RecordPath("com.example.note/n7")) == [(How.PULLED, "created", one.path)]
    assert told(laptop, RecordPath("com.example.note/n77")) == []


async def test_what_came_in_and_went_out_is_chosen_by_way_and_by_time(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    await world.write(OTHER, v=1)
    await laptop.sync()
    assert [event.path for event in events(laptop, Question(hows=PULLED))] == [OTHER]
    assert [event.path for event in events(laptop, Question(hows=PUSHED))] == [NOTE]
    assert len(events(laptop, Question(hows=PUSHED | PULLED))) == 2
    now = laptop.mirror.workspace.now()
    assert len(events(laptop, Question(since=now - 600))) == 2
    assert events(laptop, Question(since=now + 600)) == []
    assert [line["path"] for line in lines(laptop, "--pushed")] == [NOTE]
    assert [line["path"] for line in lines(laptop, "--pulled", "--since", "1h")] == [OTHER]
    assert len(lines(laptop, "-n", "1")) == 1
    assert log(laptop, "--since", "yesterday-ish").exit_code != 0


async def test_where_the_log_is_gone_history_and_receipts_still_tell(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    laptop.save(OTHER, v=1)
    await laptop.sync()
    laptop.save(NOTE, v=2)
    await laptop.sync()
    (laptop.root / ".syncd" / ACTIVITY_FILE).unlink()
    assert told(laptop) == [(How.PUSHED, "created", OTHER), (None, "replaced", NOTE)]
    (laptop.root / ".syncd" / HISTORY_FILE).unlink()
    (laptop.root / ".syncd" / PUSHES).unlink()
    assert told(laptop) == []
    assert "nothing" in log(laptop).output


@pytest.mark.parametrize("content", [b"", b"\0" * 9000, b'{"v":9,"crc":1}\n', b"{" * 100_000])
async def test_a_damaged_or_newer_log_is_one_sentence_and_stops_no_sync(
    world: World, content: bytes
) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    (laptop.root / ".syncd" / ACTIVITY_FILE).write_bytes(content)
    notices: list[Notice] = []
    found = read_events(laptop.mirror.workspace, Question(), notices.append)
    assert [event.path for event in found] == [NOTE]
    assert len(notices) == (1 if content else 0)
    laptop.save(NOTE, v=2)
    assert (await laptop.sync()).pushed == (NOTE,)
    assert told(laptop)[-1] == (How.PUSHED, "replaced", NOTE)
    assert log(laptop).exit_code == 0


async def test_a_log_that_cannot_be_read_is_one_sentence(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    file = laptop.root / ".syncd" / ACTIVITY_FILE
    file.unlink()
    file.symlink_to(laptop.root / FILE_NAME)
    ran = log(laptop)
    assert (ran.exit_code, ran.stderr.count("\n")) == (0, 1)
    assert str(file) in ran.stderr
    assert NOTE in ran.stdout


async def test_a_push_whose_answer_is_lost_is_told_when_it_is_seen(
    world: World,
) -> None:
    laptop = world.device()
    laptop.mirror.sleep = _at_once
    laptop.save(NOTE, v=1)
    world.sandbox.faults.add(DropAnswer(), when=lambda call: NOTE in map(str, call.paths))
    await laptop.sync()
    assert told(laptop) == [(How.PUSHED, "created", NOTE)]
    assert world.records().keys() == {NOTE}


async def test_what_was_done_before_a_stop_is_told_once(world: World) -> None:
    """Base did not move yet: it is what the next cycle finds on both sides."""
    await world.write(NOTE, v=1)
    laptop = world.device()
    await laptop.sync()
    laptop.save(OTHER, v=1)
    await laptop.sync()
    base, state = laptop.base(), laptop.mirror.state
    arrival, departure = Arrival(NOTE, base[NOTE]), Departure(OTHER, None, base[OTHER])
    waiting: dict[str, tuple[Waiting, ...]] = {NOTE: (arrival,), OTHER: (departure,)}
    state.record(Memory(base={NOTE: None, OTHER: None}, waiting=waiting))
    before = told(laptop)
    await laptop.sync()
    assert laptop.base() == base
    assert told(laptop) == before
    (laptop.root / ".syncd" / ACTIVITY_FILE).unlink()
    state.record(Memory(base={NOTE: None, OTHER: None}, waiting=waiting))
    await laptop.sync()
    assert sorted(told(laptop)) == sorted(before)


async def test_no_content_of_a_record_is_in_the_log(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, text="a word of mine")
    await laptop.sync()
    assert b"a word of mine" not in (laptop.root / ".syncd" / ACTIVITY_FILE).read_bytes()


async def test_alike_events_are_one_line_for_people_and_each_has_its_own_for_programs(
    world: World,
) -> None:
    paths = [RecordPath(f"com.example.note/n{number}") for number in range(8)]
    laptop = world.device()
    for version in (1, 2):
        for path in paths:
            laptop.save(path, v=version)
        await laptop.sync()
    text = log(laptop, "--pushed").stdout.splitlines()
    assert len(text) == 2
    assert all("8 records" in line for line in text)
    assert len(lines(laptop, "--pushed")) == 16
    assert set(lines(laptop)[0]) == {
        "version",
        *("at", "how", "deed", "side", "path", "count", "keys", "before", "after", "rev"),
        *("commit", "pds", "reason", "origin", "validation", "author", "subject", "blobs"),
    }


def later(device: Device, seconds: int) -> None:
    """Have the device do what follows so many seconds later: the log has no smaller unit."""
    rework(device.mirror, clock_ns=lambda: time.time_ns() + seconds * 10**9)


def refuse(world: World, *, when: bool = True) -> None:
    world.sandbox.faults.clear()
    if when:
        fault = Refuse(400, "InvalidRequest", "Invalid record: no such thing")
        world.sandbox.faults.add(fault, times=99, when=lambda call: NOTE in map(str, call.paths))


async def test_a_refused_push_replaced_nothing_and_says_why(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    laptop.save(OTHER, v=1)
    await laptop.sync()
    refuse(world)
    laptop.save(NOTE, v=2)
    laptop.save(OTHER, v=2)
    await laptop.sync()
    laptop.delete(NOTE)
    await laptop.sync()
    found = told(laptop, NOTE)
    made, refused, deletion = (event for event in reversed(events(laptop, Question(record=NOTE))))
    assert found == [(How.PUSHED, "created", NOTE), *[(How.REFUSED, REFUSED, NOTE)] * 2]
    assert (deletion.before, deletion.after) == (made.after, None)
    assert refused.before == made.after
    assert "no such thing" in refused.reason
    assert (How.PUSHED, "replaced", OTHER) in told(laptop)
    # What was kept before the push can still be brought back.
    assert refused.origin is not None
    assert [line["path"] for line in lines(laptop, "--pushed")].count(NOTE) == 1
    # A later push that the PDS takes is one of its own.
    refuse(world, when=False)
    laptop.save(NOTE, v=3)
    await laptop.sync()
    assert told(laptop, NOTE) == [*found, (How.PUSHED, "replaced", NOTE)]


async def test_a_creation_that_is_refused_is_in_the_story_too(world: World) -> None:
    laptop = world.device()
    refuse(world)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    assert told(laptop) == [(How.REFUSED, REFUSED, NOTE)]
    refuse(world, when=False)
    laptop.save(NOTE, v=2)
    await laptop.sync()
    assert told(laptop, NOTE)[-1] == (How.PUSHED, "created", NOTE)


async def test_a_push_that_never_reached_the_repo_is_no_replacement(world: World) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    down = Refuse(503, "Down", "down")
    world.sandbox.faults.add(down, times=999, when=lambda call: bool(call.paths))
    later(laptop, 10)
    laptop.mirror.sleep = _at_once
    laptop.save(NOTE, v=2)
    await laptop.mirror.cycle()
    assert (None, UNCONFIRMED, NOTE) in told(laptop)
    assert UNCONFIRMED in {line["deed"] for line in lines(laptop)}
    refuse(world, when=False)
    laptop.save(NOTE, v=3)
    await laptop.sync()
    assert sorted(told(laptop), key=str) == sorted(
        [
            (How.PUSHED, "created", NOTE),
            (None, UNCONFIRMED, NOTE),
            (How.PUSHED, "replaced", NOTE),
        ],
        key=str,
    )


async def test_a_push_that_a_guard_refused_is_no_replacement_though_the_same_goes_later(
    world: World,
) -> None:
    pds = Overtaken(world.sandbox, world.login.did)
    laptop = Device.make(world.tmp_path / "laptop", world.account(), pds)
    laptop.save(NOTE, v=1)
    await laptop.sync()
    later(laptop, 10)
    pds.is_next = True
    laptop.save(NOTE, v=2)
    await laptop.sync()
    workspace = laptop.mirror.workspace
    take_side(workspace, open_conflicts(workspace), Choice.LOCAL)
    await laptop.sync()
    resolved = next(event for event in events(laptop) if event.how == How.PUSHED)
    refused = next(event for event in events(laptop) if event.how is None)
    assert (refused.deed, refused.after, refused.validation) == (UNCONFIRMED, resolved.after, None)
    assert (resolved.deed, refused.before != resolved.before) == ("replaced", True)
    # What went later tells only of itself, also when it was replaced in its turn.
    laptop.save(NOTE, v=3)
    await laptop.sync()
    assert [deed for how, deed, _ in told(laptop) if how is None] == [UNCONFIRMED]


async def test_where_the_log_does_not_know_a_replacement_is_what_it_was(world: World) -> None:
    """Before there was an activity log, and where a line of it is lost, a push may have arrived."""
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    for version in (2, 3):
        later(laptop, version * 10)
        laptop.save(NOTE, v=version)
        await laptop.sync()
    file = laptop.root / ".syncd" / ACTIVITY_FILE
    first, _, last = file.read_bytes().splitlines(keepends=True)
    for content in (b"", last, first + b"torn\n" + last):
        file.write_bytes(content)
        assert {event.deed for event in events(laptop)} <= {"created", "replaced"}
    # A line that is lost without a trace leaves a version of which nobody knows.
    file.write_bytes(first + last)
    assert [event.deed for event in events(laptop)].count(UNCONFIRMED) == 1


@pytest.mark.parametrize("choice", [(), ("--since", "2h"), ("--pulled",)])
async def test_a_clone_makes_no_record_of_a_name_that_is_none(
    world: World, choice: tuple[str, ...]
) -> None:
    laptop = world.device()
    laptop.save(NOTE, v=1)
    await laptop.sync()
    workspace = laptop.mirror.workspace
    cloned = Activity(workspace.now(), How.CLONED, "com.example.note", count=3)
    workspace.activity.keep([cloned])
    assert log(laptop, NOTE, *choice).exit_code == 0
    assert isinstance(log(laptop, f"{NOTE}.JSON", *choice).exception, SyncdError)
    laptop.delete(NOTE)
    await laptop.sync()
    assert log(laptop, NOTE, *choice).exit_code == 0


async def test_a_log_that_cannot_be_written_stops_nothing_and_is_one_sentence(
    world: World,
) -> None:
    laptop = world.device()
    file = laptop.root / ".syncd" / ACTIVITY_FILE
    file.mkdir()
    await world.write("com.example.other/pulled", v=1)
    for path in (NOTE, OTHER):
        laptop.save(path, v=1)
    report = await laptop.sync()
    assert len(report.pushed) == 2
    assert laptop.base() == world.records()
    assert [str(file) in remark for remark in report.remarks].count(True) == 1
    assert not any(str(file) in remark for remark in (await laptop.sync()).remarks)
    laptop.save(NOTE, v=2)
    assert [str(file) in remark for remark in (await laptop.sync()).remarks].count(True) == 1
    file.rmdir()
    laptop.save(NOTE, v=3)
    assert not any(str(file) in remark for remark in (await laptop.sync()).remarks)
    assert told(laptop, NOTE)[-1] == (How.PUSHED, "replaced", NOTE)


async def test_a_number_of_lines_is_one_of_whole_lines(world: World) -> None:
    paths = [RecordPath(f"com.example.note/n{number}") for number in range(80)]
    laptop = world.device()
    for version in (1, 2, 3):
        for path in paths:
            laptop.save(path, v=version)
        await laptop.sync()
    for count in (1, 2, 3, 9):
        text = log(laptop, "--pushed", "-n", str(count)).stdout.splitlines()
        assert len(text) == min(count, 3)
        assert all("80 records" in line for line in text)
    assert len(lines(laptop, "--pushed", "-n", "7")) == 7


async def test_the_log_of_a_record_names_the_pictures_that_came_and_went(world: World) -> None:
    laptop = world.device()
    cat, dog = (blob_words(ref, {}) for ref in map(drawn, ("cat", "dog")))
    for word in ("cat", "dog"):
        await upload(world, word)
        await world.write(NOTE, picture=drawn(word).value)
        await laptop.sync()
    await world.write(NOTE, text="none")
    await laptop.sync()
    said = [line.strip() for line in log(laptop, NOTE).stdout.splitlines() if "blobs/" in line]
    assert said == [f"- {dog}", f"+ {dog}", f"- {cat}", f"+ {cat}"]
    found = [
        each["blobs"] for each in map(json.loads, log(laptop, NOTE, "--json").stdout.splitlines())
    ]
    changes = [each for each in found if each is not None]
    shown = [{k: [blob["cid"] for blob in blobs] for k, blobs in each.items()} for each in changes]
    first, second = (str(drawn(word).cid) for word in ("cat", "dog"))
    assert shown == [
        {"brought": [], "gone": [second]},
        {"brought": [second], "gone": [first]},
        {"brought": [first], "gone": []},
    ]
    assert changes[0]["gone"][0].keys() == {"cid", "mime_type", "size", "file"}
    assert '"blobs": null' in log(laptop, "--json").stdout
    assert "blobs/" not in log(laptop).stdout
    (laptop.root / ".syncd" / HISTORY_FILE).unlink()
    ran = log(laptop, NOTE)
    assert (ran.exit_code, "blobs/" in ran.stdout) == (0, False)
