"""A mirror whose settings choose Markdown files for a collection; `.json` files are beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.data import Record, cid_of, encode
from syncd.atproto.syntax import Nsid, Rkey
from syncd.config import Config
from syncd.errors import FileChanged
from syncd.folder.disk import Disk
from syncd.folder.drafts import find_draft, write_draft
from syncd.folder.migrate.rewrite import changed_collections, rewrite
from syncd.folder.names import draft_name, file_name, parse_file_name, relative_paths
from syncd.folder.write import file_of, read_bytes
from syncd.forms import USUAL, with_markdown
from syncd.forms.json_form import JSON
from syncd.merge.texts import merge_texts
from syncd.mirror.conflicts import open_conflicts, remote_file
from syncd.mirror.follow.markdown import follow_markdown
from syncd.mirror.merging import settle_by_merge
from syncd.mirror.publishing import drafts_of, make_draft, prepare, publish, unpublish
from syncd.mirror.restore import restore
from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from tests.folder.disks import Crash, StagedDisk
from tests.rigs.device import Device, World, rework

BLOG = "com.whtwnd.blog.entry"
ONE, TWO = RecordPath(f"{BLOG}/one"), RecordPath(f"{BLOG}/two")
MARKDOWN = ((BLOG, (("content",),)),)
FORMS = with_markdown(MARKDOWN)
FORM = FORMS.of(BLOG)


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


@pytest.fixture
def config(world: World) -> Config:
    return Config(world.login.did, brake_records=1000, markdown=MARKDOWN)


@pytest.fixture
def laptop(world: World, config: Config) -> Device:
    return world.device(config=config)


def post(content: object = "Hi", **fields: Any) -> Record:  # noqa: ANN401
    return {"$type": BLOG, **fields, "content": content}


def files(device: Device) -> dict[str, str]:
    found = (device.root / BLOG).iterdir()
    return {file.name: file.read_bytes().decode() for file in sorted(found) if file.is_file()}


async def settled(world: World, device: Device) -> None:
    """The repo has what the files say, and nothing is left to do, on either side."""
    rev = world.rev()
    report = await device.sync()
    assert (report.pushed, report.pulled, report.problems) == ((), (), ())
    assert report.is_settled
    assert (world.rev(), device.base()) == (rev, world.records())


async def test_posts_are_pulled_pushed_edited_and_deleted(world: World, laptop: Device) -> None:
    await world.write(ONE, title="A", content="Hi\n\nthere\n")
    await laptop.sync()
    assert files(laptop) == {"one.md": "---\ntitle: A\n---\n\nHi\n\nthere\n\n"}
    laptop.save_text(ONE, "---\ntitle: 'B'   # mine\n---\nHi\n")
    laptop.save_text(TWO, "---\ntags:\n- x\n---\n\nNew\n")
    report = await laptop.sync()
    assert set(report.pushed) == {ONE, TWO}
    assert world.records() == {ONE: cid_of(post(title="B")), TWO: cid_of(post("New", tags=["x"]))}
    await settled(world, laptop)
    await world.write(ONE, title="C", content="Hi")
    await laptop.sync()
    assert files(laptop)["one.md"] == "---\ntitle: 'C'   # mine\n---\nHi\n"
    laptop.delete(TWO)
    await laptop.sync()
    await world.delete(ONE)
    await laptop.sync()
    assert (files(laptop), world.records()) == ({}, {})
    await settled(world, laptop)


async def test_a_change_of_form_alone_sends_nothing(world: World, laptop: Device) -> None:
    await world.write(ONE, title="A", tags=["x", "y"], content="Hi")
    await laptop.sync()
    for text in (
        '---\r\ntags: [x, "y"]\r\n# c\r\ntitle: "A"\r\n---\r\n\r\nHi\r\n',
        "\ufeff---\ntitle: >-\n  A\ntags:\n- x\n- y\n---\nHi",
        '{"tags": ["x", "y"], "title": "A", "content": "Hi"}',
    ):
        laptop.save_text(ONE, text)
        await settled(world, laptop)
        assert files(laptop) == {"one.md": text}


async def test_what_a_page_cannot_say_is_a_json_file_and_comes_back(
    world: World, laptop: Device
) -> None:
    await world.write(ONE, title="A", content="Hi\r\n")
    await world.write(TWO, title="no body")
    await laptop.sync()
    assert files(laptop) == {
        "one.json": JSON.format(post("Hi\r\n", title="A")).decode(),
        "two.json": JSON.format({"$type": BLOG, "title": "no body"}).decode(),
    }
    await settled(world, laptop)
    await world.write(ONE, title="A", content="Hi")
    await laptop.sync()
    assert files(laptop)["one.md"] == "---\ntitle: A\n---\n\nHi\n"
    assert "one.json" not in files(laptop)
    await settled(world, laptop)
    await world.write(ONE, title="A", content=5)
    await laptop.sync()
    assert sorted(files(laptop)) == ["one.json", "two.json"]
    await settled(world, laptop)
    (laptop.root / BLOG / "two.json").unlink()
    await laptop.sync()
    assert world.records().keys() == {ONE}


async def test_the_copy_of_a_conflict_has_the_ending_of_its_text(
    world: World, laptop: Device
) -> None:
    for path in (ONE, TWO):
        await world.write(path, content="Hi")
    await laptop.sync()
    laptop.save_text(ONE, "---\n---\n\nmine\n")
    laptop.save_text(TWO, "---\n---\n\nmine\n")
    await world.write(ONE, content="theirs")
    await world.write(TWO, content="theirs\r\n")
    await laptop.sync()
    found = open_conflicts(laptop.mirror.workspace)
    assert [item.path for item in found] == [ONE, TWO]
    names = [remote_file(laptop.mirror.workspace, item) for item in found]
    assert [str(name).rpartition(".")[2] for name in names] == ["md", "json"]
    copies = sorted((laptop.root / ".syncd" / "conflicts" / BLOG).iterdir())
    assert [laptop.root / str(name) for name in names] == copies
    for path in (ONE, TWO):
        await world.write(path, content="mine")
    await laptop.sync()
    assert open_conflicts(laptop.mirror.workspace) == []
    assert list((laptop.root / ".syncd" / "conflicts" / BLOG).iterdir()) == []


@pytest.mark.parametrize("line", ["draft: true", "published: false", "draft: True # not yet"])
async def test_a_new_post_that_says_it_is_a_draft_waits_until_a_person_publishes_it(
    world: World, laptop: Device, line: str
) -> None:
    text = f"---\ntitle: A\n{line}\n---\n\nNot ready\n"
    laptop.save_text(ONE, text)
    report = await laptop.sync()
    assert ([item.path for item in report.held], world.records()) == ([ONE], {})
    assert f"{BLOG}/one.draft.md" in report.held[0].reason
    laptop.file(ONE).rename(laptop.root / BLOG / "one.draft.md")
    report = await laptop.sync()
    assert (report.held, world.records()) == ((), {})
    publish(laptop.mirror.workspace, prepare(laptop.mirror.workspace, f"{BLOG}/one.draft.md"))
    report = await laptop.sync()
    assert not report.held
    assert world.records().keys() == {ONE}
    laptop.save_text(ONE, text + "more\n")
    await laptop.sync()
    await settled(world, laptop)


async def test_a_post_that_says_no_such_thing_or_is_in_the_repo_is_no_draft(
    world: World, laptop: Device
) -> None:
    await world.write(TWO, draft=True, content="Hi")
    laptop.save_text(ONE, "---\ndraft: false\npublished: true\n---\n\ndraft: true\n")
    await laptop.sync()
    assert world.records().keys() == {ONE, TWO}
    await settled(world, laptop)


@pytest.mark.parametrize("becomes", ["JSON", "gone", "without the line"])
async def test_a_comment_that_a_pull_has_no_place_for_is_in_history_with_its_file(
    world: World, laptop: Device, becomes: str
) -> None:
    text = "---\ntitle: 'A' # my words\ntags:\n- x #1\n---\n# Hi\n"
    await world.write(ONE, title="A", tags=["x"], content="# Hi")
    await laptop.sync()
    laptop.save_text(ONE, text)
    await settled(world, laptop)
    match becomes:
        case "JSON":
            await world.write(ONE, title="A", tags=["x"], content="Hi\r")
        case "gone":
            await world.delete(ONE)
        case _:
            await world.write(ONE, tags=["x"], content="# Hi")
    await laptop.sync()
    assert "my words" not in str(files(laptop))
    kept = [e for e in laptop.mirror.workspace.history.events(ONE) if not e.cid.is_block]
    restore(laptop.mirror.workspace, ONE, str(kept[0].cid)[-10:])
    assert (len(kept), files(laptop)) == (1, {"one.md": text})
    await laptop.sync()
    await settled(world, laptop)
    assert world.records() == {ONE: cid_of(post("# Hi", title="A", tags=["x"]))}


async def test_a_file_whose_comments_stay_is_in_history_as_its_record_alone(
    world: World, laptop: Device
) -> None:
    text = "---\n# c\ntitle: 'A #b'\n# d\nn: [1, 'x #2'] # e\n---\n# Hi\n"
    laptop.save_text(ONE, text)
    await laptop.sync()
    await world.write(ONE, title="B", n=["x"], content="Ho")
    await laptop.sync()
    assert files(laptop) == {
        "one.md": text.replace("A #b", "B").replace("1, 'x #2'", '"x"').replace("# Hi", "Ho")
    }
    assert [e.cid.is_block for e in laptop.mirror.workspace.history.events(ONE)] == [True]


async def test_two_files_for_one_record_are_a_problem_and_nothing_happens_to_either(
    world: World, laptop: Device
) -> None:
    await world.write(ONE, content="Hi")
    await laptop.sync()
    other = laptop.root / BLOG / "one.json"
    other.write_bytes(JSON.format(post("another")))
    before = files(laptop)
    for _ in range(2):
        report = await laptop.sync()
        (problem,) = report.problems
        assert (problem.path, report.pushed) == (ONE, ())
        assert "one.json" in problem.reason
        assert "one.md" in problem.reason
    await world.write(ONE, content="of another client")
    report = await laptop.sync()
    assert (files(laptop), report.pulled) == (before, ())
    assert [p.path for p in report.problems] == [ONE]
    other.unlink()
    await laptop.sync()
    await settled(world, laptop)
    assert files(laptop) == {"one.md": "---\n---\n\nof another client\n"}


async def test_another_ending_is_no_deletion_and_no_edit(world: World, laptop: Device) -> None:
    await world.write(ONE, title="A", content="Hi")
    await laptop.sync()
    page = laptop.file(ONE)
    page.unlink()
    (laptop.root / BLOG / "one.json").write_bytes(JSON.format(post(title="A")))
    await settled(world, laptop)
    (laptop.root / BLOG / "one.json").rename(page)  # JSON in a file that is named .md
    await settled(world, laptop)


async def test_a_page_that_became_json_under_an_open_editor_loses_no_word_of_either(
    world: World, laptop: Device
) -> None:
    await world.write(ONE, title="A", content="Hi")
    await laptop.sync()
    await world.write(ONE, title="A", content="Hi\r")
    await laptop.sync()
    theirs = {"one.json": JSON.format(post("Hi\r", title="A")).decode()}
    assert files(laptop) == theirs
    typed = "---\ntitle: A\n---\n\nHi, and words that were not saved\n"
    (laptop.root / BLOG / "one.md").write_text(typed)
    for _ in range(2):
        report = await laptop.sync()
        assert ([p.path for p in report.problems], report.pushed) == ([ONE], ())
        assert files(laptop) == {**theirs, "one.md": typed}
    (laptop.root / BLOG / "one.json").unlink()
    await laptop.sync()
    await settled(world, laptop)
    assert files(laptop) == {"one.md": typed}
    kept = {event.cid for event in laptop.mirror.workspace.history.events(ONE)}
    assert kept >= {cid_of(post(title="A")), cid_of(post("Hi\r", title="A"))}


async def test_a_page_that_is_renamed_to_json_stays_a_page_until_the_next_version_comes(
    world: World, laptop: Device
) -> None:
    await world.write(ONE, title="A", content="Hi")
    await laptop.sync()
    laptop.file(ONE).rename(laptop.root / BLOG / "one.json")
    await settled(world, laptop)
    (laptop.root / BLOG / "one.json").write_text("---\ntitle: 'B' # mine\n---\nHo\n")
    await laptop.sync()
    assert world.records() == {ONE: cid_of(post("Ho", title="B"))}
    await world.write(ONE, title="C", content="Ho")
    await laptop.sync()
    assert files(laptop) == {"one.md": "---\ntitle: 'C' # mine\n---\nHo\n"}
    await settled(world, laptop)


async def test_a_record_that_became_a_page_is_kept_where_the_setting_is_not_there_yet(
    world: World,
) -> None:
    laptop = world.device()
    await world.write(ONE, title="A", content="Hi")
    await laptop.sync()
    laptop.file(ONE).unlink()
    (laptop.root / BLOG / "one.md").write_text("---\ntitle: A\n---\n\nHi\n")
    for _ in range(2):
        report = await laptop.sync()
        (problem,) = report.problems
        assert (problem.path, report.pushed, report.held) == (ONE, (), ())
        assert "markdown" in problem.hint
    assert world.records().keys() == {ONE}
    config = replace(laptop.mirror.config, markdown=MARKDOWN)
    laptop.mirror.state.close()
    laptop = Device.open(laptop.root, world.account(), world.pds(), config)
    await settled(world, laptop)


async def test_a_page_that_is_wrong_is_inert_and_its_place_is_named(
    world: World, laptop: Device
) -> None:
    await world.write(ONE, content="Hi")
    await laptop.sync()
    for text, place in (
        ("---\na: 1\na: 2\n---\n\nHi\n", (3, 1)),
        ("Hi\n", (1, 1)),
        ("---\na: 1\n", (3, 1)),
        ("", (1, 1)),
    ):
        laptop.save_text(ONE, text)
        report = await laptop.sync()
        (problem,) = report.problems
        assert (problem.path, (problem.line, problem.column)) == (ONE, place)
        assert (report.pushed, files(laptop)) == ((), {"one.md": text})
    assert world.records() == {ONE: cid_of(post())}


# --- Conflicts, history, drafts -------------------------------------------------------------------


@pytest.fixture
async def torn(world: World, laptop: Device) -> Device:
    """A device with a conflict at ONE, whose title both sides changed."""
    await world.write(ONE, title="A", kept=0, content="a\nb\nc\nd\ne")
    await laptop.sync()
    laptop.save_text(ONE, "---\ntitle: 'Mine' # me\nkept: 0\n---\n\nA\nb\nc\nd\ne\n")
    await world.write(ONE, title="Theirs", kept=0, content="a\nb\nc\nd\nE")
    await laptop.sync()
    return laptop


async def test_the_repos_side_of_a_conflict_lies_beside_as_a_page(torn: Device) -> None:
    (conflict,) = open_conflicts(torn.mirror.workspace)
    kept = remote_file(torn.mirror.workspace, conflict) or ""
    assert kept.endswith(".md")
    assert FORM.parse((torn.root / kept).read_bytes(), BLOG)["title"] == "Theirs"


async def test_a_conflict_is_edited_as_a_page_whose_body_is_merged_by_line(
    world: World, torn: Device
) -> None:
    seen: list[str] = []

    def edit(file: Path) -> None:
        seen.extend((file.name, file.read_text()))
        lines = file.read_text().splitlines(keepends=True)
        marks = ("<<<<", "====", ">>>>", "title: Mine")
        file.write_text("".join(line for line in lines if not line.startswith(marks)))

    workspace = torn.mirror.workspace
    assert settle_by_merge(workspace, open_conflicts(workspace), edit=edit) == (1, [])
    assert seen[0].endswith(".md")
    assert "<<<<<<< folder\ntitle: Mine\n=======\ntitle: Theirs\n>>>>>>> repo\n" in seen[1]
    assert seen[1].endswith("\n---\n\nA\nb\nc\nd\nE\n")
    await torn.sync()
    await settled(world, torn)
    assert world.records() == {ONE: cid_of(post("A\nb\nc\nd\nE", title="Theirs", kept=0))}


async def test_a_merge_keeps_the_form_of_the_file(world: World, config: Config) -> None:
    laptop = world.device(config=replace(config, conflicts_merge=(BLOG,)))
    await world.write(ONE, title="A", kept=0, content="a\nb\nc")
    await laptop.sync()
    laptop.save_text(ONE, "---\n# mine\ntitle: 'B'\nkept: 0\n---\n\nA\nb\nc\n")
    await world.write(ONE, title="A", kept=1, content="a\nb\nC")
    await laptop.sync()
    await settled(world, laptop)
    assert files(laptop)["one.md"] == "---\n# mine\ntitle: 'B'\nkept: 1\n---\n\nA\nb\nC\n"


def test_git_merges_pages_by_field_and_their_bodies_by_line() -> None:
    base, ours, theirs = (
        f"---\n# c\ntitle: '{title}'\nn: {n}\n---\n\n{body}\n".encode()
        for title, n, body in (("A", 1, "a\nb\nc"), ("B", 1, "A\nb\nc"), ("A", 2, "a\nb\nC"))
    )
    merged, collisions = merge_texts(base, ours, theirs, BLOG, form=FORM)
    assert (merged.decode(), collisions) == ("---\n# c\ntitle: 'B'\nn: 2\n---\n\nA\nb\nC\n", ())


async def test_an_old_version_comes_back_with_the_ending_that_it_needs(
    world: World, laptop: Device
) -> None:
    for content in ("Hi\r", "Hi", "Ho"):
        await world.write(ONE, content=content)
        await laptop.sync()
    old = str(cid_of(post("Hi\r")))
    restore(laptop.mirror.workspace, ONE, old[-10:])
    assert list(files(laptop)) == ["one.json"]
    restore(laptop.mirror.workspace, ONE, str(cid_of(post("Hi")))[-10:])
    assert files(laptop) == {"one.md": "---\n---\n\nHi\n"}
    await laptop.sync()
    await settled(world, laptop)


async def test_a_draft_is_a_page_until_it_is_published_and_again_afterwards(
    world: World, laptop: Device
) -> None:
    workspace = laptop.mirror.workspace
    made = make_draft(workspace, Nsid(BLOG), FORM.begun({"$type": BLOG, "title": "A"}))
    assert made.endswith(".draft.md")
    assert (laptop.root / made).read_text() == "---\ntitle: A\n---\n\n\n"
    await laptop.sync()
    assert (world.records(), drafts_of(workspace)) == ({}, [made])
    publish(workspace, prepare(workspace, made, Rkey("one")))
    await laptop.sync()
    await settled(world, laptop)
    assert list(files(laptop)) == ["one.md"]
    assert world.records().keys() == {ONE}
    assert unpublish(workspace, ONE) == f"{BLOG}/one.draft.md"
    await laptop.sync()
    assert (world.records(), list(files(laptop))) == ({}, ["one.draft.md"])
    with pytest.raises(FileChanged):
        write_draft(workspace.folder, ONE, JSON.format({"$type": BLOG}))
    assert find_draft(workspace.folder, ONE) == f"{BLOG}/one.draft.md"


async def test_a_draft_that_replaces_a_record_brings_its_ending(
    world: World, laptop: Device
) -> None:
    await world.write(ONE, content=5)
    await laptop.sync()
    assert list(files(laptop)) == ["one.json"]
    laptop.save_text(f"{BLOG}/x", "")
    laptop.file(f"{BLOG}/x").unlink()
    (laptop.root / BLOG / "one.draft.md").write_text("---\n---\n\nHi\n")
    workspace = laptop.mirror.workspace
    publish(workspace, prepare(workspace, f"{BLOG}/one.draft.md", Rkey("one")))
    assert files(laptop) == {"one.md": "---\n---\n\nHi\n"}
    await laptop.sync()
    await settled(world, laptop)
    assert world.records() == {ONE: cid_of(post())}


# --- Changing the setting -------------------------------------------------------------------------


def reopened(world: World, device: Device, markdown: Any) -> tuple[Device, list[str]]:  # noqa: ANN401
    """The device after a restart with another setting, and what it said."""
    config = replace(device.mirror.config, markdown=markdown)
    device.mirror.state.close()
    again = Device.open(device.root, world.account(), world.pds(), config)
    said: list[str] = []
    follow_markdown(again.mirror.workspace, lambda notice: said.append(str(notice)))
    return again, said


async def test_a_change_of_the_setting_rewrites_all_files_and_sends_nothing(world: World) -> None:
    laptop = world.device()
    await world.write(ONE, title="A", content="Hi")
    await world.write(TWO, title="no body")
    await world.write(f"{BLOG}/{'x' * 400}", content="long name")
    await world.write("com.example.other/one", content="Hi")
    await laptop.sync()
    (laptop.root / BLOG / "+new.json").write_text('{"content": "draft"}')
    before, held = files(laptop), world.records()
    laptop, said = reopened(world, laptop, MARKDOWN)
    assert len(said) == 1
    assert files(laptop)["one.md"] == "---\ntitle: A\n---\n\nHi\n"
    assert sorted(files(laptop)) == ["+new.md", "one.md", "two.json"]
    assert len(list((laptop.root / BLOG).rglob("*.md"))) == 3
    await settled(world, laptop)
    laptop, said = reopened(world, laptop, MARKDOWN)
    assert said == []
    laptop, said = reopened(world, laptop, ((BLOG, (("title",), ("content",))),))
    assert files(laptop)["one.md"] == "---\ncontent: Hi\n---\n\nA\n"
    await settled(world, laptop)
    laptop, said = reopened(world, laptop, ())
    assert files(laptop).keys() == before.keys()
    assert files(laptop)["one.json"] == before["one.json"]
    await settled(world, laptop)
    assert world.records() == held


async def test_what_names_a_file_to_upload_stays_in_its_form_and_is_named(
    world: World, laptop: Device
) -> None:
    """Nothing writes such a text, so nothing can write it in another form."""
    await world.write(ONE, title="A", content="Hi")
    await laptop.sync()
    laptop, _ = reopened(world, laptop, MARKDOWN)
    page = "---\ncover: {$type: blob, $file: none.png}\n---\n\nHo\n"
    for name in ("one.md", "two.md", "x.draft.md"):
        (laptop.root / BLOG / name).write_text(page)
    await laptop.sync()
    before = files(laptop)
    laptop, said = reopened(world, laptop, ())
    assert [all(name in each for name in before) for each in said] == [True]
    assert files(laptop) == before
    # Its record is not deleted, and no version replaces it.
    report = await laptop.sync()
    assert ([p.path for p in report.problems], world.records()[ONE]) == ([ONE], laptop.base()[ONE])
    assert files(laptop) == before
    laptop, said = reopened(world, laptop, MARKDOWN)
    assert (said, files(laptop)) == ([], before)
    (laptop.root / "none.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert set((await laptop.sync()).pushed) == {ONE, TWO}
    assert "$file" not in files(laptop)["one.md"]


async def test_comments_that_json_has_no_place_for_are_kept_aside(
    world: World, laptop: Device
) -> None:
    text = "---\n# a note of mine\ntitle: A\n---\n\nHi\n"
    laptop.save_text(ONE, text)
    laptop.save_text(TWO, "---\ntitle: B\n---\n\nHo\n")
    laptop, _ = reopened(world, laptop, MARKDOWN)
    laptop, _ = reopened(world, laptop, ())
    kept = laptop.root / ".syncd" / "rewritten" / BLOG
    (file,) = kept.iterdir()
    assert file.name.endswith(".one.md")
    assert file.read_text() == text

    laptop, _ = reopened(world, laptop, MARKDOWN)
    other = text.replace("a note", "another note")
    (laptop.root / BLOG / "one.md").write_text(other)
    reopened(world, laptop, ())
    assert sorted(file.read_text() for file in kept.iterdir()) == sorted([text, other])


async def test_what_is_no_record_stays_as_it_is_and_is_no_deletion(world: World) -> None:
    laptop = world.device()
    await world.write(ONE, content="Hi")
    await laptop.sync()
    laptop.save_text(ONE, "{ not yet")
    for markdown, name in ((MARKDOWN, "one.json"), ((), "one.json")):
        laptop, said = reopened(world, laptop, markdown)
        assert files(laptop) == {name: "{ not yet"}
        assert name in said[0]
        report = await laptop.sync()
        assert [p.path for p in report.problems] == [ONE]
        assert world.records().keys() == {ONE}
    (laptop.root / BLOG / "one.json").write_bytes(JSON.format(post()))
    laptop, _ = reopened(world, laptop, MARKDOWN)
    laptop.save_text(ONE, "no front matter")
    laptop, _ = reopened(world, laptop, ())
    report = await laptop.sync()
    assert [p.path for p in report.problems] == [ONE]
    assert world.records().keys() == {ONE}
    assert list(files(laptop)) == ["one.md"]


async def test_the_copy_of_an_open_conflict_gets_the_form_too(world: World, torn: Device) -> None:
    laptop, _ = reopened(world, torn, MARKDOWN)
    laptop, _ = reopened(world, laptop, ())
    (conflict,) = open_conflicts(laptop.mirror.workspace)
    kept = remote_file(laptop.mirror.workspace, conflict) or ""
    assert kept.endswith(".json")
    assert JSON.parse((laptop.root / kept).read_bytes(), BLOG)["title"] == "Theirs"
    assert len(list((laptop.root / ".syncd" / "conflicts" / BLOG).iterdir())) == 1
    report = await laptop.sync()
    assert [c.path for c in report.conflicts] == [ONE]


@pytest.mark.parametrize("back", [False, True])
async def test_a_crash_at_any_step_of_the_rewriting_loses_nothing_and_the_next_run_ends_it(
    world: World, back: bool
) -> None:
    before, after = ((), MARKDOWN)[:: -1 if back else 1]
    laptop = world.device(config=Config(world.login.did, markdown=before))
    await world.write(ONE, title="A", content="Hi")
    await world.write(TWO, content=5)
    await laptop.sync()
    laptop, _ = reopened(world, laptop, before)
    held, start = world.records(), files(laptop)
    for left in range(40):
        for name in files(laptop):
            (laptop.root / BLOG / name).unlink()
        for name, text in start.items():
            (laptop.root / BLOG / name).write_text(text)
        folder = replace(
            laptop.mirror.folder, disk=StagedDisk(crash_at=left), forms=with_markdown(after)
        )
        try:
            rewrite(folder, with_markdown(before), {BLOG})
        except Crash:
            # With either setting, a sync in between takes nothing for a deletion or an edit.
            for forms in (with_markdown(before), with_markdown(after)):
                rework(laptop.mirror, folder=replace(folder, disk=Disk(), forms=forms))
                report = await laptop.sync()
                assert (report.pushed, report.held, world.records()) == ((), (), held)
        else:
            assert left > 5
            break
        rewrite(replace(folder, disk=Disk()), with_markdown(before), {BLOG})
        rework(laptop.mirror, folder=replace(folder, disk=Disk()))
        await settled(world, laptop)
        assert world.records() == held
        rework(laptop.mirror, folder=replace(folder, disk=Disk(), forms=with_markdown(before)))
    else:
        pytest.fail("the disk never lived to the end")


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rkey",
    ["a", "x.draft", ".hidden", "con", "a.md", "x" * 512, *("y" * n for n in range(246, 256))],
)
@pytest.mark.parametrize("portable", [False, True])
def test_all_files_of_a_record_are_in_one_directory_and_are_read_back(
    rkey: str, portable: bool
) -> None:
    path = RecordPath(f"{BLOG}/{rkey}")
    names = relative_paths(path, portable=portable, forms=FORMS)
    assert [name.rpartition(".")[2] for name in names] == ["md", "json"]
    assert len({name.rpartition("/")[0] for name in names}) == 1
    for name in names:
        inside = name.partition("/")[2]
        assert all(len(part) <= 255 for part in inside.split("/"))
        assert parse_file_name(inside, portable=portable, form=FORM) == rkey
    # What is JSON has the same name as in a mirror without the setting.
    assert names[1].partition("/")[2] == file_name(Rkey(rkey), portable=portable)
    drafts = [draft_name(Rkey(rkey), portable=portable, form=FORM, ending=e) for e in FORM.endings]
    assert len({draft.rpartition("/")[0] for draft in drafts}) == 1


async def test_the_file_that_is_there_is_found(world: World, laptop: Device) -> None:
    folder = laptop.mirror.folder
    assert file_of(folder, ONE) == f"{BLOG}/one.md"
    await world.write(ONE, content=5)
    await laptop.sync()
    assert file_of(folder, ONE) == f"{BLOG}/one.json"
    assert read_bytes(folder, ONE)[0] == JSON.file_of(encode(post(5)))


def test_only_collections_with_another_form_are_rewritten() -> None:
    other = with_markdown(((BLOG, (("content",), ("text",))), ("com.example.a", (("b",),))))
    every = frozenset({BLOG, "com.example.a"})
    assert changed_collections(FORMS, other, lambda _: True) == every
    assert changed_collections(FORMS, other, lambda name: name == BLOG) == {BLOG}
    assert changed_collections(FORMS, FORMS, lambda _: True) == frozenset()
    assert changed_collections(USUAL, FORMS, lambda _: True) == {BLOG}
