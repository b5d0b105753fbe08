"""Two people with accounts of their own on one machine: a password writes to its own repo alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.rigs.home import Home
from tests.rigs.machine import Machine, save


def kept(machine: Machine) -> Path:
    """The one password that is in a file of this person."""
    (found,) = machine.home.rglob("*.password")
    return found


def test_a_password_of_another_person_opens_nothing_and_ones_own_can_be_moved(
    home: Home, tmp_path: Path
) -> None:
    other = Home(home.pds, home.pds.create_account(), tmp_path / "other")
    alice, bob = home.machine("alice"), other.machine("bob")
    folder, theirs = home.clone(alice), other.clone(bob)
    save(folder, "com.example.note/one", text="alice's")
    alice.ok("sync", at=folder)
    for session in (*alice.home.rglob("*.session"), *bob.home.rglob("*.session")):
        session.unlink()
    # Bob has Alice's password under his own name, then only his own for a mirror of Alice's.
    own = kept(bob).read_bytes()
    kept(bob).write_bytes(kept(alice).read_bytes())
    save(theirs, "com.example.note/two", text="bob's")
    assert bob.run("sync", at=theirs).code == 77
    kept(bob).write_bytes(own)
    mine = bob.home / "alice"
    bob.ok("clone", home.account.handle, mine, *home.place, "--read-only")
    settings = mine / "syncd.toml"
    settings.write_text(settings.read_text().replace("read_only = true\n", ""))
    save(mine, "com.example.note/three", text="bob's")
    assert bob.run("sync", at=mine).code == 77
    assert home.records().keys() == {"com.example.note/one"}
    assert other.records() == {}
    bob.ok("sync", at=theirs)
    assert other.records().keys() == {"com.example.note/two"}
    # Her password, where syncd keeps it, and nothing else.
    shutil.copy2(kept(alice), kept(bob).with_name(kept(alice).name))
    bob.ok("sync", at=mine)
    assert home.records().keys() == {"com.example.note/one", "com.example.note/three"}
