"""What a person types for records: each form means the same, and the rest is an error."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from syncd.atproto.cid import cid_of_block
from syncd.atproto.syntax import Handle
from syncd.config import Config
from syncd.cycle.workspace import Workspace
from syncd.errors import BadSyntax, SyncdError
from syncd.folder.names import relative_path
from syncd.folder.write import conflict_file
from syncd.mirror.names import (
    Name,
    check_known,
    collection_named,
    read_name,
    read_names,
    record_named,
    unknown,
)
from syncd.mirror.selection import hint_at, matching, named_whole, unmatched
from syncd.model import Problem, RecordPath
from syncd.state.notes import KnownAccount
from tests.rigs.device import Device, World

HANDLE = Handle("alice.test")
NOTE = RecordPath("com.example.note/one")
DOTTED = RecordPath("com.example.note/one.json")
"""Its file is one.json.json, and its own name is that of another record's file."""
COLON = RecordPath("com.example.note/a:B")
OTHER = RecordPath("com.example.other/one")
EVERY = (NOTE, DOTTED, COLON, OTHER)


@pytest.fixture
async def laptop(world: World) -> Device:
    for path in EVERY:
        await world.write(path, v=1)
    laptop = world.device()
    await laptop.sync()
    return laptop


def meant(workspace: Workspace, *texts: str, here: Path | None = None) -> list[str]:
    names = read_names(workspace, texts, [here or workspace.root])
    return [item.path for item in matching([Problem(p, "", "") for p in EVERY], names)]


async def test_a_record_is_named_by_its_path_its_file_and_its_uri(laptop: Device) -> None:
    workspace, did = laptop.mirror.workspace, laptop.mirror.config.did
    for path in (NOTE, COLON, OTHER):
        file = relative_path(path)
        collection, _, name = file.partition("/")
        for text in (path, file, f"./{file}", str(laptop.root / file), f"at://{did}/{path}"):
            assert meant(workspace, text) == [path]
            assert record_named(workspace, text, [laptop.root]) == path
        assert meant(workspace, name, here=laptop.root / collection) == [path]
        elsewhere = laptop.root / "com.example.elsewhere"
        assert meant(workspace, f"../{file}", here=elsewhere) == [path]


async def test_a_name_counts_from_the_top_too_and_from_every_place_it_is_given(
    laptop: Device, tmp_path: Path
) -> None:
    workspace = laptop.mirror.workspace
    assert meant(workspace, NOTE, here=tmp_path) == [NOTE]
    places = [laptop.root / "com.example.other", laptop.root / "com.example.note"]
    assert record_named(workspace, "./one", places) == OTHER


async def test_an_exact_name_means_one_record_and_that_of_a_file_comes_first(
    laptop: Device,
) -> None:
    workspace = laptop.mirror.workspace
    assert meant(workspace, "com.example.note/one.json") == [NOTE]
    assert meant(workspace, "com.example.note/one.json.json") == [DOTTED]
    assert meant(workspace, f"at://{laptop.mirror.config.did}/{DOTTED}") == [DOTTED]
    name = read_name(workspace, DOTTED, [laptop.root])
    assert matching([Problem(DOTTED, "", "")], [name]) == [Problem(DOTTED, "", "")]
    assert named_whole([Problem(DOTTED, "", ""), Problem(NOTE, "", "")], [name]) == {NOTE}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("com.example.note", [NOTE, DOTTED, COLON]),
        ("com.example.note/", [NOTE, DOTTED, COLON]),
        ("./com.example.note//", [NOTE, DOTTED, COLON]),
        (".", list(EVERY)),
        ("*", list(EVERY)),
        ("com.example.*/one", [NOTE, OTHER]),
        ("com.example.*/one.json", [NOTE, DOTTED, OTHER]),
        ("com.example.*/*.json", list(EVERY)),
        ("com.example.note/[a-b]*", [COLON]),
        ("com.example", []),
        ("com.example.note/on", []),
    ],
)
async def test_directories_and_patterns_mean_what_they_cover(
    laptop: Device, text: str, found: list[str]
) -> None:
    workspace = laptop.mirror.workspace
    assert meant(workspace, text) == found
    (name,) = read_names(workspace, [text], [laptop.root])
    assert unmatched([Problem(p, "", "") for p in EVERY], [name]) == ([] if found else [name])


async def test_a_directory_is_named_from_inside_and_through_a_link(
    laptop: Device, tmp_path: Path
) -> None:
    workspace, inside = laptop.mirror.workspace, laptop.root / "com.example.other"
    assert meant(workspace, ".", here=inside) == [OTHER]
    assert meant(workspace, "..", here=inside) == list(EVERY)
    assert meant(workspace, "*.json", here=inside) == [NOTE, DOTTED, COLON, OTHER]
    link = tmp_path / "link"
    link.symlink_to(laptop.root)
    assert meant(workspace, str(link / "com.example.other/one.json")) == [OTHER]
    assert meant(workspace, "one.json", here=link / "com.example.other") == [OTHER]
    assert meant(workspace, str(link)) == meant(workspace, f"{link}/.") == list(EVERY)


