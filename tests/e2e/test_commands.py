"""The commands as a person meets them, against the reference PDS: output, files, exit codes."""

from __future__ import annotations

import json
import stat

from syncd.model import RecordPath
from tests.rigs.home import Home
from tests.rigs.machine import Machine, save

NOTE = "com.example.note/one"


def test_login_clone_edit_sync_status_verify(home: Home) -> None:
    home.write(NOTE, text="hello")
    laptop = home.machine()
    folder = home.clone(laptop)
    assert (folder / "com.example.note" / "one.json").read_text(encoding="utf-8") == (
        '{\n  "$type": "com.example.note",\n  "text": "hello"\n}\n'
    )
    save(folder, NOTE, text="edited")
    plan = laptop.ok("sync", "--dry-run", "--json", at=folder).json["plan"]
    assert plan == [{"path": NOTE, "verdict": "push", "reason": "edited in the folder"}]
    found = laptop.ok("sync", "--json", at=folder).json
    assert (found["pushed"], found["pulled"], found["conflicts"]) == (1, 0, [])
    status = laptop.ok("status", "--json", at=folder).json
    assert status["account"] == {
        "did": home.account.did,
        "handle": home.account.handle,
        "pds": home.pds.url,
    }
    assert status["head"]["rev"] == home.rev() == found["head"]["rev"]
    assert (status["records"], status["pending"]) == (1, {"push": 0, "pull": 0})
    assert status["daemon"] == {"pid": None, "phase": None, "trouble": None}
    assert status["last_cycle"]["pushed"] == 1
    verified = laptop.ok("verify", "--json", at=folder).json
    assert (verified["records"], verified["findings"]) == (1, [])
    assert laptop.ok("sync", at=folder).out.startswith("nothing to do")


def test_verify_asks_the_pds_for_each_block_that_the_tree_leads_to(home: Home) -> None:
    """The reference PDS loses contents that two records exchange in one batch."""
    for key, n in (("a", 1), ("b", 2)):
        home.write(f"com.example.note/{key}", n=n)
    laptop = home.machine()
    folder = home.clone(laptop)
    found = laptop.ok("verify", "--remote", "--json", at=folder).json
    commit, nodes, records = 1, 2, 2
    assert (found["findings"], found["served"]["blocks"]) == ([], commit + nodes + records)
    with home.pds.client(home.account) as client:
        update = "com.atproto.repo.applyWrites#update"
        place = {"$type": update, "collection": "com.example.note"}
        writes = [
            {**place, "rkey": key, "value": {"$type": "com.example.note", "n": n}}
            for key, n in (("a", 2), ("b", 1))
        ]
        body = {"repo": home.account.did, "writes": writes}
        client.post("/xrpc/com.atproto.repo.applyWrites", json=body).raise_for_status()
    assert laptop.run("sync", at=folder).code == 3
    lost = laptop.run("verify", "--remote", "--json", at=folder)
    assert lost.code == 3
    named = " ".join(json.dumps(each) for each in lost.json["findings"])
    assert "com.example.note/a" in named
    assert "com.example.note/b" in named


