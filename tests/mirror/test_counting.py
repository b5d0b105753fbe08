"""How many records have a lexicon, from where, and how many break it: in `status` and `verify`."""

from __future__ import annotations

import json

from syncd.cycle.lexicons.library import Origin
from syncd.mirror.lexicons.counting import Counted, count_lexicons
from tests.cli.commands.test_lexicon import THING, put
from tests.rigs.device import Device, World

NONE = dict.fromkeys(Origin, 0)


async def filled(world: World) -> Device:
    """A mirror with good and bad records of three collections, all of which were sent."""
    device = world.device()
    put(device.root, "lexicons/com/example/thing.json", THING)
    put(device.root, "com.example.thing/self.json", {"n": 1})
    put(device.root, "com.example.other/a.json", {"anything": 1})
    put(device.root, "app.bsky.feed.like/3jzfcijpj2z2a.json", {"$type": "app.bsky.feed.like"})
    return device


async def test_records_are_counted_by_the_place_of_their_lexicon(world: World) -> None:
    device = await filled(world)
    await device.sync()
    found = count_lexicons(device.mirror.workspace)
    # The like lacks its fields: it is held, and no record of the repo.
    assert found == Counted({**NONE, Origin.FOLDER: 1}, 1, 0)


async def test_what_was_sent_all_the_same_or_changed_since_is_counted_as_broken(
    world: World,
) -> None:
    device = await filled(world)
    await device.sync()
    put(device.root, "com.example.thing/self.json", {"n": "x"})
    found = count_lexicons(device.mirror.workspace)
    assert found.broken == 1
    assert count_lexicons(device.mirror.workspace, most=1).broken == 1
    assert count_lexicons(device.mirror.workspace, most=0).broken is None
    (device.root / "com.example.thing" / "self.json").write_text("{")
    assert count_lexicons(device.mirror.workspace).broken == 0


async def test_a_folder_that_is_away_has_no_lexicons(world: World) -> None:
    device = await filled(world)
    await device.sync()
    device.root.rename(device.root.with_name("elsewhere"))
    try:
        found = count_lexicons(device.mirror.workspace)
    finally:
        device.root.with_name("elsewhere").rename(device.root)
    assert (found.known, found.unknown, found.broken) == (NONE, 2, None)
    assert json.dumps(found.known)
