"""`resolve --edit` with editors of one line: what a person typed is never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.model import RecordPath
from syncd.sandbox import Sandbox
from tests.cycle.device import World
from tests.stories import Stage, assert_nothing_lost
from tests.stories.script import Step

NOTE = RecordPath("com.example.note/note")
TYPES = """sh -c 'echo "half a thought" >> "$0"'"""
NOTHING, CRASHES = "true", "false"
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


@pytest.mark.parametrize("editor", [NOTHING, CRASHES, TYPES, "no-such-editor", "'"])
async def test_an_edit_that_is_not_finished_changes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, editor: str
) -> None:
    before = stage.standing()
    assert await edit(stage, monkeypatch, editor) != ""
    await Step("laptop syncs", "here").take(stage)
    assert stage.standing() == before
    await Step("laptop waits at note", "here").take(stage)
    await assert_nothing_lost(stage)


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
