"""When cycles run, in seconds of a clock that jumps: every pause here takes no time."""

from __future__ import annotations

import asyncio
import itertools
import selectors
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.xrpc import DEFAULT_RETRY_SECONDS
from syncd.config import Config
from syncd.cycle.git.companion import Companion
from syncd.cycle.observe.views import Dirty
from syncd.daemon import BACKOFF_SECONDS, STOP_SECONDS, Bell, Daemon, Phase
from syncd.errors import (
    CredentialsRefused,
    FileProblem,
    FolderWrong,
    RateLimited,
    RepoUnavailable,
    StateWrong,
    SyncdError,
)
from syncd.folder.root import own_of
from syncd.model import Choice, Decision, RecordPath, Report
from syncd.sandbox import Delay, DropRequest, Html, Refuse, Sandbox, Status
from syncd.sandbox.faults import Call, Effect
from syncd.state import open_state
from tests.rigs.device import Device, World, rework

NOTE = RecordPath("com.example.note/one")
OTHER = RecordPath("com.example.note/two")
POLL_SECONDS = 5.0
PROBE = 1
"""The first applyWrites of a mirror finds out whether the PDS honours swaps at all."""
BUSY_TURNS = 2000
"""So many turns of the loop without a pause are no work any more."""
APPLY = "com.atproto.repo.applyWrites"
REPO, LATEST = "com.atproto.sync.getRepo", "com.atproto.sync.getLatestCommit"


