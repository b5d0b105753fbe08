"""The main job by the commands, on PDSes of another make or age."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import ALTERAN, ARROBA, OLDER
from tests.contract.desk import FIRST, Desk, desk_on
from tests.contract.rungs import AlteranRung, ArrobaRung, ReferenceRung, Rung
from tests.rigs.machine import configure, save, wait_until

B, C, D = (f"com.example.note/{name}" for name in "bcd")
MANY = 250


@pytest.fixture(scope="session", params=[ARROBA, OLDER, ALTERAN])
def rung(request: pytest.FixtureRequest) -> Rung:
    found: Rung = request.getfixturevalue(f"{request.param}_rung")
    return found


@pytest.fixture
def desk(rung: Rung, tmp_path: Path) -> Iterator[Desk]:
    with desk_on(rung, tmp_path / "laptop") as found:
        yield found


def test_clone_edit_create_delete_rename_conflict_and_verify(desk: Desk) -> None:
    folder, machine = desk.folder, desk.machine
    assert desk.agrees(FIRST)
    save(folder, FIRST, text="edited")
    for path in (B, C):
        save(folder, path, text=path)
    assert machine.ok("sync", "--json", at=folder).json["pushed"] == 3
    (folder / f"{B}.json").unlink()
    (folder / f"{C}.json").rename(folder / f"{D}.json")
    machine.ok("sync", at=folder)
    assert [desk.cid(path) for path in (B, C)] == [None, None]
    assert all(map(desk.agrees, (FIRST, B, C, D)))
    theirs = desk.write(FIRST, text="theirs")
    save(folder, FIRST, text="mine")
    ran = machine.run("sync", "--json", at=folder)
    assert (ran.code, [c["path"] for c in ran.json["conflicts"]]) == (3, [FIRST])
    assert desk.cid(FIRST) == theirs
    machine.ok("resolve", FIRST, "--local", at=folder)
    machine.ok("sync", at=folder)
    assert desk.agrees(FIRST)
    assert desk.cid(FIRST) != theirs
    found = machine.ok("verify", "--remote", "--json", at=folder).json
    assert (found["records"], found["findings"]) == (2, [])


def test_many_new_files_and_contents_that_move_between_keys_arrive(desk: Desk) -> None:
    folder, machine = desk.folder, desk.machine
    many = [f"com.example.many/{number:03}" for number in range(MANY)]
    for path in many:
        save(folder, path, text=path)
    assert machine.ok("sync", "--json", at=folder).json["pushed"] == MANY
    # To an earlier key, a later key, one that has the same content already, and two that swap.
    (folder / f"{many[1]}.json").rename(folder / "com.example.many/-first.json")
    (folder / f"{many[2]}.json").rename(folder / "com.example.many/z.json")
    save(folder, many[4], text=many[3])
    (folder / f"{many[3]}.json").unlink()
    save(folder, many[5], text=many[6])
    save(folder, many[6], text=many[5])
    machine.ok("sync", at=folder)
    assert [desk.cid(path) for path in many[1:4]] == [None] * 3
    moved = ["com.example.many/-first", "com.example.many/z", *many[4:7]]
    assert all(map(desk.agrees, moved))
    assert None not in map(desk.cid, moved)
    assert machine.ok("verify", "--remote", "--json", at=folder).json["findings"] == []


def test_doctor_says_what_the_pds_honours_and_takes(rung: Rung, desk: Desk) -> None:
    save(desk.folder, FIRST, text="edited")
    desk.machine.ok("sync", at=desk.folder)
    ran = desk.machine.run("doctor", "--json", at=desk.folder)
    found = {finding["name"]: finding["what"] for finding in ran.json["findings"]}
    ignores = isinstance(rung, ArrobaRung)
    named = {"pds.ok", "limits.seen", "guards.ignored" if ignores else "guards.ok"}
    assert found.keys() >= named
    makes = {ReferenceRung: "@atproto/pds", AlteranRung: "@alteran/astro", ArrobaRung: "Werkzeug"}
    assert makes[type(rung)] in found["pds.ok"]


def test_a_daemon_carries_both_ways(desk: Desk) -> None:
    configure(desk.folder, "run", poll_seconds=5)
    with desk.machine.daemon(desk.folder) as daemon:
        daemon.wait_for("watching")
        save(desk.folder, B, text="saved here")
        wait_until(lambda: desk.cid(B) is not None, "the push of a new file")
        save(desk.folder, FIRST, text="edited here")
        wait_until(lambda: desk.agrees(FIRST), "the push of an edit")
        desk.write(C, text="new there")
        wait_until((desk.folder / f"{C}.json").exists, "the pull of a new record")
        desk.write(FIRST, text="edited there")
        wait_until(lambda: desk.agrees(FIRST), "the pull of an edit")
        (desk.folder / f"{B}.json").unlink()
        wait_until(lambda: desk.cid(B) is None, "the push of a deletion")
        desk.delete(C)
        wait_until(lambda: not (desk.folder / f"{C}.json").exists(), "the pull of a deletion")
    # A daemon may end before it has seen in the tree what it wrote last.
    desk.machine.ok("sync", at=desk.folder)
    desk.machine.ok("verify", at=desk.folder)
