"""How many records have a lexicon, from where, and how many break it: in `status` and `verify`."""

from __future__ import annotations

import json

from syncd.atproto.lexicon.catalog import Catalog
from syncd.cycle.lexicons.places import Origin
from syncd.lexicons.bundle import load_bundle
from syncd.mirror.lexicons.counting import Counted, count_lexicons
from tests.cli.commands.test_lexicon import THING, put
from tests.rigs.device import Device, World

NONE = dict.fromkeys(Origin, 0)
LIKE = {
    "$type": "app.bsky.feed.like",
    "subject": {
        "uri": "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/3jzfcijpj2z2a",
        "cid": "bafyreib7ci7dv2y6cvsdd7ilt2ffo5cobbs77n4hgqfpdiz4orb3jutaei",
    },
    "createdAt": "2026-11-29T00:00:00Z",
}


async def filled(world: World) -> Device:
    """A mirror with good and bad records of three collections, all of which were sent."""
    device = world.device()
    put(device.root, "lexicons/com/example/thing.json", THING)
    put(device.root, "com.example.thing/self.json", {"n": 1})
    put(device.root, "com.example.other/a.json", {"anything": 1})
    put(device.root, "app.bsky.feed.like/3jzfcijpj2z2a.json", {"$type": "app.bsky.feed.like"})
    return device


def counted(device: Device, *, most: int | None = None) -> Counted:
    workspace = device.mirror.workspace
    return count_lexicons(workspace, workspace.state.collection_sizes(), most=most)


async def test_records_are_counted_by_the_place_of_their_lexicon(world: World) -> None:
    device = await filled(world)
    await device.sync()
    found = counted(device)
    # The like lacks its fields: it is held, and no record of the repo.
    assert found == Counted({**NONE, Origin.FOLDER: 1}, 1, 0)


async def test_what_was_sent_all_the_same_or_changed_since_is_counted_as_broken(
    world: World,
) -> None:
    device = await filled(world)
    await device.sync()
    put(device.root, "com.example.thing/self.json", {"n": "x"})
    found = counted(device)
    assert found.broken == 1
    assert counted(device, most=1).broken == 1
    assert counted(device, most=0).broken is None
    (device.root / "com.example.thing" / "self.json").write_text("{")
    assert counted(device).broken == 0


async def test_a_document_that_is_no_lexicon_hides_the_one_of_the_bundle(world: World) -> None:
    device = world.device()
    put(device.root, "app.bsky.feed.like/3jzfcijpj2z2a.json", LIKE)
    await device.sync()
    assert counted(device) == Counted({**NONE, Origin.BUNDLE: 1}, 0, 0)
    for broken in ("lexicons/app/bsky/feed/like.json", ".syncd/lexicons/app.bsky.feed.like.json"):
        file = device.root / broken
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{", encoding="utf-8")
        assert counted(device) == Counted(NONE, 1, 0)
        file.unlink()
        file.mkdir()
        assert counted(device) == Counted(NONE, 1, 0)
        file.rmdir()
    assert counted(device).known[Origin.BUNDLE] == 1


def test_a_collection_has_a_lexicon_in_the_bundle_exactly_if_it_describes_records() -> None:
    bundle = load_bundle()
    catalog = Catalog(bundle.find)
    assert set(bundle.record_types()) == set(filter(catalog.knows, bundle.documents))


async def test_a_folder_that_is_away_has_no_lexicons(world: World) -> None:
    device = await filled(world)
    await device.sync()
    device.root.rename(device.root.with_name("elsewhere"))
    try:
        found = counted(device)
    finally:
        device.root.with_name("elsewhere").rename(device.root)
    assert (found.known, found.unknown, found.broken) == (NONE, 2, None)
    assert json.dumps(found.known)
