"""What a person does with a mirror, on file systems of other kinds than ext4: `make disks`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks.kinds import KINDS, Disk, mounted
from tests.reference.pds import ReferencePds
from tests.rigs.home import Home
from tests.rigs.machine import Machine

pytestmark = pytest.mark.disks

NOTE = "com.example.note"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


@pytest.fixture
def home(reference_pds: ReferencePds, tmp_path: Path) -> Home:
    return Home(reference_pds, reference_pds.create_account(), tmp_path)


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with mounted(request.param, tmp_path / "disk") as disk:
        yield disk


def cloned(home: Home, disk: Disk) -> tuple[Machine, Path]:
    for rkey in ("Foo", "foo", "plain"):
        home.write(f"{NOTE}/{rkey}", text=rkey)
    laptop, folder = home.machine(), disk.at / "mirror"
    laptop.ok("clone", home.account.handle, folder, *home.place)
    return laptop, folder


def upper(folder: Path) -> Path:
    """The file of the record `Foo`."""
    is_portable = 'filenames = "portable"' in (folder / "syncd.toml").read_text()
    return folder / NOTE / ("%46oo.json" if is_portable else "Foo.json")


def save(file: Path, text: str, **fields: object) -> None:
    file.write_text(json.dumps({"$type": NOTE, "text": text, **fields}))


def test_saves_pulls_pictures_and_restores(home: Home, disk: Disk) -> None:
    laptop, folder = cloned(home, disk)
    assert upper(folder).name.startswith("%") == disk.kind.is_portable
    (folder / "cat.png").write_bytes(PNG)
    save(folder / NOTE / "new.json", "a cat", picture={"$type": "blob", "$file": "cat.png"})
    save(upper(folder), "edited")
    (folder / NOTE / "plain.json").unlink()
    assert laptop.ok("sync", "--json", at=folder).json["deleted"] == 1
    assert set(home.records()) == {f"{NOTE}/{rkey}" for rkey in ("Foo", "foo", "new")}
    home.write(f"{NOTE}/foo", text="by another")
    laptop.ok("sync", at=folder)
    assert "by another" in (folder / NOTE / "foo.json").read_text()
    assert "edited" in upper(folder).read_text()
    laptop.ok("restore", f"{NOTE}/foo", at=folder)
    laptop.ok("restore", "--undo", at=folder)
    assert laptop.ok("verify", "--json", at=folder).json["findings"] == []
    assert [file.read_bytes() for file in (folder / "blobs").iterdir()] == [PNG]


def test_doctor_finds_no_fault_and_advises_nothing_that_does_not_help(
    home: Home, disk: Disk
) -> None:
    laptop, folder = cloned(home, disk)
    found = laptop.ok("doctor", "--json", at=folder).json["findings"]
    assert [item for item in found if item["level"] == "error"] == []
    for item in found:
        assert not item.get("hint", "").startswith("chmod"), "it made the file itself"


def test_a_daemon_pushes_and_pulls_and_can_be_asked(home: Home, disk: Disk) -> None:
    laptop, folder = cloned(home, disk)
    with laptop.daemon(folder) as daemon:
        daemon.wait_for("watching")
        save(upper(folder), "saved beside a daemon")
        daemon.wait_for(f"pushed    {NOTE}/Foo")
        home.write(f"{NOTE}/foo", text="by another")
        daemon.wait_for(f"pulled    {NOTE}/foo")
        assert laptop.ok("status", "--json", at=folder).json["daemon"]["phase"] == "idle"
        assert laptop.ok("sync", "--json", at=folder).json["pushed"] == 0
    assert laptop.ok("sync", "--json", at=folder).json["pushed"] == 0


def test_what_is_saved_after_the_disk_was_mounted_anew_is_pushed(home: Home, disk: Disk) -> None:
    """Where each mount gives each file a new number, that says nothing of a copy or a backup."""
    laptop, folder = cloned(home, disk)
    for text in ("once", "twice"):
        disk.unmount()
        disk.mount()
        save(upper(folder), text)
        assert laptop.ok("sync", "--json", at=folder).json["pushed"] == 1


def test_a_file_of_another_spelling_costs_no_record(home: Home, disk: Disk) -> None:
    """Where case folds, `Plain.json` is found as `plain.json`, and is not its file."""
    laptop, folder = cloned(home, disk)
    before = home.records()
    laptop.ok("sync", at=folder)
    (folder / NOTE / "Zwei.json").write_text('{"$type": "com.example.note", "text": "two"}')
    home.write(f"{NOTE}/zwei", text="two")
    for _ in range(2):
        laptop.run("sync", at=folder)
    assert before.items() <= home.records().items()
    assert f"{NOTE}/zwei" in home.records()
    for file in (folder / NOTE).iterdir():
        if file.name == "Zwei.json" and disk.kind.is_portable:
            file.rename(file.with_name("%5awei.json"))
    laptop.run("sync", at=folder)
    assert {f"{NOTE}/zwei", *before} <= home.records().keys()
