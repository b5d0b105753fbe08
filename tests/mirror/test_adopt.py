"""`clone --adopt` publishes nothing before a person agreed: the commands themselves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click import testing

from syncd.cli import cli
from syncd.errors import FolderWrong
from tests.rigs.lured import NOTE, Lured, home  # noqa: F401

PAGES = "www.example.com"


@pytest.fixture
def site(home: Lured) -> Lured:  # noqa: F811
    """A folder of notes and of what is none, before it becomes a mirror."""
    home.log_in("--pds", home.honest.url)
    home.write_remotely("theirs")
    (home.root / PAGES).mkdir(parents=True)
    home.edit()
    (home.root / PAGES / "index.json").write_text("{}")
    return home


def adopt(site: Lured, *flags: str) -> tuple[int, str]:
    ran = site.run("clone", site.did, str(site.root), "--adopt", *flags)
    return ran.exit_code, ran.output


def files(root: Path) -> set[str]:
    return {str(file.relative_to(root)) for file in root.glob("*.*.*/*.json")}


ALL = {f"{NOTE}/theirs.json", f"{NOTE}/mine.json", f"{PAGES}/index.json"}


def test_without_a_terminal_it_shows_what_and_publishes_nothing(site: Lured) -> None:
    code, output = adopt(site)
    assert code == 3
    for words in (f"1 record     {NOTE}", f"1 record     {PAGES}", "syncd approve"):
        assert words in output
    assert site.records() == {f"{NOTE}/theirs"}
    assert files(site.root) == ALL
    # The next sync does not publish it either, nor the same command again.
    assert site.sync().exit_code == 3
    assert adopt(site)[0] not in (0, 3)
    assert site.records() == {f"{NOTE}/theirs"}


def test_with_yes_it_publishes_all(site: Lured) -> None:
    code, output = adopt(site, "--yes", "--json")
    assert (code, json.loads(output)["pushed"]) == (0, 2)
    assert site.records() == {f"{NOTE}/theirs", f"{NOTE}/mine", f"{PAGES}/index"}


def lose(root: Path) -> None:
    (root / ".syncd" / "state.db").unlink()


def cut(root: Path) -> None:
    (root / ".syncd" / "state.db").write_bytes((root / ".syncd" / "state.db").read_bytes()[:4000])


@pytest.mark.parametrize("harm", [lose, cut])
@pytest.mark.parametrize("command", ["status", "sync"])
def test_what_was_declined_stays_declined_when_the_state_file_is_lost(
    site: Lured, harm: Callable[[Path], None], command: str
) -> None:
    adopt(site)
    harm(site.root)
    # Whichever command finds it first: `status` takes no lock, and makes a lost file anew too.
    at = ("-C", str(site.root))
    site.run(*at, command)
    assert site.sync().exit_code == 3
    assert site.records() == {f"{NOTE}/theirs"}
    shown = json.loads(site.run(*at, "status", "--json").output)
    assert "rebuilt" in shown["doubt"]["reason"]
    assert "syncd_doubt{" in site.run(*at, "metrics").output
    assert len(shown["held"]) == 2
    assert site.run(*at, "approve", f"{NOTE}/mine").exit_code == 3
    assert site.records() == {f"{NOTE}/theirs", f"{NOTE}/mine"}
    assert site.run(*at, "approve", "--all").exit_code == 0
    assert json.loads(site.run(*at, "status", "--json").output)["doubt"] is None


@pytest.mark.parametrize("harm", [lose, cut])
def test_a_lost_state_file_is_named_with_what_to_do_next(
    site: Lured, harm: Callable[[Path], None]
) -> None:
    adopt(site)
    harm(site.root)
    said = site.sync().output
    assert "and rebuilt" in said
    assert "syncd approve" in said
    assert "syncd reject" in said


def test_all_of_syncd_s_own_is_lost_and_adopted_again(site: Lured) -> None:
    adopt(site)
    shutil.rmtree(site.root / ".syncd")
    assert isinstance(site.sync().exception, FolderWrong)
    assert adopt(site)[0] == 3
    assert site.sync().exit_code == 3
    assert site.records() == {f"{NOTE}/theirs"}


@pytest.mark.parametrize("agrees", [True, False])
def test_on_a_terminal_a_person_decides(
    site: Lured, agrees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The streams of click's runner, as those of a terminal.
    monkeypatch.setattr(testing._NamedTextIOWrapper, "isatty", lambda _: True, raising=False)
    clone = ["clone", site.did, str(site.root), "--adopt"]
    ran = testing.CliRunner().invoke(cli, clone, input="y\n" if agrees else "\n")
    code = ran.exit_code
    assert "Publish them?" in ran.output
    assert code == (0 if agrees else 3)
    assert (f"{NOTE}/mine" in site.records()) is agrees


def test_a_part_is_approved_by_its_collection_and_the_rest_waits(site: Lured) -> None:
    adopt(site)
    at = ("-C", str(site.root))
    assert site.run(*at, "approve", NOTE).exit_code == 3
    assert site.records() == {f"{NOTE}/theirs", f"{NOTE}/mine"}
    assert site.run(*at, "approve", "--all").exit_code == 0
    assert f"{PAGES}/index" in site.records()
    site.edit("later")
    assert site.sync().exit_code == 0


def test_what_is_ignored_is_not_asked_about(site: Lured) -> None:
    (site.root / ".syncdignore").write_text(f"/{PAGES}/\n")
    code, output = adopt(site)
    assert (code, PAGES in output) == (3, False)


def test_a_folder_with_nothing_new_is_not_asked_about(site: Lured) -> None:
    (site.root / PAGES / "index.json").unlink()
    (site.root / NOTE / "mine.json").rename(site.root / NOTE / "theirs.json")
    (site.root / NOTE / "theirs.json").write_text(json.dumps({"$type": NOTE, "text": "theirs"}))
    assert adopt(site)[0] == 0
    site.edit("later")
    assert site.sync().exit_code == 0
    assert f"{NOTE}/later" in site.records()


def test_yes_alone_is_a_mistake(site: Lured) -> None:
    assert site.run("clone", site.did, str(site.home / "other"), "--yes").exit_code == 2


def test_status_counts_what_is_no_record_and_lists_it(site: Lured) -> None:
    (site.root / ".syncdignore").write_text(f"/{PAGES}/\n")
    adopt(site, "--yes")
    (site.root / "drafts").mkdir()
    (site.root / NOTE / "mine_BASE_12.json").write_text("{}")
    at = ("-C", str(site.root), "status")
    assert "others   3 " in site.ok(*at)
    assert json.loads(site.ok(*at, "--json"))["no_records"] == 3
    listed = json.loads(site.ok(*at, "--ignored", "--json"))["ignored"]
    assert [item["path"] for item in listed] == [
        f"{NOTE}/mine_BASE_12.json",
        "drafts/",
        f"{PAGES}/index.json",
    ]
    assert all(item["reason"] for item in listed)
    assert "git mergetool" in site.ok(*at, "--ignored")


def test_a_read_only_mirror_asks_nobody_and_so_nobody_agreed(site: Lured) -> None:
    adopt(site, "--read-only")
    settings = site.root / "syncd.toml"
    text = settings.read_text()
    assert "read_only = true" in text
    settings.write_text(text.replace("read_only = true", "read_only = false"))
    assert site.sync().exit_code == 3
    assert site.records() == {f"{NOTE}/theirs"}
