"""Blobs in git: committed with the records that name them, if the settings ask for that."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from syncd.atproto.cid import cid_of_blob
from tests.rigs.device import World

from .conftest import make_repo, with_git

ONE = "com.example.note/one"
CAT, DOG = b"\x89PNG\r\n\x1a\ncat\r\n", b"a text\r\nof two lines\r\n"


async def write(world: World, path: str, content: bytes, mime_type: str) -> str:
    ref = await world.pds().upload_blob(BytesIO(content), len(content), mime_type)
    await world.write(path, picture=ref.value)
    return f"blobs/{ref.cid}"


async def test_new_blobs_are_committed_with_the_records_and_stay_what_they_are(
    world: World, tmp_path: Path
) -> None:
    repo = make_repo(tmp_path / "repo")
    repo.git("config", "core.autocrlf", "true")
    device = with_git(world, repo.top / "notes", git_blobs=True, blobs_fetch="all")
    name = await write(world, ONE, CAT, "image/png")
    await device.sync()
    assert repo.files_of() == [
        "notes/blobs/.gitattributes",
        f"notes/{name}.png",
        f"notes/{ONE}.json",
    ]
    assert (said := repo.trailers()) is not None
    assert said.rev == world.rev()
    text = await write(world, "com.example.note/two", DOG, "text/plain")
    await device.sync()
    assert f"notes/{text}.txt" in repo.files_of()
    repo.git("clone", "--quiet", str(repo.top), str(tmp_path / "clone"))
    cloned = tmp_path / "clone" / "notes"
    assert (cloned / f"{text}.txt").read_bytes() == DOG
    assert (cloned / f"{name}.png").read_bytes() == CAT


async def test_a_blob_that_comes_later_has_a_commit_too_and_none_is_ever_removed(
    world: World, tmp_path: Path
) -> None:
    repo = make_repo(tmp_path / "repo")
    device = with_git(world, repo.top / "notes", git_blobs=True, blobs_fetch="all")
    name = await write(world, ONE, CAT, "image/png")
    blob = world.sandbox.blobs(world.login.did)._blobs.pop(cid_of_blob(CAT))
    await device.sync()
    assert repo.files_of() == [f"notes/{ONE}.json"]
    world.sandbox.blobs(world.login.did)._blobs[cid_of_blob(CAT)] = blob
    device.mirror.state.attachments.keep_asked({cid_of_blob(CAT): None})
    await device.sync()
    assert repo.files_of() == ["notes/blobs/.gitattributes", f"notes/{name}.png"]
    commits = len(repo.subjects())
    (device.root / f"{name}.png").unlink()
    await device.sync()
    await device.sync()
    assert len(repo.subjects()) == commits
    assert repo.status() == []


async def test_without_the_setting_and_where_git_ignores_them_none_is_committed(
    world: World, tmp_path: Path
) -> None:
    name = await write(world, ONE, CAT, "image/png")
    plain = with_git(world, make_repo(tmp_path / "plain").top / "notes", blobs_fetch="all")
    await plain.sync()
    repo = make_repo(tmp_path / "ignoring")
    (repo.top / ".gitignore").write_text("blobs/\n")
    ignoring = with_git(world, repo.top / "notes", git_blobs=True, blobs_fetch="all")
    await ignoring.sync()
    for device in (plain, ignoring):
        assert (device.root / f"{name}.png").exists()
    assert repo.files_of() == [f"notes/{ONE}.json"]
