"""Mirrors on file systems that do not tell upper from lower case."""

from __future__ import annotations

import pytest

from syncd.config import Config
from syncd.errors import FolderWrong
from syncd.folder.write import conflict_file
from tests.cycle.test_mirror import agreed
from tests.folder.folding import How, folding
from tests.rigs.device import World

COLLECTION = "com.example.note"
RKEYS = ("Foo", "foo", "FOO", "a:b", "con", "did:web:Example.com", "X" * 512, "x" * 512)
PATHS = [f"{COLLECTION}/{rkey}" for rkey in RKEYS]


async def test_portable_names_hold_every_record_where_case_does_not_count(world: World) -> None:
    for path in PATHS[:4]:
        await world.write(path, text=path)
    config = Config(world.login.did, brake_records=1000, filenames="portable")
    with folding(world.tmp_path / "laptop", How(refused=':"*<>?|')):
        laptop = world.device(config=config)
        await laptop.sync()
        for path in PATHS[4:]:
            laptop.save(path, text=path)
        await agreed(world, laptop)
        assert len(world.records()) == len(PATHS)
        laptop.save(PATHS[0], text="mine")
        await world.write(PATHS[0], text="theirs")
        for _ in range(2):
            (conflict,) = (await laptop.sync()).conflicts
            assert conflict.remote is not None
            kept = conflict_file(conflict.path, conflict.remote, portable=True)
            assert (laptop.root / kept).exists()
        laptop.save(PATHS[0], text="theirs")
        laptop.delete(PATHS[1])
        laptop.save(PATHS[2], text="edited")
        await world.write(PATHS[3], text="edited")
        await agreed(world, laptop)
        assert laptop.kept_conflicts() == []
        texts = [laptop.read(path)["text"] for path in (PATHS[0], PATHS[2], PATHS[3])]
    assert texts == ["theirs", "edited", "edited"]
    assert PATHS[1] not in world.records()


async def test_plain_names_are_refused_where_case_does_not_count(world: World) -> None:
    await world.write(PATHS[0], text="upper")
    laptop = world.device()
    with folding(laptop.root), pytest.raises(FolderWrong, match="upper from lower case"):
        await laptop.sync()
    assert laptop.files() == {}


async def test_of_two_records_that_are_one_name_one_waits_and_nothing_is_overwritten(
    world: World,
) -> None:
    """A single directory that folds case, as ext4 has them: no probe of the folder shows it."""
    laptop = world.device()
    (laptop.root / COLLECTION).mkdir()
    with folding(laptop.root / COLLECTION):
        for path in (PATHS[0], PATHS[1], f"{COLLECTION}/other"):
            await world.write(path, text=path)
        for dirty in (None, [*world.records()]):
            report = await laptop.mirror.cycle(dirty)
            (problem,) = report.problems
            assert "with another name" in problem.reason
            assert 'filenames = "portable"' in problem.hint
            assert (report.pushed, report.conflicts) == ((), ())
        waiting, kept = problem.path, (PATHS[0] if problem.path == PATHS[1] else PATHS[1])
        assert sorted(laptop.base()) == sorted([kept, f"{COLLECTION}/other"])
        await world.write(waiting, text="edited again")
        assert [p.path for p in (await laptop.sync()).problems] == [waiting]
        assert len(world.records()) == 3
        before = laptop.file(kept).read_bytes()
        await world.delete(kept)
        for _ in range(2):
            await laptop.sync()
        assert laptop.file(waiting).read_bytes() != before
        await agreed(world, laptop)
        assert len(world.records()) == 2
