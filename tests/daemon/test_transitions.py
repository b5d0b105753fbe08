"""The table of a daemon's states, by itself, and held against a daemon at work."""

from __future__ import annotations

import ast
import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from syncd.daemon import STOP_SECONDS
from syncd.daemon.phase import PHASES, Phase
from syncd.daemon.transitions import CYCLING, POLLING, TABLE, Course, Event, LoopState, follow
from syncd.errors import SyncdError, Unreachable
from syncd.sandbox import Delay, DropRequest, Html, Refuse, Sandbox, Status
from tests.daemon.test_loop import (
    APPLY,
    NOTE,
    OTHER,
    POLL_SECONDS,
    REPO,
    Desk,
    make_desk,
    now,
    play,
    until,
)
from tests.rigs.device import World
from tests.test_architecture import ROOT, Module, impurities

Row = tuple[LoopState, Event, LoopState]
ROWS = [(state, event, after) for state, row in TABLE.items() for event, after in row.items()]
IN_PAUSE = {LoopState.PAUSED, LoopState.PAUSING, LoopState.REQUESTED}
CYCLE_ENDS = {Event.FINISH, Event.PUT_OFF, Event.LOCK_OUT, Event.FAIL, Event.HALT}
DAEMON = ROOT / "daemon"
LIMIT = Refuse(429, "RateLimitExceeded", "later", (("retry-after", "120"),))
LOGIN = Refuse(401, "AuthMissing", "Authentication Required")


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


# --- The table by itself ------------------------------------------------------------------------


@pytest.mark.parametrize("state", LoopState)
@pytest.mark.parametrize("event", Event)
def test_each_pair_is_in_the_table_or_is_refused(state: LoopState, event: Event) -> None:
    course = Course(state)
    if event in TABLE[state]:
        course.follow(event)
        assert course.state is follow(state, event) is TABLE[state][event]
    else:
        with pytest.raises(ValueError, match=f"{event.value}.*{state.value}"):
            course.follow(event)
        assert course.state is state


def test_every_state_is_reached_from_the_first_and_can_stop() -> None:
    reached, new = set[LoopState](), {Course().state}
    while new:
        reached |= new
        new = {after for state in new for after in TABLE[state].values()} - reached
    assert reached == set(LoopState) == set(TABLE)
    running = set(LoopState) - {LoopState.STOPPING}
    assert {TABLE[state][Event.STOP] for state in running} == {LoopState.STOPPING}
    assert set(TABLE[LoopState.STOPPING].values()) == {LoopState.STOPPING}


def test_a_person_may_pause_and_resume_at_any_moment() -> None:
    assert all({Event.PAUSE, Event.RESUME} <= set(TABLE[state]) for state in LoopState)


def test_only_a_person_begins_a_pause_and_only_a_resume_or_a_stop_ends_it() -> None:
    for state, event, after in ROWS:
        if (state in IN_PAUSE) != (after in IN_PAUSE):
            assert event in ({Event.RESUME, Event.STOP} if state in IN_PAUSE else {Event.PAUSE})


def test_a_cycle_begins_only_where_none_runs_and_ends_only_where_one_does() -> None:
    for state in LoopState:
        has_cycle = state in CYCLING
        assert (Event.BEGIN in TABLE[state]) == (not has_cycle and state is not LoopState.STOPPING)
        assert CYCLE_ENDS & set(TABLE[state]) == (CYCLE_ENDS if has_cycle else set())
    assert all(after in CYCLING for _, event, after in ROWS if event is Event.BEGIN)
    assert CYCLING.isdisjoint({after for _, event, after in ROWS if event in CYCLE_ENDS})


def test_the_pds_is_polled_only_after_a_cycle_that_it_answered() -> None:
    answered = {Event.FINISH, Event.PUT_OFF, Event.LOCK_OUT}
    assert {TABLE[LoopState.SYNCING][event] for event in answered} == POLLING


