"""A record that names a file gets it to the real PDS, which alone says what it makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import cid_of_blob
from syncd.atproto.data import to_json
from syncd.config import Config
from syncd.cycle.home import Home
from syncd.mirror.blobs.pushing import push_missing
from syncd.model import RecordPath
from syncd.pds import HttpPds
from tests.contract.rungs import Ground, ReferenceRung, fresh_ground
from tests.reference.pds import MAIN_PASSWORD
from tests.rigs.device import Device

POST = RecordPath("app.bsky.feed.post/3jzfcijpj2z2a")
NOTE = RecordPath("com.example.note/one")
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDAT"
pytestmark = pytest.mark.reference


@dataclass(frozen=True, slots=True)
class Scene:
    ground: Ground
    laptop: Device

    def put(self, name: str, content: bytes) -> None:
        file = self.laptop.root / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)


@pytest.fixture
async def scene(reference_rung: ReferenceRung, tmp_path: Path) -> AsyncIterator[Scene]:
    async with (
        fresh_ground(reference_rung) as ground,
        HttpPds(ground.account, ground.login.tokens()) as pds,
    ):
        laptop = Device.make(tmp_path / "laptop", ground.account, pds, Config(ground.account.did))
        yield Scene(ground, laptop)
        laptop.mirror.state.close()


async def test_a_post_with_two_pictures_is_pushed_as_a_person_wrote_it(scene: Scene) -> None:
    images = []
    for number in range(2):
        scene.put(f"pictures/{number}.png", PNG + b"%d" % number)
        image = {"$type": "blob", "$file": f"pictures/{number}.png"}
        images.append({"alt": f"picture {number}", "image": image})
    embed = {"$type": "app.bsky.embed.images", "images": images}
    scene.laptop.save(POST, text="Two", createdAt="2026-01-01T00:00:00Z", embed=embed)
    report = await scene.laptop.sync()
    assert (report.pushed, report.problems) == ((POST,), ())
    found = scene.laptop.read(POST)["embed"]["images"]
    for number, image in enumerate(found):
        data = PNG + b"%d" % number
        ref = BlobRef(cid_of_blob(data), "image/png", len(data))
        assert image == {"alt": f"picture {number}", "image": to_json(ref.value)}
        async with scene.ground.other.fetch_blob(ref.cid) as pieces:
            assert b"".join([piece async for piece in pieces]) == data
    assert not (await scene.laptop.sync()).pushed


async def test_the_type_by_which_the_pds_knows_a_file_is_taken(scene: Scene) -> None:
    data = b"# Notes\n"
    with closing(scene.ground.login.client()) as client:
        headers = {"content-type": "text/markdown"}
        client.post("/xrpc/com.atproto.repo.uploadBlob", content=data, headers=headers)
    scene.put("notes.md", data)
    scene.laptop.save(NOTE, text={"$type": "blob", "$file": "notes.md"})
    report = await scene.laptop.sync()
    assert (report.pushed, report.problems) == ((NOTE,), ())
    assert scene.laptop.read(NOTE)["text"]["mimeType"] == "text/markdown"


async def test_what_a_repo_that_moved_lacks_is_uploaded(
    scene: Scene, reference_rung: ReferenceRung
) -> None:
    scene.put("pictures/one.png", PNG)
    scene.laptop.save(NOTE, image={"$type": "blob", "$file": "pictures/one.png"})
    assert (await scene.laptop.sync()).pushed == (NOTE,)
    async with fresh_ground(reference_rung) as there:
        # Only who is logged in with the account's own password may import.
        owner = replace(there.login, password=MAIN_PASSWORD)
        with closing(scene.ground.login.client()) as old, closing(owner.client()) as new:
            params = {"did": scene.ground.account.did}
            car = old.get("/xrpc/com.atproto.sync.getRepo", params=params).content
            headers = {"content-type": "application/vnd.ipld.car"}
            url = "/xrpc/com.atproto.repo.importRepo"
            assert new.post(url, content=car, headers=headers).status_code == 200
        async with HttpPds(there.account, there.login.tokens()) as pds:
            lacking = await pds.fetch_missing_blobs()
            assert lacking == [cid_of_blob(PNG)]
            # The mirror knows what its records name, and has the picture where a person put it.
            files, home = scene.laptop.mirror.workspace, Home(there.account, pds)
            assert (await push_missing(files, home, lacking)).is_whole
            assert await pds.fetch_missing_blobs() == []
            async with pds.fetch_blob(cid_of_blob(PNG)) as pieces:
                assert b"".join([piece async for piece in pieces]) == PNG
