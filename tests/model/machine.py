"""The whole system as hypothesis plays it: two machines, another client, crashes, faults, people.

After every step nothing is lost; in the end all agree and nobody has anything to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from syncd.errors import SyncdError
from syncd.model import Choice, RecordPath
from syncd.sandbox import Cut, DropAnswer, DropRequest, Html, LoseBlock, Refuse, Stale, Status, Torn

from .crashes import PLACE
from .disks import Power
from .points import Crash, Points, staged_databases
from .scene import MINE, SAME, Desk, Scene

T = TypeVar("T")

PATHS = ("com.example.note/a", "com.example.note/b", "com.example.page/a", MINE)
APPLY, PUT = "com.atproto.repo.applyWrites", "com.atproto.repo.putRecord"
DELETE, REPO = "com.atproto.repo.deleteRecord", "com.atproto.sync.getRepo"
EFFECTS = (
    (DropAnswer(), (APPLY, PUT, DELETE)),
    (DropRequest(), (APPLY, PUT, DELETE, REPO)),
    (Refuse(500), (APPLY, PUT, DELETE, REPO)),
    (Refuse(400, "InvalidSwap", "Commit was at another"), (APPLY, PUT, DELETE)),
    (Refuse(429, "RateLimitExceeded", "Rate Limit Exceeded"), (APPLY,)),
    (Html(), (APPLY, PUT, REPO)),
    (Stale(), (REPO,)),
    (Stale(3), (REPO,)),
    (Torn(), (REPO,)),
    (LoseBlock(), (REPO,)),
    (Cut(100), (REPO,)),
    (Cut(300, clean=True), (REPO,)),
)

names = st.sampled_from(("laptop", "desktop"))
paths = st.sampled_from(PATHS)
points = st.integers(0, 40)
times = st.integers(1, 4)


class Machine(RuleBasedStateMachine):
    """Two machines and one repo; `names` and `paths` are whose and which."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = ExitStack()
        root = TemporaryDirectory(prefix="syncd-model-", dir=PLACE)
        self.runner = self.kept.enter_context(asyncio.Runner())
        self.scene = Scene(Path(self.kept.enter_context(root)))
        self.kept.enter_context(staged_databases(self.scene.gate))
        self.kept.callback(self.scene.close)
        self.older: dict[str, dict[str, bytes]] = {}
        self.may_rise = False

    def teardown(self) -> None:
        try:
            self.kept_alive()
        finally:
            self.kept.close()

    def kept_alive(self) -> None:
        """Faults stop and people go home: all agree before long, and stay so."""
        self.scene.world.sandbox.faults.clear()
        self.scene.world.sandbox.set_status(self.scene.world.login.did, Status.ACTIVE)
        self.run(self.scene.converge())
        self.run(self.scene.check())
        if not self.may_rise:
            risen = self.scene.journal.risen(self.scene.world.records().items())
            waiting = {path for desk in self.scene.desks.values() for path, _ in desk.waiting()}
            assert not {each for each in risen if each[0] not in {SAME, MINE, *waiting}}, risen

    def run(self, work: Awaitable[T]) -> T:
        async def whole() -> T:
            return await work

        return self.runner.run(whole())

    def desk(self, name: str) -> Desk:
        return self.scene.desks[name]

    @initialize(there=st.sets(paths))
    def begin(self, there: set[str]) -> None:
        for path in sorted(there):
            self.scene.put(path)
        for name in ("laptop", "desktop"):
            self.run(self.scene.sit_down(name).sync())

    # --- People ---------------------------------------------------------------------------------

    @rule(name=names, path=paths)
    def save(self, name: str, path: str) -> None:
        self.desk(name).save(path)

    @rule(name=names, path=paths)
    def type(self, name: str, path: str) -> None:
        self.desk(name).type(path)

    @rule(name=names, v=st.integers(0, 1))
    def save_what_was_there_before(self, name: str, v: int) -> None:
        self.desk(name).save(SAME, v=v)

    @rule(name=names, path=paths)
    def delete(self, name: str, path: str) -> None:
        self.desk(name).delete(path)

    @rule(name=names, path=paths, new=paths)
    def rename(self, name: str, path: str, new: str) -> None:
        if path.partition("/")[0] == new.partition("/")[0] and path != new:
            self.desk(name).rename(path, new)

    @rule(name=names, path=paths, text=st.sampled_from((b"", b"{", b"<<<<<<< HEAD\n", b"\0")))
    def spoil(self, name: str, path: str, text: bytes) -> None:
        self.desk(name).spoil(path, text)

    @rule(name=names, path=paths)
    def reformat(self, name: str, path: str) -> None:
        if self.desk(name).content(path) is not None:
            self.desk(name).reformat(path)

    @rule(name=names, path=paths, choice=st.sampled_from((Choice.LOCAL, Choice.REMOTE)))
    def decide(self, name: str, path: str, choice: Choice) -> None:
        self.desk(name).decide(path, choice)

    @rule(name=names, choice=st.sampled_from((Choice.APPROVE, Choice.REJECT)))
    def answer_for_the_brake(self, name: str, choice: Choice) -> None:
        self.desk(name).answer_for_the_brake(choice)

    # --- The other client -------------------------------------------------------------------------

    @rule(path=paths)
    def put(self, path: str) -> None:
        self.scene.put(path)

    @rule(v=st.integers(0, 1))
    def put_what_was_there_before(self, v: int) -> None:
        self.scene.put(SAME, v=v)

    @rule(path=st.sampled_from((*PATHS, SAME)))
    def drop(self, path: str) -> None:
        self.scene.drop(path)

    # --- The program ------------------------------------------------------------------------------

    @rule(name=names)
    def sync(self, name: str) -> None:
        self.run(self.desk(name).try_to_sync())

    @rule(name=names, dirty=st.sets(paths))
    def cycle(self, name: str, dirty: set[str]) -> None:
        with suppress(SyncdError):
            self.run(self.desk(name).device.mirror.cycle({RecordPath(path) for path in dirty}))

    @rule(name=names)
    def sync_when_aged(self, name: str) -> None:
        with suppress(SyncdError):
            self.run(self.desk(name).look_when_aged())

    @rule(name=names, point=points, power=st.sampled_from(Power))
    def crash(self, name: str, point: int, power: Power) -> None:
        self.may_rise = True
        desk = self.desk(name)
        desk.disk.forget()
        with suppress(Crash, SyncdError), self.scene.gate.counting(Points(point)):
            self.run(desk.sync())
        desk.stop()
        desk.disk.cut(desk.root, power)
        desk.start()

    @rule(name=names, point=points, path=paths, what=st.sampled_from(("save", "type", "delete",
          "spoil", "put", "drop", "rename")), dies_after=st.none() | points)  # fmt: skip
    def sync_while_somebody_acts(
        self, name: str, point: int, path: str, what: str, dies_after: int | None
    ) -> None:
        desk = self.desk(name)
        acts: dict[str, Callable[[], Any]] = {
            "save": lambda: desk.save(path),
            "type": lambda: desk.type(path),
            "delete": lambda: desk.delete(path),
            "spoil": lambda: desk.spoil(path),
            "put": lambda: self.scene.put(path),
            "drop": lambda: self.scene.drop(path),
            "rename": lambda: self.rename(name, path, PATHS[(PATHS.index(path) + 1) % 2]),
        }
        die_at = None if dies_after is None else point + dies_after + 1
        self.may_rise |= die_at is not None
        staged = Points(die_at, {point: acts[what]})
        with suppress(Crash, SyncdError), self.scene.gate.counting(staged):
            self.run(desk.sync())
        desk.restart()

    @rule(name=names)
    def restart(self, name: str) -> None:
        self.desk(name).restart()

    # --- What goes wrong --------------------------------------------------------------------------

    @rule(data=st.data(), kind=st.sampled_from(EFFECTS), skip=st.integers(0, 1))
    def fault(self, data: st.DataObject, kind: tuple[Any, tuple[str, ...]], skip: int) -> None:
        self.may_rise = True
        effect, methods = kind
        method, count = data.draw(st.sampled_from(methods)), data.draw(times)
        self.scene.world.sandbox.faults.add(effect, method, skip=skip, times=count)

    @rule(status=st.sampled_from((Status.DEACTIVATED, Status.TAKENDOWN, Status.ACTIVE)))
    def account(self, status: Status) -> None:
        self.scene.world.sandbox.set_status(self.scene.world.login.did, status)

    @rule(name=names)
    def lose_state(self, name: str) -> None:
        self.may_rise = True
        self.desk(name).lose_state()

    @rule(name=names)
    def keep_a_copy_of_the_state(self, name: str) -> None:
        self.older[name] = self.desk(name).state_files()

    @rule(name=names)
    def bring_the_copy_back(self, name: str) -> None:
        if name in self.older:
            self.may_rise = True
            self.desk(name).replace_state(self.older[name])

    @invariant()
    def nothing_is_lost(self) -> None:
        self.scene.check_nothing_lost()
