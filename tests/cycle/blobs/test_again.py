"""A record that comes back brings its blobs, which the PDS has dropped meanwhile."""

from __future__ import annotations

import pytest

from syncd.model import RecordPath
from syncd.sandbox.faults import Refuse
from tests.rigs.device import World

from .conftest import Pictures
from .test_rounds import CAT, DOG, ONE, TWO, blobs, name_of

UPLOAD = "com.atproto.repo.uploadBlob"


@pytest.mark.parametrize("by_another", [True, False])
async def test_a_record_that_comes_back_brings_its_blobs(
    world: World, pictures: Pictures, by_another: bool
) -> None:
    await pictures.write(ONE, CAT, DOG)
    await pictures.write(TWO, DOG)
    laptop = pictures.device()
    await laptop.sync()
    text = laptop.file(ONE).read_text(encoding="utf-8")
    if by_another:
        await world.delete(ONE)
    else:
        laptop.delete(ONE)
    await laptop.sync()
    assert not laptop.has(ONE)
    assert set(blobs(laptop)) == {name_of(CAT), name_of(DOG)}
    laptop.save_text(ONE, text)
    before = laptop.mirror.requests
    report = await laptop.sync()
    assert report.pushed == (RecordPath(ONE),)
    assert RecordPath(ONE) in world.records()
    # The other one is named by a record that the PDS has, and is not sent.
    assert laptop.mirror.requests - before <= 5
    tablet = pictures.device("tablet")
    await tablet.sync()
    assert blobs(tablet) == {name_of(CAT): CAT, name_of(DOG): DOG}


async def test_a_record_waits_until_its_blobs_are_there(world: World, pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    text = laptop.file(ONE).read_text(encoding="utf-8")
    laptop.delete(ONE)
    await laptop.sync()
    laptop.save_text(ONE, text)
    world.sandbox.faults.add(Refuse(500, "InternalServerError", "no"), UPLOAD, times=100)
    report = await laptop.sync()
    assert report.pushed == ()
    assert [item.path for item in report.retries] == [RecordPath(ONE)]
    assert world.records() == {}
    world.sandbox.faults.clear()
    assert (await laptop.sync()).pushed == (RecordPath(ONE),)


async def test_edited_bytes_are_never_uploaded(world: World, pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = pictures.device()
    await laptop.sync()
    text = laptop.file(ONE).read_text(encoding="utf-8")
    laptop.delete(ONE)
    await laptop.sync()
    file = laptop.root / "blobs" / name_of(CAT)
    file.chmod(0o644)
    file.write_bytes(b"mine")
    laptop.save_text(ONE, text)
    report = await laptop.sync()
    assert report.pushed == ()
    assert world.sandbox.blobs(world.login.did).count == 0
