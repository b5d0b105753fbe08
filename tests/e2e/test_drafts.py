"""A draft dropped into the folder of a running daemon is a record on the PDS, once."""

from __future__ import annotations

import time

from tests.rigs.home import Home
from tests.rigs.machine import configure, wait_until


def test_a_draft_is_pushed_as_soon_as_it_is_whole(home: Home) -> None:
    home.write("com.example.note/one", text="there")
    laptop = home.machine()
    folder = home.clone(laptop)
    configure(folder, "run", full_look_seconds=3600)
    with laptop.daemon(folder) as daemon:
        daemon.wait_for("watching")
        with (folder / "com.example.note" / "+slow.json").open("w") as writer:
            for part in ("{", '"text": "slow"', "}", "\n"):
                writer.write(part)
                writer.flush()
                time.sleep(0.5)
                assert len(home.records()) == 1
        wait_until(lambda: len(home.records()) == 2, "the draft is on the PDS")
        daemon.wait_for("note      com.example.note/+slow.json: it is com.example.note/3")
        wait_until(lambda: len(list((folder / "com.example.note").iterdir())) == 2, "two files")
    assert laptop.ok("sync", "--json", at=folder).json["pushed"] == 0
    assert len(home.records()) == 2
