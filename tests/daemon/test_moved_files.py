"""A daemon and a file that a person moves to where it is no record, with real file events."""

from __future__ import annotations

from pathlib import Path

from syncd.model import Moved
from syncd.sandbox import Sandbox
from tests.rigs.desk import NOTE, at_work
from tests.rigs.device import World


async def test_a_daemon_keeps_the_record_until_the_move_is_finished(tmp_path: Path) -> None:
    sandbox = Sandbox()
    world = World(tmp_path, sandbox, sandbox.create_account("alice"))
    await world.write(NOTE, v=1)
    async with at_work(world) as desk:
        await desk.until(lambda: desk.device.has(NOTE), "the first pull")
        drafts = desk.device.root / "drafts"
        drafts.mkdir()
        moved = desk.file(NOTE).rename(drafts / "one.json")

        def is_told() -> bool:
            problems = desk.reports[-1].problems if desk.reports else ()
            return [type(problem) for problem in problems] == [Moved]

        await desk.until(is_told, "the problem")
        assert desk.ops == []
        moved.rename(desk.file("com.example.note/two"))
        await desk.until(lambda: len(desk.ops) == 2, "the new record")
        assert {(op.action, op.path) for op in desk.ops} == {
            ("create", "com.example.note/two"),
            ("delete", NOTE),
        }
        await desk.until(lambda: desk.reports[-1].problems == (), "the end of the problem")
