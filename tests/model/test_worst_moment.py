"""Somebody saves, deletes or writes the very record that syncd is busy with, before each effect.

Nothing is compared with a plain run here: the end depends on who came first. But nothing that
anybody wrote may be gone, all must agree in the end, and nothing may go on for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from .crashes import pages_of, play
from .points import Act
from .scene import Scene
from .stories import STORIES, A

BUSY = (
    "an edited file",
    "a deleted file",
    "three files at once",
    "a file renamed to a later key",
    "a file renamed to an earlier key",
    "a file spoiled that the repo changes too",
    "the first sync of a repo",
    "a record edited in the repo",
    "a record deleted in the repo",
    "equal edits on both sides",
    "a conflict",
    "a conflict decided for the folder",
    "a conflict decided for the repo",
    "an edit against a deletion in the repo",
    "a deletion in the folder against an edit",
    "an answer to one write lost",
)

ACTS: dict[str, Callable[[Scene], object]] = {
    "saves": lambda scene: scene.laptop.save(A),
    "types": lambda scene: scene.laptop.type(A),
    "spoils": lambda scene: scene.laptop.spoil(A),
    "deletes": lambda scene: scene.laptop.delete(A),
    "renames": lambda scene: scene.laptop.rename(A, "com.example.note/z"),
    "writes elsewhere": lambda scene: scene.put(A),
    "deletes elsewhere": lambda scene: scene.drop(A),
}


def act(scene: Scene, name: str, point: int) -> dict[int, Act]:
    return {point: partial(ACTS[name], scene)}


def chosen(name: str, point: int) -> list[str]:
    """Two of ACTS for each point, others for the next. `make model` draws any at any."""
    names = list(ACTS)
    return [names[(len(name) + point + step) % len(names)] for step in (0, 3)]


@pytest.mark.parametrize("name", BUSY)
async def test_nothing_is_lost_to_whoever_acts_at_the_worst_moment(name: str) -> None:
    told = partial(play, STORIES[name], markdown=pages_of(name))
    plain = await told()
    for point, effect in enumerate(plain.points):
        for doing in chosen(name, point):
            try:
                await told(acts=partial(act, name=doing, point=point))
            except BaseException as error:
                error.add_note(f"somebody {doing} before {point}: {effect}")
                raise
