"""Several mirrors in one process: what one of them does to the others, which is nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from syncd.daemon import Daemon, Pulse, Requests
from syncd.daemon.fleet import BEATS, Fleet
from syncd.errors import ConfigWrong, FolderWrong, SyncdError, Unreachable
from syncd.model import RecordPath
from syncd.notify import Notifier
from tests.daemon.test_loop import FakeWatcher, now, play, until, world
from tests.rigs.device import Device, World

__all__ = ["world"]

NOTE = RecordPath("com.example.note/one")


class Heard(Notifier):
    """A notifier that keeps what it would say."""

    words: list[tuple[str, float]]

    def _send(self, *lines: str) -> None:
        self.words.append((lines[0].split("=")[0], now()))

    def said(self, word: str) -> list[float]:
        return [at for said, at in self.words if said == word]


def heard(watchdog_seconds: float | None = None) -> Heard:
    notifier = Heard("@nowhere", watchdog_seconds)
    object.__setattr__(notifier, "words", [])
    return notifier


@dataclass(slots=True)
class Yard:
    """Mirrors by name, the errors that they fail with, and the fleet that runs them."""

    world: World
    notifier: Heard
    names: list[str]
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    opened: list[str] = field(default_factory=list)
    daemons: dict[str, Daemon] = field(default_factory=dict)
    told: list[tuple[str, Exception, float | None]] = field(default_factory=list)
    requests: dict[str, Requests] = field(default_factory=dict)
    fleet: Fleet = field(init=False)

    def __post_init__(self) -> None:
        self.fleet = Fleet(
            self.open,
            self.listed,
            self.is_changed,
            lambda at, error, pause: self.told.append((at.name, error, pause)),
            self.notifier,
            jitter=lambda: 0.0,
        )

    def listed(self) -> Sequence[Path]:
        return [Path(name) for name in self.names]

    def is_changed(self, daemon: Daemon) -> bool:
        (name,) = [name for name, found in self.daemons.items() if found is daemon]
        return name in self.changed

    @asynccontextmanager
    async def open(self, directory: Path, pulse: Pulse) -> AsyncIterator[Daemon]:
        name = directory.name
        self.opened.append(name)
        if self.errors.get(name):
            raise self.errors[name].pop(0)
        root = self.world.tmp_path / name
        if root.exists():
            device = Device.open(root, self.world.account(), self.world.pds())
        else:
            device = self.world.device(name)
        watcher = FakeWatcher()
        daemon = Daemon(
            *(device.mirror, watcher, lambda *_: None),
            jitter=lambda: 0.0,
            pulse=pulse,
            requests=self.requests.get(name, Requests()),
        )
        self.daemons[name] = daemon
        try:
            yield daemon
        finally:
            del self.daemons[name]
            device.mirror.state.close()

    def is_up(self, *names: str) -> bool:
        return set(names) <= self.daemons.keys()


@asynccontextmanager
async def running(yard: Yard) -> AsyncIterator[asyncio.Task[int]]:
    task = asyncio.create_task(yard.fleet.run())
    try:
        yield task
    finally:
        yard.fleet.stop()
        await asyncio.wait_for(asyncio.wait([task]), 600)


def test_all_come_up_then_the_process_is_ready_and_one_stop_ends_them(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a", "b", "c"])
        async with running(yard) as task:
            await until(lambda: yard.is_up("a", "b", "c"), "all of them")
            assert len(yard.notifier.said("READY")) == 1
        assert await task == 0
        assert yard.notifier.said("STOPPING")

    play(story())


@pytest.mark.parametrize("error", [FolderWrong("gone"), ConfigWrong("wrong")])
def test_one_that_only_a_person_can_repair_stays_down_and_the_others_run(
    world: World, error: SyncdError
) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a", "b"], {"b": [error]})
        async with running(yard) as task:
            await until(lambda: yard.is_up("a"), "the other")
            await asyncio.sleep(3600)
            assert yard.opened.count("b") == 1
            assert yard.told == [("b", error, None)]
            assert yard.notifier.said("READY")
        assert await task == 78

    play(story())


@pytest.mark.parametrize("error", [Unreachable("no network"), RuntimeError("a defect")])
def test_one_whose_failure_may_pass_is_tried_again_later_and_later(
    world: World, error: Exception
) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a", "b"], {"b": [error, error, error]})
        async with running(yard) as task:
            await until(lambda: yard.is_up("a", "b"), "both", 600)
            assert [pause for _, _, pause in yard.told] == [0.5, 1.0, 2.0]
        assert await task == 0

    play(story())


def test_one_that_breaks_while_it_runs_leaves_the_others_alone(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a", "b"])
        async with running(yard):
            await until(lambda: yard.is_up("a", "b"), "both")
            good = yard.daemons["a"]
            watcher = yard.daemons["b"].watcher
            assert isinstance(watcher, FakeWatcher)
            watcher.tidings.put_nowait(RuntimeError("a defect"))
            await until(lambda: yard.opened.count("b") == 2, "the second try", 600)
            assert yard.daemons["a"] is good
            assert yard.opened.count("a") == 1

    play(story())


@pytest.mark.parametrize("error", [Unreachable("no network"), FolderWrong("gone")])
def test_one_that_is_alone_ends_with_its_error(world: World, error: SyncdError) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a"], {"a": [error]})
        assert await asyncio.wait_for(yard.fleet.run(), 60) == error.exit_code
        assert yard.told == [("a", error, None)]
        assert not yard.notifier.said("READY")

    play(story())


def test_a_defect_of_one_that_is_alone_is_not_hidden(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a"], {"a": [RuntimeError("a defect")]})
        with pytest.raises(RuntimeError, match="a defect"):
            await yard.fleet.run()

    play(story())


def test_a_reload_opens_anew_only_what_is_changed_and_then_is_ready_again(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a", "b"])
        async with running(yard):
            await until(lambda: yard.is_up("a", "b"), "both")
            yard.changed.add("b")
            yard.fleet.reload()
            assert len(yard.notifier.said("READY")) == 1
            await until(lambda: yard.opened.count("b") == 2 and yard.is_up("b"), "the new one")
            assert yard.opened.count("a") == 1
            await until(lambda: len(yard.notifier.said("READY")) == 2, "the end of the reload")
            assert len(yard.notifier.said("RELOADING")) == 1

    play(story())


def test_a_reload_starts_what_is_new_or_was_down_and_ends_what_is_not_listed(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a", "b"], {"b": [ConfigWrong("wrong")]})
        async with running(yard) as task:
            await until(lambda: bool(yard.told), "the failure")
            yard.names = ["b", "c"]
            yard.fleet.reload()
            await until(lambda: yard.is_up("b", "c") and not yard.is_up("a"), "the new ones")
        assert await task == 0

    play(story())


def test_a_reload_does_not_wait_for_a_pause_to_end(world: World) -> None:
    async def story() -> None:
        errors: list[Exception] = [Unreachable("no network")] * 10
        yard = Yard(world, heard(), ["a", "b"], {"b": errors})
        async with running(yard):
            await until(lambda: len(yard.told) == 9, "many failures", 3600)
            errors.clear()
            yard.fleet.reload()
            assert await until(lambda: yard.is_up("b"), "it") < 1

    play(story())


def test_one_whose_settings_are_outdated_is_opened_anew_and_its_request_is_answered_then(
    world: World,
) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a", "b"])
        async with running(yard) as task:
            await until(lambda: yard.is_up("a", "b"), "both")
            old, other = yard.daemons["a"], yard.daemons["b"]
            await asyncio.sleep(1)
            old.are_settings_outdated = lambda: True
            yard.requests["a"] = old.requests
            asked = asyncio.create_task(old.now())
            report = await asyncio.wait_for(asked, 60)
            assert report.head is not None
            assert yard.daemons["a"] is not old
            assert yard.daemons["b"] is other
            assert not yard.told
        assert await task == 0

    play(story())


def test_a_stop_ends_one_whose_settings_are_outdated_too(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a"])
        async with running(yard) as task:
            await until(lambda: yard.is_up("a"), "it")
            daemon = yard.daemons["a"]
            await asyncio.sleep(1)

            def stop_meanwhile() -> bool:
                yard.fleet.stop()
                return True

            daemon.are_settings_outdated = stop_meanwhile
            with pytest.raises(SyncdError):
                await daemon.now()
            assert await asyncio.wait_for(task, 60) == 0
            assert yard.opened == ["a"]

    play(story())


def test_a_list_that_cannot_be_read_changes_nothing(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(), ["a", "b"])
        async with running(yard):
            await until(lambda: yard.is_up("a", "b"), "both")

            def fail() -> Sequence[Path]:
                raise ConfigWrong("no list")

            yard.fleet.listed = fail
            yard.fleet.reload()
            await asyncio.sleep(60)
            assert yard.opened == ["a", "b"]
            assert len(yard.notifier.said("READY")) == 2

    play(story())


# --- The watchdog -------------------------------------------------------------------------------


def test_idle_mirrors_feed_the_watchdog_often_enough(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(60.0), ["a", "b"])
        async with running(yard):
            await until(lambda: yard.is_up("a", "b"), "both")
            await asyncio.sleep(600)
            fed = yard.notifier.said("WATCHDOG")
            assert max(b - a for a, b in itertools.pairwise(fed)) <= 2 * 60 / BEATS
            assert now() - fed[-1] <= 2 * 60 / BEATS

    play(story())


def test_one_cycle_that_hangs_starves_the_watchdog_of_them_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        yard = Yard(world, heard(60.0), ["a", "b"])
        async with running(yard) as task:
            await until(lambda: yard.is_up("a", "b"), "both")
            await asyncio.sleep(100)
            hung = yard.daemons["b"]

            async def hang(mirror: object, dirty: object = None) -> None:
                if mirror is hung.mirror:
                    await asyncio.Event().wait()

            monkeypatch.setattr(type(hung.mirror), "cycle", hang)
            watcher = hung.watcher
            assert isinstance(watcher, FakeWatcher)
            watcher.tell(NOTE)
            await asyncio.sleep(60)
            at = now()
            await asyncio.sleep(1000)
            assert [t for t in yard.notifier.said("WATCHDOG") if t > at] == []
            monkeypatch.undo()
            task.cancel()

    play(story())


def test_a_mirror_in_a_pause_is_alive(world: World) -> None:
    async def story() -> None:
        yard = Yard(world, heard(60.0), ["a", "b"], {"b": [Unreachable("no network")] * 100})
        async with running(yard):
            await until(lambda: yard.is_up("a"), "the other")
            await asyncio.sleep(3600)
            assert now() - yard.notifier.said("WATCHDOG")[-1] <= 2 * 60 / BEATS

    play(story())
