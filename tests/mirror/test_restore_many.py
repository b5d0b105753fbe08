"""Many records are restored by one plan: as they were, those that are gone, again after a stop."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from syncd.cli import cli
from syncd.config import FILE_NAME, Config, render_config
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, SyncdError
from syncd.mirror.names import read_names
from syncd.mirror.restore import Wish, plan_restore, restore_all
from syncd.mirror.times import read_moment, read_past, rfc3339
from syncd.model import RecordPath
from syncd.state import Activity, How
from tests.cycle.push.test_pusher import Time, timed
from tests.programs import program
from tests.rigs.device import Device, World
from tests.rigs.warm import SYNCD, run

NOTES = [RecordPath(f"com.example.note/n{number}") for number in range(12)]
HOUR = 3_600.0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def laptop(world: World, time: Time) -> Device:
    """Each note had v=0, an hour later v=1, another hour later half of them were deleted."""
    device = timed(world.device(config=Config(world.login.did, brake_records=99)), time)
    for version in (0, 1):
        for path in NOTES:
            device.save(path, v=version)
        await device.sync()
        time.seconds += HOUR
    for path in NOTES[::2]:
        device.delete(path)
    await device.sync()
    time.seconds += HOUR
    return device


def workspace_of(device: Device) -> Workspace:
    return device.mirror.workspace


def wish(device: Device, *names: str, deleted: bool = False, before: int | None = None) -> Wish:
    return Wish(read_names(workspace_of(device), names, [device.root]), deleted, before)


def versions(device: Device) -> list[int | None]:
    return [device.read(path)["v"] if device.has(path) else None for path in NOTES]


async def test_what_was_deleted_comes_back_and_nothing_else_moves(
    world: World, laptop: Device
) -> None:
    events = plan_restore(workspace_of(laptop), wish(laptop, "com.example.*", deleted=True))
    assert [event.path for event in events] == sorted(NOTES[::2])
    found = restore_all(workspace_of(laptop), events)
    assert (len(found.done), found.failed) == (6, {})
    assert versions(laptop) == [1] * 12
    await laptop.sync()
    assert laptop.base() == world.records()
    assert len(world.records()) == 12


async def test_records_are_as_they_were_at_a_moment(laptop: Device, time: Time) -> None:
    workspace, now = workspace_of(laptop), int(time.now())
    for hours, version in ((1.5, 1), (2.5, 0)):
        events = plan_restore(workspace, wish(laptop, "*", before=now - int(hours * HOUR)))
        restore_all(workspace, events)
        assert versions(laptop) == [version] * 12


async def test_a_second_plan_has_what_a_stop_left_over_and_then_nothing(laptop: Device) -> None:
    workspace, wanted = workspace_of(laptop), wish(laptop, "com.example.note", deleted=True)
    events = plan_restore(workspace, wanted)
    restore_all(workspace, events[:2])
    assert plan_restore(workspace, wanted) == events[2:]
    restore_all(workspace, events[2:])
    assert plan_restore(workspace, wanted) == []


async def test_what_is_not_named_is_not_restored(laptop: Device) -> None:
    found = plan_restore(workspace_of(laptop), wish(laptop, f"{NOTES[0]}.json", NOTES[2]))
    assert [event.path for event in found] == [NOTES[0], NOTES[2]]
    assert plan_restore(workspace_of(laptop), wish(laptop, "org.*")) == []


async def test_a_pattern_of_records_that_were_never_replaced_restores_none_and_says_so(
    laptop: Device,
) -> None:
    laptop.save("com.example.new/one", v=0)
    await laptop.sync()
    (laptop.root / FILE_NAME).write_text(render_config(laptop.mirror.config))
    for flags, code in (([], 1), (["--deleted"], 0), (["--dry-run"], 0), (["--before", "1s"], 0)):
        words = ["-C", str(laptop.root), "restore", "com.example.new/*", *flags]
        done = CliRunner().invoke(cli, words)
        assert (done.exit_code or isinstance(done.exception, SyncdError)) == code, flags


async def test_one_that_is_back_already_is_not_said_to_be_unknown(laptop: Device) -> None:
    (laptop.root / FILE_NAME).write_text(render_config(laptop.mirror.config))
    gone = NOTES[0]
    words = ["-C", str(laptop.root), "restore", gone, "--deleted"]
    for count in (1, 0):
        done = CliRunner().invoke(cli, [*words, "--json"])
        assert (done.exit_code, len(json.loads(done.stdout)["restored"])) == (0, count)
    for flags in (["--dry-run"], ["--deleted"], ["--before", "90m"]):
        done = CliRunner().invoke(cli, ["-C", str(laptop.root), "restore", gone, *flags])
        assert done.exit_code == 0, flags
    done = CliRunner().invoke(cli, ["-C", str(laptop.root), "restore", "com.example.no/x", *flags])
    assert isinstance(done.exception, SyncdError)


async def test_one_that_fails_keeps_no_other_back(laptop: Device) -> None:
    workspace = workspace_of(laptop)
    events = plan_restore(workspace, wish(laptop, "*", deleted=True))
    (laptop.root / f"{NOTES[4]}.json").mkdir()
    found = restore_all(workspace, events)
    assert list(found.failed) == [NOTES[4]]
    assert len(found.done) == 5


async def test_the_command_prints_a_plan_and_carries_it_out(laptop: Device) -> None:
    laptop.mirror.state.close()
    (laptop.root / FILE_NAME).write_text(render_config(laptop.mirror.config), encoding="utf-8")

    def ran(*words: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
        done = CliRunner().invoke(cli, ["-C", str(laptop.root), "restore", *words, "--json"])
        found = json.loads(done.stdout) if done.stdout else {}
        return done.exit_code, {key: value for key, value in found.items() if key != "version"}

    code, plan = ran("com.example.*", "--deleted", "--dry-run")
    assert (code, len(plan["restore"])) == (0, 6)
    assert versions(laptop) == [None, 1] * 6
    assert ran("com.example.*", "--deleted") == (
        0,
        {"restored": plan["restore"], "failed": [], "left_out": []},
    )
    assert versions(laptop) == [1] * 12
    assert ran("com.example.*", "--deleted") == (
        0,
        {"restored": [], "failed": [], "left_out": []},
    )
    assert ran("com.exmaple.*", "--deleted")[0] == 1
    assert ran("com.example.*", "--before", "last week")[0] == 1
    assert ran(NOTES[0], NOTES[1], "--cid", "abc")[0] == 2


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2030-01-02T03:04:05Z", 1_893_553_445),
        ("2030-01-02T03:04:05+01:00", 1_893_549_845),
        ("90m", 1_000_000 - 5_400),
        (" 3d ", 1_000_000 - 259_200),
        ("0s", 1_000_000),
        ("1h30m", 1_000_000 - 5_400),
        ("2h ago", 1_000_000 - 7_200),
        ("1d 2h ago", 1_000_000 - 93_600),
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, moment: int) -> None:
    assert read_moment(text, 1_000_000) == moment


@pytest.mark.parametrize(
    "text", ["", "ago", "h", "soon", "3 d", "1.5h", "-1h", "3y", "2030-13-01", "99:99", "٣d"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax) as caught:
        read_moment(text, 0)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("zone", "today", "yesterday"),
    [
        ("UTC", "2026-10-25T00:00Z", "2026-10-24T00:00Z"),
        # The day before had 25 hours.
        ("Europe/Berlin", "2026-10-25T23:00Z", "2026-10-24T22:00Z"),
        ("Pacific/Kiritimati", "2026-10-25T10:00Z", "2026-10-24T10:00Z"),
    ],
)
def test_a_day_begins_where_the_person_is(zone: str, today: str, yesterday: str) -> None:
    """In a process of its own: a zone is one of the whole process."""
    now = int(datetime.fromisoformat("2026-10-25T23:30+00:00").timestamp())
    code = f"""
