"""The files of many records are read in a second process too, or here if that says nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.atproto.data import Record
from syncd.cli.host import counting as beside
from syncd.cli.host.counting import counting
from syncd.config import FILE_NAME, Config, render_config
from syncd.cycle.verify import Verified, verify_mirror
from syncd.mirror.lexicons.counting import Counted, Judge, count_lexicons
from syncd.mirror.lexicons.examining import seen_in
from tests.cli.commands.test_lexicon import THING as THING_LEXICON
from tests.cli.commands.test_lexicon import put
from tests.mirror.test_counting import filled
from tests.rigs.device import Device, World

THING = "com.example.thing/self.json"
OTHER = "com.example.other/a.json"
SILENT = (
    [sys.executable, "-c", "raise SystemExit(1)"],
    [sys.executable, "-c", "print('some')"],
    [sys.executable, "-c", "print()"],
    [sys.executable, "-c", "import marshal, sys; marshal.dump((0, b''), sys.stdout.buffer)"],
    [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"],
    ["/nowhere/python"],
)
"""Second processes that give no answer."""


async def synced(world: World) -> Device:
    """A mirror as a command opens it, with some records, and one that breaks its lexicon."""
    device = await filled(world)
    for number in range(4):
        put(device.root, f"com.example.other/{number}.json", {"n": number})
    await device.sync()
    text = render_config(device.mirror.config)
    (device.root / FILE_NAME).write_text(text, encoding="utf-8")
    return device


async def broken(world: World) -> Device:
    """The same, with one record that breaks its lexicon since the sync."""
    device = await synced(world)
    put(device.root, THING, {"n": "x"})
    return device


def change(root: Path, file: str) -> None:
    put(root, file, {"n": "x"})


def restyle(root: Path, file: str) -> None:
    text = (root / file).read_text(encoding="utf-8")
    (root / file).write_text(text.replace("\n", " \n"), encoding="utf-8")


def spoil(root: Path, file: str) -> None:
    (root / file).write_text("{", encoding="utf-8")


def remove(root: Path, file: str) -> None:
    (root / file).unlink()


def misspell(root: Path, file: str) -> None:
    (root / file).rename(root / file.replace(".json", "%41.json"))


def link(root: Path, file: str) -> None:
    (root / file).rename(root / "elsewhere")
    (root / file).symlink_to(root / "elsewhere")


def block(root: Path, file: str) -> None:
    (root / file).unlink()
    (root / file).mkdir()


def leave(_root: Path, _file: str) -> None:
    """Change nothing."""


def both(device: Device) -> tuple[Verified, Counted]:
    mirror = device.mirror
    workspace = mirror.workspace
    with counting(workspace, workspace.state.collection_sizes()) as second:
        return verify_mirror(workspace, mirror.account, second), second.count()


def alone(device: Device) -> tuple[Verified, Counted]:
    workspace = device.mirror.workspace
    counted = count_lexicons(workspace, workspace.state.collection_sizes())
    return verify_mirror(workspace, device.mirror.account), counted


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "hurt", [leave, change, restyle, spoil, remove, misspell, link, block], ids=lambda f: f.__name__
)
async def test_two_processes_find_what_one_finds(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    hurt: Callable[[Path, str], None],
    share: float,
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    monkeypatch.setattr(beside, "THEIRS", share)
    device = await synced(world)
    hurt(device.root, THING)
    hurt(device.root, OTHER)
    found = both(device)
    assert found == alone(device)
    assert found[1].broken == (hurt is change)
    assert found[0].agree == (6 if hurt in (leave, restyle) else 4)


async def test_two_files_for_one_record_are_the_same_problem_beside_a_second_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    monkeypatch.setattr(beside, "THEIRS", 1)
    markdown = (("com.example.thing", (("text",),)),)
    device = world.device(config=Config(world.login.did, markdown=markdown, filenames="portable"))
    put(device.root, "lexicons/com/example/thing.json", THING_LEXICON)
    put(device.root, THING, {"n": 1})
    put(device.root, "com.example.other/%4d.json", {"n": 1})
    await device.sync()
    text = render_config(device.mirror.config)
    (device.root / FILE_NAME).write_text(text, encoding="utf-8")
    assert both(device) == alone(device)
    assert both(device)[0].agree == 2
    (device.root / "com.example.thing" / "self.md").write_text("---\nn: 1\n---\n", encoding="utf-8")
    assert both(device) == alone(device)
    assert both(device)[0].agree == 1


@pytest.mark.parametrize("share", [0.5, 1.0])
async def test_the_second_process_reads_its_share_and_this_one_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    monkeypatch.setattr(beside, "THEIRS", share)
    taken, here = list[int](), list[str]()

    def see(*words: object) -> object:
        found = seen_in(*words)  # type: ignore[arg-type]
        taken.append(len(found))
        return found

    monkeypatch.setattr(beside, "seen_in", see)
    device = await synced(world)
    workspace = device.mirror.workspace
    judged = Judge.breaks

    def breaks(judge: Judge, collection: str, rkey: str, record: Record) -> bool:
        here.append(rkey)
        return judged(judge, collection, rkey, record)

    monkeypatch.setattr(Judge, "breaks", breaks)
    with counting(workspace, workspace.state.collection_sizes()) as second:
        assert verify_mirror(workspace, device.mirror.account, second).agree == 6
        assert second.count().broken == 0
    assert (taken, len(here)) == ([int(6 * share)], 6 - int(6 * share))


@pytest.mark.parametrize("command", SILENT)
async def test_without_an_answer_of_a_second_process_this_one_does_its_work(
    world: World, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    monkeypatch.setattr(beside, "THEIRS", 1)
    monkeypatch.setattr(beside, "interpreter", lambda *_: command)
    device = await broken(world)
    found = both(device)
    assert found == alone(device)
    assert found[1].broken == 1


async def test_few_records_start_no_second_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "_start", lambda _: pytest.fail("it was started"))
    device = await broken(world)
    assert both(device) == alone(device)


async def test_a_count_without_a_look_is_that_of_this_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    workspace = (await broken(world)).mirror.workspace
    with counting(workspace, workspace.state.collection_sizes()) as second:
        assert second.count() == count_lexicons(workspace, second.every)


async def test_a_folder_that_is_away_starts_no_second_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    device = await broken(world)
    away = device.root.with_name("elsewhere")
    device.root.rename(away)
    try:
        with counting(device.mirror.workspace, {"com.example.thing": 1}) as second:
            assert second.process is None
            assert second.count().broken is None
    finally:
        away.rename(device.root)


async def test_the_second_process_ends_with_the_work_beside_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MANY", 1)
    waits = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(beside, "interpreter", lambda *_: waits)
    kept, start = list[subprocess.Popen[bytes]](), beside._start
    workspace = (await broken(world)).mirror.workspace

    def keep(*words: object) -> subprocess.Popen[bytes] | None:
        process = start(*words)  # type: ignore[arg-type]
        assert process is not None
        kept.append(process)
        return process

    monkeypatch.setattr(beside, "_start", keep)
    with pytest.raises(ZeroDivisionError), counting(workspace, {"com.example.thing": 1}):
        raise ZeroDivisionError
    assert [process.returncode for process in kept] == [-9]
