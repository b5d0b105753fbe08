"""A draft begins by its lexicon, gets the key that this asks for, and is not published broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.syntax import Nsid, parse_tid
from syncd.config import Config
from syncd.errors import FileChanged, SyncdError
from syncd.mirror.by_lexicon import begin
from syncd.mirror.publishing import DraftFaulty, DraftOvertaken, make_draft, prepare, publish
from syncd.model import RecordPath
from tests.cycle.test_mirror import agreed
from tests.rigs.device import Device, World

COLLECTION = Nsid("com.example.note")
NOW = "2030-01-02T03:04:05.678Z"


def teach(device: Device, key: str, required: tuple[str, ...] = ("text",)) -> Path:
    """Put a lexicon of the collection into the folder, as `goat lex` keeps it."""
    properties = {"text": {"type": "string", "maxLength": 9}, "more": {"type": "string"}}
    record = {"type": "object", "required": list(required), "properties": properties}
    document = {
        "lexicon": 1,
        "id": COLLECTION,
        "defs": {"main": {"type": "record", "key": key, "record": record}},
    }
    file = device.root / "lexicons" / "com" / "example" / "note.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def draft(device: Device, name: str, **fields: Any) -> str:  # noqa: ANN401
    """Save a draft as a person would."""
    file = device.root / COLLECTION / f"{name}.draft.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(fields), encoding="utf-8")
    return str(file.relative_to(device.root))


def key_of(device: Device, draft: str) -> str:
    publication = prepare(device.mirror.workspace, draft)
    publish(device.mirror.workspace, publication)
    return publication.path.partition("/")[2]


def is_tid(text: str) -> bool:
    try:
        return bool(parse_tid(text))
    except SyncdError:
        return False


async def test_a_draft_gets_the_only_key_that_there_can_be(world: World) -> None:
    laptop = world.device()
    teach(laptop, "literal:self")
    assert key_of(laptop, draft(laptop, "my profile", text="t")) == "self"
    await laptop.sync()
    assert list(world.records()) == [f"{COLLECTION}/self"]


async def test_no_draft_of_another_name_takes_the_place_of_the_only_record(world: World) -> None:
    laptop = world.device()
    teach(laptop, "literal:self")
    laptop.save(RecordPath(f"{COLLECTION}/self"), text="first")
    await laptop.sync()
    with pytest.raises(DraftOvertaken):
        prepare(laptop.mirror.workspace, draft(laptop, "other", text="t"))
    assert key_of(laptop, draft(laptop, "self", text="second")) == "self"
    await laptop.sync()
    assert laptop.read(f"{COLLECTION}/self")["text"] == "second"
    await agreed(world, laptop)


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        ("tid", "3jzfcijpj2z2a", "3jzfcijpj2z2a"),
        ("tid", "hello", None),
        ("tid", "not a key", None),
        ("any", "hello", "hello"),
        ("nsid", "com.example.word", "com.example.word"),
        ("literal:self", "hello", "self"),
        ("literal:self", "+x", "self"),
        ("tid", "+x", None),
    ],
)
async def test_a_key_is_what_the_lexicon_asks_for(
    world: World, key: str, name: str, expected: str | None
) -> None:
    laptop = world.device()
    teach(laptop, key)
    found = key_of(laptop, draft(laptop, name, text="t"))
    assert found == expected or (expected is None and is_tid(found))


async def test_a_name_that_is_no_nsid_asks_for_one_where_the_lexicon_does(world: World) -> None:
    laptop = world.device()
    teach(laptop, "nsid")
    with pytest.raises(SyncdError) as caught:
        prepare(laptop.mirror.workspace, draft(laptop, "hello", text="t"))
    assert "--key" in caught.value.hint


BROKEN: dict[str, Any] = {"text": "longer than nine"}


async def test_a_draft_that_breaks_its_lexicon_stays_one_and_says_where(world: World) -> None:
    laptop = world.device()
    teach(laptop, "any", required=("text", "more"))
    file = draft(laptop, "hello", **BROKEN)
    with pytest.raises(DraftFaulty) as caught:
        prepare(laptop.mirror.workspace, file)
    assert caught.value.exit_code == 3
    assert "line 1, column 10" in caught.value.message
    assert (laptop.root / file).exists()
    await laptop.sync()
    assert world.records() == {}


@pytest.mark.parametrize(
    "config",
    [
        {"lexicons": "off"},
        {"lexicons": "warn"},
        {"lexicons": ((COLLECTION, "warn"),)},
        {"validate": ((COLLECTION, False),)},
    ],
)
async def test_a_draft_that_breaks_its_lexicon_is_published_where_a_setting_says_so(
    world: World, config: dict[str, Any]
) -> None:
    laptop = world.device(config=Config(world.login.did, **config))
    teach(laptop, "any")
    assert key_of(laptop, draft(laptop, "hello", **BROKEN)) == "hello"


async def test_a_new_draft_begins_with_the_fields_of_its_lexicon(world: World) -> None:
    laptop = world.device()
    workspace = laptop.mirror.workspace
    assert begin(workspace, COLLECTION, NOW) == {"$type": COLLECTION, "createdAt": NOW}
    teach(laptop, "any")
    assert begin(workspace, COLLECTION, NOW) == {"$type": COLLECTION, "text": ""}


async def test_a_lexicon_that_cannot_be_read_says_nothing(world: World) -> None:
    laptop = world.device()
    teach(laptop, "literal:self").write_text("{", encoding="utf-8")
    workspace = laptop.mirror.workspace
    assert begin(workspace, COLLECTION, NOW) == {"$type": COLLECTION, "createdAt": NOW}
    assert key_of(laptop, draft(laptop, "hello", **BROKEN)) == "hello"


async def test_a_new_draft_is_named_by_the_only_key_and_replaces_nothing(world: World) -> None:
    laptop = world.device()
    workspace = laptop.mirror.workspace
    first = make_draft(workspace, COLLECTION, b'{"text":""}')
    assert is_tid(Path(first).name.removesuffix(".draft.json"))
    teach(laptop, "literal:self")
    made = make_draft(workspace, COLLECTION, b'{"text":""}')
    assert made == f"{COLLECTION}/self.draft.json"
    with pytest.raises(FileChanged):
        make_draft(workspace, COLLECTION, b'{"text":"other"}')
    assert (laptop.root / made).read_bytes() == b'{"text":""}'
    publish(workspace, prepare(workspace, made))
    with pytest.raises(FileChanged):
        make_draft(workspace, COLLECTION, b'{"text":"other"}')