from syncd.mirror.times import read_moment, rfc3339
print([rfc3339(read_moment(word, {now})) for word in ("today", "yesterday")])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = [text.replace("Z", ":00Z") for text in (today, yesterday)]
    assert done.stdout.strip() == str(wanted)


@pytest.mark.parametrize("text", ["0s", "2020-01-01", "2030-01-02"])
def test_what_has_not_passed_is_no_moment_of_the_past(text: str) -> None:
    now = read_moment("2029-12-31T23:59:59Z", 0)
    if text > "2029":
        with pytest.raises(BadSyntax):
            read_past(text, now)
    else:
        assert read_past(text, now) <= now


@given(st.integers(0, 4_000_000_000))
def test_a_time_that_syncd_wrote_is_read_again(seconds: int) -> None:
    assert read_moment(rfc3339(seconds), 0) == seconds
    local = datetime.fromtimestamp(seconds, UTC).astimezone().isoformat()
    assert read_moment(local, 0) == seconds


async def test_what_came_later_than_a_moment_is_not_brought_back_to_it(
    world: World, laptop: Device, time: Time
) -> None:
    workspace, moment = workspace_of(laptop), int(time.now())
    later, again = RecordPath("com.example.note/later"), NOTES[0]
    foreign = RecordPath("com.example.note/foreign")
    crowd = [RecordPath(f"com.example.crowd/c{number}") for number in range(12)]
    time.seconds += HOUR
    for path in (later, again, *crowd):
        laptop.save(path, v=5)
    await world.write(foreign, v=5)
    await laptop.sync()
    time.seconds += HOUR
    for path in (later, again, foreign, crowd[1], NOTES[1]):
        laptop.delete(path)
    laptop.save(crowd[0], v=6)
    await laptop.sync()
    time.seconds += HOUR
    for deleted in (True, False):
        events = plan_restore(workspace, wish(laptop, "*", deleted=deleted, before=moment))
        assert [event.path for event in events] == [NOTES[1]]
    since = plan_restore(workspace, wish(laptop, "*", before=int(time.now()) - int(1.5 * HOUR)))
    assert {later, again, foreign, crowd[0], crowd[1]} < {event.path for event in since}


