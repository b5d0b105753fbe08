"""`resolve --edit` with editors of one line: what a person typed is never lost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from syncd.cli import cli
from syncd.errors import SyncdError
from syncd.lock import FolderLock
from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from tests.rigs.device import World
from tests.stories import Stage, assert_nothing_lost
from tests.stories.script import Step

NOTE = RecordPath("com.example.note/note")
TYPES = """sh -c 'echo "half a thought" >> "$0"'"""
NOTHING, CRASHES, REMOVES = "true", "false", "rm"
FINISHES = "sed -i -e '/^<<<<<<<\\|^=======\\|^>>>>>>>/d' -e '/theirs/d' -e '/half a thought/d'"
LOOKS = """sh -c 'cp "$0" "$SEEN"'"""


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    sandbox = Sandbox()
    stage = Stage(World(tmp_path, sandbox, sandbox.create_account("alice")))
    for sentence in (
        "repo writes note = old",
        "laptop syncs",
        "laptop saves note = mine",
        "repo writes note = theirs",
        "laptop syncs",
    ):
        await Step(sentence, "here").take(stage)
    return stage


async def edit(stage: Stage, monkeypatch: pytest.MonkeyPatch, editor: str) -> str:
    """Resolve with an editor; returns what went wrong."""
    monkeypatch.setenv("VISUAL", editor)
    try:
        await stage.ask("laptop", "resolve", NOTE, "--edit")
    except AssertionError as error:
        return str(error)
    return ""


def drafts(stage: Stage) -> list[str]:
    own = stage["laptop"].device.root / ".syncd" / "edit"
    return [file.read_text(encoding="utf-8") for file in own.glob("*")]


@pytest.mark.parametrize("editor", [NOTHING, CRASHES, TYPES, REMOVES, "no-such-editor", "'"])
async def test_an_edit_that_is_not_finished_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, editor: str
) -> None:
    before = stage.standing()
    assert await edit(stage, monkeypatch, editor) != ""
    await Step("laptop syncs", "here").take(stage)
    assert stage.standing() == before
    await Step("laptop waits at note", "here").take(stage)
    await assert_nothing_lost(stage)


@pytest.mark.parametrize("editor", [CRASHES, "no-such-editor", "sh -c 'kill -9 $$'"])
async def test_of_an_editor_that_fails_the_next_command_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, editor: str
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    root = stage["laptop"].device.root
    wrong = CliRunner().invoke(cli, ["-C", str(root), "resolve", NOTE, "--edit"]).exception
    assert isinstance(wrong, SyncdError)
    assert f"syncd resolve {NOTE} --edit" in wrong.hint
    assert ("EDITOR" in wrong.hint) == (editor == "no-such-editor")
    assert "with -9" not in wrong.message


async def test_of_an_editor_that_leaves_no_file_the_next_command_begins_the_edit_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = await edit(stage, monkeypatch, REMOVES)
    assert f"{NOTE} is not merged" in wrong
    assert drafts(stage) == []
    assert await edit(stage, monkeypatch, FINISHES) == ""


@pytest.mark.parametrize("between", [NOTHING, CRASHES, "no-such-editor"])
async def test_an_edit_that_was_not_finished_is_gone_on_with(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, between: str
) -> None:
    assert "git conflict" in await edit(stage, monkeypatch, TYPES)
    await edit(stage, monkeypatch, between)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    await edit(stage, monkeypatch, LOOKS)
    assert (tmp_path / "seen").read_text(encoding="utf-8").endswith("half a thought\n")
    assert await edit(stage, monkeypatch, FINISHES) == ""
    assert drafts(stage) == []
    await Step("laptop syncs", "here").take(stage)
    await Step("repo has note = mine", "here").take(stage)
    await Step("laptop waits nowhere", "here").take(stage)


async def test_an_edit_of_other_versions_begins_anew_and_keeps_the_old_text(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await edit(stage, monkeypatch, TYPES)
    await Step("repo writes note = newest", "here").take(stage)
    await Step("laptop syncs", "here").take(stage)
    await edit(stage, monkeypatch, NOTHING)
    old, new = sorted(drafts(stage), key=lambda text: "half a thought" not in text)
    assert ("theirs" in old, "newest" in new) == (True, True)


async def test_what_was_typed_while_the_file_changed_is_kept(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stage["laptop"].device.file(NOTE)
    meanwhile = f"""sh -c 'sed -i -e "/^[<=>]/d" -e "/theirs/d" "$0"; echo "{{}}" > {file}'"""
    assert "edited meanwhile" in await edit(stage, monkeypatch, meanwhile)
    assert file.read_text(encoding="utf-8") == "{}\n"
    (draft,) = drafts(stage)
    assert "mine" in draft
    assert "<<<<" not in draft


async def test_the_name_that_an_editor_gets_fits_the_last_line_of_a_terminal(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise vim asks for a key before it shows the text."""
    monkeypatch.chdir(stage["laptop"].device.root)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    await edit(stage, monkeypatch, """sh -c 'printf %s "$0" > "$SEEN"'""")
    assert len(f'"{(tmp_path / "seen").read_text()}" 999 lines, 99999 bytes') < 80


