"""A world in which people put pictures into records."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid, Link
from syncd.config import Config
from syncd.sandbox.repo.blobs import StoredBlob
from tests.rigs.device import Device, World


class Pictures:
    """Other clients, who write records that name blobs."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def upload(self, content: bytes, mime_type: str = "image/png") -> BlobRef:
        return await self.world.pds().upload_blob(BytesIO(content), len(content), mime_type)

    async def write(self, path: str, *contents: bytes, **more: Any) -> list[BlobRef]:  # noqa: ANN401
        refs = [await self.upload(content) for content in contents]
        await self.world.write(path, pictures=[ref.value for ref in refs], **more)
        return refs

    def take_down(self, cid: Cid) -> StoredBlob:
        """Let the PDS keep a blob that it gives to nobody any more."""
        return self._stored.pop(cid)

    def put_back(self, cid: Cid, blob: StoredBlob) -> None:
        self._stored[cid] = blob

    @property
    def _stored(self) -> dict[Link, StoredBlob]:
        return self.world.sandbox.blobs(self.world.login.did)._blobs

    def device(self, name: str = "laptop", **settings: Any) -> Device:  # noqa: ANN401
        settings = {"brake_records": 1000, "blobs_fetch": "all", **settings}
        return self.world.device(name, Config(self.world.login.did, **settings))


@pytest.fixture
def pictures(world: World) -> Pictures:
    return Pictures(world)
