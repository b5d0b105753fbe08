"""Very many files at once: git, tar, rsync and loops. Every change arrives, each of them once."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from syncd.atproto.data import cid_of
from syncd.config import Config
from syncd.folder.names import relative_path
from syncd.model import RecordPath
from tests.chance import IS_STRESS
from tests.programs import program
from tests.rigs.desk import Desk, at_work, in_a_thread, text_of
from tests.rigs.device import World

FILES, BURST = 250, 3000
LARGE_TREE, CHECKOUTS = (5000, 20) if IS_STRESS else (600, 6)
NO_NET = 86_400.0
"""Seconds between looks at everything that nothing asked for: what arrives, events have told."""


def path_of(number: int) -> RecordPath:
    return RecordPath(f"com.example.note/n{number:04}")


def fill(root: Path, files: int, version: str) -> None:
    for number in range(files):
        file = root / relative_path(path_of(number))
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text_of(path_of(number), n=number, version=version))


def is_all(desk: Desk, files: int, version: str) -> bool:
    """True if the repo has this version of every record, and no other record."""
    records = desk.world.records()
    return len(records) == files and all(
        records.get(path_of(n)) == cid_of({"$type": "com.example.note", "n": n, "version": version})
        for n in range(files)
    )


async def until_all(desk: Desk, files: int, version: str) -> None:
    await desk.until(lambda: is_all(desk, files, version), f"the push of {files} {version} files")
    await desk.rest()


def alone(world: World) -> Config:
    return Config(world.login.did, full_look_seconds=NO_NET, poll_seconds=NO_NET)


def git(at: Path, *command: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    subprocess.run([program("git"), *identity, *command], cwd=at, check=True, timeout=300)


def make_branches(root: Path, files: int) -> None:
    """Two branches, "old" and "new", with a version each of all files; "new" is checked out."""
    git(root, "init", "-q", "-b", "old", ".")
    for branch in ("old", "new"):
        fill(root, files, branch)
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", branch)
        git(root, "checkout", "-q", "-B", "new")


async def test_git_switches_between_two_branches(world: World) -> None:
    async with at_work(world, config=alone(world)) as desk:
        await in_a_thread(lambda: make_branches(desk.root, FILES))
        await until_all(desk, FILES, "new")
        desk.ops.clear()
        for branch in ("old", "new"):
            await in_a_thread(lambda branch=branch: git(desk.root, "checkout", "-q", branch))  # type: ignore[misc]
            await until_all(desk, FILES, branch)
        assert Counter(op.path for op in desk.ops) == {path_of(n): 2 for n in range(FILES)}
        assert {op.action for op in desk.ops} == {"update"}


async def test_git_switches_a_large_tree_again_and_again(world: World) -> None:
    """All of them in one go: what is pushed in between is a version that git had, and no other."""

    def switch(root: Path) -> None:
        for turn in range(CHECKOUTS + 1):
            git(root, "checkout", "-q", ("old", "new")[turn % 2])

    device = world.device(config=alone(world))
    make_branches(device.root, LARGE_TREE)
    async with at_work(world, device=device) as desk:
        await until_all(desk, LARGE_TREE, "new")
        desk.ops.clear()
        await in_a_thread(lambda: switch(desk.root))
        await until_all(desk, LARGE_TREE, "old")
        assert {op.action for op in desk.ops} == {"update"}
        known = {
            cid_of({"$type": "com.example.note", "n": n, "version": version})
            for n in range(LARGE_TREE)
            for version in ("old", "new")
        }
        assert {op.after for op in desk.ops} <= known


@pytest.mark.parametrize("tool", ["tar", "rsync", "rsync --inplace"])
async def test_an_unpacked_tree_arrives_whole(world: World, tool: str) -> None:
    async with at_work(world, config=alone(world)) as desk:
        source, archive = desk.root.parent / "source", desk.root.parent / "all.tar"
        for version in ("old", "new"):
            await in_a_thread(lambda version=version: fill(source, FILES, version))  # type: ignore[misc]
            if tool == "tar":
                await desk.run(program("tar"), "-C", source, "-cf", archive, "com.example.note")
                await desk.run(program("tar"), "-xf", archive)
            else:
                rsync = program("rsync")
                await desk.run(rsync, *tool.split()[1:], "-rc", f"{source}/", f"{desk.root}/")
            await until_all(desk, FILES, version)
        actions = Counter((op.path, op.action) for op in desk.ops)
        assert actions == {
            (path_of(n), action): 1 for n in range(FILES) for action in ("create", "update")
        }


async def test_three_thousand_files_at_once(world: World) -> None:
    async with at_work(world, config=alone(world)) as desk:
        await in_a_thread(lambda: fill(desk.root, BURST, "old"))
        await until_all(desk, BURST, "old")
        assert Counter(op.action for op in desk.ops) == {"create": BURST}


async def test_directories_made_and_filled_in_one_breath(world: World) -> None:
    """New collections, and in them the directories that long names continue in."""
    paths = [
        RecordPath(f"com.example.c{number}/{name}")
        for number in range(60)
        for name in ("a", "b" * 300, "c" * 500)
    ]

    def fill_them(root: Path) -> None:
        for path in paths:
            file = root / relative_path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"path": path}))

    async with at_work(world, config=alone(world)) as desk:
        await in_a_thread(lambda: fill_them(desk.root))
        await desk.until(lambda: set(desk.world.records()) == set(paths), "the push of everything")
        await desk.rest()
        assert Counter(op.action for op in desk.ops) == {"create": len(paths)}
        for path in paths:  # and every directory is watched from now on
            desk.file(path).write_text(json.dumps({"path": path, "again": True}))
        await desk.until(
            lambda: Counter(op.action for op in desk.ops)["update"] == len(paths), "the updates"
        )
