"""The last line of a publication: what of the commit is in the repo now."""

from __future__ import annotations

import pytest

from syncd.atproto.syntax import Did
from syncd.cli.screen.published import say_published
from syncd.config import Config
from syncd.mirror.branch.publication import Published
from syncd.mirror.branch.standing import Since
from syncd.model import Conflict, Held, Problem, RecordPath, Report, Side

ONE, TWO = (RecordPath(f"com.example.note/{name}") for name in ("one", "two"))
COMMIT = "0123456789abcdef"
SETTLED = Report(pushed=(ONE,))
OPEN = [
    Report(pushed=(ONE,), conflicts=(Conflict(TWO, None, None, None, "both edited it"),)),
    Report(pushed=(ONE,), problems=(Problem(TWO, "no JSON", "fix it"),)),
    Report(pushed=(ONE,), held=(Held(TWO, Side.LOCAL, "many"),)),
    Report(pushed=(ONE,), unsent=(TWO,)),
]


def last_line(report: Report, capsys: pytest.CaptureFixture[str], *, has_moved: bool) -> str:
    did = Did("did:plc:ewvi7nxzyoun6zhxrhs64oiz")
    say_published(Published(report, Config(did), COMMIT, Since(None, None), has_moved=has_moved))
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("report", OPEN)
def test_a_commit_of_which_something_waits_is_not_said_to_be_published(
    report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = last_line(SETTLED, capsys, has_moved=True).partition("; ")[2]
    assert COMMIT[:10] in whole
    said = last_line(report, capsys, has_moved=True)
    assert COMMIT[:10] in said
    assert whole not in said.split("; ")


@pytest.mark.parametrize("report", [SETTLED, *OPEN])
def test_where_the_mark_did_not_move_no_commit_is_named(
    report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMIT[:10] not in last_line(report, capsys, has_moved=False)
