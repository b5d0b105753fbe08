"""A difference of any size is pulled in portions that memory has room for."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.cycle.observe.fetch import Overflowing
from syncd.cycle.pull.apply import pull_in_portions
from syncd.cycle.pull.archive import Keeper
from syncd.model import Memory, RecordPath, Seen, Step, Verdict
from tests.atproto.inexact import block
from tests.cycle.observe.hostile import Repo, account_of, rev_of, serving
from tests.rigs.device import Device

NAMES = [RecordPath(f"com.example.note/{n:03}") for n in range(60)]
TEXT = "x" * 9_000
PORTION = 100_000


def nothing(_: RecordPath) -> Seen | None:
    return None


def test_memory_has_one_portion_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.cycle.pull.apply.PORTION_BYTES", PORTION)
    monkeypatch.setattr("syncd.cycle.observe.fetch.IN_MEMORY_BYTES", PORTION)
    pds = serving(Repo({}))
    laptop = Device.make(tmp_path / "laptop", account_of(), pds)
    (tmp_path / "spool").mkdir()
    repo, store = Repo({path: f"{path} {TEXT}" for path in NAMES}), Overflowing(tmp_path / "spool")
    store.add(repo.blocks.items())
    steps = [
        Step(p, Verdict.PULL, None, None, cid, "new") for p, cid in sorted(repo.cids().items())
    ]
    recorded: list[Memory] = []
    last = pull_in_portions(
        laptop.mirror.folder,
        steps,
        store.get,
        expect=nothing,
        keeper=Keeper(laptop.mirror.history, 0, None),
        record=recorded.append,
    )
    held = [sum(map(len, memory.blocks.values())) for memory in (*recorded, last)]
    assert len(held) >= len(NAMES) * len(TEXT) // PORTION
    assert max(held) <= PORTION
    assert last.base == repo.cids()
    assert set().union(*(memory.blocks for memory in (*recorded, last))) == set(NAMES)
    assert list(laptop.files()) == [f"{name}.json" for name in NAMES]


async def test_what_was_pulled_before_a_stop_is_not_pulled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.cycle.pull.apply.PORTION_BYTES", 1)
    pds = serving(Repo({NAMES[0]: block(n=0)}))
    laptop = Device.make(tmp_path / "laptop", account_of(), pds)
    await laptop.sync()
    pds.repo = Repo({path: block(n=n) for n, path in enumerate(NAMES[:5])}, rev_of(2))
    pds.serve = lambda _: pds.repo.car()
    # A directory is in the way of the fourth: what came before it and after it is pulled.
    laptop.file(NAMES[3]).mkdir()
    report = await laptop.sync()
    assert report.pulled == (NAMES[1], NAMES[2], NAMES[4])
    assert [problem.path for problem in report.problems] == [NAMES[3]]
    laptop.file(NAMES[3]).rmdir()
    report = await laptop.sync()
    assert (report.pulled, report.problems) == ((NAMES[3],), ())
    assert laptop.base() == pds.repo.cids()
