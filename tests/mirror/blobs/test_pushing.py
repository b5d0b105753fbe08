"""`blob push --missing`: what a PDS lacks after an account has moved there with its repo."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.atproto.cid import Cid, cid_of_blob, parse_cid
from syncd.errors import UploadLimited
from syncd.mirror.blobs.pushing import push_missing
from syncd.sandbox import Bucket, RateLimits, Sandbox
from syncd.sandbox.faults import Refuse
from syncd.sandbox.repo.blobs import Blobs
from syncd.state.learnt import UploadPause
from tests.cycle.blobs.conftest import Pictures
from tests.cycle.blobs.test_rounds import CAT, DOG, ONE, TWO, name_of
from tests.rigs.device import Device, World

BIRD = b"a bird, whose picture no machine has"


@pytest.fixture
def pictures(world: World) -> Pictures:
    return Pictures(world)


def stored(world: World) -> Blobs:
    return world.sandbox.blobs(world.login.did)


def lost(world: World) -> list[Cid]:
    """Have the PDS lack every blob, as after an import; return which these are."""
    stored(world)._blobs.clear()
    return [parse_cid(cid) for cid, _ in stored(world).missing()]


async def mirrored(pictures: Pictures) -> Device:
    laptop = pictures.device()
    await laptop.sync()
    return laptop


async def test_what_the_pds_lacks_is_uploaded_from_blobs_and_from_any_file(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT, DOG)
    await pictures.write(TWO, DOG, BIRD)
    laptop = await mirrored(pictures)
    for content in (DOG, BIRD):
        (laptop.root / "blobs" / name_of(content)).unlink()
    (laptop.root / "pictures").mkdir()
    (laptop.root / "pictures" / "dog").write_bytes(DOG)
    found = await push_missing(laptop.mirror.workspace, laptop.mirror.home, lost(world))
    assert {ref.cid for ref in found.sent} == {cid_of_blob(CAT), cid_of_blob(DOG)}
    assert (found.absent, found.failed, found.halted) == ([cid_of_blob(BIRD)], {}, None)
    assert not found.is_whole
    assert [cid for cid, _ in stored(world).missing()] == [str(cid_of_blob(BIRD))]
    # The types are those that the records name, so that the PDS takes the next edit of them.
    assert {ref.mime_type for ref in found.sent} == {"image/png"}
    (laptop.root / "pictures" / "bird").write_bytes(BIRD)
    missing = [parse_cid(cid) for cid, _ in stored(world).missing()]
    found = await push_missing(laptop.mirror.workspace, laptop.mirror.home, missing)
    assert found.is_whole
    assert stored(world).missing() == []


async def test_no_hidden_file_and_no_other_bytes_are_uploaded(
    world: World, pictures: Pictures
) -> None:
    await pictures.write(ONE, CAT)
    laptop = await mirrored(pictures)
    file = laptop.root / "blobs" / name_of(CAT)
    file.chmod(0o644)
    file.write_bytes(CAT[::-1])
    (laptop.root / ".secret").write_bytes(CAT)
    (laptop.root / "link").symlink_to(laptop.root / ".secret")
    found = await push_missing(laptop.mirror.workspace, laptop.mirror.home, lost(world))
    assert (found.sent, found.absent) == ([], [cid_of_blob(CAT)])


async def test_a_blob_that_no_record_here_names_is_left(world: World, pictures: Pictures) -> None:
    laptop = await mirrored(pictures)
    (laptop.root / "cat").write_bytes(CAT)
    found = await push_missing(laptop.mirror.workspace, laptop.mirror.home, [cid_of_blob(CAT)])
    assert (found.sent, found.absent) == ([], [cid_of_blob(CAT)])


async def test_a_limit_ends_it_and_the_rest_is_left_for_later(tmp_path: Path) -> None:
    sandbox = Sandbox(limits=RateLimits(upload=Bucket("upload-blob", 3, 86400)))
    world = World(tmp_path, sandbox, sandbox.create_account())
    pictures = Pictures(world)
    await pictures.write(ONE, CAT, DOG)
    laptop = await mirrored(pictures)
    missing = lost(world)
    found = await push_missing(laptop.mirror.workspace, laptop.mirror.home, missing)
    assert isinstance(found.halted, UploadLimited)
    assert laptop.mirror.state.note(UploadPause) is not None


async def test_what_the_pds_refuses_is_named(world: World, pictures: Pictures) -> None:
    await pictures.write(ONE, CAT)
    laptop = await mirrored(pictures)
    missing = lost(world)
    upload = "com.atproto.repo.uploadBlob"
    world.sandbox.faults.add(Refuse(400, "InvalidRequest", "not that one"), upload)
    found = await push_missing(laptop.mirror.workspace, laptop.mirror.home, missing)
    assert list(found.failed) == [cid_of_blob(CAT)]
    assert "not that one" in found.failed[cid_of_blob(CAT)]
