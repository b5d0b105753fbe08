"""What breaks a known lexicon is held at its line before it is sent, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.cycle.lexicons.breaking import MOST
from syncd.cycle.lexicons.library import open_library
from syncd.cycle.lexicons.reading import Reading
from syncd.folder.read import FileStat
from syncd.lexicons.bundle import OLD_DAYS
from syncd.model import Choice, Decision, RecordPath, Report
from syncd.sandbox.faults import Habits
from tests.lexicons.test_bundle import DAY, PUBLISHED
from tests.rigs.device import Device, World, rework
from tests.rigs.places import config

POST = RecordPath("app.bsky.feed.post/3jzfcijpj2z2a")
THING = RecordPath("com.example.thing/3jzfcijpj2z2a")
SCHEMA = RecordPath("com.atproto.lexicon.schema/com.example.thing")
GOAT = "lexicons/com/example/thing.json"
NOW = "2026-11-29T10:00:00.000Z"
LINK = str(cid_of_block(b"\xa0"))
GOOD: dict[str, Any] = {"text": "hello", "createdAt": NOW}
LANGS = ["en", "de", "fr", "it"]
BAD_TEXT = f"""{{
  "$type": "app.bsky.feed.post",
  "text": "hello",
  "createdAt": "{NOW}",
  "langs": ["en", "de", "fr", "it"]
}}
"""


def lexicon(**properties: object) -> dict[str, Any]:
    record = {"type": "object", "properties": properties, "required": list(properties)}
    main = {"type": "record", "key": "tid", "record": record}
    return {"lexicon": 1, "id": "com.example.thing", "defs": {"main": main}}


NUMBERED = lexicon(n={"type": "integer", "minimum": 1})


def teach(device: Device, document: object = NUMBERED, file: str = GOAT) -> None:
    path = device.root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture(autouse=True)
def careless(world: World) -> None:
    """A PDS that takes any record: what is sent is syncd's doing alone."""
    world.sandbox.habits = Habits(checks_records=False)


async def held(device: Device, path: RecordPath) -> tuple[str, int | None, int | None]:
    """The one problem of a cycle that sent nothing: its reason and its place."""
    before = device.mirror.requests
    report = await device.sync()
    assert report.pushed == ()
    (problem,) = report.problems
    assert problem.path == path
    assert problem.hint
    assert device.mirror.requests - before <= 2, "a look, and no write"
    return problem.reason, problem.line, problem.column


async def pushed(device: Device, *paths: str) -> Report:
    report = await device.sync()
    assert report.problems == ()
    assert sorted(report.pushed) == sorted(paths)
    return report


async def test_a_fault_of_a_known_lexicon_is_a_problem_with_its_place_until_it_is_fixed(
    world: World,
) -> None:
    device = world.device()
    device.save_text(POST, BAD_TEXT)
    reason, line, column = await held(device, POST)
    assert "langs" in reason
    assert "app.bsky.feed.post" in reason
    assert (line, column) == (5, 12)
    assert await held(device, POST) == (reason, line, column)
    assert POST not in world.records()
    device.save(POST, **GOOD)
    await pushed(device, POST)


async def test_the_number_of_faults_is_told_with_the_first(world: World) -> None:
    device = world.device()
    device.save(POST, text=1, langs=LANGS)
    reason, *_ = await held(device, POST)
    assert "2 more" in reason


async def test_a_good_file_beside_a_bad_one_is_sent(world: World) -> None:
    device = world.device()
    good = RecordPath("app.bsky.feed.post/3jzfcijpj2z2b")
    device.save_text(POST, BAD_TEXT)
    device.save(good, **GOOD)
    report = await device.sync()
    assert report.pushed == (good,)
    assert [problem.path for problem in report.problems] == [POST]


async def test_a_key_that_the_lexicon_does_not_allow_is_held_without_a_place(world: World) -> None:
    device = world.device()
    path = RecordPath("app.bsky.feed.post/hello")
    device.save(path, **GOOD)
    reason, line, column = await held(device, path)
    assert "TID" in reason
    assert (line, column) == (None, None)