async def test_the_repos_version_of_a_conflict_names_its_record(laptop: Device) -> None:
    for path in (*EVERY, RecordPath(f"com.example.note/{'x' * 500}")):
        file = conflict_file(path, cid_of_block(b"\xa0"))
        assert record_named(laptop.mirror.workspace, file, [laptop.root]) == path


@pytest.mark.parametrize(
    "text", ["", "/etc/passwd", "../x", "at://did:web:other.example/com.example.note/one"]
)
async def test_what_is_outside_of_the_mirror_names_nothing(laptop: Device, text: str) -> None:
    with pytest.raises(BadSyntax):
        read_name(laptop.mirror.workspace, text, [laptop.root])


@pytest.mark.parametrize("is_in_settings", [True, False])
async def test_a_pasted_uri_may_have_the_handle_and_what_comes_with_a_paste(
    world: World, is_in_settings: bool
) -> None:
    await world.write(NOTE, v=1)
    did = world.login.did
    laptop = world.device(config=Config(did, handle=HANDLE if is_in_settings else None))
    await laptop.sync()
    workspace = laptop.mirror.workspace
    if not is_in_settings:
        account = laptop.mirror.account
        workspace.state.keep(KnownAccount(did, HANDLE, account.pds, str(account.key)))
    for text in (f"at://Alice.Test/{NOTE}", f"\u202aat://{did}/{NOTE}\u202c ", f"at://{did}",
                 f"AT://{did}/{NOTE}", f"https://browser.test/at/{HANDLE}/{NOTE}",
                 f" https://pdsls.dev/at://{did}/{NOTE}\u202c"):  # fmt: skip
        assert meant(workspace, text)[0] == NOTE


@pytest.mark.parametrize("host", ["", "//", "//localhost", "//LOCALHOST"])
async def test_the_uri_of_a_file_names_its_record(laptop: Device, host: str) -> None:
    workspace, root = laptop.mirror.workspace, laptop.root
    for path in (NOTE, COLON, OTHER):
        file = root / relative_path(path)
        assert meant(workspace, f"file:{host}{quote(str(file))}") == [path]
        assert record_named(workspace, f" \u202aFILE:{host}{file}\u202c", [root]) == path
    assert meant(workspace, f"file:{host}{root}") == [*EVERY]


@pytest.mark.parametrize("uri", ["file://other.test/x", "file:", "file:///nowhere", "file://"])
async def test_the_uri_of_a_file_elsewhere_names_nothing(laptop: Device, uri: str) -> None:
    with pytest.raises(BadSyntax) as caught:
        read_name(laptop.mirror.workspace, uri, [laptop.root])
    assert caught.value.hint


async def test_what_comes_with_a_paste_is_no_part_of_a_name(laptop: Device) -> None:
    workspace = laptop.mirror.workspace
    for text in (f"\u202a{NOTE}\u202c", f" {relative_path(NOTE)}\ufeff", f"./{NOTE}\u200b "):
        assert meant(workspace, text) == [NOTE]
        assert record_named(workspace, text, [laptop.root]) == NOTE


async def test_an_address_of_no_record_and_one_of_another_repo_are_told_apart(
    laptop: Device,
) -> None:
    said = []
    for text in ("https://example.com/about", "https://bsky.app/profile/other.test/post/3m2k"):
        with pytest.raises(BadSyntax) as caught:
            read_name(laptop.mirror.workspace, text, [laptop.root])
        assert caught.value.hint
        said.append(caught.value.message)
    assert "at://other.test/app.bsky.feed.post/3m2k" in said[1]
    assert "at://" not in said[0]


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("com.example.note/on", NOTE),
        ("com.example.note/ONE", NOTE),
        ("com.example.note/eno", None),
        ("com.example.notes/one", NOTE),
        ("com.exmaple.note", "com.example.note"),
        (f'"{NOTE}"', NOTE),
        ("com.example.note\\one.json", NOTE),
    ],
)
async def test_a_slip_in_a_name_is_answered_with_the_record_that_was_meant(
    laptop: Device, typed: str, near: str | None
) -> None:
    workspace = laptop.mirror.workspace
    with pytest.raises(SyncdError) as caught:
        check_known(workspace, read_name(workspace, typed, [laptop.root]))
    assert (near is not None) == caught.value.hint.startswith("did you mean")
    assert near is None or near in caught.value.hint


async def test_a_file_of_another_mirror_is_answered_with_how_to_go_there(
    laptop: Device, world: World
) -> None:
    desktop = world.device("desktop")
    await desktop.sync()
    with pytest.raises(BadSyntax) as caught:
        read_name(laptop.mirror.workspace, str(desktop.file(NOTE)), [laptop.root])
    assert f"-C {desktop.root}" in caught.value.hint


async def test_a_record_that_went_is_still_named_by_its_own_path(laptop: Device) -> None:
    laptop.delete(DOTTED)
    laptop.delete(NOTE)
    await laptop.sync()
    workspace = laptop.mirror.workspace
    assert record_named(workspace, f"{DOTTED}.json", [laptop.root]) == DOTTED
    assert record_named(workspace, NOTE, [laptop.root]) == NOTE


