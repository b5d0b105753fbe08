"""The whole system as hypothesis plays it: machines, another client, crashes, faults, people.

After every step the laws hold (laws.py); in the end all agree and nobody has anything to do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from syncd.daemon.phase import FATAL, HALTING
from syncd.errors import SyncdError
from syncd.mirror.follow.markdown import follow_markdown
from syncd.mirror.notices import ignore
from syncd.model import Choice, RecordPath
from syncd.sandbox import (
    Call,
    Cut,
    Delay,
    DropAnswer,
    DropRequest,
    Html,
    LoseBlock,
    Refuse,
    Stale,
    Status,
    Torn,
)
from tests.place import PLACE
from tests.rigs.papers import COLLECTIONS, pages
from tests.rigs.staged import MINE, SAME, WHERE, Desk

from .disks import Power
from .points import Crash, Points, staged_databases
from .scene import ROUNDS, Scene

T = TypeVar("T")

PATHS = ("com.example.note/a", "com.example.note/b", "com.example.page/a", MINE)
APPLY, PUT = "com.atproto.repo.applyWrites", "com.atproto.repo.putRecord"
DELETE, REPO = "com.atproto.repo.deleteRecord", "com.atproto.sync.getRepo"
WRITES = (APPLY, PUT, DELETE, "com.atproto.repo.createRecord")
EFFECTS = (
    (DropAnswer(), (APPLY, PUT, DELETE)),
    (DropRequest(), (APPLY, PUT, DELETE, REPO)),
    (Refuse(500), (APPLY, PUT, DELETE, REPO)),
    (Refuse(400, "InvalidSwap", "Commit was at another"), (APPLY, PUT, DELETE)),
    (Refuse(429, "RateLimitExceeded", "Rate Limit Exceeded", (("Retry-After", "0"),)), (APPLY,)),
    (Html(), (APPLY, PUT, REPO)),
    (Stale(), (REPO,)),
    (Stale(3), (REPO,)),
    (Torn(), (REPO,)),
    (LoseBlock(), (REPO,)),
    (Cut(100), (REPO,)),
    (Cut(300, clean=True), (REPO,)),
)

NAMES = ("laptop", "desktop", "tablet")
DAY_NS = 86_400 * 1_000_000_000
TALLY: Counter[str] = Counter()
"""What the schedules of this process came to, for one line in the end."""

names = st.sampled_from(NAMES)
paths = st.sampled_from(PATHS)
points = st.integers(0, 9) | st.integers(0, 40)
times = st.integers(1, 4)
unlike = st.integers(10_000, 10_001)
"""What no new record has: one of equal fields elsewhere would be a file that was moved there."""
forms = st.sets(st.sampled_from(COLLECTIONS))


class Machine(RuleBasedStateMachine):
    """Two or three machines and one repo; `names` and `paths` are whose and which.

    `may_rise` says that a version may come back that somebody gave up: a crash, a bad answer or a
    lost memory may have hidden that it was settled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept = ExitStack()
        root = TemporaryDirectory(prefix="syncd-model-", dir=PLACE)
        self.runner = self.kept.enter_context(asyncio.Runner())
        self.place = Path(self.kept.enter_context(root))
        self.scene = Scene(self.place)
        self.kept.enter_context(staged_databases(self.scene.gate))
        self.kept.callback(self.leave)
        self.older: dict[str, dict[str, bytes]] = {}
        self.may_rise = False

    def leave(self) -> None:
        """Close the scene that there is by now."""
        self.scene.close()

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
        if any(desk.is_in_doubt for desk in self.scene.desks.values()):
            self.decide_everything()
            self.run(self.scene.check())
        TALLY["schedules"] += 1
        risen = self.scene.journal.risen(self.scene.world.records().items())
        waiting = {path for desk in self.scene.desks.values() for path, _ in desk.waiting()}
        unclear = {SAME, MINE, *waiting}
        is_risen = any(path not in unclear for path, _ in risen)
        assert self.may_rise or not is_risen, risen

    def decide_everything(self) -> None:
        """People answer all that waits for an answer: whatever happened, a doubt ends by that."""
        for _ in range(ROUNDS):
            for desk in self.scene.desks.values():
                desk.answer_what_is_held(Choice.REJECT)
                for path in (*PATHS, SAME):
                    desk.decide(path, Choice.REMOTE)
            self.run(self.scene.converge())
            if not any(desk.is_answerable for desk in self.scene.desks.values()):
                break
        for desk in self.scene.desks.values():
            assert not desk.is_in_doubt or desk.waiting(), desk.name

    def run(self, work: Awaitable[T]) -> T:
        async def whole() -> T:
            return await work

        return self.runner.run(whole())

    def desk(self, name: str) -> Desk:
        return self.scene.desks.get(name) or self.scene.laptop

    def acts(self, desk: Desk, path: str) -> dict[str, Callable[[], object]]:
        """What a person at a machine, or the other client, may do to one record."""
        return {
            "save": lambda: desk.save(path),
            "type": lambda: desk.type(path),
            "delete": lambda: desk.delete(path),
            "spoil": lambda: desk.spoil(path),
            "put": lambda: self.scene.put(path),
            "drop": lambda: self.scene.drop(path),
            "rename": lambda: self.rename(desk.name, path, PATHS[(PATHS.index(path) + 1) % 2]),
        }

    def try_to(self, work: Awaitable[object]) -> bool:
        """As the daemon does: an error ends the cycle. True if the program died of `work`."""
        try:
            self.run(work)
        except Crash:
            TALLY["crashes"] += 1
            return True
        except SyncdError as error:
            TALLY["errors"] += 1
            if isinstance(error, (*FATAL, *HALTING)) and not error.hint:
                raise AssertionError("a halt that names no next step") from error
        return False

    def look(self, desk: Desk, work: Callable[[], Awaitable[object]]) -> None:
        """One look of the program."""
        is_faulty = self.is_faulty
        is_dead = self.try_to(work())
        if is_faulty or is_dead:
            self.may_rise = True

    @property
    def is_faulty(self) -> bool:
        """Whether a request or an answer is going to be bad."""
        waiting = self.scene.world.sandbox.faults.waiting
        return any(not isinstance(fault.effect, Delay) for fault in waiting)

    @initialize(there=st.sets(paths), count=st.integers(2, 3), brake=st.sampled_from((1000, 1)),
                honours_swaps=st.sampled_from((True, True, True, False)),
                markdown=st.tuples(forms, forms, forms))  # fmt: skip
    def begin(
        self,
        there: set[str],
        count: int,
        brake: int,
        honours_swaps: bool,
        markdown: Sequence[Collection[str]] = ((), (), ()),
    ) -> None:
        self.scene.close()
        self.scene = Scene(self.place, honours_swaps=honours_swaps)
        self.is_guarded = honours_swaps
        for path in sorted(there):
            self.scene.put(path)
        for name, chosen in zip(NAMES[:count], markdown, strict=False):
            wishes = {"brake_records": brake, "markdown": chosen, **self.wishes(name)}
            desk = self.scene.sit_down(name, **wishes)
            self.run(desk.sync())

    def wishes(self, name: str) -> dict[str, Any]:
        """What else the settings of a machine say."""
        return {}

    # --- People ---------------------------------------------------------------------------------

    @rule(name=names, path=paths)
    def save(self, name: str, path: str) -> None:
        self.desk(name).save(path)

    @rule(name=names, path=paths)
    def type(self, name: str, path: str) -> None:
        self.desk(name).type(path)

    @rule(name=names, v=unlike)
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
    def answer_what_is_held(self, name: str, choice: Choice) -> None:
        self.desk(name).answer_what_is_held(choice)

    @rule(name=names, path=paths, where=st.sampled_from(WHERE))
    def move_away(self, name: str, path: str, where: str) -> None:
        self.desk(name).move_away(path, where)

    @rule(name=names, path=paths, where=st.sampled_from(WHERE))
    def move_back(self, name: str, path: str, where: str) -> None:
        self.desk(name).move_back(path, where)

    @rule(name=names, path=paths)
    def draft(self, name: str, path: str) -> None:
        self.desk(name).draft(path)

    @rule(name=names, path=paths)
    def publish(self, name: str, path: str) -> None:
        self.desk(name).publish(path)

    @rule(name=names, path=paths)
    def unpublish(self, name: str, path: str) -> None:
        self.desk(name).unpublish(path)

    # --- The other client -------------------------------------------------------------------------

    @rule(path=paths)
    def put(self, path: str) -> None:
        self.scene.put(path)

    @rule(v=unlike)
    def put_what_was_there_before(self, v: int) -> None:
        self.scene.put(SAME, v=v)

    @rule(puts=st.sets(paths), drops=st.sets(paths))
    def write_at_once(self, puts: set[str], drops: set[str]) -> None:
        self.scene.write_at_once(puts, drops)

    @rule(path=st.sampled_from((*PATHS, SAME)))
    def drop(self, path: str) -> None:
        self.scene.drop(path)

    # --- The program ------------------------------------------------------------------------------

    @rule(name=names)
    def sync(self, name: str) -> None:
        self.look(self.desk(name), self.desk(name).sync)

    @rule(name=names, dirty=st.sets(paths))
    def cycle(self, name: str, dirty: set[str]) -> None:
        """Only some of the file events arrived."""
        mirror = self.desk(name).device.mirror
        self.look(self.desk(name), lambda: mirror.cycle({RecordPath(path) for path in dirty}))

    @rule(name=names)
    def overflow(self, name: str) -> None:
        """The file events since the last look are lost, and that is known."""
        self.look(self.desk(name), self.desk(name).device.mirror.cycle)

    @rule(name=names)
    def sync_when_aged(self, name: str) -> None:
        self.look(self.desk(name), self.desk(name).look_when_aged)

    @rule(name=names, days=st.sampled_from((-800, -1, 1, 800)))
    def jump(self, name: str, days: int) -> None:
        """The clock is wrong for the time of one look."""
        desk = self.desk(name)
        self.look(desk, lambda: desk.look_when_aged(days * DAY_NS))

    @rule(name=names, point=points, power=st.sampled_from(Power), path=paths,
          before=st.sets(st.sampled_from(("save", "delete", "put", "drop"))))  # fmt: skip
    def crash(self, name: str, point: int, power: Power, path: str, before: set[str]) -> None:
        """The program dies at a point of a sync that has something to do."""
        desk = self.desk(name)
        for what in sorted(before):
            self.acts(desk, path)[what]()
        desk.disk.forget()
        with self.scene.gate.counting(Points(point)):
            self.look(desk, desk.sync)
        desk.stop()
        desk.disk.cut(desk.root, power)
        desk.start()

    @rule(name=names, point=points, path=paths, what=st.sampled_from(("save", "type", "delete",
          "spoil", "put", "drop", "rename")), dies_after=st.none() | points)  # fmt: skip
    def sync_while_somebody_acts(
        self, name: str, point: int, path: str, what: str, dies_after: int | None
    ) -> None:
        desk = self.desk(name)
        if what in ("put", "drop") and not self.is_guarded:
            return  # whoever writes between the look and the write is written over there
        die_at = None if dies_after is None else point + dies_after + 1
        if die_at is not None or self.is_faulty:
            self.may_rise = True
        with self.scene.gate.counting(Points(die_at, {point: self.acts(desk, path)[what]})):
            self.look(desk, desk.sync)
        desk.restart()

    @rule(name=names)
    def restart(self, name: str) -> None:
        self.desk(name).restart()

    @rule(name=names, markdown=forms, point=points, power=st.sampled_from(Power))
    def choose_markdown(
        self, name: str, markdown: Collection[str], point: int, power: Power
    ) -> None:
        """The setting is changed, and the program may die while it rewrites the files."""
        desk = self.desk(name)
        rev = self.scene.repo.head
        desk.choose(pages(markdown))
        desk.disk.forget()
        with suppress(Crash), self.scene.gate.counting(Points(point)):
            follow_markdown(desk.device.mirror.workspace, ignore)
            point = -1
        if point >= 0:
            TALLY["crashes"] += 1
            desk.stop()
            desk.disk.cut(desk.root, power)
            desk.start()
        assert self.scene.repo.head == rev

    # --- What goes wrong --------------------------------------------------------------------------

    @rule(data=st.data(), kind=st.sampled_from(EFFECTS), skip=st.integers(0, 1))
    def fault(self, data: st.DataObject, kind: tuple[Any, tuple[str, ...]], skip: int) -> None:
        TALLY["faults"] += 1
        effect, methods = kind
        method, count = data.draw(st.sampled_from(methods)), data.draw(times)
        self.scene.world.sandbox.faults.add(effect, method, skip=skip, times=count)

    @rule(path=paths, count=st.integers(1, 8))
    def swap_storm(self, path: str, count: int) -> None:
        """Another client is faster than each of the next writes."""
        left = [self.scene.put] * count

        def overtake(call: Call) -> bool:
            may_hit = self.is_guarded or path not in call.paths
            if left and call.nsid in WRITES and may_hit:
                left.pop()(path)
            return False

        TALLY["faults"] += 1
        self.scene.world.sandbox.faults.add(Delay(0), when=overtake)

    @rule(status=st.sampled_from((Status.DEACTIVATED, Status.TAKENDOWN, Status.ACTIVE)))
    def account(self, status: Status) -> None:
        self.scene.world.sandbox.set_status(self.scene.world.login.did, status)

    @rule(name=names)
    def lose_state(self, name: str) -> None:
        self.may_rise = True
        self.desk(name).lose_state()

    @rule(name=names)
    def keep_a_copy_of_the_state(self, name: str) -> None:
        self.older[self.desk(name).name] = self.desk(name).state_files()

    @rule(name=names)
    def bring_the_copy_back(self, name: str) -> None:
        desk = self.desk(name)
        if desk.name in self.older:
            self.may_rise = True
            desk.replace_state(self.older[desk.name])

    @invariant()
    def the_laws_hold(self) -> None:
        TALLY["steps"] += 1
        self.scene.check_nothing_lost()