async def test_unknown_lexicons_and_unknown_fields_are_sent(world: World) -> None:
    device = world.device()
    device.save(THING, anything=[1, None], created_at="yesterday")
    device.save(POST, **GOOD, lang="en", mood="good")
    await pushed(device, THING, POST)


# --- Whose fault it is ---------------------------------------------------------------------------


async def test_a_fault_that_the_record_had_before_is_not_held(world: World) -> None:
    await world.write(POST, text="hello", createdAt="yesterday", langs=LANGS)
    device = world.device()
    await device.sync()
    device.save(POST, text="hello again", createdAt="yesterday", langs=LANGS)
    await pushed(device, POST)
    device.save(POST, text=5, createdAt="yesterday", langs=LANGS)
    reason, *_ = await held(device, POST)
    assert "text" in reason
    assert "more" not in reason


async def test_a_record_that_others_wrote_is_pulled_whatever_it_holds(world: World) -> None:
    await world.write(POST, text=1)
    device = world.device()
    report = await device.sync()
    assert report.pulled == (POST,)
    assert report.problems == ()


async def test_a_renamed_record_brings_no_fault_but_that_of_its_key(world: World) -> None:
    await world.write(POST, text="hello", createdAt="yesterday")
    device = world.device()
    await device.sync()
    good, bad = (RecordPath(f"app.bsky.feed.post/{key}") for key in ("3jzfcijpj2z2b", "hello"))
    device.file(POST).rename(device.file(good))
    report = await device.sync()
    assert report.problems == ()
    assert world.records().keys() == {good}
    device.file(good).rename(device.file(bad))
    report = await device.sync()
    assert bad in [problem.path for problem in report.problems]
    assert world.records().keys() == {good}, "the record stays while its new file is held"


async def test_a_conflict_whose_local_side_breaks_the_lexicon_is_not_sent_by_a_decision(
    world: World,
) -> None:
    await world.write(POST, **GOOD)
    device = world.device()
    await device.sync()
    device.save(POST, **GOOD, langs=LANGS)
    await world.write(POST, text="theirs", createdAt=NOW)
    (conflict,) = (await device.sync()).conflicts
    decision = Decision(POST, Choice.LOCAL, conflict.local, conflict.remote)
    device.mirror.state.decide([decision])
    report = await device.sync()
    assert report.pushed == ()
    assert [problem.path for problem in report.problems] == [POST]
    assert "langs" in report.problems[0].reason
    assert device.read(POST)["langs"] == LANGS


# --- Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "is_held", "is_told"),
    [
        ({}, True, False),
        ({"lexicons": "known"}, True, False),
        ({"lexicons": "warn"}, False, True),
        ({"lexicons": "off"}, False, False),
        ({"lexicons": (("app.bsky.*", "off"),)}, False, False),
        ({"lexicons": (("com.example.*", "off"),)}, True, False),
        ({"lexicons": (("app.bsky.feed.*", "warn"), ("*", "off"))}, False, True),
        ({"validate": False}, False, True),
        ({"validate": (("app.bsky.*", False),)}, False, True),
        ({"validate": True}, True, False),
        ({"validate": False, "lexicons": "off"}, False, False),
    ],
)
async def test_the_settings_say_what_becomes_of_a_fault(
    world: World, settings: dict[str, Any], is_held: bool, is_told: bool
) -> None:
    device = world.device(config=config(world, **settings))
    device.save_text(POST, BAD_TEXT)
    report = await device.sync()
    assert bool(report.problems) is is_held
    assert bool(report.pushed) is not is_held
    assert any("langs" in remark for remark in report.remarks) is is_told


async def test_an_old_bundle_only_warns_of_what_the_pds_checks_itself(world: World) -> None:
    device = world.device()
    later = (PUBLISHED + (OLD_DAYS + 1) * DAY) * 1_000_000_000
    workspace = device.mirror.workspace
    rework(device.mirror, clock_ns=lambda: later)
    assert device.mirror.workspace is not workspace
    device.save_text(POST, BAD_TEXT)
    report = await device.sync()
    assert report.pushed == (POST,)
    assert any("langs" in remark for remark in report.remarks)
    teach(device)
    device.save(THING, n=0)
    assert (await device.sync()).problems[0].path == THING, "one's own lexicon is never old"


