"""What others do while the program is down after a crash counts as much as at any other time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .crashes import pages_of, play
from .scene import Scene
from .stories import FAR, STORIES, A, B, C


def undo_all(scene: Scene) -> None:
    scene.put(A, v=0)
    scene.put(B, v=1)
    scene.drop(C)
    scene.put(FAR, v=2)


UNDONE: dict[str, Callable[[Scene], object]] = {
    "a record created in the repo": lambda scene: scene.drop(B),
    "a record edited in the repo": lambda scene: scene.put(A, v=0),
    "a record deleted in the repo": lambda scene: scene.put(A, v=0),
    "records created edited and deleted in the repo": undo_all,
    "the first sync of a repo": lambda scene: scene.drop(A),
}


@pytest.mark.parametrize("name", UNDONE)
async def test_what_another_client_undoes_after_a_crash_stays_undone(name: str) -> None:
    """The folder may have the other client's change by then, and nobody at this machine made it."""

    async def undo(scene: Scene) -> None:
        await STORIES[name](scene)
        UNDONE[name](scene)

    markdown = pages_of(name)
    plain = await play(STORIES[name], markdown=markdown)
    undone = await play(undo, markdown=markdown)
    for point, effect in enumerate(plain.points):
        ending = await play(STORIES[name], die_at=point, meanwhile=UNDONE[name], markdown=markdown)
        assert ending.end["repo"] == undone.end["repo"], (point, effect)
        assert ending.end["laptop"]["files"] == undone.end["laptop"]["files"], (point, effect)
        assert not ending.sent, (point, effect)