def test_a_second_sync_sends_nothing_that_writes(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    for n in range(5):
        save(folder, f"com.example.note/n{n}", n=n)
    laptop.ok("sync", at=folder)
    rev = home.rev()
    found = laptop.ok("sync", "--json", at=folder).json
    assert (home.rev(), found["requests"]) == (rev, 1)


def test_a_read_only_clone_needs_no_login_and_never_writes(home: Home) -> None:
    home.write(NOTE, text="hello")
    guest = home.machine("guest", logged_in=False)
    folder = home.clone(guest, "--read-only")
    save(folder, NOTE, text="edited")
    rev = home.rev()
    ran = guest.run("sync", at=folder)
    assert (ran.code, home.rev()) == (3, rev)
    assert "read-only" in ran.out


def test_a_clone_of_some_collections_leaves_the_others_alone(home: Home) -> None:
    home.write(NOTE, text="hello")
    home.write("com.other.thing/one", text="hello")
    laptop = home.machine()
    folder = home.clone(laptop, "--collection", "com.example.*")
    assert not (folder / "com.other.thing").exists()
    words = (home.account.handle, str(laptop.home / "none"), *home.place)
    some = ("--collection", "com.other.none", "--collection", "com.other.thing")
    ran = laptop.ok("clone", *words, *some)
    assert "no collection com.other.none " in ran.err
    assert ran.err.count("no collection") == 1
    laptop.ok("sync", at=folder)
    assert home.cid("com.other.thing/one") is not None


def test_adopting_a_folder_loses_nothing(home: Home) -> None:
    home.write(NOTE, text="theirs")
    home.write("com.example.note/same", text="same")
    laptop = home.machine()
    folder = laptop.home / "mirror"
    save(folder, NOTE, text="mine")
    save(folder, "com.example.note/same", text="same")
    save(folder, "com.example.note/new", text="new")
    clone = ("clone", home.account.handle, str(folder), *home.place)
    assert laptop.run(*clone).code == 78
    ran = laptop.run(*clone, "--adopt", "--yes", "--json")
    assert ran.code == 3
    assert (ran.json["adopted"], ran.json["pushed"]) == (1, 1)
    assert [conflict["path"] for conflict in ran.json["conflicts"]] == [NOTE]
    assert json.loads((folder / f"{NOTE}.json").read_text())["text"] == "mine"


def test_a_conflict_is_listed_shown_and_resolved(home: Home) -> None:
    home.write(NOTE, text="before")
    laptop = home.machine()
    folder = home.clone(laptop)
    for choice, winner in (("--local", "mine"), ("--remote", "theirs")):
        save(folder, NOTE, text="mine", round=choice)
        home.write(NOTE, text="theirs", round=choice)
        assert laptop.run("sync", at=folder).code == 3
        ran = laptop.run("conflicts", at=folder)
        assert ran.code == 3
        assert NOTE in ran.out
        (kept,) = (folder / ".syncd" / "conflicts").rglob("*.json")
        assert json.loads(kept.read_text())["text"] == "theirs"
        shown = laptop.ok("diff", at=folder).out
        assert '-  "text": "theirs",' in shown
        assert '+  "text": "mine",' in shown
        assert laptop.run("status", at=folder).code == 3
        laptop.ok("resolve", NOTE, choice, at=folder)
        assert json.loads((folder / f"{NOTE}.json").read_text())["text"] == winner
        assert laptop.run("conflicts", at=folder).code == 0
        laptop.ok("verify", at=folder)
    assert laptop.run("resolve", NOTE, "--local", at=folder).code == 1
    assert laptop.run("resolve", NOTE, at=folder).code == 2


def test_mass_deletion_waits_for_approval(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    for n in range(4):
        save(folder, f"com.example.note/n{n}", n=n)
    laptop.ok("sync", at=folder)
    for n in range(4):
        (folder / f"com.example.note/n{n}.json").unlink()
    assert laptop.run("sync", at=folder).code == 3
    assert len(laptop.run("held", "--json", at=folder).json["held"]) == 4
    assert home.cid("com.example.note/n0") is not None
    laptop.run("reject", "com.example.note/n0", at=folder)
    assert (folder / "com.example.note/n0.json").exists()
    laptop.ok("approve", "--all", at=folder)
    assert [home.cid(f"com.example.note/n{n}") is None for n in range(4)] == [
        False,
        True,
        True,
        True,
    ]
    assert laptop.run("held", at=folder).code == 0


def test_new_makes_drafts_that_are_published(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    made = laptop.ok("new", "com.example.note", "--json", at=folder).json
    assert (folder / made["file"]).is_file()
    text = laptop.home / "text.json"
    text.write_text('{"text": "from a file"}')
    second = laptop.ok("new", "com.example.note", text, "--json", at=folder).json
    assert laptop.ok("sync", "--json", at=folder).json["pushed"] == 0
    done = laptop.ok("publish", made["file"], second["path"], "--json", at=folder).json
    assert done["pushed"] == 2
    assert home.cid(made["path"]) is not None
    assert home.cid(RecordPath(second["path"])) is not None


def test_secrets_are_private_and_outside_the_folder(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    save(folder, NOTE, text="hello")
    laptop.ok("sync", at=folder)
    secret = home.account.password.encode()
    inside = [file for file in folder.rglob("*") if file.is_file()]
    assert not [file for file in inside if secret in file.read_bytes()]
    assert not [file for file in inside if b"eyJ" in file.read_bytes()]
    outside = [f for f in laptop.home.rglob("*") if f.is_file() and folder not in f.parents]
    keeping = [
        file for file in outside if secret in file.read_bytes() or b"eyJ" in file.read_bytes()
    ]
    assert keeping
    assert {stat.S_IMODE(file.stat().st_mode) for file in keeping} == {0o600}
    laptop.ok("logout", home.account.handle, *home.place)
    assert not [file for file in keeping if file.exists()]
    save(folder, NOTE, text="after logout")
    assert laptop.run("sync", at=folder).code == 77


def test_a_mirror_is_found_from_below_and_with_a_flag(home: Home) -> None:
    home.write(NOTE, text="hello")
    laptop = home.machine()
    folder = home.clone(laptop)
    assert laptop.ok("status", at=folder / "com.example.note")
    assert laptop.ok("-C", folder, "status")


def test_two_mirrors_of_one_account_can_log_in_with_a_did(home: Home) -> None:
    laptop = Machine(home.tmp_path / "by-did")
    login = ("login", home.account.did, "--password-file", "-", *home.place)
    laptop.ok(*login, stdin=home.account.password + "\n")
    laptop.ok("clone", home.account.did, "one", *home.place)
    laptop.ok("clone", home.account.did, "two", *home.place)
    save(laptop.home / "one", NOTE, text="hello")
    laptop.ok("-C", laptop.home / "one", "sync")
    laptop.ok("-C", laptop.home / "two", "sync")
    assert (laptop.home / "two" / f"{NOTE}.json").exists()
