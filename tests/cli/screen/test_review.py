"""A plan as a comment, and as workflow commands: nothing in it is markup or a command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.atproto.syntax import Did
from syncd.cli.screen.planned import Named
from syncd.cli.screen.review import ROWS, markdown, workflow_commands
from syncd.config import Config
from syncd.model import Conflict, Plan, Problem, RecordPath, Report, Step, Verdict

PATH = RecordPath("com.example.note/one")
EVIL = "a`b|c\n::error::x @someone <img src=x> \\| %0A \x1b[31m"


def report_of(reason: str, *problems: Problem) -> Report:
    step = Step(PATH, Verdict.PUSH, None, None, None, reason)
    conflict = Conflict(PATH, None, None, None, reason)
    return Report(conflicts=(conflict,), problems=problems, plan=Plan((step,)))


@pytest.mark.parametrize("reason", ["edited in git", EVIL, "", "`" * 3, "|" * 5, "\\" * 3])
def test_each_row_of_a_table_is_one_line_of_three_cells(reason: str) -> None:
    lines = list(markdown(report_of(reason, Problem(reason, reason, reason)), reason))
    rows = [line for line in lines if line.startswith("| ")][1:]
    assert len(rows) == 3
    for row in rows:
        assert "\n" not in row
        assert len(row.replace("\\|", "").split("|")) == 5
        # Three cells, of which the last two are code spans.
        assert row.count("`") == 4


@pytest.mark.parametrize("letter", ["x", "|", "\\", "\x1b", "\N{GRINNING FACE}"])
def test_a_comment_has_a_bound(letter: str) -> None:
    much = letter * 1_000
    problems = [Problem(f"com.example.note/{n}", much) for n in range(2 * ROWS)]
    report = replace(report_of("edited", *problems), remarks=(much,) * 1_000)
    lines = list(markdown(report, "much"))
    assert len("\n".join(lines)) < 65_000
    rows = [line for line in lines if line.startswith(("| conflict", "| problem"))]
    notes = [line for line in lines if line.startswith("- `")]
    assert 50 < len(rows) <= ROWS
    assert lines[-1].startswith(f"| … | {2 * ROWS + 2 - len(rows)} more |")
    assert f"- {1_000 - len(notes)} more notes" in "\n".join(lines)
    assert len(list(markdown(report_of("edited"), "little"))) == 6


def test_a_workflow_command_is_one_line_and_names_file_line_and_column() -> None:
    problem = Problem(PATH, EVIL, line=3, column=7)
    found = list(workflow_commands(report_of(EVIL, problem), EVIL, [(PATH, "a,b:c/one.json")]))
    assert all(line.startswith(("::error ", "::notice ")) for line in found)
    assert all("\n" not in line and "\r" not in line for line in found)
    (line,) = [line for line in found if "line=3" in line]
    assert line.startswith("::error file=a%2Cb%3Ac/one.json,line=3,col=7,title=")
    assert "%250A" in line


def test_files_are_named_from_the_top_of_git(tmp_path: Path) -> None:
    config = Config(Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz"), filenames="portable")
    named = Named(tmp_path, "sites/", config)
    assert named.file("com.example.note/Aa") == "sites/com.example.note/%41a.json"
    assert named.file("com.example.note/Bad Name.json") == "sites/com.example.note/Bad Name.json"
    assert named.file(".git") is None


def test_the_file_that_is_there_is_named_where_a_record_may_have_several(tmp_path: Path) -> None:
    markdown = (("com.example.note", (("text",),)),)
    config = Config(Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz"), markdown=markdown)
    named = Named(tmp_path, "", config)
    assert named.file(PATH) == "com.example.note/one.md"
    (tmp_path / "com.example.note").mkdir()
    (tmp_path / "com.example.note" / "one.json").write_text("{}")
    assert named.file(PATH) == "com.example.note/one.json"