async def test_a_name_that_is_no_record_is_an_error_that_says_what_it_is(laptop: Device) -> None:
    workspace = laptop.mirror.workspace
    (laptop.root / "com.example.note/x.draft.json").write_text("{}")
    (laptop.root / "com.example.note/readme.md").write_text("")
    (laptop.root / "pictures").mkdir()
    said = set()
    for text in ("com.example.note/none", "com.example.note/x.draft.json", "pictures",
                 "com.example.note/readme.md"):  # fmt: skip
        with pytest.raises(SyncdError) as caught:
            check_known(workspace, read_name(workspace, text, [laptop.root]))
        assert caught.value.hint
        said.add(caught.value.hint)
    assert len(said) >= 3
    for text in (NOTE, f"{NOTE}.json", "com.example.note", "com.example.*", "."):
        check_known(workspace, read_name(workspace, text, [laptop.root]))


async def test_a_collection_is_named_by_its_nsid_or_its_directory(laptop: Device) -> None:
    workspace, collection = laptop.mirror.workspace, "com.example.note"
    for text in (collection, f"{collection}/", f"./{collection}", str(laptop.root / collection)):
        assert collection_named(workspace, text, [laptop.root]) == collection
    assert collection_named(workspace, ".", [laptop.root / collection]) == collection


async def test_names_are_read_as_the_files_of_the_mirror_are_named(world: World) -> None:
    await world.write(COLON, v=1)
    laptop = world.device(config=Config(world.login.did, filenames="portable"))
    await laptop.sync()
    workspace = laptop.mirror.workspace
    file = "com.example.note/a%3a%42.json"
    assert (laptop.root / file).is_file()
    name: Name = read_name(workspace, file, [laptop.root])
    assert matching([Problem(COLON, "", "")], [name])
    assert meant(workspace, "com.example.note/a%3a*.json") == [COLON]


@pytest.mark.parametrize("typed", ["one.json:3", "one.json:3:14:", "one.jsno", "one.md", "onee"])
def test_a_place_in_a_file_and_another_ending_suggest_the_record(
    laptop: Device, typed: str
) -> None:
    """Editors, compilers and grep name a file with line and column."""
    workspace = laptop.mirror.workspace
    collection = NOTE.partition("/")[0]
    (name,) = read_names(workspace, [f"{collection}/{typed}"], [laptop.root])
    assert NOTE in unknown(workspace, name).hint


@pytest.mark.parametrize("typed", ["com.example.note/ONE", "com.example.note/One.json"])
async def test_a_name_in_another_case_is_answered_with_what_waits(
    laptop: Device, typed: str
) -> None:
    name = read_name(laptop.mirror.workspace, typed, [laptop.root])
    assert NOTE in hint_at(name, [NOTE], "the list")
    assert hint_at(name, ["com.example.note/two"], "the list") == "the list"


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("com.example.note/ONE", "com.example.note/one"),
        ("com.example.Note/one", "com.example.note/one"),
        ("com.example.NOTE/gone", "com.example.note/gone"),
        ("com.example.note/GONE", "com.example.note/gone"),
        ("com.example.NOTE/on*", "'com.example.note/on*'"),
        ("com.example.NOTE/zz*", None),
        ("com.example.note/zz*", None),
        ("com.example.no-such", None),
    ],
)
async def test_another_case_is_answered_with_the_record_that_is_or_was(
    laptop: Device, typed: str, near: str | None
) -> None:
    workspace = laptop.mirror.workspace
    # Nearer to `one` by its place in the list than the record that was meant.
    for path in (RecordPath("com.example.note/gone"), RecordPath("com.example.note/cone")):
        laptop.save(path, v=1)
        await laptop.sync()
    laptop.delete(RecordPath("com.example.note/gone"))
    await laptop.sync()
    name = read_name(workspace, typed, [laptop.root])
    said = unknown(workspace, name).hint
    assert said.startswith("did you mean") == (near is not None)
    assert near is None or said == f"did you mean {near}?"


async def test_a_record_that_was_deleted_is_answered_with_the_way_back(laptop: Device) -> None:
    laptop.delete(NOTE)
    await laptop.sync()
    name = read_name(laptop.mirror.workspace, NOTE, [laptop.root])
    assert f"syncd restore {NOTE}" in unknown(laptop.mirror.workspace, name).hint


@pytest.mark.parametrize("typed", ["com.example.note/new", "com.example.note/new.json"])
async def test_a_record_that_was_not_sent_yet_is_not_said_to_be_none(
    laptop: Device, typed: str
) -> None:
    laptop.save(RecordPath("com.example.note/new"), v=1)
    found = unknown(
        laptop.mirror.workspace, read_name(laptop.mirror.workspace, typed, [laptop.root])
    )
    assert "com.example.note/new" in found.message
    assert "no record" not in found.message
    assert "not a record" not in found.message
    assert "syncd sync" in found.hint