# --- Sources -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", [GOAT, "com.atproto.lexicon.schema/com.example.thing.json"], ids=["goat", "mirror"]
)
async def test_ones_own_lexicon_counts_where_it_lies_in_the_folder(world: World, file: str) -> None:
    device = world.device()
    teach(device, {"$type": "com.atproto.lexicon.schema", **NUMBERED}, file)
    device.save(THING, n=0)
    report = await device.sync()
    assert [problem.path for problem in report.problems] == [THING]
    device.save(THING, n=1)
    assert THING in (await device.sync()).pushed


async def test_the_lexicon_of_the_mirror_goes_before_the_one_beside_it(world: World) -> None:
    device = world.device()
    teach(device, lexicon(n={"type": "string"}))
    device.save(SCHEMA, **NUMBERED)
    device.save(THING, n=1)
    await pushed(device, SCHEMA, THING)


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        "",
        json.dumps({**NUMBERED, "id": "com.example.other"}),
        json.dumps({**NUMBERED, "lexicon": 2}),
        json.dumps(lexicon(n={"type": "nonsense"})),
    ],
)
async def test_a_document_that_is_no_lexicon_holds_nothing(world: World, document: str) -> None:
    device = world.device()
    teach(device)
    (device.root / GOAT).write_text(document, encoding="utf-8")
    device.save(THING, n=0)
    await pushed(device, THING)


async def test_a_lexicon_outside_of_the_folder_is_not_followed(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    device = world.device()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "thing.json").write_text(json.dumps(NUMBERED), encoding="utf-8")
    (device.root / "lexicons" / "com").mkdir(parents=True)
    (device.root / "lexicons" / "com" / "example").symlink_to(elsewhere)
    device.save(THING, n=0)
    await pushed(device, THING)


async def test_references_that_are_no_names_lead_nowhere(world: World) -> None:
    device = world.device()
    outside = device.root.parent / "x.json"
    outside.write_text("{}", encoding="utf-8")
    teach(device, lexicon(n={"type": "ref", "ref": "../../x"}, m={"type": "ref", "ref": "a b#c"}))
    device.save(THING, n=0, m=1)
    await pushed(device, THING)
    with open_library(device.root) as library:
        assert library.find("../../x") is None


async def test_a_read_only_mirror_says_only_that(world: World) -> None:
    device = world.device(config=config(world, read_only=True))
    device.save_text(POST, BAD_TEXT)
    (problem,) = (await device.sync()).problems
    assert "read-only" in problem.reason


# --- Lexicons as records --------------------------------------------------------------------------

OTHER = RecordPath("com.example.other/3jzfcijpj2z2a")


async def published(world: World) -> Device:
    """A device with a published lexicon, and a record of it."""
    device = world.device()
    device.save(SCHEMA, **NUMBERED)
    device.save(THING, n=1)
    await pushed(device, SCHEMA, THING)
    return device


async def test_a_change_of_a_lexicon_that_breaks_records_is_held_until_they_are_changed(
    world: World,
) -> None:
    device = await published(world)
    device.save(SCHEMA, **lexicon(n={"type": "string"}))
    for _ in range(2):
        reason, *_ = await held(device, SCHEMA)
        assert THING in reason
        assert "1 record" in reason
    device.save(THING, n="one")
    report = await device.sync()
    assert {SCHEMA, THING} == set(report.pushed)


async def test_a_change_that_breaks_none_is_sent_and_a_record_that_was_bad_before_does_not_count(
    world: World,
) -> None:
    device = await published(world)
    bad = RecordPath("com.example.thing/3jzfcijpj2z2b")
    await world.write(bad, n=-5)
    await device.sync()
    device.save(SCHEMA, **lexicon(n={"type": "integer", "minimum": 1, "maximum": 9}))
    await pushed(device, SCHEMA)


