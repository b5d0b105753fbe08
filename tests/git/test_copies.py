"""A copy of a mirror with its git repository: what has not arrived is deleted in git neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.mirror.held import decide_held
from syncd.model import Choice, RecordPath
from tests.rigs.places import Seat, close, copy

from .conftest import Repo, Study, meet_git

NOTES = [RecordPath(f"com.example.note/{name}") for name in "abcd"]


@pytest.fixture
async def half(study: Study, monkeypatch: pytest.MonkeyPatch) -> tuple[Seat, Path]:
    """Half a copy of a mirror that was committed, `.git` included."""
    seat = Seat(study.world, monkeypatch)
    close(study.device)
    device = seat.start(study.device.root, git_commit=True)
    meet_git(device)
    for n, path in enumerate(NOTES):
        device.save(path, n=n)
    await device.sync()
    close(device)
    assert study.repo.status() == []
    top = copy(study.repo.top, study.world.tmp_path / "copy")
    root = top / study.prefix
    for path in NOTES[:2]:
        (root / f"{path}.json").unlink()
    return seat, root


async def test_no_commit_deletes_what_has_not_arrived(half: tuple[Seat, Path]) -> None:
    seat, root = half
    repo = Repo(root)
    tracked = repo.git("ls-files").splitlines()
    await seat.world.write(NOTES[2], n=20)
    with seat.at(root, git_commit=True) as device:
        meet_git(device)
        for _ in range(2):
            report = await device.sync()
            assert [item.path for item in report.held] == NOTES[:2]
        assert repo.files_of() == [str(file) for file in tracked_of(repo, NOTES[2])]
        assert repo.git("ls-files").splitlines() == tracked
        decide_held(device.mirror.workspace, report.held, Choice.REJECT)
        assert (await device.sync()).is_settled
    # They come back in syncd's form, which git sees; none is away.
    assert not [line for line in repo.status() if "D" in line.split()[0]]
    assert len(seat.world.records()) == len(NOTES)


def tracked_of(repo: Repo, path: RecordPath) -> list[str]:
    return [name for name in repo.git("ls-files", "--full-name").splitlines() if path in name]