async def test_a_record_that_the_settings_leave_out_now_gets_no_file(laptop: Device) -> None:
    page = RecordPath("com.example.page/one")
    laptop.save(page, v=1)
    await laptop.sync()
    laptop.delete(page)
    workspace, gone = workspace_of(laptop), wish(laptop, page)
    assert [event.path for event in plan_restore(workspace, gone)] == [page]
    config = replace(workspace.config, exclude=("com.example.page",))
    assert plan_restore(replace(workspace, config=config), gone) == []


async def test_a_record_whose_content_is_in_a_cloud_is_left_out_unless_it_is_named(
    laptop: Device,
) -> None:
    laptop.mirror.state.close()
    (laptop.root / FILE_NAME).write_text(render_config(laptop.mirror.config), encoding="utf-8")
    stub = laptop.root / f"{NOTES[0]}.json.nextcloud"
    stub.write_text(" ")

    def ran(*words: str) -> Any:  # noqa: ANN401
        done = CliRunner().invoke(cli, ["-C", str(laptop.root), "restore", *words, "--json"])
        assert done.exit_code == 0
        return json.loads(done.stdout)

    for flags, key in ((["--dry-run"], "restore"), ([], "restored")):
        found = ran(*NOTES[:3:2], "--deleted", *flags)
        assert [item["path"] for item in found[key]] == [NOTES[2]]
        assert [item["path"] for item in found["left_out"]] == [NOTES[0]]
        assert stub.name in found["left_out"][0]["reason"]
    assert ran(NOTES[0])["path"] == NOTES[0]
    assert laptop.has(NOTES[0])


