"""A disk that is full, broken or closed: nothing is taken as deleted, and it passes by itself."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import pytest

from syncd.config import Config
from syncd.sandbox import Sandbox
from tests.folder.conftest import NOBODY
from tests.programs import program
from tests.rigs.desk import PATIENCE_SECONDS, Desk, at_work
from tests.rigs.device import World

NOTES = [f"com.example.note/n{n}" for n in range(3)]


@pytest.mark.parametrize("which", ["folder", "state"])
def test_a_full_disk_deletes_nothing_is_told_and_is_got_over(tmp_path: Path, which: str) -> None:
    namespaces = [program("unshare"), "--user", "--map-root-user", "--mount"]
    ran = subprocess.run(
        [*namespaces, sys.executable, "-m", "tests.daemon.disk_full", str(tmp_path), which],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, (
        f"is it allowed to make a user namespace here? (sysctl user.max_user_namespaces) {ran}"
    )
    assert ran.stdout.endswith("recovered\n")
    assert "the disk is full" in ran.stdout


@pytest.fixture
def world() -> Iterator[World]:
    """A world whose folders every user may reach."""
    directory = Path(tempfile.mkdtemp(prefix="syncd-test-"))
    directory.chmod(0o755)
    sandbox = Sandbox()
    yield World(directory, sandbox, sandbox.create_account("alice"))
    rmtree(directory)


def is_told(desk: Desk, words: str) -> bool:
    waiting = desk.device.mirror.state.waiting()
    return any(words in getattr(item, "reason", "") for item in waiting) or any(
        words in error.message for error in desk.errors
    )


async def endured(world: World, words: str, fault: Callable[[Desk], Iterator[None]]) -> None:
    """While `fault` lasts its `words` are told and nothing is deleted; afterwards all is well."""
    for path in NOTES:
        await world.write(path, v="old")
    config = Config(world.login.did, full_look_seconds=0.2)
    async with at_work(world, config=config) as desk:
        await desk.until(lambda: len(desk.device.files()) == len(NOTES), "the first pull")
        await desk.rest()
        with contextmanager(fault)(desk):
            await desk.until(lambda: is_told(desk, words), f"a word of {words}")
            looks = len(desk.reports) + len(desk.errors)
            await desk.until(lambda: len(desk.reports) + len(desk.errors) > looks, "another look")
            assert desk.ops == []
        desk.file(NOTES[0]).write_text('{"v": "new"}')
        await desk.until(lambda: desk.is_pushed({"v": "new"}, NOTES[0]), "the push")
        await desk.until(lambda: desk.device.mirror.state.waiting() == (), "silence")
        assert [(op.action, op.path) for op in desk.ops] == [("update", NOTES[0])]


class Broken:
    """A directory whose reading fails after the first entry."""

    def __init__(self, descriptor: int) -> None:
        self._entries = os_scandir(descriptor)

    def __enter__(self) -> Iterator[os.DirEntry[str]]:
        return self._broken()

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def _broken(self) -> Iterator[os.DirEntry[str]]:
        yield next(self._entries)
        raise OSError(errno.EIO, os.strerror(errno.EIO))


os_scandir, os_read = os.scandir, os.read


async def test_a_directory_that_cannot_be_read_to_its_end(world: World) -> None:
    def broken(desk: Desk) -> Iterator[None]:
        def scandir(target: int) -> object:
            return Broken(target) if isinstance(target, int) else os_scandir(target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "scandir", scandir)
            yield

    await endured(world, "the disk reports an input/output error", broken)


async def test_files_that_cannot_be_read(world: World) -> None:
    def broken(desk: Desk) -> Iterator[None]:
        def read(descriptor: int, size: int) -> bytes:
            if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".json":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return os_read(descriptor, size)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "read", read)
            for path in NOTES:
                os.utime(desk.file(path))
            yield

    await endured(world, "the disk reports an input/output error", broken)


@pytest.mark.parametrize("what", ["collection", "file"])
async def test_what_may_not_be_read_as_somebody_else(world: World, what: str) -> None:
    def closed(desk: Desk) -> Iterator[None]:
        file = desk.file(NOTES[0])
        path = file if what == "file" else file.parent
        mode = path.stat().st_mode
        with as_nobody(world.tmp_path):
            os.utime(desk.file(NOTES[0]))
            path.chmod(0)
            try:
                yield
            finally:
                path.chmod(mode)

    await endured(world, "permission denied", closed)


@contextmanager
def as_nobody(directory: Path) -> Iterator[None]:
    """Without the privileges of root, to whom no permission is denied."""
    if os.geteuid() != 0:
        yield
        return
    for path in (directory, *directory.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
