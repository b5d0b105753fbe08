"""Every story dies at each of its lasting effects, comes up again, and ends as if it had not."""

from __future__ import annotations

from functools import partial

import pytest

from .crashes import pages_of, play
from .stories import STORIES


@pytest.mark.parametrize("name", STORIES)
async def test_a_story_that_dies_at_any_point_ends_the_same(name: str) -> None:
    told = partial(play, STORIES[name], markdown=pages_of(name))
    plain = await told()
    for point, effect in enumerate(plain.points):
        for power in plain.ways(point):
            ending = await told(die_at=point, power=power)
            assert (ending.end, ending.sent) == (plain.end, plain.sent), (point, effect, power)