async def test_a_definition_that_other_lexicons_refer_to_counts_for_their_records(
    world: World,
) -> None:
    device = await published(world)
    other = {
        **lexicon(x={"type": "ref", "ref": "com.example.thing#part"}),
        "id": "com.example.other",
    }
    teach(device, other, "lexicons/com/example/other.json")
    device.save(OTHER, x={"a": 1})
    await pushed(device, OTHER)
    part = {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}
    changed = lexicon(n={"type": "integer"})
    device.save(SCHEMA, **{**changed, "defs": {**changed["defs"], "part": part}})
    reason, *_ = await held(device, SCHEMA)
    assert OTHER in reason


async def test_a_first_lexicon_that_existing_records_break_is_held(world: World) -> None:
    device = world.device()
    device.save(THING, n="text")
    await pushed(device, THING)
    device.save(SCHEMA, **NUMBERED)
    reason, *_ = await held(device, SCHEMA)
    assert THING in reason


async def test_of_many_broken_records_some_are_counted(world: World) -> None:
    device = world.device()
    for number in range(MOST + 2):
        device.save(RecordPath(f"com.example.thing/{number}"), n="text")
    await device.sync()
    device.save(SCHEMA, **NUMBERED)
    reason, *_ = await held(device, SCHEMA)
    assert f"at least {MOST} records" in reason


async def test_a_setting_sends_a_lexicon_that_breaks_records(world: World) -> None:
    device = await published(world)
    setting = (("com.atproto.lexicon.schema", "warn"),)
    rework(device.mirror, config=config(world, lexicons=setting))
    device.save(SCHEMA, **lexicon(n={"type": "string"}))
    await pushed(device, SCHEMA)


async def test_what_is_no_lexicon_today_is_named_and_sent(world: World) -> None:
    """The language of lexicons grows, and an author may be ahead of this version."""
    device = world.device()
    device.save(SCHEMA, **lexicon(n={"type": "later"}))
    report = await device.sync()
    assert report.pushed == (SCHEMA,)
    assert report.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 1.0}',
        '{"n": 10e-1, "x": {"$link": "' + LINK + '"}}',
        '{"n": 1, "x": {"\\u0024link": "' + LINK + '"}}',
        '\ufeff{"n": 1, "x": {"$link": "' + LINK + '"}}',
    ],
)
async def test_a_record_is_judged_by_what_it_means_however_it_is_written(
    world: World, text: str
) -> None:
    device = world.device()
    document = lexicon(n={"type": "integer", "minimum": 1})
    document["defs"]["main"]["record"]["properties"]["x"] = {"type": "cid-link"}
    teach(device, document)
    device.save_text(THING, text)
    await pushed(device, THING)
    device.save_text(THING, text.replace("1", "-1", 1))
    await held(device, THING)


@pytest.mark.parametrize(("room", "reads"), [(8_000_000, 0), (len(BAD_TEXT) - 1, 1)])
async def test_a_text_that_the_look_kept_is_judged_without_another_read(
    world: World, monkeypatch: pytest.MonkeyPatch, room: int, reads: int
) -> None:
    """What the look had no room for is read again, with the same result."""
    read: list[RecordPath] = []

    def counted(files: Reading, path: RecordPath) -> tuple[bytes, FileStat]:
        read.append(path)
        return raw(files, path)

    raw = Reading.read
    monkeypatch.setattr(Reading, "read", counted)
    monkeypatch.setattr("syncd.folder.read.TEXT_BYTES", room)
    device = world.device()
    device.save_text(POST, BAD_TEXT)
    await held(device, POST)
    assert read == [POST] * reads


async def test_a_file_that_is_another_one_by_then_is_the_business_of_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(files: Reading, path: RecordPath) -> tuple[bytes, FileStat]:
        device.save_text(POST, BAD_TEXT)
        return raw(files, path)

    raw = Reading.read
    monkeypatch.setattr(Reading, "read", late)
    monkeypatch.setattr("syncd.folder.read.TEXT_BYTES", 0)
    device = world.device()
    device.save(POST, **GOOD)
    assert (await device.mirror.preview()).problems == ()
    await held(device, POST)
