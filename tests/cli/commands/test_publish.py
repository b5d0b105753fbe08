"""`publish`, `unpublish` and `new`: what they print, ask, send and end with."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.exceptions import Exit

from syncd.atproto.syntax import parse_tid
from syncd.cli.commands.sync import say_outcome
from syncd.errors import SyncdError, Unreachable
from syncd.folder.names import drafted_name
from syncd.model import Problem, RecordPath, Report
from syncd.state import open_state
from syncd.state.notes import Overtaken
from tests.rigs import warm
from tests.rigs.lured import NOTE, Lured, home, mirror

__all__ = ("home", "mirror")

FIRST = f"{NOTE}/first"


def at(mirror: Lured, *arguments: str, code: int = 0) -> str:
    """Return what the command prints, or what its error says."""
    ran = mirror.run("-C", str(mirror.root), *arguments)
    error = ran.exception
    ended = error.exit_code if isinstance(error, SyncdError) else ran.exit_code
    assert ended == code, (arguments, ran.output, error)
    return f"{error}\n{error.hint}" if isinstance(error, SyncdError) else ran.stdout


def read(mirror: Lured, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401
    return json.loads(at(mirror, *arguments, "--json", code=code))


def drop(mirror: Lured, name: str, text: str = '{"text": "draft"}') -> Path:
    file = mirror.root / NOTE / name
    file.write_text(text)
    return file


def names(mirror: Lured) -> list[str]:
    return sorted(file.name for file in (mirror.root / NOTE).iterdir())


def test_a_draft_is_published_and_sent_in_one_command(mirror: Lured) -> None:
    drop(mirror, "second.draft.json")
    drop(mirror, "+third.json")
    found = read(mirror, "publish", f"{NOTE}/second.draft.json", f"{NOTE}/+third.json")
    assert found["pushed"] == 2
    published = {item["draft"]: item["path"] for item in found["published"]}
    assert published.keys() == {f"{NOTE}/second.draft.json", f"{NOTE}/+third.json"}
    assert mirror.records() == {FIRST, *published.values()}


def test_drafts_are_counted_and_neither_sent_nor_shown_as_differences(mirror: Lured) -> None:
    drop(mirror, "second.draft.json")
    drop(mirror, "+bad.json", "{")
    assert mirror.sync().exit_code == 0
    found = read(mirror, "status")
    assert (found["drafts"], found["pending"]["push"], found["problems"]) == (2, 0, [])
    assert "drafts   2" in at(mirror, "status")
    assert "draft" not in at(mirror, "diff")
    assert mirror.records() == {FIRST}


def test_an_invalid_draft_keeps_all_of_them_drafts(mirror: Lured) -> None:
    drop(mirror, "good.draft.json")
    bad = drop(mirror, "bad.draft.json", '{\n  "text": }')
    refused = at(mirror, "publish", NOTE, code=1)
    assert f"{NOTE}/bad.draft.json, line 2, column 11" in refused
    assert names(mirror) == ["bad.draft.json", "first.json", "good.draft.json"]
    bad.unlink()
    assert read(mirror, "publish", "--drafts", "--yes")["pushed"] == 1


UNCLEAR = [
    ([], 2),
    ([f"{NOTE}/x.draft.json", "--drafts"], 2),
    (["--drafts"], 2),
    (["--drafts", "--key", "k"], 2),
    ([NOTE, "--key", "k"], 2),
    ([f"{NOTE}/x.draft.json", "--key", "not a key"], 1),
    ([f"{NOTE}/none"], 1),
    ([FIRST], 1),
    ([f"{NOTE}/x.draft.json", f"{NOTE}/+x.json", f"{NOTE}/none"], 1),
]


def test_what_is_not_clearly_meant_publishes_nothing(mirror: Lured) -> None:
    drop(mirror, "x.draft.json")
    drop(mirror, "+x.json")
    for arguments, code in UNCLEAR:
        at(mirror, "publish", *arguments, code=code)
        assert names(mirror) == ["+x.json", "first.json", "x.draft.json"]
    assert mirror.records() == {FIRST}


def test_two_drafts_of_one_record_are_not_guessed_between(mirror: Lured) -> None:
    drop(mirror, "x.draft.json")
    drop(mirror, "%78.draft.json")
    at(mirror, "publish", "--drafts", "--yes", code=2)
    assert mirror.records() == {FIRST}


def test_a_draft_of_a_changed_record_ends_as_a_conflict_does(mirror: Lured) -> None:
    drop(mirror, "first.draft.json")
    mirror.edit("first")
    assert mirror.sync().exit_code == 0
    assert "--key first" in at(mirror, "publish", f"{NOTE}/first.draft.json", code=3)
    assert read(mirror, "publish", f"{NOTE}/first.draft.json", "--key", "first")["pushed"] == 1
    assert names(mirror) == ["first.json"]


def test_offline_the_record_waits_and_is_sent_later(mirror: Lured) -> None:
    drop(mirror, "second.draft.json")
    mirror.honest.stop()
    at(mirror, "publish", f"{NOTE}/second.draft.json", code=69)
    at(mirror, "unpublish", FIRST, "--yes", code=69)
    assert names(mirror) == ["first.draft.json", "second.json"]
    found = read(mirror, "status")
    assert (found["drafts"], found["pending"]["push"]) == (1, 2)


def test_a_record_is_unpublished_after_a_yes(mirror: Lured) -> None:
    at(mirror, "unpublish", f"{FIRST}.json", code=2)
    assert (names(mirror), mirror.records()) == (["first.json"], {FIRST})
    found = read(mirror, "unpublish", f"{FIRST}.json", "--yes")
    assert found["unpublished"] == [{"path": FIRST, "draft": f"{NOTE}/first.draft.json"}]
    assert found["deleted"] == 1
    assert (names(mirror), mirror.records()) == (["first.draft.json"], set())
    at(mirror, "unpublish", FIRST, "--yes", code=1)
    at(mirror, "publish", FIRST)
    assert (names(mirror), mirror.records()) == (["first.json"], {FIRST})


def test_a_record_that_is_a_draft_already_is_named_as_one_and_no_other_is_proposed(
    mirror: Lured,
) -> None:
    for key in ("a", "b"):
        (mirror.root / NOTE / f"{key}.json").write_text('{"text": "record"}', encoding="utf-8")
    at(mirror, "sync")
    at(mirror, "unpublish", f"{NOTE}/a", "--yes")
    for words in (("unpublish", f"{NOTE}/a", "--yes"), ("diff", f"{NOTE}/a")):
        assert at(mirror, *words, code=1).splitlines()[-1] == f"syncd publish {NOTE}/a"
    assert f"{NOTE}/b" not in at(mirror, "unpublish", f"{NOTE}/c", "--yes", code=1)


def test_of_a_draft_in_another_case_the_one_that_is_there_is_named(mirror: Lured) -> None:
    drop(mirror, "idea.draft.json")
    hint = at(mirror, "publish", f"{NOTE}/Idea.draft.json", code=1).splitlines()[-1]
    assert f"{NOTE}/idea.draft.json" in hint
    assert at(mirror, "publish", f"{NOTE}/other", code=1).splitlines()[-1] == "syncd status"


def test_new_prints_the_path_of_a_draft_and_nothing_else(mirror: Lured) -> None:
    printed = at(mirror, "new", NOTE)
    draft = printed.removesuffix("\n")
    assert parse_tid(drafted_name(draft.partition("/")[2]))
    assert json.loads((mirror.root / draft).read_text())["$type"] == NOTE
    found = read(mirror, "new", NOTE)
    assert found["file"] == f"{found['path']}.draft.json"
    assert (mirror.root / found["file"]).is_file()
    assert mirror.sync().exit_code == 0
    assert mirror.records() == {FIRST}


def test_new_publishes_at_once_where_it_is_asked_to(mirror: Lured) -> None:
    source = mirror.home / "source.json"
    source.write_text('{"text": "from a file"}')
    found = read(mirror, "new", NOTE, str(source), "--publish")
    (published,) = found["published"]
    assert (found["pushed"], mirror.records()) == (1, {FIRST, published["path"]})
    file = mirror.root / f"{published['path']}.json"
    assert json.loads(file.read_text())["text"] == "from a file"


WRITES = """sh -c 'echo "{\\"text\\": \\"typed\\"}" > "$0"'"""


def test_without_a_terminal_an_edited_draft_stays_a_draft(
    mirror: Lured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for editor, code in ((WRITES, 0), ("false", 1), ("no-such-editor", 78)):
        monkeypatch.setenv("VISUAL", editor)
        at(mirror, "new", NOTE, "--edit", code=code)
    assert len(names(mirror)) == 4
    assert mirror.records() == {FIRST}


@pytest.mark.parametrize(("answer", "is_published"), [("y", True), ("", False)])
def test_on_a_terminal_new_asks_after_the_edit(
    mirror: Lured, monkeypatch: pytest.MonkeyPatch, answer: str, is_published: bool
) -> None:
    monkeypatch.setenv("VISUAL", WRITES)
    ran = answered(mirror, answer, "new", NOTE, "--edit")
    assert ran.returncode == 0, ran.stderr
    assert (len(mirror.records()) == 2) == is_published
    (other,) = (mirror.root / NOTE / name for name in names(mirror) if name != "first.json")
    assert json.loads(other.read_text())["text"] == "typed"


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130)])
def test_on_a_terminal_unpublish_asks_first(mirror: Lured, answer: str, code: int) -> None:
    ran = answered(mirror, answer, "unpublish", FIRST)
    assert ran.returncode == code, ran.stderr
    assert FIRST in ran.stderr
    assert (FIRST in mirror.records()) == (answer == "n")


def answered(mirror: Lured, answer: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own whose stdin is a terminal with `answer` typed."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        command = [*warm.SYNCD, "-C", str(mirror.root), *arguments]
        return warm.run(command, seconds=300, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_first_start_of_this_version_renames_before_it_looks(mirror: Lured) -> None:
    drafty = f"{NOTE}/x.draft"
    mirror.write_remotely("x.draft")
    assert mirror.sync().exit_code == 0
    right = mirror.root / NOTE / "x%2edraft.json"
    right.rename(mirror.root / NOTE / "x.draft.json").write_text('{"text": "while it was down"}')
    with open_state(mirror.root / ".syncd" / "state.db") as state:
        state.forget(Overtaken)
    found = read(mirror, "sync")
    assert (found["deleted"], found["pushed"], found["problems"]) == (0, 1, [])
    assert (names(mirror), mirror.records()) == (["first.json", right.name], {FIRST, drafty})
    drop(mirror, "x.draft.json")
    right.unlink()
    found = read(mirror, "sync", code=3)
    assert [problem["path"] for problem in found["problems"]] == [drafty], "only the first start"
    assert mirror.records() == {FIRST, drafty}


# --- What waits by a setting ------------------------------------------------------------------


@pytest.fixture
def asking(mirror: Lured) -> Lured:
    file = mirror.root / "syncd.toml"
    file.write_text(file.read_text() + '\n[push]\nwhen = "ask"\n')
    return mirror


def test_what_waits_is_listed_and_costs_no_exit_code(asking: Lured) -> None:
    drop(asking, "second.json")
    expected = [
        {
            "path": f"{NOTE}/second",
            "kind": "creation",
            "reason": "created in the folder: waits for syncd publish",
        }
    ]
    assert read(asking, "status")["waiting"] == expected
    assert read(asking, "sync")["waiting"] == expected
    assert read(asking, "status")["waiting"] == expected
    assert read(asking, "status")["pending"]["push"] == 0
    assert f"{NOTE}/second" in at(asking, "status")
    assert "1 change not pushed yet" in at(asking, "sync")
    assert f"+++ folder/{NOTE}/second" in at(asking, "diff")
    assert asking.records() == {FIRST}


def test_all_publishes_what_waits_and_no_draft_and_drafts_no_more_than_drafts(
    asking: Lured,
) -> None:
    drop(asking, "second.json")
    drop(asking, "third.draft.json")
    drop(asking, "fourth.json")
    found = read(asking, "publish", f"{NOTE}/fourth.json")
    assert found["published"] == [{"path": f"{NOTE}/fourth"}]
    assert asking.records() == {FIRST, f"{NOTE}/fourth"}
    found = read(asking, "publish", "--drafts", "--yes")
    assert found["waiting"][0]["path"] == f"{NOTE}/second"
    assert asking.records() == {FIRST, f"{NOTE}/fourth", f"{NOTE}/third"}
    drop(asking, "fifth.draft.json")
    assert read(asking, "publish", "--all")["waiting"] == []
    assert asking.records() == {FIRST, *(f"{NOTE}/{n}" for n in ("second", "third", "fourth"))}


def test_what_is_unpublished_and_what_is_restored_does_not_wait(asking: Lured) -> None:
    at(asking, "unpublish", FIRST, "--yes")
    assert asking.records() == set()
    at(asking, "restore", FIRST)
    at(asking, "sync")
    assert asking.records() == {FIRST}


def test_a_name_at_which_nothing_waits_publishes_nothing_else(asking: Lured) -> None:
    drop(asking, "second.json")
    at(asking, "publish", f"{NOTE}/second", f"{NOTE}/none", code=1)
    at(asking, "publish", "--all", f"{NOTE}/second", code=2)
    at(asking, "sync")
    assert asking.records() == {FIRST}


def outcome(report: Report, acted_on: list[RecordPath], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(Exit):
        say_outcome(report, as_json=False, acted_on=acted_on)
    return capsys.readouterr().out


def test_what_a_daemon_sent_before_it_was_asked_is_not_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sent, waits = RecordPath(f"{NOTE}/sent"), RecordPath(f"{NOTE}/waits")
    assert f"{sent}, before this sync" in outcome(Report(), [sent], capsys)
    assert "before this sync" not in outcome(Report(pushed=(sent,)), [sent], capsys)
    problem = Report(problems=(Problem(waits, "it is no JSON"),))
    assert f"{waits}, by" not in outcome(problem, [waits], capsys)
    later = Report(unsent=(waits,))
    assert f"{waits}, by" not in outcome(later, [waits], capsys)
    assert f"{sent}, by" not in outcome(Report(halted=Unreachable("down")), [sent], capsys)
