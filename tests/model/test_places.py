"""Random days of a folder that is copied, half copied, restored, brought by others, or forgotten.

The fifth promise: nothing is published or deleted that no person's act meant. A person's acts are
saves and deletions in a folder where they have synced since the last copy, and approvals.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from syncd.atproto.cid import Cid
from syncd.mirror.held import decide_held
from syncd.model import Choice, Conflict, Decision, RecordPath, Side
from syncd.sandbox import Sandbox
from syncd.state import open_or_renew
from syncd.state.notes import Doubt
from tests.chance import seeded, times
from tests.rigs.device import World
from tests.rigs.places import Seat, close, copy, is_own

PATHS = [RecordPath(f"com.example.note/{name}") for name in "abcde"]


@dataclass
class Day:
    """One mirror, wherever it is now, and what its person meant.

    Attributes:
        meant: What the person wrote or deleted since all was last as in the repo.
        waits: Something happened to the folder or its state, so that no act counts by itself.
    """

    seat: Seat
    chance: random.Random
    root: Path
    backup: Path | None = None
    meant: set[RecordPath] = field(default_factory=set)
    versions: int = 0
    places: int = 0
    waits: bool = False
    told: list[str] = field(default_factory=list)

    # --- people --------------------------------------------------------------------------------

    def save(self) -> None:
        path = self.chance.choice(PATHS)
        self.versions += 1
        file = self.root / f"{path}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'{{"$type": "com.example.note", "v": {self.versions}}}')
        self.meant.add(path)

    def delete(self) -> None:
        path = self.chance.choice(PATHS)
        (self.root / f"{path}.json").unlink(missing_ok=True)
        self.meant.add(path)

    def draft(self) -> None:
        """A draft, and a new file that .syncdignore names: neither is an act of publishing."""
        self.versions += 1
        notes = self.root / "com.example.note"
        notes.mkdir(exist_ok=True)
        (self.root / ".syncdignore").write_text("private*\n")
        for name in ("f.draft.json", "private.json"):
            (notes / name).write_text(f'{{"$type": "com.example.note", "v": {self.versions}}}')

    def move_away(self) -> None:
        """The file of a record gets a name that is none: the record is not to be deleted for it."""
        file = self.root / f"{self.chance.choice(PATHS)}.json"
        if file.exists() and not file.with_suffix(".txt").exists():
            file.rename(file.with_suffix(".txt"))

    def move_back(self) -> None:
        for file in sorted((self.root / "com.example.note").glob("*.txt")):
            if not file.with_suffix(".json").exists():
                self.meant.add(RecordPath(f"com.example.note/{file.stem}"))
                file.rename(file.with_suffix(".json"))
            else:
                file.unlink()

    async def write_elsewhere(self) -> None:
        self.versions += 1
        await self.seat.world.write(self.chance.choice(PATHS), v=self.versions)

    async def delete_elsewhere(self) -> None:
        path = self.chance.choice(PATHS)
        if path in self.seat.world.records():
            await self.seat.world.delete(path)

    # --- what else happens to a folder ---------------------------------------------------------

    def back_up(self) -> None:
        self.places += 1
        self.backup = copy(self.root, self.root.with_name(f"backup{self.places}"))

    def some(self) -> Callable[[Path], bool]:
        """Syncd's own files, and some of the others."""
        return lambda path: is_own(path) or self.chance.random() < 0.5

    def go_on_in_a_copy(self) -> None:
        self.places += 1
        take = self.chance.choice([self.some(), is_own, lambda _: True])
        self.root = copy(self.root, self.root.with_name(f"copy{self.places}"), take)
        self.waits = True

    def restore(self) -> None:
        """All or some of a backup comes back, at the same path."""
        if self.backup is not None:
            self.places += 1
            self.root.rename(self.root.with_name(f"broken{self.places}"))
            copy(self.backup, self.root, self.chance.choice([self.some(), lambda _: True]))
            self.waits = True

    def restore_the_state(self) -> None:
        """Only `.syncd` comes back, as another directory or into the one that is there."""
        if self.backup is not None:
            own, old = self.root / ".syncd", self.backup / ".syncd"
            is_same = (own / "state.db").read_bytes() == (old / "state.db").read_bytes()
            if self.chance.random() < 0.5:
                shutil.rmtree(own)
                is_same = False
            for file in own.glob("state.db-*"):
                file.unlink()
            copy(old, own)
            # The very state of now, put back into its own file, changes nothing.
            self.waits |= not is_same

    def bring_the_state(self) -> None:
        """A file-sync program renames another state file onto this one."""
        if self.backup is not None:
            own = self.root / ".syncd"
            for file in own.glob("state.db-*"):
                file.unlink()
            shutil.copy2(self.backup / ".syncd" / "state.db", own / "brought")
            (own / "brought").rename(own / "state.db")
            self.waits = True

    def lose_the_state(self) -> None:
        """Some program removes the state file, or cuts it short."""
        own = self.root / ".syncd"
        for file in own.glob("state.db-*"):
            file.unlink()
        whole = (own / "state.db").read_bytes()
        (own / "state.db").unlink()
        if self.chance.random() < 0.5:
            (own / "state.db").write_bytes(whole[: len(whole) // 2])
        marker = (own / "marker").read_text().strip()
        open_or_renew(own / "state.db", did=self.seat.world.login.did, marker=marker).close()
        self.waits = True

    def move(self) -> None:
        self.places += 1
        self.root = self.root.rename(self.root.with_name(f"moved{self.places}"))

    # --- syncd ---------------------------------------------------------------------------------

    async def sync(self) -> None:
        world = self.seat.world
        before = world.records()
        with self.seat.at(self.root) as device:
            conflicts = {item.path for item in (await device.sync()).conflicts}
            is_in_doubt = device.mirror.state.note(Doubt) is not None
        self.check(before)
        if not is_in_doubt:
            # The folder is as the repo now, but for conflicts: an act from here on counts.
            self.waits = False
            self.meant &= conflicts

    async def decide(self) -> None:
        with self.seat.at(self.root) as device:
            before = self.seat.world.records()
            found = await device.sync()
            held = found.held
            self.check(before)
            choice = self.chance.choice([Choice.APPROVE, Choice.REJECT])
            decide_held(device.mirror.workspace, held, choice)
            device.mirror.state.decide([self.answer(conflict) for conflict in found.conflicts])
            before = self.seat.world.records()
            # To reject a deletion that was made in the repo is to write the record there again.
            pushed_by = Side.LOCAL if choice is Choice.APPROVE else Side.REMOTE
            approved = {item.path for item in held if item.side is pushed_by}
            approved |= {conflict.path for conflict in found.conflicts}
            conflicts = {item.path for item in (await device.sync()).conflicts}
            is_in_doubt = device.mirror.state.note(Doubt) is not None
        self.check(before, approved)
        self.waits &= is_in_doubt
        self.meant &= conflicts

    def answer(self, conflict: Conflict) -> Decision:
        choice = self.chance.choice([Choice.LOCAL, Choice.REMOTE])
        return Decision(conflict.path, choice, conflict.local, conflict.remote)

    def check(self, before: dict[RecordPath, Cid], approved: set[RecordPath] | None = None) -> None:
        """What this sync changed in the repo was meant."""
        after = self.seat.world.records()
        changed = {p for p in {*before, *after} if before.get(p) != after.get(p)}
        meant = set() if self.waits else self.meant
        unmeant = changed - meant - (approved or set())
        assert not unmeant, (unmeant, " ".join(self.told))


ACTS = (
    *("save", "save", "delete", "draft", "move_away", "move_back"),
    *("write_elsewhere", "delete_elsewhere", "back_up", "move"),
)
HARMS = ("go_on_in_a_copy", "restore", "restore_the_state", "bring_the_state", "lose_the_state")


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


async def play(day: Day, steps: int) -> None:
    for _ in range(steps):
        name = day.chance.choice((*ACTS, *HARMS, "sync", "sync", "sync", "decide"))
        day.told.append(name)
        done = getattr(day, name)()
        if done is not None:
            await done


@pytest.mark.parametrize("number", range(times(100)))
async def test_nothing_is_published_or_deleted_that_no_person_meant(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    seat = Seat(world, monkeypatch)
    device = seat.make(world.tmp_path / "notes")
    for path in PATHS[:4]:
        device.save(path, v=0)
    await device.sync()
    day = Day(seat, seeded(9_000 + number), device.root)
    close(device)
    await day.sync()
    day.back_up()
    await play(day, 25)
    # Whatever happened, a person can end it: with all decided, both sides agree and pushes go on.
    day.move_back()
    await day.decide()
    await day.decide()
    with seat.at(day.root) as device:
        report = await device.sync()
        assert device.mirror.state.note(Doubt) is None, day.told
        conflicts = {conflict.path for conflict in report.conflicts}
        local = {path: seen.cid for path, seen in device.mirror.state.seen().items()}
        there = world.records()
        assert all(local.get(p) == there.get(p) for p in PATHS if p not in conflicts), day.told
