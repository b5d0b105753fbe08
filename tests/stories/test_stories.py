"""Every story, played as it stands and with a restart before each step, and to its end.

Whatever happens in it: at every step each version that nobody gave up is somewhere; in the end a
command finds it, and to sync again changes nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from tests.rigs.device import World

from . import Stage, Story, assert_nothing_lost, lost, play, read_stories
from .script import Hook

STORIES = [
    story
    for name in ("conflicts", "brakes", "lost_state", "pictures")
    for story in read_stories(name)
]
NOTE = RecordPath("com.example.note/note")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    sandbox = Sandbox()
    return Stage(World(tmp_path, sandbox, sandbox.create_account("alice")))


async def look(stage: Stage, number: int) -> None:
    assert lost(stage) == {}, f"lost before step {number + 1}"


async def restart(stage: Stage, number: int) -> None:
    await look(stage, number)
    for who in stage.actors:
        stage.restart(who)


@pytest.mark.parametrize("hook", [look, restart], ids=["plain", "restarted"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
async def test_nothing_is_lost(story: Story, stage: Stage, hook: Hook) -> None:
    await play(story, stage, before_step=hook)
    await assert_nothing_lost(stage)
    await stage.settle()
    before = stage.standing()
    await stage.settle()
    assert stage.standing() == before
    await assert_nothing_lost(stage)


def test_there_are_stories_enough_and_each_has_its_own_title() -> None:
    assert len({story.title for story in STORIES}) == len(STORIES) >= 40


# --- The stories can fail -------------------------------------------------------------------------


def told(*sentences: str) -> Story:
    file = "\n".join(["# a story", *sentences])
    return read_stories("told", text=file)[0]


IN_CONFLICT = (
    "given repo writes note = old",
    "laptop syncs",
    "laptop saves note = mine",
    "repo writes note = theirs",
    "laptop syncs",
)


async def test_a_version_that_somebody_writes_over_blindly_is_missed(stage: Stage) -> None:
    await play(told("repo writes note = old", "laptop syncs"), stage)
    stage["laptop"].device.save(NOTE, v="new")
    await stage.world.write(NOTE, v="newer")
    assert list(lost(stage).values()) == ["another client"]


async def test_a_copy_of_the_other_side_that_goes_is_missed(stage: Stage) -> None:
    await play(told(*IN_CONFLICT), stage)
    await stage.world.write(NOTE, v="unseen")
    assert lost(stage) == {}
    for kept in (stage["laptop"].device.root / ".syncd" / "conflicts").rglob("*.json"):
        kept.write_text('{"v": "other"}')
    assert list(lost(stage).values()) == ["another client"]


async def test_a_version_that_history_has_but_cannot_give_back_is_missed(stage: Stage) -> None:
    await play(told(*IN_CONFLICT, "laptop resolves note with remote", "laptop syncs"), stage)
    await assert_nothing_lost(stage)
    stage.harm("laptop", "history.db", lambda whole: whole.replace(b"dmine", b"dmime"))
    assert list(lost(stage).values()) == ["laptop"]


async def test_what_its_author_gave_up_is_not_missed_until_it_is_written_again(
    stage: Stage,
) -> None:
    await play(told("laptop saves note = one", "laptop saves note = two"), stage)
    assert lost(stage) == {}
    await play(told("laptop saves note = one"), stage)
    stage["laptop"].device.save(NOTE, v="three")
    assert list(lost(stage).values()) == ["laptop"]


@pytest.mark.parametrize(
    "wrong",
    [
        "laptop has note = theirs",
        "laptop has no note",
        "repo has note = mine",
        "repo has no note",
        "repo has 2 records",
        "laptop waits nowhere",
        "laptop waits at other",
        "laptop waits at note: created",
        "laptop keeps note = old beside",
        "laptop remembers note = theirs",
        "laptop holds 1",
        "laptop has a problem at note: anything",
        "laptop is told: anything",
        "laptop is refused: anything",
        "laptop still reads note: mine",
        "laptop says in status: approve",
        "all agree",
        "laptop dances with the repo",
    ],
)
async def test_a_sentence_that_is_not_true_fails(stage: Stage, wrong: str) -> None:
    with pytest.raises(AssertionError, match=r"told\.txt:7"):
        await play(told(*IN_CONFLICT, wrong), stage)
