"""Stories of conflicts, brakes and lost memory, as text, and the machine that plays them.

    for story in read_stories("conflicts"):
        await play(story, Stage(world), before_step=hook)

`hook(stage, number)` is awaited before each step and after the last one: the place to restart
devices, to crash, or to look. `assert_nothing_lost(stage)` is the one thing that every story must
end with.
"""

from tests.rigs.journal import Journal, assert_nothing_lost, lost
from tests.rigs.stage import Stage

from .script import Step, Story, play, read_stories

__all__ = [
    "Journal",
    "Stage",
    "Step",
    "Story",
    "assert_nothing_lost",
    "lost",
    "play",
    "read_stories",
]
