"""Stories that nobody thought of: machines on one repo, in any order, with lost answers.

Whatever the order, no version is lost on the way, nor a picture that one names; and once every
machine's owner has decided what waits, all machines and the repo agree.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from tests.chance import seed_of, seeded, times
from tests.rigs.device import World

from . import Stage, assert_nothing_lost, lost
from .script import Step

STORIES = times(240)
STEPS = 30
ROUNDS = 12
"""So many rounds of syncs and decisions come to an end, or never will."""
DEVICES = ("laptop", "desktop", "phone")
PICTURES = ("cat", "dog")
NAMES = ("note", "todo", "list", "page")


def path_of(name: str) -> RecordPath:
    return RecordPath(f"com.example.note/{name}")


def deeds(stage: Stage, chance: random.Random, number: int, machines: int) -> Iterator[str]:
    """What may happen next; the same word is written by several authors now and then."""
    who, name = chance.choice(DEVICES[:machines]), chance.choice(NAMES)
    word = chance.choice(PICTURES)
    drawn = f"text:v{number} picture:{word}"
    content = chance.choice((f"v{number}", f"v{number}", "same", drawn))
    yield from (f"{who} syncs",) * 6
    yield from (f"{who} saves {name} = {content}",) * 3
    yield from (f"repo writes {name} = {content}",) * 3
    yield f"{who} draws {name} with {word}{number % 2}"
    yield f"{who} restarts"
    yield f"{who} types {name}: {{ half of v{number}"
    yield f"{who} syncs while answers get lost"
    if stage.content(who, path_of(name)) is not None:
        yield f"{who} deletes {name}"
    if path_of(name) in stage.world.records():
        yield f"repo deletes {name}"


def decisions(stage: Stage, who: str, chance: random.Random) -> Iterator[str]:
    """How the owner of a machine decides all that its last sync left waiting."""
    report = stage[who].report
    inert = {problem.path for problem in report.problems}
    for conflict in report.conflicts:
        name = conflict.path.partition("/")[2]
        side = "remote" if conflict.path in inert else chance.choice(("local", "remote"))
        yield f"{who} resolves {name} with {side}"
    for path in inert - {conflict.path for conflict in report.conflicts}:
        yield f"{who} saves {path.partition('/')[2]} = mended"
    if report.held:
        yield f"{who} {chance.choice(('approves', 'rejects'))} everything"


@pytest.mark.parametrize("number", range(STORIES))
async def test_machines_on_one_repo_meet_and_lose_nothing(tmp_path: Path, number: int) -> None:
    sandbox = Sandbox()
    stage = Stage(World(tmp_path, sandbox, sandbox.create_account("alice")))
    chance, told = seeded(number), list[str]()
    machines = 2 + number % 2
    # Any mirror keeps what it takes away; only one that fetches has what others took away.
    stage.configure("laptop", blobs_fetch="all")

    async def do(sentence: str) -> None:
        told.append(sentence)
        await Step(sentence, f"seed {seed_of(number)}").take(stage)
        assert lost(stage) == {}, told

    for step in range(STEPS):
        await do(chance.choice(list(deeds(stage, chance, step, machines))))
    for _ in range(ROUNDS):
        for who in DEVICES[:machines]:
            await do(f"{who} syncs")
            for sentence in list(decisions(stage, who, chance)):
                await do(sentence)
            await do(f"{who} syncs")
        if all(stage[who].report.is_settled for who in DEVICES[:machines]):
            break
    for who in DEVICES[:machines]:
        await do(f"{who} syncs")
    await do("all agree")
    await assert_nothing_lost(stage)
