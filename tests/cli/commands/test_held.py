"""What a person sees in the middle of each brake, and the two commands that end it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncd.cli.screen.output import APPROVE_HINT, NEEDS_A_PERSON
from syncd.errors import CredentialsRefused, SyncdError
from syncd.sandbox import Sandbox
from tests.rigs.device import World
from tests.rigs.lured import NOTE, Lured, home, mirror
from tests.stories import Stage, assert_nothing_lost
from tests.stories.script import Step

__all__ = ("home", "mirror")
BOTH_COMMANDS = f"  next: {APPROVE_HINT}"


@pytest.fixture(autouse=True)
def _a_lock_that_this_process_holds_is_tried_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody gives it back meanwhile; tests/mirror/test_delegate.py waits for those who do."""
    monkeypatch.setattr("syncd.lock._PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("syncd.mirror.delegate.PAUSE_SECONDS", 0.0)


@dataclass(frozen=True, slots=True)
class Brake:
    """Which of 30 notes and 3 pages are lost, and how the reason begins."""

    lost: tuple[str, ...]
    count: int
    what: str


PAGES = tuple(f"com.example.page/{name}" for name in "abc")
BRAKES = {
    "records": Brake(("notes 1-11",), 11, "11 of 30 records of com.example.note"),
    "collection": Brake(PAGES, 3, "3 of 3 records of com.example.page"),
    "folder": Brake(("notes 1-30", *PAGES), 33, "all 33 records of the mirror"),
}
FEW = Brake(("notes 1-12", *PAGES), 15, "all 15 records of the mirror")
"""Of a folder of so few: each version that is not to be found is restored by a command."""


@dataclass(slots=True)
class Person:
    stage: Stage
    side: str = "folder"

    async def do(self, sentence: str) -> None:
        await Step(sentence, "here").take(self.stage)

    async def lose(self, brake: Brake) -> None:
        who = "laptop" if self.side == "folder" else "repo"
        for paths in brake.lost:
            await self.do(f"{who} loses {paths}")
        await self.do("laptop syncs")

    async def read(self, *arguments: str, codes: tuple[int, ...] = (3,)) -> str:
        root = self.stage["laptop"].device.root
        return await self.stage.command(root, *arguments, codes=codes)

    async def read_json(self, *arguments: str) -> Any:  # noqa: ANN401
        return json.loads(await self.read(*arguments, "--json"))

    def files(self) -> set[str]:
        """The records that the folder has."""
        return {name.removesuffix(".json") for name in self.stage["laptop"].device.files()}

    def records(self) -> set[str]:
        """The records that the repo has."""
        return set(self.stage.world.records())


SIDES = ["folder", "repo"]


async def person_with(notes: str, tmp_path: Path, side: str) -> Person:
    """Whoever has these notes and three pages, and loses some on that side."""
    sandbox = Sandbox()
    stage = Stage(World(tmp_path, sandbox, sandbox.create_account("alice")))
    person = Person(stage, side)
    for paths in (notes, *PAGES):
        await person.do(f"repo writes {paths} = old")
    await person.do("laptop syncs")
    return person


@pytest.fixture(params=SIDES)
async def person(tmp_path: Path, request: pytest.FixtureRequest) -> Person:
    return await person_with("notes 1-30", tmp_path, request.param)


@pytest.mark.parametrize("name", BRAKES)
async def test_status_says_what_was_about_to_happen_and_both_commands(
    person: Person, name: str
) -> None:
    brake = BRAKES[name]
    await person.lose(brake)
    other = "repo" if person.side == "folder" else "folder"
    reason = (
        f"{brake.what} were deleted in the {person.side} within 10 minutes; "
        f"syncd deletes no more in the {other} until you decide"
    )
    for _ in range(2):
        found = await person.read_json("status")
        assert {item["reason"] for item in found["held"]} == {reason}
        side = "local" if person.side == "folder" else "remote"
        assert {item["side"] for item in found["held"]} == {side}
        assert found["pending"]["push"] == 0, "what waits for a person is not about to go"
        assert len({item["path"] for item in found["held"]}) == brake.count
        lines = (await person.read("status")).splitlines()
        held = [line for line in lines if line.startswith("held ")]
        counts = Counter(item["path"].partition("/")[0] for item in found["held"])
        many = [name for name, count in counts.items() if count > 20]
        singles = [item["path"] for item in found["held"] if item["path"].split("/")[0] not in many]
        named = [*(f"{counts[name]} records of {name}" for name in many), *singles]
        assert sorted(held) == sorted(f"held      {name}: {reason}" for name in named)
        assert lines[-1] == BOTH_COMMANDS
        listed = (await person.read("held")).splitlines()
        ends = [line.partition(": ")[0].split()[-1] for line in listed]
        assert len({name for name in ends if "/" in name}) == brake.count, "it lists them all"
        person.stage.restart("laptop")
        await person.do("laptop syncs")


@pytest.mark.parametrize("command", ["approve", "reject"])
@pytest.mark.parametrize("side", SIDES)
async def test_a_pattern_decides_what_it_fits_and_the_rest_waits(
    tmp_path: Path, side: str, command: str
) -> None:
    person = await person_with("notes 1-12", tmp_path, side)
    await person.lose(FEW)
    await person.stage.ask("laptop", command, "com.example.note/n0*", PAGES[0])
    person.stage.restart("laptop")
    await person.do("laptop syncs")
    assert len((await person.read_json("held"))["held"]) == 5
    here, there = person.files(), person.records()
    decided = {f"com.example.note/n{n:02}" for n in range(1, 10)} | {PAGES[0]}
    assert len(here ^ there) == 5, "on one side only"
    if command == "reject":
        assert here & there == decided
    else:
        assert (here | there) & decided == set()
    await person.stage.ask("laptop", command, "--all")
    await person.do("laptop syncs")
    await person.read("status", codes=(0,))
    assert person.files() == person.records()
    assert len(person.files()) == (15 if command == "reject" else 0)
    await assert_nothing_lost(person.stage)


@pytest.mark.parametrize(
    ("names", "count"),
    [
        ((), 33),
        (("com.example.page",), 3),
        (("com.example.note/n0*", PAGES[0]), 10),
        ((f"at://{{did}}/{PAGES[1]}",), 1),
        ((f"{{root}}/{PAGES[2]}.json",), 1),
    ],
)
@pytest.mark.parametrize("person", ["folder"], indirect=True)
async def test_held_lists_what_the_names_mean(
    person: Person, names: tuple[str, ...], count: int
) -> None:
    await person.lose(BRAKES["folder"])
    device = person.stage["laptop"].device
    words = [name.format(did=person.stage.world.login.did, root=device.root) for name in names]
    assert len((await person.read_json("held", *words))["held"]) == count


@pytest.mark.parametrize("person", ["folder"], indirect=True)
async def test_a_record_that_is_not_held_is_no_error_and_a_name_of_nothing_is(
    person: Person,
) -> None:
    await person.lose(BRAKES["records"])
    for command in ("held", "conflicts"):
        assert await person.read(command, PAGES[0], codes=(0,)) == ""
        await person.read(command, "com.example.nothing/one", codes=(1,))


async def test_what_was_approved_is_about_to_go(person: Person) -> None:
    await person.lose(BRAKES["records"])
    await person.stage.ask("laptop", "approve", "--all")
    found = json.loads(await person.read("status", "--json", codes=(0, 3)))
    assert found["pending"]["push"] == (11 if person.side == "folder" else 0)


async def test_a_decision_lapses_if_the_other_side_is_edited_before_it_is_carried_out(
    person: Person,
) -> None:
    await person.lose(BRAKES["records"])
    await person.stage.ask("laptop", "approve", "--all")
    who = "repo writes" if person.side == "folder" else "laptop saves"
    await person.do(f"{who} notes 5-5 = new")
    await person.do("laptop syncs")
    await person.do("laptop has notes 5-5 = new")
    await person.do("repo has notes 5-5 = new")
    assert person.files() == person.records()
    assert len(person.files()) == 23


async def test_what_is_not_held_cannot_be_decided(person: Person) -> None:
    await person.lose(BRAKES["records"])
    for arguments in (["approve", PAGES[0]], ["reject", "org.*/*"], ["approve"], ["reject"]):
        with pytest.raises(AssertionError, match=r"nothing is held|SystemExit\(2\)"):
            await person.stage.ask("laptop", *arguments)


@pytest.mark.parametrize("command", ["approve", "reject"])
def test_of_a_held_record_in_another_case_the_one_that_is_held_is_named(
    mirror: Lured, command: str
) -> None:
    at, files = ("-C", str(mirror.root)), [mirror.root / NOTE / f"n{n}.json" for n in range(40)]
    for file in files:
        file.write_text('{"text": "old"}', encoding="utf-8")
    assert mirror.run(*at, "sync").exit_code == 0
    for file in files:
        file.unlink()
    assert mirror.run(*at, "sync").exit_code == NEEDS_A_PERSON
    error = mirror.run(*at, command, f"{NOTE}/N7").exception
    assert isinstance(error, SyncdError)
    assert f"{NOTE}/n7" in error.hint
    assert not files[7].exists()


@pytest.mark.parametrize("command", ["approve", "reject"])
@pytest.mark.parametrize("person", ["folder"], indirect=True)
async def test_a_record_whose_file_was_moved_is_one_problem_and_decided_by_its_name_alone(
    person: Person, command: str
) -> None:
    device = person.stage["laptop"].device
    moved = device.file(PAGES[0]).rename(device.root / "page.md")
    await person.do("laptop syncs")
    for _ in range(2):
        found = await person.read_json("status")
        assert [problem["path"] for problem in found["problems"]] == [PAGES[0]]
        assert "page.md" in found["problems"][0]["reason"]
        assert f"syncd approve {PAGES[0]}" in found["problems"][0]["hint"]
        assert (found["held"], found["pending"]["push"]) == ([], 0)
        person.stage.restart("laptop")
        await person.do("laptop syncs")
    with pytest.raises(AssertionError, match="nothing is held"):
        await person.stage.ask("laptop", command, "--all")
    if command == "approve":
        # A pattern and a collection are no name of the record either.
        for pattern in ("*", PAGES[0].partition("/")[0]):
            with pytest.raises(AssertionError, match="nothing is held"):
                await person.stage.ask("laptop", command, pattern)
    await person.stage.ask("laptop", command, PAGES[0])
    await person.do("laptop syncs")
    await person.read("status", codes=(0,))
    assert moved.exists()
    assert person.files() == person.records()
    assert (PAGES[0] in person.records()) is (command == "reject")
    await assert_nothing_lost(person.stage)


def test_a_decision_stays_noted_where_its_sync_fails_and_the_command_says_so(
    mirror: Lured,
) -> None:
    at = ("-C", str(mirror.root))
    mirror.edit("one")
    assert mirror.run(*at, "sync").exit_code == 0
    mirror.edit("one")
    mirror.write_remotely("one")
    assert mirror.run(*at, "sync").exit_code == NEEDS_A_PERSON
    before = mirror.sandbox.repo(mirror.did).state.records
    mirror.sandbox.remove_app_password(mirror.did, "syncd")
    for session in mirror.kept.glob("*.session"):
        session.unlink()
    refused = mirror.run(*at, "resolve", f"{NOTE}/one", "--local")
    assert refused.exit_code == CredentialsRefused.exit_code
    assert "is noted" in refused.stderr
    assert mirror.sandbox.repo(mirror.did).state.records == before
    other = mirror.sandbox.add_app_password(mirror.did, "another")
    for password in mirror.kept.glob("*.password"):
        password.write_text(password.read_text().replace(mirror.login.password, other))
    done = mirror.run(*at, "sync")
    assert done.exit_code == 0
    assert "is noted" not in done.stderr
    assert mirror.sandbox.repo(mirror.did).state.records != before
