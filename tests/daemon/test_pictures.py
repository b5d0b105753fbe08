"""A record names a picture that comes later: the daemon sends it without another save."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.daemon.bell import Bell
from syncd.daemon.pictures import Pictures
from syncd.model import Problem, Report
from syncd.sandbox import Sandbox
from tests.rigs.desk import NOTE, at_work
from tests.rigs.device import Device, World
from tests.rigs.pictures import picture, reference

CAT = "pictures/cat.png"
NAMED = {"$type": "blob", "$file": CAT}


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account())


def put(device: Device, content: bytes = picture("cat")) -> None:
    file = device.root / CAT
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


async def test_a_picture_that_comes_after_its_record_is_pushed(world: World) -> None:
    device = world.device(config=Config(world.login.did, full_look_seconds=86_400))
    async with at_work(world, device=device) as desk:
        device.save(NOTE, image=NAMED)
        await desk.until(lambda: any(r.problems for r in desk.reports), "the problem")
        put(device)
        await desk.until_pushed({"image": reference("cat")})
        await desk.until(lambda: not desk.daemon._pictures.known, "nothing is waited for")


class Waiting:
    """What rings for a record that waits, without a daemon."""

    def __init__(self, world: World) -> None:
        self.device, self.bell = world.device(), Bell()
        self.pictures = Pictures(self.device.mirror, self.bell)

    def follow(self, *paths: str) -> None:
        self.pictures.follow(Report(problems=tuple(Problem(path, "why", "how") for path in paths)))

    def looks(self, count: int = 1) -> bool:
        return [self.pictures._has_news() for _ in range(count)][-1]


def test_what_comes_is_news_once_and_only_when_it_has_come_whole(world: World) -> None:
    waiting = Waiting(world)
    waiting.device.save(NOTE, image=NAMED)
    waiting.follow(NOTE)
    assert not waiting.looks(3)
    put(waiting.device, b"half")
    assert not waiting.looks()
    put(waiting.device, b"half of it")
    assert not waiting.looks()
    assert waiting.looks()
    waiting.follow(NOTE)
    assert not waiting.looks(3)


def test_what_came_before_anybody_looked_is_news(world: World) -> None:
    waiting = Waiting(world)
    waiting.device.save(NOTE, image=NAMED)
    put(waiting.device)
    waiting.follow(NOTE)
    assert waiting.looks(2)
    # It is not the reason why the record waits: a change of it is news, and nothing else.
    waiting.follow(NOTE)
    assert not waiting.looks(3)
    put(waiting.device, picture("horse"))
    assert waiting.looks(2)


@pytest.mark.parametrize(
    "text",
    [
        '{"$type": "com.example.note", "v": 1}',
        '{"$file": "no JSON',
        '{"$type": "com.example.note", "image": {"$type": "blob", "$file": "../../etc/passwd"}}',
        '{"$type": "com.example.note", "image": {"$type": "blob", "$file": "a\\u0000b"}}',
    ],
)
async def test_a_record_that_names_no_file_of_the_folder_costs_no_look(
    world: World, text: str
) -> None:
    waiting = Waiting(world)
    waiting.device.save_text(NOTE, text)
    waiting.follow(NOTE, "com.example.note/none", "blobs", "no record at all")
    assert waiting.pictures.known == {}
    watching = asyncio.create_task(waiting.pictures.watch())
    await asyncio.sleep(0)
    assert not waiting.pictures._is_waiting.is_set()
    watching.cancel()