async def test_a_record_that_was_pulled_twice_was_there_at_a_moment_between(
    laptop: Device, time: Time
) -> None:
    moment, path = int(time.now()), NOTES[1]
    time.seconds += HOUR
    # As after a state file was lost, and the file with it.
    pulled = Activity(int(time.now()), How.PULLED, path, after=laptop.base()[path])
    workspace_of(laptop).activity.keep([pulled])
    time.seconds += HOUR
    laptop.save(path, v=9)
    await laptop.sync()
    events = plan_restore(workspace_of(laptop), wish(laptop, "*", before=moment))
    assert [event.path for event in events] == [path]
    restore_all(workspace_of(laptop), events)
    assert laptop.read(path)["v"] == 1


async def test_files_that_are_gone_and_not_yet_deleted_come_back_as_both_sides_had_them(
    world: World, laptop: Device, time: Time
) -> None:
    workspace, kept = workspace_of(laptop), NOTES[1]
    for path in NOTES[1::2]:
        laptop.delete(path)
    laptop.file(NOTES[3]).write_text('{"v": 1', encoding="utf-8")
    for deleted, before in ((True, None), (False, None), (True, int(time.now()))):
        events = plan_restore(workspace, wish(laptop, "*", deleted=deleted, before=before))
        assert [e.path for e in events if e.path == kept] == [kept]
        assert (NOTES[3] in [e.path for e in events]) is not deleted
    restore_all(workspace, plan_restore(workspace, wish(laptop, "com.example.note/n?")))
    assert [laptop.read(path)["v"] for path in NOTES[1:10:2]] == [1] * 5
    await laptop.sync()
    assert laptop.base() == world.records()


@pytest.mark.parametrize(
    ("flags", "code"),
    [(["--cid", ""], 2), (["--before", ""], 1), (["--before", "2999-01-01"], 1)],
)
async def test_an_empty_or_impossible_choice_of_a_version_restores_nothing(
    laptop: Device, flags: list[str], code: int
) -> None:
    (laptop.root / FILE_NAME).write_text(render_config(laptop.mirror.config))
    before = versions(laptop)
    done = CliRunner().invoke(cli, ["-C", str(laptop.root), "restore", NOTES[1], *flags])
    found = done.exception.exit_code if isinstance(done.exception, SyncdError) else done.exit_code
    assert found == code
    assert versions(laptop) == before


@pytest.mark.parametrize(
    ("answer", "code", "restored"), [("n", 130, [None] * 12), ("y", 0, [1] * 12)]
)
async def test_many_are_restored_on_a_terminal_after_a_yes_alone(
    laptop: Device, answer: str, code: int, restored: list[int | None]
) -> None:
    (laptop.root / FILE_NAME).write_text(render_config(laptop.mirror.config))
    for path in NOTES[1::2]:
        laptop.delete(path)
    words = shlex.join([*SYNCD, "restore", "com.example.*", "--deleted"])
    done = run(
        [program("script"), "--quiet", "--return", "--command", words, "/dev/null"],
        seconds=60,
        input=f"{answer}\n",
        cwd=laptop.root,
    )
    assert (done.returncode, versions(laptop)) == (code, restored), done


async def test_what_was_just_restored_is_not_said_to_have_no_versions_at_all(world: World) -> None:
    device = world.device(config=Config(world.login.did))
    for path in NOTES[:3]:
        device.save(path, v=1)
    await device.sync()
    (device.root / FILE_NAME).write_text(render_config(device.mirror.config), encoding="utf-8")
    for path in NOTES[:3]:
        device.delete(path)
    for name, others in ((NOTES[0], "its file"), ("com.example.note", "the files")):
        words = ["-C", str(device.root), "restore", name]
        assert CliRunner().invoke(cli, words).exit_code == 0
        again = CliRunner().invoke(cli, words)
        assert isinstance(again.exception, SyncdError)
        assert f"in {others}" in again.exception.message