class JumpingSelector(selectors.DefaultSelector):
    """Never waits: where nothing is ready, the clock jumps to when something is due."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._busy_turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is due any more: the test would wait for ever"
        self._busy_turns = self._busy_turns + 1 if timeout <= 0 else 0
        assert self._busy_turns < BUSY_TURNS, "there is always something to do: a busy loop"
        self.now += max(timeout, 0.0)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def play(story: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(story)


def now() -> float:
    return asyncio.get_running_loop().time()


async def until(is_true: Callable[[], bool], what: str, seconds: float = 60.0) -> float:
    """Wait for something that the daemon does; returns how many seconds it took."""
    began = now()
    while not is_true():
        assert now() - began < seconds, f"{what} did not happen within {seconds} seconds"
        await asyncio.sleep(max(0.01, (now() - began) / 1000))
    return now() - began


@dataclass(slots=True)
class FakeWatcher:
    """Tells what a test says was saved, or fails as a test says."""

    tidings: asyncio.Queue[Dirty | Exception] = field(default_factory=asyncio.Queue)

    async def changes(self, *, quiet_seconds: float, max_seconds: float) -> Dirty:
        told = await self.tidings.get()
        if isinstance(told, Exception):
            raise told
        return told

    def tell(self, *paths: RecordPath) -> None:
        self.tidings.put_nowait(frozenset(paths))


@dataclass(frozen=True, slots=True)
class Told:
    at: float
    phase: Phase
    report: Report | None
    error: SyncdError | None


@dataclass(slots=True)
class Desk:
    """A daemon at work: what it told, and the words to make things happen around it."""

    world: World
    device: Device
    watcher: FakeWatcher | None
    jitter: float = 0.0
    log: list[Told] = field(default_factory=list)
    daemon: Daemon = field(init=False)

    def __post_init__(self) -> None:
        self.daemon = Daemon(
            self.device.mirror, self.watcher, self.told, jitter=lambda: self.jitter
        )

    def told(self, phase: Phase, report: Report | None, error: SyncdError | None) -> None:
        self.log.append(Told(now(), phase, report, error))

    def phases(self) -> list[Phase]:
        return [told.phase for told in self.log]

    def cycles(self) -> list[float]:
        """When each cycle began."""
        return [told.at for told in self.log if told.phase is Phase.SYNCING and not told.report]

    def pauses(self) -> list[float]:
        """The seconds from each failure to the next cycle."""
        began = [(told.at, told.phase is Phase.SYNCING) for told in self.log if not told.report]
        return [
            later - at for (at, is_cycle), (later, _) in itertools.pairwise(began) if not is_cycle
        ]

    def is_idle(self) -> bool:
        return bool(self.log) and self.log[-1].phase is Phase.IDLE

    def is_pushed(self, path: RecordPath) -> bool:
        return path in self.world.records()

    def fail(self, effect: Effect, nsid: str | None = None, *, times: int = 1) -> None:
        self.world.sandbox.faults.add(effect, nsid, times=times)


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


def make_desk(
    world: World,
    *,
    watched: bool = True,
    clock_ns: Callable[[], int] = time.time_ns,
    **settings: Any,  # noqa: ANN401
) -> Desk:
    config = Config(world.login.did, brake_records=1000, poll_seconds=POLL_SECONDS, **settings)
    device = world.device(config=config)
    device.mirror = replace(
        device.mirror,
        workspace=replace(device.mirror.workspace, clock_ns=clock_ns),
        jitter=lambda: 0.0,
    )
    return Desk(world, device, FakeWatcher() if watched else None)


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[asyncio.Task[None]]:
    """The daemon at work, from its first idle moment until the `with` ends."""
    task = asyncio.create_task(desk.daemon.run())
    try:
        await until(lambda: desk.is_idle() or task.done(), "the first cycle")
        yield task
    finally:
        desk.daemon.stop()
        await asyncio.wait_for(task, 2 * STOP_SECONDS)


# --- What rings ---------------------------------------------------------------------------------


def test_a_bell_gathers_what_it_was_rung_for_until_it_is_taken() -> None:
    async def story() -> None:
        bell = Bell()
        waiting = asyncio.create_task(bell.wait())
        await asyncio.sleep(1)
        assert not waiting.done()
        bell.ring([NOTE])
        bell.ring(())
        bell.add([OTHER, NOTE])
        await waiting
        assert bell.take() == {NOTE, OTHER}
        assert bell.take() == frozenset()
        bell.add([NOTE])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(bell.wait(), 1)

    play(story())


@pytest.mark.parametrize("rings", [[None], [None, [NOTE]], [[NOTE], None], [(), None, ()]])
def test_a_bell_rung_for_everywhere_means_everywhere(rings: list[Dirty]) -> None:
    async def story() -> None:
        bell = Bell()
        for dirty in rings:
            bell.ring(dirty)
        assert bell.take() is None
        assert bell.take() == frozenset()

    play(story())


def test_a_bell_rung_for_nothing_in_the_folder_still_rings() -> None:
    async def story() -> None:
        bell = Bell()
        bell.ring(())
        await asyncio.wait_for(bell.wait(), 1)
        assert bell.take() == frozenset()

    play(story())


def test_the_first_cycle_looks_everywhere_and_at_the_repo(world: World) -> None:
    async def story() -> None:
        await world.write(OTHER, v=1)
        desk = make_desk(world)
        desk.device.save(NOTE, v=1)
        async with running(desk):
            await until(lambda: desk.is_pushed(NOTE) and desk.device.has(OTHER), "both ways", 1)
        assert desk.phases()[:2] == [Phase.SYNCING, Phase.IDLE]

    play(story())


def test_a_saved_file_is_pushed_at_once_and_only_that_is_looked_at(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world, full_look_seconds=300)
        async with running(desk):
            assert desk.watcher is not None
            desk.device.save(NOTE, v=1)
            desk.device.save(OTHER, v=1)
            desk.watcher.tell(NOTE)
            assert await until(lambda: desk.is_pushed(NOTE), "the push") < 0.1
            await asyncio.sleep(10 * POLL_SECONDS)
            assert not desk.is_pushed(OTHER)
            assert await until(lambda: desk.is_pushed(OTHER), "the look round", 300) > 200

    play(story())


def test_without_a_watcher_the_folder_is_looked_at_with_every_poll(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world, watched=False)
        async with running(desk):
            desk.device.save(NOTE, v=1)
            assert await until(lambda: desk.is_pushed(NOTE), "the push") <= POLL_SECONDS + 0.1

    play(story())


def test_news_from_the_pds_arrive_with_the_next_poll(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            await world.write(NOTE, v=1)
            assert await until(lambda: desk.device.has(NOTE), "the pull") <= POLL_SECONDS + 0.1

    play(story())


def test_no_news_is_no_cycle_and_one_request_a_poll(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world, full_look_seconds=86_400)
        async with running(desk):
            requests, cycles = desk.device.mirror.pds.requests, len(desk.cycles())
            await asyncio.sleep(100 * POLL_SECONDS + 1)
            assert desk.device.mirror.pds.requests - requests == 100
            assert len(desk.cycles()) == cycles

    play(story())


def test_a_decision_made_in_another_process_is_carried_out(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            assert desk.watcher is not None
            await world.write(NOTE, v=1)
            await until(lambda: desk.device.has(NOTE), "the pull")
            theirs = await world.write(NOTE, v="theirs")
            desk.device.save(NOTE, v="mine")
            desk.watcher.tell(NOTE)
            waiting = desk.device.mirror.state.waiting
            await until(lambda: bool(waiting()), "the conflict")
            (conflict,) = waiting()
            with open_state(desk.device.root / ".syncd" / "state.db") as beside:
                beside.decide([Decision(NOTE, Choice.REMOTE, conflict.local, theirs)])  # type: ignore[union-attr]
            took = await until(lambda: not waiting(), "the decision")
            assert took <= 2 * POLL_SECONDS + 0.1
            assert desk.device.read(NOTE)["v"] == "theirs"
            assert desk.device.mirror.state.decisions() == {}

    play(story())


def test_what_git_had_unmerged_is_pushed_with_the_poll_after_git_add(world: World) -> None:
    """`git add` saves no file, so nothing else tells that the record waits no longer."""

    def git(desk: Desk, *words: str, send: str = "") -> str:
        command = ("git", *words)
        done = subprocess.run(
            command, cwd=desk.device.root, input=send, text=True, check=True, stdout=subprocess.PIPE
        )
        return done.stdout.strip()

    async def story() -> None:
        desk = make_desk(world, full_look_seconds=86_400)
        mirror = desk.device.mirror
        mirror.companion = Companion(mirror.workspace)
        git(desk, "init", "--quiet")
        desk.device.save(NOTE, v=1)
        blob = git(desk, "hash-object", "-w", f"{NOTE}.json")
        stages = "".join(f"100644 {blob} {stage}\t{NOTE}.json\n" for stage in (2, 3))
        git(desk, "update-index", "--index-info", send=stages)
        async with running(desk):
            assert [item.path for item in mirror.state.waiting()] == [NOTE]
            await asyncio.sleep(3 * POLL_SECONDS)
            assert not desk.is_pushed(NOTE)
            git(desk, "add", f"{NOTE}.json")
            assert await until(lambda: desk.is_pushed(NOTE), "the push") <= POLL_SECONDS + 0.1

    play(story())


# --- When something fails -----------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [0.0, 0.999])
def test_pauses_grow_up_to_a_limit_and_begin_anew_after_a_success(
    world: World, jitter: float
) -> None:
    async def story() -> None:
        desk = make_desk(world)
        desk.jitter = jitter
        first, longest = BACKOFF_SECONDS
        async with running(desk):
            assert desk.watcher is not None
            for _ in range(2):
                seen = len(desk.pauses())
                desk.fail(DropRequest(), REPO, times=11)
                desk.watcher.tell(NOTE)
                await until(lambda: Phase.OFFLINE in desk.phases(), "the first failure")
                await until(lambda: not world.sandbox.faults.waiting, "the last failure", 4000)
                await until(desk.is_idle, "the recovery", 400)
                share = 0.5 + jitter / 2
                expected = [share * min(longest, first * 2**n) for n in range(11)]
                assert desk.pauses()[seen:] == pytest.approx(expected, abs=0.1)

    play(story())


def test_a_pds_that_asks_for_a_pause_gets_it_and_pulls_go_on(world: World) -> None:
    async def story() -> None:
        began = time.time_ns()
        desk = make_desk(world, clock_ns=lambda: began + int(now() * 1e9))
        async with running(desk):
            assert desk.watcher is not None
            refusal = Refuse(429, "RateLimitExceeded", "later", (("retry-after", "120"),))
            desk.fail(refusal, APPLY)
            desk.device.save(NOTE, v=1)
            desk.watcher.tell(NOTE)
            await until(lambda: isinstance(desk.log[-1].error, RateLimited), "the refusal")
            refused = now()
            await world.write(OTHER, v=1)
            await until(lambda: desk.device.has(OTHER), "a pull", POLL_SECONDS + 1)
            desk.device.save(OTHER, v=2)
            desk.watcher.tell(OTHER)
            await until(lambda: desk.is_pushed(NOTE), "the push", 200)
            assert 119 <= now() - refused < 123
            await until(lambda: desk.log[-1].error is None, "the end of the pause", 1)

    play(story())


@pytest.mark.parametrize("limited", [{LATEST}, {LATEST, REPO}], ids=["polls", "all reads"])
def test_a_limit_of_reads_without_a_length_is_said_and_asked_for_later_and_later(
    world: World, limited: set[str]
) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            assert desk.watcher is not None
            await until(desk.is_idle, "the first cycle")
            asked: list[float] = []

            def note(call: Call) -> bool:
                asked.extend([now()] if call.nsid in limited else [])
                return call.nsid in limited

            refusal = Refuse(429, "RateLimitExceeded", "Rate Limit Exceeded")
            world.sandbox.faults.add(refusal, times=10_000, when=note)
            await until(lambda: bool(asked), "the limit", 60)
            if REPO in limited:
                await until(lambda: isinstance(desk.log[-1].error, RateLimited), "the word", 1)
            began, first = now(), len(asked)
            await until(lambda: now() - began > 600, "ten minutes", 700)
            assert 0 < len(asked) - first <= 2 * 600 / DEFAULT_RETRY_SECONDS
            assert asked[-1] - asked[-2] > 1
            assert desk.device.mirror.outbox.ledger().closed_until == 0
            world.sandbox.faults.clear()
            desk.device.save(NOTE, v=1)
            desk.watcher.tell(NOTE)
            await until(lambda: desk.is_pushed(NOTE), "the push", 400)

    play(story())


@pytest.mark.parametrize("effect", [DropRequest(), Html(), Refuse(502), Refuse(500)])
@pytest.mark.parametrize("nsid", [REPO, APPLY, None])
def test_what_a_failed_cycle_was_rung_for_is_not_forgotten(
    world: World, effect: Effect, nsid: str | None
) -> None:
    """Nobody tells of the two files again, and one of them nobody told of at all."""

    async def story() -> None:
        desk = make_desk(world, full_look_seconds=86_400)
        async with running(desk):
            assert desk.watcher is not None
            desk.device.save(NOTE, v=1)
            desk.device.save("com.example.note/three", v=1)
            # A failed question for the guards fails no cycle.
            world.sandbox.faults.add(effect, nsid, when=lambda c: c.nsid != APPLY or bool(c.paths))
            desk.watcher.tell(NOTE, RecordPath("com.example.note/three"))
            await until(lambda: Phase.OFFLINE in desk.phases(), "the failure")
            desk.device.save(OTHER, v=1)
            await until(lambda: desk.is_pushed(NOTE) and desk.is_pushed(OTHER), "the pushes", 5)
            await until(desk.is_idle, "the rest")

    play(story())


def test_failing_polls_disturb_nothing(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            for effect in (DropRequest(), Html(), Refuse(502), Refuse(429)):
                desk.fail(effect, LATEST)
            await world.write(NOTE, v=1)
            await until(lambda: desk.device.has(NOTE), "the pull", 5 * POLL_SECONDS + 1)
            assert Phase.OFFLINE not in desk.phases()

    play(story())


@pytest.mark.parametrize("status", [Status.DEACTIVATED, Status.TAKENDOWN])
def test_an_account_that_is_away_halts_until_it_is_back(world: World, status: Status) -> None:
    async def story() -> None:
        await world.write(NOTE, v=1)
        desk = make_desk(world)
        async with running(desk) as task:
            assert desk.watcher is not None
            world.sandbox.set_status(world.login.did, status)
            desk.watcher.tell(NOTE)
            await until(lambda: desk.phases()[-1] is Phase.HALTED, "the halt")
            assert isinstance(desk.log[-1].error, RepoUnavailable)
            await asyncio.sleep(600)
            assert not task.done()
            assert desk.device.has(NOTE)
            world.sandbox.set_status(world.login.did, Status.ACTIVE)
            await until(desk.is_idle, "the recovery", 400)

    play(story())


def test_refused_credentials_halt_and_a_new_login_goes_on(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            assert desk.watcher is not None
            desk.fail(Refuse(401, "AuthMissing", "Authentication Required"), APPLY, times=3)
            desk.device.save(NOTE, v=1)
            desk.watcher.tell(NOTE)
            await until(lambda: desk.phases()[-1] is Phase.HALTED, "the halt")
            assert isinstance(desk.log[-1].error, CredentialsRefused)
            await until(lambda: desk.is_pushed(NOTE), "the push", 10)

    play(story())


def test_a_file_that_stays_open_makes_no_busy_loop(world: World) -> None:
    async def story() -> None:
        await world.write(NOTE, v=1)
        desk = make_desk(world)
        async with running(desk):
            assert desk.watcher is not None
            with desk.device.file(NOTE).open("r+b"):
                await world.write(NOTE, v=2)
                cycles = len(desk.cycles())
                await asyncio.sleep(20 * POLL_SECONDS)
                assert len(desk.cycles()) - cycles < 60
                desk.device.save(OTHER, v=1)
                desk.watcher.tell(OTHER)
                assert await until(lambda: desk.is_pushed(OTHER), "another file's push") < 0.1
            closed = await until(lambda: desk.device.read(NOTE)["v"] == 2, "the pull")
            assert closed <= POLL_SECONDS + 0.1

    play(story())


def test_a_lost_swap_is_tried_again_at_once(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            assert desk.watcher is not None
            refusal = Refuse(400, "InvalidSwap", "Commit was at another")
            desk.fail(refusal, APPLY, times=PROBE + 1)
            desk.device.save(NOTE, v=1)
            desk.device.save(OTHER, v=1)
            desk.watcher.tell(NOTE, OTHER)
            assert await until(lambda: desk.is_pushed(OTHER), "the push") < 1
            assert Phase.OFFLINE not in desk.phases()

    play(story())


def test_what_a_lost_swap_left_unsent_is_sent_with_the_next_thing_that_rings(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world, full_look_seconds=86_400)
        async with running(desk):
            assert desk.watcher is not None
            refusal = Refuse(400, "InvalidSwap", "Commit was at another")
            desk.fail(refusal, APPLY, times=PROBE + 1)
            desk.device.save(NOTE, v=1)
            desk.device.save(OTHER, v=1)
            desk.watcher.tell(NOTE, OTHER)
            await until(lambda: not world.sandbox.faults.waiting, "the lost swap")
            desk.watcher.tell(RecordPath("com.example.note/three"))
            await until(lambda: desk.is_pushed(NOTE) and desk.is_pushed(OTHER), "the pushes")

    play(story())


# --- What a person asks for ---------------------------------------------------------------------


def test_a_paused_daemon_asks_nobody_and_does_nothing_until_it_goes_on(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            assert desk.watcher is not None
            desk.daemon.pause()
            assert desk.phases()[-1] is Phase.PAUSED
            requests, cycles = desk.device.mirror.requests, len(desk.cycles())
            desk.device.save(NOTE, v=1)
            desk.watcher.tell(NOTE)
            await world.write(OTHER, v=1)
            await asyncio.sleep(3600)
            assert (desk.device.mirror.requests, len(desk.cycles())) == (requests, cycles)
            desk.daemon.resume()
            await until(lambda: desk.is_pushed(NOTE) and desk.device.has(OTHER), "both ways", 1)
            await until(desk.is_idle, "the rest")

    play(story())


def test_a_sync_is_done_in_a_pause_for_who_asks_and_the_pause_goes_on(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            desk.daemon.pause()
            desk.device.save(NOTE, v=1)
            report = await asyncio.wait_for(desk.daemon.now(), 60)
            assert report.pushed == (NOTE,)
            await until(lambda: desk.phases()[-1] is Phase.PAUSED, "the pause")
            desk.device.save(OTHER, v=1)
            await asyncio.sleep(3600)
            assert not desk.is_pushed(OTHER)

    play(story())


def test_a_daemon_that_comes_up_paused_does_nothing(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        desk.daemon.pause()
        desk.device.save(NOTE, v=1)
        task = asyncio.create_task(desk.daemon.run())
        await asyncio.sleep(3600)
        assert desk.phases() == [Phase.PAUSED]
        assert not desk.is_pushed(NOTE)
        desk.daemon.stop()
        await asyncio.wait_for(task, 1)

    play(story())


def test_who_asks_in_the_middle_of_a_cycle_hears_of_the_next_one(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            assert desk.watcher is not None
            desk.fail(Delay(30), APPLY)
            desk.device.save(NOTE, v=1)
            desk.watcher.tell(NOTE)
            await until(lambda: not world.sandbox.faults.waiting, "the slow request")
            desk.device.save(OTHER, v=1)
            report = await asyncio.wait_for(desk.daemon.now(), 60)
            assert OTHER in report.pushed
            assert NOTE not in report.pushed

    play(story())


def test_who_asks_hears_what_fails_and_does_not_wait_for_the_pause_before(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            assert desk.watcher is not None
            desk.fail(DropRequest(), REPO, times=8)
            desk.watcher.tell(NOTE)
            await until(lambda: len(desk.pauses()) == 5, "long pauses", 600)
            began = now()
            with pytest.raises(SyncdError):
                await desk.daemon.now()
            assert now() - began < BACKOFF_SECONDS[0] + 0.1
            await until(desk.is_idle, "the recovery", 1000)

    play(story())


def test_who_asks_a_daemon_that_ends_is_told(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk):
            desk.daemon.pause()
            desk.fail(Delay(1000), REPO)
            await world.write(NOTE, v=1)
            asked = [asyncio.create_task(desk.daemon.now()) for _ in range(2)]
            await until(lambda: not world.sandbox.faults.waiting, "the hanging request")
            asked.append(asyncio.create_task(desk.daemon.now()))
            desk.daemon.stop()
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {SyncdError}

    play(story())


# --- How it ends --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("planted"), FileProblem("planted")])
def test_a_watcher_that_breaks_ends_the_daemon_aloud(world: World, error: Exception) -> None:
    async def story() -> None:
        desk = make_desk(world)
        task = asyncio.create_task(desk.daemon.run())
        await until(desk.is_idle, "the first cycle")
        assert desk.watcher is not None
        desk.watcher.tidings.put_nowait(error)
        with pytest.raises(type(error), match="planted"):
            await asyncio.wait_for(task, 0.1)

    play(story())


@pytest.mark.parametrize(
    ("harm", "error"),
    [("marker", FolderWrong), ("state", StateWrong)],
)
def test_a_folder_or_state_that_is_gone_ends_the_daemon(
    world: World, harm: str, error: type[SyncdError]
) -> None:
    async def story() -> None:
        desk = make_desk(world)
        task = asyncio.create_task(desk.daemon.run())
        await until(desk.is_idle, "the first cycle")
        if harm == "marker":
            (desk.device.root / ".syncd" / "marker").write_text("another")
        else:
            desk.device.mirror.state.close()
        assert desk.watcher is not None
        desk.watcher.tell(NOTE)
        with pytest.raises(error):
            await asyncio.wait_for(task, 1)

    play(story())


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_folder_that_goes_without_an_event_ends_the_daemon_with_the_next_poll(
    world: World, is_replaced: bool
) -> None:
    """As where a disk is unmounted, or mounted anew: nobody writes, and nobody is told."""

    async def story() -> None:
        desk = make_desk(world, full_look_seconds=86_400)
        root = desk.device.root
        rework(desk.device.mirror, folder=replace(desk.device.mirror.folder, own=own_of(root)))
        task = asyncio.create_task(desk.daemon.run())
        await until(desk.is_idle, "the first cycle")
        await asyncio.sleep(10 * POLL_SECONDS)
        assert desk.is_idle()
        away = root.rename(root.with_name("away"))
        if is_replaced:
            shutil.copytree(away, root)
        with pytest.raises(FolderWrong):
            await asyncio.wait_for(task, 2 * POLL_SECONDS)
        assert desk.world.records() == {}

    play(story())


def test_credentials_that_nobody_can_renew_end_the_daemon(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        desk.daemon.ends_on = (CredentialsRefused,)
        desk.fail(Refuse(401, "AuthMissing", "Authentication Required"), APPLY)
        desk.device.save(NOTE, v=1)
        with pytest.raises(CredentialsRefused):
            await asyncio.wait_for(desk.daemon.run(), 60)
        assert desk.phases()[-1] is Phase.HALTED

    play(story())


def test_a_stop_during_a_pause_ends_at_once(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        desk.fail(DropRequest(), times=100)
        task = asyncio.create_task(desk.daemon.run())
        await until(lambda: len(desk.pauses()) == 5, "five failures", 100)
        await asyncio.sleep(1)
        desk.daemon.stop()
        await asyncio.wait_for(task, 0.1)

    play(story())


def test_a_stop_while_idle_ends_at_once_and_twice_is_once(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk) as task:
            desk.daemon.stop()
            desk.daemon.stop()
            await asyncio.wait_for(task, 0.1)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(story())


def test_a_stop_before_the_start_runs_no_cycle(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        desk.daemon.stop()
        await asyncio.wait_for(desk.daemon.run(), 0.1)
        assert desk.log == []

    play(story())


def test_a_stop_lets_the_running_cycle_finish(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk) as task:
            assert desk.watcher is not None
            desk.fail(Delay(STOP_SECONDS / 2), APPLY)
            desk.device.save(NOTE, v=1)
            desk.watcher.tell(NOTE)
            await until(lambda: not world.sandbox.faults.waiting, "the slow request")
            desk.daemon.stop()
            await asyncio.wait_for(task, STOP_SECONDS)
        assert desk.device.base() == world.records()

    play(story())


def test_a_stop_does_not_wait_for_a_pds_that_hangs(world: World) -> None:
    async def story() -> None:
        desk = make_desk(world)
        async with running(desk) as task:
            assert desk.watcher is not None
            desk.fail(Delay(1000), APPLY)
            desk.device.save(NOTE, v=1)
            desk.watcher.tell(NOTE)
            await until(lambda: not world.sandbox.faults.waiting, "the hanging request")
            desk.daemon.stop()
            began = now()
            await asyncio.wait_for(task, 2 * STOP_SECONDS)
            assert now() - began == pytest.approx(STOP_SECONDS, abs=0.1)
        again = world.restart(desk.device)
        assert (await again.sync()).pushed == (NOTE,)

    play(story())
