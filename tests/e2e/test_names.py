"""Records named as people name them, in every command that takes them."""

from __future__ import annotations

from tests.rigs.home import Home
from tests.rigs.machine import save

NOTE = "com.example.note/one"
COMMANDS = (
    *(("diff",), ("log",), ("restore",), ("resolve", "--local"), ("approve",), ("reject",)),
    *(("publish",), ("unpublish", "--yes")),
)
OTHER = "com.example.note/two"


def test_every_command_takes_a_record_as_a_person_names_it(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    save(folder, NOTE, text="was")
    save(folder, OTHER, text="was")
    laptop.ok("sync", at=folder)
    save(folder, NOTE, text="mine")
    save(folder, OTHER, text="mine")
    inside = folder / "com.example.note"
    uri = f"at://{home.account.did}/{NOTE}"
    forms = ((f"{NOTE}.json", folder), (f"./{NOTE}.json", folder), ("one.json", inside))
    for name, at in (*forms, (str(inside / "one.json"), folder), (uri, folder)):
        (shown,) = laptop.ok("diff", name, "--json", at=at).json["differences"]
        assert shown["path"] == NOTE, name
    for name, at in (("com.example.note", folder), (".", inside), ("*.json", folder)):
        shown = laptop.ok("diff", name, "--json", at=at).json["differences"]
        assert [item["path"] for item in shown] == [NOTE, OTHER], name
    laptop.ok("sync", at=folder)
    assert laptop.ok("diff", "one.json", at=inside).out == ""
    events = laptop.ok("log", "one.json", "--json", at=inside).lines
    assert {event["path"] for event in events} == {NOTE}
    assert laptop.ok("restore", f"{NOTE}.json", "--json", at=folder).json["path"] == NOTE
    laptop.ok("sync", at=folder)
    home.write(NOTE, text="theirs")
    save(folder, NOTE, text="again")
    assert laptop.run("sync", at=folder).code == 3
    laptop.ok("resolve", "./one.json", "--local", at=inside)
    pushed = laptop.ok("log", "-n1", NOTE, "--pushed", "--json", at=folder).lines
    assert [push["after"] for push in pushed] == [home.cid(NOTE)]
    laptop.ok("unpublish", "one.json", "--yes", at=inside)
    assert home.cid(NOTE) is None
    laptop.ok("publish", "one.draft.json", at=inside)
    assert home.cid(NOTE) is not None


def test_a_name_that_means_nothing_is_an_error_and_nothing_is_done(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    save(folder, NOTE, text="was")
    laptop.ok("sync", at=folder)
    before = home.rev()
    for command in COMMANDS:
        for name in ("com.example.note/none", "/etc/passwd"):
            ran = laptop.run(*command, name, at=folder)
            assert (ran.code, ran.out) == (1, ""), (command, name, ran)
            assert ran.err.startswith("syncd: ")
    assert home.rev() == before