async def conflict_at(stage: Stage, name: str, base: str, mine: str, theirs: str) -> None:
    for sentence in (
        f"repo writes {name} = {base}",
        "laptop syncs",
        f"laptop saves {name} = {mine}",
        f"repo writes {name} = {theirs}",
        "laptop syncs",
    ):
        await Step(sentence, "here").take(stage)


async def resolve_all(stage: Stage, how: str) -> Result:
    root = stage["laptop"].device.root
    words = ["-C", str(root), "resolve", "com.example.*/*", how]
    with FolderLock(root):
        return await asyncio.to_thread(lambda: CliRunner().invoke(cli, words))


async def test_of_many_conflicts_those_that_do_not_collide_are_merged(stage: Stage) -> None:
    await conflict_at(stage, "a", "a:1 b:1", "a:2 b:1", "a:1 b:2")
    await conflict_at(stage, "z", "a:1 b:1", "a:2 b:1", "a:1 b:2")
    done = await resolve_all(stage, "--merge")
    assert done.exit_code == 3
    assert done.stderr.startswith(f"syncd: {NOTE} is not merged: both sides changed /v\n  next: ")
    for sentence in (
        "laptop syncs",
        "repo has a = a:2 b:2",
        "repo has z = a:2 b:2",
        "laptop waits at note",
    ):
        await Step(sentence, "here").take(stage)
    await assert_nothing_lost(stage)


async def test_conflicts_lists_what_the_names_mean(stage: Stage) -> None:
    await conflict_at(stage, "a", "old", "mine", "theirs")
    await conflict_at(stage, "z", "old", "mine", "theirs")
    root = stage["laptop"].device.root
    words = ("conflicts", "com.example.note/a", "--json")
    found = json.loads(await stage.command(root, *words, codes=(3,)))
    assert [each["path"] for each in found["conflicts"]] == ["com.example.note/a"]


async def test_an_edit_that_is_not_finished_is_the_last_of_many(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await conflict_at(stage, "a", "old", "mine", "theirs")
    await conflict_at(stage, "z", "old", "mine", "theirs")
    count = tmp_path / "count"
    first_only = f"""sh -c 'echo >> {count}; [ $(wc -l < {count}) -gt 1 ] ||
        sed -i -e "/^[<=>]/d" -e "/theirs/d" "$0"'"""
    monkeypatch.setenv("VISUAL", first_only)
    done = await resolve_all(stage, "--edit")
    assert (done.exit_code, "unresolved git conflict" in done.stderr) == (3, True), done.stderr
    assert count.read_text() == "\n\n"
    await Step("laptop syncs", "here").take(stage)
    await Step("repo has a = mine", "here").take(stage)
    waiting = {conflict.path for conflict in stage["laptop"].report.conflicts}
    assert waiting == {NOTE, "com.example.note/z"}
    await assert_nothing_lost(stage)