def test_every_state_is_shown_until_the_daemon_stops() -> None:
    assert set(PHASES) == set(LoopState) - {LoopState.STOPPING}
    assert set(PHASES.values()) == set(Phase)


@pytest.mark.parametrize("name", ["transitions", "delays", "phase"])
def test_what_decides_when_to_look_is_pure(name: str) -> None:
    assert list(impurities(Module.read(DAEMON / f"{name}.py"))) == []


def assigned(tree: ast.AST) -> Iterator[str]:
    """The attributes and names that are assigned to, `self._state` and the like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            yield ast.unparse(node)


def test_nothing_but_the_table_sets_a_state() -> None:
    """`Course.follow` asks the table; and no other course takes the place of a daemon's."""
    found = sorted(
        (path.name, name)
        for path in DAEMON.glob("*.py")
        for name in assigned(ast.parse(path.read_text(encoding="utf-8")))
        if name.rpartition(".")[2] in {"_state", "_course"}
    )
    fields = [("loop.py", "_course"), ("transitions.py", "_state")]
    assert found == [*fields, ("transitions.py", "self._state")]


# --- A daemon at work ---------------------------------------------------------------------------


class Recorder(Course):
    """Keeps every transition that a daemon takes."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Row] = []

    def follow(self, event: Event) -> None:
        before = self.state
        super().follow(event)
        self.taken.append((before, event, self.state))


class Play:
    """A daemon that is brought into a state, and to which something happens there."""

    def __init__(self, world: World) -> None:
        began = time.time_ns()
        self.world = world
        self.desk = make_desk(world, clock_ns=lambda: began + int(now() * 1e9))
        self.course = Recorder()
        self.desk.daemon._course = self.course
        self.tasks: list[asyncio.Task[object]] = []

    def start(self) -> None:
        self.tasks.append(asyncio.create_task(self.desk.daemon.run()))

    def request(self) -> None:
        self.tasks.append(asyncio.create_task(self.desk.daemon.now()))

    async def idle(self) -> None:
        self.start()
        await self.until(LoopState.IDLE)

    async def until(self, state: LoopState) -> None:
        await until(lambda: self.course.state is state, state.value, 400)

    def save(self) -> None:
        assert self.desk.watcher is not None
        self.desk.device.save(NOTE, v=len(self.course.taken))
        self.desk.watcher.tell(NOTE)

    def prepare(self, event: Event) -> None:
        """Let a cycle that pushes something end in `event`."""
        if event is Event.PUT_OFF:
            self.desk.fail(LIMIT, APPLY)
        elif event is Event.LOCK_OUT:
            self.desk.fail(LOGIN, APPLY, times=3)
        elif event is Event.FAIL:
            self.desk.fail(DropRequest(), APPLY, times=50)
            self.desk.fail(DropRequest(), APPLY, times=50)
        elif event is Event.HALT:
            self.world.sandbox.set_status(self.world.login.did, Status.DEACTIVATED)

    async def reach(self, state: LoopState, seconds: float) -> None:
        """Bring the daemon into `state`, from its start; a cycle lasts so many seconds."""
        if state is LoopState.DUE:
            return
        await self.idle()
        if state in {LoopState.PAUSED, LoopState.REQUESTED}:
            self.desk.daemon.pause()
        if state in CYCLING:
            self.desk.fail(Delay(seconds), REPO)
            await self.world.write("com.example.note/theirs", v=1)
        if state is LoopState.REQUESTED:
            self.save()
            self.request()
        elif state in {LoopState.SYNCING, LoopState.PAUSING}:
            self.save()
            await self.until(LoopState.SYNCING)
        if state is LoopState.PAUSING:
            self.desk.daemon.pause()
        if state is LoopState.STOPPING:
            self.desk.daemon.stop()
        for event, after in TABLE[LoopState.SYNCING].items():
            if after is state and event in CYCLE_ENDS - {Event.FINISH}:
                self.prepare(event)
                self.save()
        await self.until(state)

    async def happen(self, event: Event) -> None:
        """Let `event` happen now."""
        if event is Event.PAUSE:
            self.desk.daemon.pause()
        elif event is Event.RESUME:
            self.desk.daemon.resume()
        elif event in CYCLE_ENDS:
            self.prepare(event)
        elif not self.tasks:
            self.start()
        if event is Event.STOP:
            self.desk.daemon.stop()
        elif event is Event.BEGIN:
            self.request()

    async def end(self) -> None:
        self.desk.daemon.stop()
        if self.tasks:
            await asyncio.wait_for(self.tasks[0], 2 * STOP_SECONDS)
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row[0].value}, {row[1].value}".replace(" ", "-")
)
def test_a_daemon_takes_every_transition_of_the_table(world: World, row: Row) -> None:
    state, event, _ = row

    async def story() -> None:
        scene = Play(world)
        await scene.reach(state, 1000 if event is Event.STOP else 1)
        assert scene.course.state is state
        before = len(scene.course.taken)
        await scene.happen(event)
        await until(lambda: row in scene.course.taken[before:], event.value, 400)
        await scene.end()
        assert set(scene.course.taken) <= set(ROWS)

    play(story())


ACTIONS = (
    "save",
    "write",
    "pause",
    "resume",
    "resume",
    "now",
    "away",
    "back",
    "fault",
    "wait",
    "wait",
)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_in_whatever_order_the_daemon_stays_on_the_table_and_recovers(
    world: World, seed: int
) -> None:
    chance = random.Random(seed)
    faults = (DropRequest(), Html(), Refuse(500), LIMIT, LOGIN, Delay(3))

    async def act(scene: Play, action: str, number: int) -> None:
        desk = scene.desk
        if action == "save":
            desk.device.save(OTHER, v=number)
            scene.save()
        elif action == "write":
            with suppress(SyncdError):
                await world.write("com.example.note/theirs", v=number)
        elif action == "now":
            scene.request()
        elif action in {"pause", "resume"}:
            getattr(desk.daemon, action)()
        elif action in {"away", "back"}:
            status = Status.DEACTIVATED if action == "away" else Status.ACTIVE
            world.sandbox.set_status(world.login.did, status)
        elif action == "fault":
            desk.fail(chance.choice(faults), chance.choice((None, REPO, APPLY, APPLY)))
        else:
            await asyncio.sleep(chance.choice((0.01, 0.3, POLL_SECONDS, 60)))

    async def story() -> None:
        scene = Play(world)
        await scene.idle()
        for number in range(80):
            await act(scene, chance.choice(ACTIONS), number)
            await asyncio.sleep(0.001)
            assert not scene.tasks[0].done()
        world.sandbox.faults.clear()
        world.sandbox.set_status(world.login.did, Status.ACTIVE)
        scene.desk.daemon.resume()
        await until(lambda: is_agreed(scene.desk, world), "the recovery", 1000)
        await scene.end()
        taken = set(scene.course.taken)
        assert taken <= set(ROWS)
        assert len(taken) > 10, "too little happened for this to prove anything"

    play(story())


def is_agreed(desk: Desk, world: World) -> bool:
    return desk.is_idle() and desk.device.base() == world.records() != {}


def test_a_sync_that_fails_in_a_pause_leaves_the_daemon_paused_with_its_error(
    world: World,
) -> None:
    async def story() -> None:
        scene = Play(world)
        await scene.idle()
        scene.desk.daemon.pause()
        scene.desk.fail(DropRequest(), REPO)
        await world.write(NOTE, v=1)
        with pytest.raises(Unreachable):
            await scene.desk.daemon.now()
        await asyncio.sleep(3600)
        last = scene.desk.log[-1]
        assert (last.phase, type(last.error)) == (Phase.PAUSED, Unreachable)
        assert not scene.desk.device.has(NOTE)
        scene.desk.daemon.resume()
        await until(lambda: scene.desk.device.has(NOTE), "the pull", 2)
        await scene.end()

    play(story())
