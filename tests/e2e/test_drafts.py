"""Beside a running daemon on the reference PDS a draft stays a draft until it is published."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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


@pytest.fixture
def running_again(home: Home) -> Iterator[None]:
    """Whatever happens in a test that stops the PDS, the next one finds it running."""
    yield
    if not home.pds.is_running:
        home.pds.restart()


@pytest.mark.usefixtures("running_again")
def test_what_is_published_while_the_pds_is_away_goes_with_the_next_sync(home: Home) -> None:
    laptop = home.machine()
    folder = home.clone(laptop)
    draft = folder / "com.example.note" / "one.draft.json"
    draft.parent.mkdir()
    draft.write_text('{"text": "written on a train"}')
    home.pds.stop()
    assert laptop.run("publish", draft, at=folder).code == 69
    assert (draft.exists(), draft.with_name("one.json").exists()) == (False, True)
    assert laptop.ok("status", "--json", at=folder).json["pending"]["push"] == 1
    home.pds.restart()
    laptop.ok("sync", at=folder)
    assert home.records().keys() == {"com.example.note/one"}
