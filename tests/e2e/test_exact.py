"""Records that the reference PDS holds and no file can say: cloned, silent, and safe from edits."""

from __future__ import annotations

import json

import pytest

from syncd.atproto.data import cid_of, from_json
from tests.atproto.test_cid import SPELLINGS
from tests.contract.test_json_oddities import TYPE
from tests.rigs.home import Home

NOTE = "com.example.note/odd"
ODD = {
    "a map like a bad link": '{"$link": "notacid"}',
    "a bad blob": '{"$type": "blob", "size": 1.0}',
    "1,500 lists in one another": "[" * 1500 + "]" * 1500,
}


def put(home: Home, value: str) -> None:
    """Another client writes the record, as a text of its own."""
    collection, rkey = NOTE.split("/")
    where = f'"repo": "{home.account.did}", "collection": "{collection}", "rkey": "{rkey}"'
    record = f'{{{TYPE.replace("com.example.thing", collection)}, "text": "hello", "v": {value}}}'
    with home.pds.client(home.account) as client:
        client.post(
            "/xrpc/com.atproto.repo.putRecord",
            content=f'{{{where}, "validate": false, "record": {record}}}',
            headers={"content-type": "application/json"},
        ).raise_for_status()


@pytest.mark.parametrize("name", ODD)
def test_it_is_mirrored_and_an_edit_that_would_alter_it_is_refused(home: Home, name: str) -> None:
    put(home, ODD[name])
    laptop = home.machine()
    folder = home.clone(laptop)
    file = folder / f"{NOTE}.json"
    before, rev = file.read_bytes(), home.rev()
    file.touch()
    assert laptop.ok("sync", at=folder).out.startswith("nothing to do")
    assert laptop.ok("verify", "--json", at=folder).json["findings"] == []
    file.write_bytes(before.replace(b"hello", b"edited"))
    ran = laptop.run("sync", "--json", at=folder)
    (problem,) = ran.json["problems"]
    assert (ran.code, problem["path"], home.rev()) == (3, NOTE, rev)
    assert "which any edit of the file would change" in problem["reason"]
    laptop.run("diff", at=folder)
    laptop.run("status", at=folder)
    file.write_bytes(b'{"text": "repaired", "v": "said"}')
    assert laptop.ok("sync", "--json", at=folder).json["pushed"] == 1
    repaired = {"$type": NOTE.split("/", maxsplit=1)[0], "text": "repaired", "v": "said"}
    assert home.cid(NOTE) == str(cid_of(from_json(repaired)))
    put(home, ODD[name])
    laptop.ok("sync", at=folder)
    assert b"hello" in file.read_bytes()
    file.write_bytes(before)
    assert laptop.ok("sync", at=folder).out.startswith("nothing to do")
    (folder / ".syncd" / "state.db").unlink()
    assert laptop.ok("sync", "--json", at=folder).json["adopted"] == 1
    put(home, '"plain"')
    assert laptop.ok("sync", "--json", at=folder).json["pulled"] == 1
    assert b'"v": "plain"' in file.read_bytes()
    laptop.run("restore", NOTE, at=folder)
    assert file.read_bytes() == before


def test_links_to_anything_are_mirrored_as_the_pds_spells_them(home: Home) -> None:
    links = [{"$link": link} for link in SPELLINGS]
    put(home, json.dumps(links))
    laptop = home.machine()
    folder = home.clone(laptop)
    file = folder / f"{NOTE}.json"
    assert json.loads(file.read_bytes())["v"] == links
    file.write_bytes(file.read_bytes().replace(b"hello", b"edited"))
    assert laptop.ok("sync", "--json", at=folder).json["pushed"] == 1
    record = {"$type": NOTE.split("/", maxsplit=1)[0], "text": "edited", "v": links}
    assert home.cid(NOTE) == str(cid_of(from_json(record)))
    put(home, json.dumps(links[::-1]))
    laptop.ok("sync", at=folder)
    assert json.loads(file.read_bytes())["v"] == links[::-1]
    assert laptop.ok("verify", "--json", at=folder).json["findings"] == []
