"""All mirrors of a user in one table: found wherever they are named, a broken one is one row."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from syncd.cli import cli
from syncd.cli.commands.service import escape
from syncd.errors import ConfigWrong, FolderWrong
from syncd.mirror.every.find import find_mirrors, unescape
from syncd.mirror.every.overview import look_at_all
from syncd.model import Conflict, Memory, Problem, RecordPath
from syncd.state import open_state
from tests.rigs.mirrors import make_mirror

ONE = RecordPath("com.example.note/one")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with two mirrors in a list; a person stands elsewhere."""
    for name in ("XDG_CONFIG_HOME", "SYNCD_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    make_mirror(tmp_path / "alice")
    make_mirror(tmp_path / "bob")
    listed = tmp_path / ".config" / "syncd" / "mirrors.toml"
    listed.parent.mkdir(parents=True)
    listed.write_text('mirrors = ["~/alice", "~/bob"]', encoding="utf-8")
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    return tmp_path


def status(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["status", *arguments])


def rows(home: Path, *arguments: str) -> dict[str, Any]:
    """Return each row by the name of its folder. Other tests of this machine may run daemons."""
    found = json.loads(status("--json", *arguments).stdout)["mirrors"]
    mirrors = {Path(mirror["folder"]): mirror for mirror in found}
    return {at.name: row for at, row in mirrors.items() if at.is_relative_to(home.resolve())}


def environ(home: Path, **more: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(home / ".config"), **more}


def test_outside_of_a_mirror_all_are_shown_and_inside_it_is_shown_alone(home: Path) -> None:
    found = rows(home)
    assert found.keys() == {"alice", "bob"}
    assert all(row["error"] is None and row["status"]["records"] == 0 for row in found.values())
    assert found["alice"]["sources"] == ["list"]
    inside = CliRunner().invoke(cli, ["-C", str(home / "alice"), "status", "--json"])
    assert json.loads(inside.stdout)["folder"] == str(home / "alice")
    text = status().stdout
    assert str(home / "bob") in text or "~/bob" in text


def test_what_is_no_mirror_and_is_named_is_an_error_as_before(home: Path) -> None:
    named = CliRunner().invoke(cli, ["-C", str(home / "away"), "status"])
    assert isinstance(named.exception, FolderWrong)
    (home / "away" / "syncd.toml").touch()
    assert isinstance(status().exception, FolderWrong)
    assert status("--all", "--ignored").exit_code == 2


def test_who_has_no_mirror_at_all_learns_that(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.mirror.every.find._running", lambda _: [])
    (home / ".config" / "syncd" / "mirrors.toml").unlink()
    ran = status()
    assert isinstance(ran.exception, FolderWrong)
    assert ran.exception.exit_code == 78


def test_a_broken_mirror_is_a_row_with_its_cause_and_the_others_are_shown(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(home / "bob")
    (home / "alice" / "syncd.toml").write_text("[", encoding="utf-8")
    make_mirror(home / "carol")
    monkeypatch.setenv("SYNCD_CONFIG", str(home / "list.toml"))
    (home / "list.toml").write_text('mirrors = ["alice", "bob", "carol"]', encoding="utf-8")
    found = rows(home)
    assert [found[name]["status"] is None for name in ("alice", "bob", "carol")] == [
        True,
        True,
        False,
    ]
    assert found["bob"]["error"]["message"]
    ran = status()
    assert ran.exit_code == 3
    assert found["alice"]["error"]["message"] in ran.stdout


def test_a_list_that_cannot_be_read_is_a_row_too(home: Path) -> None:
    file = home / "list.toml"
    for text in (None, "mirrors = 3", "["):
        if text is not None:
            file.write_text(text, encoding="utf-8")
        (known,) = find_mirrors(environ(home, SYNCD_CONFIG=str(file)), processes=home / "no")
        assert (known.folder, known.sources) == (file, ("list",))
        assert isinstance(known.error, ConfigWrong)
        (glance,) = look_at_all([known])
        assert glance.needs_a_person


def test_what_waits_in_one_of_them_is_said_and_ends_with_3(home: Path) -> None:
    with open_state(home / "bob" / ".syncd" / "state.db") as state:
        state.record(Memory(waiting={ONE: (Conflict(ONE, None, None, None, "both"),)}))
    ran = status()
    assert ran.exit_code == 3
    assert "1 conflict" in ran.stdout
    assert rows(home)["bob"]["status"]["needs_a_person"]


def test_units_and_running_processes_name_mirrors_and_each_is_named_once(home: Path) -> None:
    make_mirror(home / "deep" / "in-side")
    units = home / ".config" / "systemd" / "user"
    wants = units / "default.target.wants"
    wants.mkdir(parents=True)
    apart = f"syncd-user@{escape(str(home / 'deep' / 'in-side'))}.service"
    for name in ("syncd-user@alice.service", apart, "other@bob.service"):
        (wants / name).touch()
    (units / f"{apart}.d").mkdir()
    descriptors = home / "proc" / "123" / "fd"
    descriptors.mkdir(parents=True)
    (descriptors / "4").symlink_to(home / "bob" / ".syncd" / "lock")
    (descriptors / "5").symlink_to(home / "gone" / ".syncd" / "lock (deleted)")
    found = find_mirrors(environ(home), home / "alice", home / "proc")
    assert {known.folder.name: known.sources for known in found} == {
        "alice": ("here", "list", "unit"),
        "bob": ("list", "running"),
        "in-side": ("unit",),
    }


@pytest.mark.parametrize("path", ["/srv/bob", "/a-b/c d", "/.x/ü%\\", "/x/.y"])
def test_the_name_of_a_unit_is_read_back(path: str) -> None:
    assert unescape(escape(path)) == path


def test_names_of_any_script_stand_in_their_columns(home: Path) -> None:
    """A letter of Japanese takes two columns."""
    for name in ("日本の記録", "フォト"):
        make_mirror(home / name)
    listed = home / ".config" / "syncd" / "mirrors.toml"
    listed.write_text('mirrors = ["~/alice", "~/日本の記録", "~/フォト"]', encoding="utf-8")
    lines = [line for line in status().stdout.splitlines() if "did:plc" in line]
    wide = [sum(map(is_wide, line.partition("did:plc")[0])) for line in lines]
    begins = [line.index("did:plc") + extra for line, extra in zip(lines, wide, strict=True)]
    assert set(wide) >= {0, 5, 3}
    assert len(set(begins)) == 1


def is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def test_the_columns_stay_below_their_heads_whatever_a_folder_is_called(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncd.mirror.every.find._running", lambda _: [])
    make_mirror(home / os.fsdecode(b"carol\xff\x1b"))
    listed = home / ".config/syncd/mirrors.toml"
    listed.write_text('mirrors = ["~/bob"]', encoding="utf-8")
    odd = home / os.fsdecode(b"carol\xff\x1b")
    lines = CliRunner().invoke(cli, ["-C", str(odd), "status", "--all"]).stdout.splitlines()
    at = lines[0].index("daemon")
    ours = [line for line in lines if "bob" in line or "carol" in line]
    assert len(ours) == 2
    assert {line[at:].partition("  ")[0] for line in ours} == {"not running"}


def test_a_file_that_syncd_cannot_take_is_not_said_to_be_a_record(home: Path) -> None:
    words = ["-C", str(home / "alice"), "status", "--ignored"]
    assert "every file is a record" in CliRunner().invoke(cli, words).stdout
    problem = Problem("com.example.note/a b.json", "no record key", "rename it")
    with open_state(home / "alice/.syncd/state.db") as state:
        state.record(Memory(waiting={problem.path: (problem,)}))
    assert "every file is a record" not in CliRunner().invoke(cli, words).stdout
