"""A blob outlives the renaming of the record that names it, whatever the PDS says of the new name.

Only the real PDS can show it: it drops a blob with the last record that names it, and then refuses
every record that names it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from syncd.config import Config
from syncd.model import RecordPath
from syncd.pds import HttpPds
from tests.contract.lines import Line
from tests.contract.rungs import Ground, ReferenceRung, fresh_ground
from tests.contract.test_push_table import no_sleep
from tests.rigs.device import Device

POST = RecordPath("app.bsky.feed.post/3jzfcijpj2z2a")
EARLIER = RecordPath("app.bsky.feed.post/3jzfcijpj2y2a")
NO_TID = RecordPath("app.bsky.feed.post/my-holidays")
pytestmark = pytest.mark.reference


@dataclass(slots=True)
class Scene:
    """A device with a post that shows a picture."""

    ground: Ground
    laptop: Device
    picture: dict[str, Any]

    def post(self, text: str) -> dict[str, Any]:
        images = [{"image": self.picture, "alt": ""}]
        embed = {"$type": "app.bsky.embed.images", "images": images}
        return {"text": text, "createdAt": "2026-01-01T00:00:00Z", "embed": embed}

    def rename(self, old: str, new: str) -> None:
        self.laptop.file(old).rename(self.laptop.file(new))

    def has_picture(self) -> bool:
        with closing(self.ground.login.client()) as client:
            params = {"did": self.ground.account.did, "cid": self.picture["ref"]["$link"]}
            return client.get("/xrpc/com.atproto.sync.getBlob", params=params).is_success


@pytest.fixture
async def scene(reference_rung: ReferenceRung, tmp_path: Path) -> AsyncIterator[Scene]:
    async with fresh_ground(reference_rung) as ground:
        with closing(ground.login.client()) as client:
            headers = {"content-type": "image/png"}
            path = "/xrpc/com.atproto.repo.uploadBlob"
            answer = client.post(path, content=b"\x89PNG\r\n\x1a\n" + b"0" * 64, headers=headers)
        picture = answer.raise_for_status().json()["blob"]
        async with HttpPds(ground.account, ground.login.tokens(), transport=Line()) as pds:
            laptop = Device.make(
                tmp_path / "laptop", ground.account, pds, Config(ground.account.did, lexicons="off")
            )
            laptop.mirror = replace(laptop.mirror, sleep=no_sleep)
            found = Scene(ground, laptop, picture)
            laptop.save(POST, **found.post("one"))
            assert (await laptop.sync()).pushed == (POST,)
            assert found.has_picture()
            yield found
            laptop.mirror.state.close()


async def test_the_picture_of_a_post_outlives_a_name_that_the_pds_refuses(scene: Scene) -> None:
    scene.rename(POST, NO_TID)
    report = await scene.laptop.sync()
    assert [problem.path for problem in report.problems] == [POST, NO_TID]
    assert "Invalid record key" in report.problems[1].reason
    assert scene.has_picture()
    scene.rename(NO_TID, EARLIER)
    report = await scene.laptop.sync()
    assert (set(report.pushed), report.problems) == ({POST, EARLIER}, ())
    assert scene.has_picture()


async def test_the_picture_of_a_post_outlives_a_move_to_another_collection(scene: Scene) -> None:
    """The file is inert there until its `$type` is changed, and then it is another record."""
    moved = RecordPath("com.example.archive/holidays")
    scene.laptop.file(moved).parent.mkdir()
    scene.rename(POST, moved)
    for _ in range(2):
        (problem,) = (await scene.laptop.sync()).problems
        assert problem.path == POST
        assert scene.has_picture()
    scene.laptop.save(moved, **scene.post("one"))
    report = await scene.laptop.sync()
    assert (set(report.pushed), report.problems) == ({POST, moved}, ())
    assert scene.has_picture()


@pytest.mark.parametrize("is_busy", [False, True])
async def test_the_picture_outlives_an_edit_right_after_the_renaming(
    scene: Scene, is_busy: bool
) -> None:
    """Sent in the order of their names, the old post would go first, and the picture with it."""
    scene.laptop.mirror.outbox.busy_until = 4_000_000_000 * is_busy
    scene.laptop.delete(POST)
    later = RecordPath("app.bsky.feed.post/3jzfcijpj3a2a")
    scene.laptop.save(later, **scene.post("edited"))
    report = await scene.laptop.sync()
    assert (set(report.pushed), report.problems) == ({POST, later}, ())
    assert scene.has_picture()
