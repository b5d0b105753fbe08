"""Beside a running daemon on the reference PDS a draft stays a draft until it is published."""

from __future__ import annotations

from tests.rigs.home import Home
from tests.rigs.machine import configure, save


def test_a_draft_is_sent_by_the_daemon_once_it_is_published(home: Home) -> None:
    home.write("com.example.note/one", text="there")
    laptop = home.machine()
    folder = home.clone(laptop)
    configure(folder, "run", full_look_seconds=3600)
    draft = folder / "com.example.note" / "+slow.json"
    with laptop.daemon(folder) as daemon:
        daemon.wait_for("watching")
        draft.write_text('{"text": "slow"}')
        save(folder, "com.example.note/beside", text="a record")
        made = laptop.ok("new", "com.example.note", at=folder).out.strip()
        laptop.ok("now", at=folder)
        assert home.records().keys() == {"com.example.note/one", "com.example.note/beside"}
        done = laptop.ok("publish", draft, "--json", at=folder).json
        (item,) = done["published"]
        assert home.cid(item["path"]) is not None
        assert not draft.exists()
        laptop.ok("publish", made, at=folder)
        assert home.cid(made.removesuffix(".draft.json")) is not None
        laptop.ok("unpublish", "com.example.note/one", "--yes", at=folder)
        assert home.cid("com.example.note/one") is None
        assert (folder / "com.example.note" / "one.draft.json").exists()
    status = laptop.ok("status", "--json", at=folder).json
    assert (status["drafts"], status["pending"]["push"]) == (1, 0)
    assert len(home.records()) == 3
