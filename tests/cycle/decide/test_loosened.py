"""What a setting kept in the folder is not sent because a line of a shared file is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncd.config import Config
from syncd.cycle.decide.loosened import MOST_TEXT
from syncd.mirror.held import decide_held, held_changes
from syncd.mirror.waiting import publish_waiting
from syncd.model import Choice, Decision, Held, Pending, RecordPath, Report
from syncd.state.consent import KeptBack
from tests.rigs.device import Device, World, rework

NOTE, PRIVATE = "com.example.note", "com.example.private"
ONE, TWO, DIARY = (RecordPath(path) for path in (f"{NOTE}/one", f"{NOTE}/two", f"{PRIVATE}/diary"))


def settings(device: Device, **changes: Any) -> None:  # noqa: ANN401
    """Change `syncd.toml`, as a pull of git or a file-sync program does."""
    rework(device.mirror, config=replace(device.mirror.config, **changes))


def held(report: Report) -> list[str]:
    return [item.path for item in report.held]


def approve(device: Device) -> None:
    workspace = device.mirror.workspace
    decide_held(workspace, held_changes(workspace), Choice.APPROVE)


async def kept_back(world: World, **changes: Any) -> Device:  # noqa: ANN401
    """A mirror with a record of others, and settings that were in force at its last sync."""
    await world.write(ONE, v=1)
    device = world.device(config=Config(world.login.did, brake_records=1000, **changes))
    await device.sync()
    return device


def loosen_read_only(device: Device) -> None:
    settings(device, read_only=False)


def loosen_scope(device: Device) -> None:
    settings(device, collections=())


def loosen_exclude(device: Device) -> None:
    settings(device, exclude=())


def loosen_ignore(device: Device) -> None:
    (device.root / ".syncdignore").write_text("other*\n")


Loosen = Callable[[Device], None]
LOOSENED: dict[str, tuple[dict[str, Any], Loosen]] = {
    "read_only": ({"read_only": True}, loosen_read_only),
    "collections": ({"collections": (NOTE,)}, loosen_scope),
    "exclude": ({"exclude": (f"{PRIVATE}*",)}, loosen_exclude),
    "ignored": ({}, loosen_ignore),
}


@pytest.fixture(params=LOOSENED)
async def diary(request: pytest.FixtureRequest, world: World) -> Device:
    """A mirror whose settings kept a file back, and keep it back no longer."""
    changes, loosen = LOOSENED[request.param]
    device = await kept_back(world, **changes)
    (device.root / ".syncdignore").write_text(f"{PRIVATE}/\n" if not changes else "other*\n")
    device.save(DIARY, v=1)
    await device.sync()
    assert DIARY not in world.records()
    loosen(device)
    return device


async def test_what_was_kept_back_waits_until_a_person_approves_it(
    world: World, diary: Device
) -> None:
    for _ in range(3):
        report = await diary.sync()
        assert (held(report), report.pushed) == ([DIARY], ())
    approve(diary)
    assert (await diary.sync()).pushed == (DIARY,)


async def test_many_files_of_a_collection_wait_for_one_reason(world: World, diary: Device) -> None:
    diary.save(f"{PRIVATE}/letters", v=1)
    report = await diary.sync()
    assert held(report) == [DIARY, f"{PRIVATE}/letters"]
    assert len({item.reason for item in report.held if isinstance(item, Held)}) == 1


async def test_autosave_in_what_waits_publishes_nothing(world: World, diary: Device) -> None:
    await diary.sync()
    for version in range(3):
        diary.save(DIARY, v=f"more {version}")
        assert held(await diary.mirror.sync(dirty=[DIARY])) == [DIARY]
    assert DIARY not in world.records()


async def test_what_is_new_after_the_change_is_sent(world: World, diary: Device) -> None:
    await diary.sync()
    diary.save(f"{PRIVATE}/new", v=1)
    assert (await diary.sync()).pushed == (RecordPath(f"{PRIVATE}/new"),)
    assert DIARY not in world.records()


async def test_a_restart_and_a_look_at_one_file_change_nothing(world: World, diary: Device) -> None:
    assert held(await diary.mirror.sync(dirty=[DIARY])) == [DIARY]
    again = world.restart(diary)
    assert held(await again.sync()) == [DIARY]
    assert held(await again.sync()) == [DIARY]


async def test_a_preview_shows_that_it_waits(diary: Device) -> None:
    report = await diary.mirror.preview()
    assert (held(report), report.pushed) == ([DIARY], ())


async def test_a_setting_that_is_put_back_holds_nothing_more(world: World) -> None:
    device = await kept_back(world, exclude=(f"{PRIVATE}*",))
    device.save(DIARY, v=1)
    await device.sync()
    loosen_exclude(device)
    await device.sync()
    settings(device, exclude=(f"{PRIVATE}*",))
    assert (await device.sync()).is_settled
    assert DIARY not in world.records()


async def test_edits_and_deletions_of_a_read_only_mirror_wait_too(world: World) -> None:
    await world.write(TWO, v=1)
    device = await kept_back(world, read_only=True)
    device.save(ONE, v="edited")
    device.delete(TWO)
    await device.sync()
    settings(device, read_only=False)
    assert held(await device.sync()) == [ONE, TWO]
    approve(device)
    report = await device.sync()
    assert (report.pushed, report.deleted) == ((ONE, TWO), (TWO,))


async def test_an_edit_out_of_scope_waits_and_no_other(world: World) -> None:
    await world.write(DIARY, v=1)
    device = await kept_back(world)
    settings(device, exclude=(f"{PRIVATE}*",))
    await device.sync()
    device.save(DIARY, v="edited")
    await device.sync()
    loosen_exclude(device)
    device.save(ONE, v="edited")
    report = await device.sync()
    assert (held(report), report.pushed) == ([DIARY], (ONE,))


async def test_what_waits_for_a_publication_waits_on_without_the_setting(world: World) -> None:
    device = await kept_back(world, push_when="ask")
    device.save(ONE, v="half")
    await device.sync()
    settings(device, push_when="save")
    for _ in range(2):
        report = await device.sync()
        assert (report.pushed, [item.path for item in report.pending]) == ((), [ONE])
    waiting = device.mirror.state.waiting()
    publish_waiting(
        device.mirror.workspace, [item for item in waiting if isinstance(item, Pending)]
    )
    assert (await device.sync()).pushed == (ONE,)


async def test_an_edit_after_the_setting_is_gone_is_sent(world: World) -> None:
    device = await kept_back(world, push_when="ask")
    device.save(ONE, v="half")
    await device.sync()
    settings(device, push_when="save")
    device.save(ONE, v="whole")
    assert (await device.sync()).pushed == (ONE,)


async def test_rules_that_cannot_be_read_are_not_what_kept_files_back(world: World) -> None:
    device = await kept_back(world)
    (device.root / ".syncdignore").write_text("")
    device.save(TWO, v=1)
    assert (await device.sync()).pushed == ()
    (device.root / ".syncdignore").write_text("other*\n")
    assert (await device.sync()).pushed == (TWO,)


async def test_a_long_list_of_patterns_is_not_remembered(world: World) -> None:
    device = await kept_back(world)
    (device.root / ".syncdignore").write_text("two*\n" + "#" * MOST_TEXT)
    await device.sync()
    assert device.mirror.state.note(KeptBack) == KeptBack(None, read_only=False)


async def test_the_edits_of_a_mirror_that_is_still_read_only_are_problems(world: World) -> None:
    device = await kept_back(world, read_only=True)
    device.save(ONE, v="edited")
    for _ in range(2):
        report = await device.sync()
        assert (held(report), [problem.path for problem in report.problems]) == ([], [ONE])


async def test_what_a_person_publishes_by_name_waits_no_longer(world: World, diary: Device) -> None:
    await diary.sync()
    state = diary.mirror.state
    (item,) = [item for item in state.waiting() if isinstance(item, Held)]
    state.decide([Decision(DIARY, Choice.PUBLISH, item.local, item.remote)])
    assert (await diary.sync()).pushed == (DIARY,)


async def test_an_edit_of_a_record_is_never_ignored_and_so_never_kept_back(world: World) -> None:
    device = await kept_back(world)
    (device.root / ".syncdignore").write_text("one*\n")
    await device.sync()
    (device.root / ".syncdignore").write_text("other*\n")
    device.save(ONE, v="edited")
    assert (await device.sync()).pushed == (ONE,)


async def test_a_file_of_rules_that_is_empty_for_a_moment_lets_nothing_out(world: World) -> None:
    """Many programs empty a file before they write it anew, and a sync may come in between."""
    device = await kept_back(world)
    (device.root / ".syncdignore").write_text(f"{PRIVATE}/\n")
    device.save(DIARY, v=1)
    await device.sync()
    (device.root / ".syncdignore").write_text("")
    await device.sync()
    loosen_ignore(device)
    assert held(await device.sync()) == [DIARY]
