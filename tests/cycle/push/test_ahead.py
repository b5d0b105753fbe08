"""The texts of records are made while other blobs are sent, and every file waits for the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.blobs import files
from syncd.cycle.pull.supersede import Replacing
from syncd.cycle.push.sending import Sender
from syncd.model import RecordPath
from tests.rigs.device import Device, World

from .test_attach import ONE, PICTURE, REF, TWO, device_of, picture_of, put, uploads, world_of

OTHER = PICTURE + b"other"
NAMES = ("pictures/cover.png", "pictures/other.png")


def staged(tmp_path: Path) -> tuple[World, Device]:
    """Two records, each of which names a picture of its own."""
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, NAMES[1], OTHER)
    for path, name in zip((ONE, TWO), NAMES, strict=True):
        device.save(path, image={"$type": "blob", "$file": name}, text="hello")
    return world, device


def one_stream(patches: pytest.MonkeyPatch, before: Callable[[int], None]) -> None:
    """Send one blob after the other; `before` hears the number of each."""
    send, count = Sender._send, iter(range(100))

    async def sent(self: Sender, *what: Any) -> None:  # noqa: ANN401
        before(next(count))
        await send(self, *what)

    patches.setattr(Sender, "_send", sent)
    patches.setattr("syncd.blobs.streams.STREAMS", 1)


async def test_a_text_is_made_while_the_next_blob_is_sent_and_no_file_changes_before_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, device = staged(tmp_path)
    before, made = device.files(), list[RecordPath]()
    plan = Replacing.plan

    def planned(self: Replacing, successors: Any) -> None:  # noqa: ANN401
        made.extend(successor.path for successor in successors)
        plan(self, successors)

    def look(number: int) -> None:
        assert made == [ONE, TWO][:number]
        assert device.files() == before

    monkeypatch.setattr(Replacing, "plan", planned)
    one_stream(monkeypatch, look)
    assert set((await device.sync()).pushed) == {ONE, TWO}
    assert made == [ONE, TWO]
    assert picture_of(world) == REF.value


async def test_a_record_whose_blobs_are_sent_keeps_an_edit_that_is_saved_during_the_next_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, device = staged(tmp_path)

    def edit(number: int) -> None:
        if number == 1:
            device.save(ONE, image={"$type": "blob", "$file": NAMES[0]}, text="edited")

    one_stream(monkeypatch, edit)
    assert set((await device.sync()).pushed) == {ONE, TWO}
    assert device.read(ONE)["text"] == "edited"
    record = world.sandbox.repo(world.login.did).record(ONE)
    assert record is not None
    assert record["text"] == "edited"
    assert uploads(world) == 2


async def test_a_record_that_is_deleted_during_the_next_upload_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, device = staged(tmp_path)
    one_stream(monkeypatch, lambda number: device.file(ONE).unlink() if number == 1 else None)
    report = await device.sync()
    assert (report.pushed, report.problems) == ((TWO,), ())
    assert not device.file(ONE).exists()
    assert picture_of(world) is None


async def test_two_records_with_one_picture_are_both_sent_after_one_upload(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    device = device_of(world)
    put(device, NAMES[1], PICTURE)
    device.save(ONE, image={"$type": "blob", "$file": NAMES[0]})
    device.save(TWO, image={"$type": "blob", "$file": NAMES[1]})
    assert set((await device.sync()).pushed) == {ONE, TWO}
    assert picture_of(world) == picture_of(world, TWO) == REF.value
    assert uploads(world) == 1


async def test_a_file_that_changes_has_no_other_file_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film of an hour takes minutes to hash: a picture beside it that changes costs none."""
    world, device = staged(tmp_path)
    read, described = list[str](), files.describe

    def described_of(name: str, *what: Any) -> files.Described:  # noqa: ANN401
        read.append(name)
        return described(name, *what)

    def edit(number: int) -> None:
        if number == 0:
            rewritten(device.root / NAMES[0], PICTURE[:-1] + b"1")

    files._kept.clear()
    monkeypatch.setattr(files, "describe", described_of)
    monkeypatch.setattr(files, "_stamp", lambda now: (now.st_size, 0, 0))
    one_stream(monkeypatch, edit)
    assert set((await device.sync()).pushed) == {ONE, TWO}
    assert picture_of(world) != REF.value
    assert read.count(NAMES[1]) == 1
    assert read.count(NAMES[0]) > 1


def rewritten(file: Path, content: bytes) -> None:
    """Write other bytes of the same size in the same place, without a trace in the times."""
    file.write_bytes(content)
