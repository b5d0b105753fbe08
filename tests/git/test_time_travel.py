"""`syncd log` and `syncd restore` where git keeps what a PDS forgets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncd.atproto.data import cid_of
from syncd.config import render_config
from tests.rigs.device import World
from tests.rigs.machine import Machine

from .conftest import Study, make_repo, with_git

ONE = "com.example.note/one"


@pytest.fixture
async def study(world: World, tmp_path: Path) -> Study:
    """Three versions of a record, each with its commit; no history of syncd's own."""
    device = with_git(world, tmp_path / "git" / "notes")
    repo = make_repo(tmp_path / "git")
    settings = render_config(device.mirror.config)
    (device.root / "syncd.toml").write_text(settings, encoding="utf-8")
    for n in range(3):
        await world.write(ONE, n=n)
        await device.sync()
    (device.root / ".syncd" / "history.db").unlink()
    device.mirror.state.close()
    return Study(world, device, repo)


@pytest.fixture
def machine(tmp_path: Path, own_git: Path) -> Machine:
    return Machine(tmp_path / "home", {"GIT_CONFIG_GLOBAL": str(own_git)})


def versions(study: Study, machine: Machine) -> list[dict[str, str]]:
    return [event for event in story(study, machine) if event["how"] == "committed"]


def story(study: Study, machine: Machine, *paths: str) -> list[dict[str, str]]:
    ran = machine.ok("log", *(paths or [ONE]), "--json", at=study.device.root)
    return [json.loads(line) for line in ran.out.splitlines()]


def test_log_knows_the_git_commits_of_a_record(study: Study, machine: Machine) -> None:
    study.device.file(ONE).unlink()
    study.repo.commit_all("Take it away")
    found = versions(study, machine)
    assert [version["subject"] for version in found] == ["Take it away", *[f"Pulled {ONE}"] * 3]
    commits = study.repo.git("log", "--format=%H").splitlines()
    assert [version["commit"] for version in found] == commits
    assert found[0]["after"] is None
    assert found[1]["after"] == str(study.world.records()[next(iter(study.world.records()))])
    assert len({version["after"] for version in found}) == 4
    text = machine.ok("log", ONE, at=study.device.root).out.splitlines()
    gone = next(line for line in text if "deleted in git" in line)
    assert f"({commits[0][:10]} Alice: Take it away)" in gone
    assert sum("committed to git" in line for line in text) == 3
    assert len(machine.ok("log", ONE, "-n", "2", at=study.device.root).out.splitlines()) == 2


def test_log_of_many_records_or_outside_git_is_syncd_s_own(study: Study, machine: Machine) -> None:
    for path in ("com.example.*/*", "."):
        found = story(study, machine, path)
        assert {(event["how"], event["commit"] is None) for event in found} == {("pulled", False)}
    (study.repo.top / ".git").rename(study.repo.top / "no-git")
    assert versions(study, machine) == []


def test_restore_finds_a_version_in_git(study: Study, machine: Machine) -> None:
    oldest = versions(study, machine)[-1]
    ran = machine.ok("restore", ONE, "--cid", oldest["after"], at=study.device.root)
    assert f"as it was in git commit {oldest['commit'][:10]}" in ran.out
    assert study.device.read(ONE)["n"] == 0
    back = [event["reason"] for event in story(study, machine) if event["how"] is None]
    assert back == ["restored"]


def test_restore_finds_a_version_that_only_another_branch_has(
    study: Study, machine: Machine
) -> None:
    study.repo.git("switch", "--quiet", "--create", "idea")
    study.device.save(ONE, n=99)
    study.repo.git("commit", "--quiet", "--all", "--message", "An idea")
    cid = versions(study, machine)[0]["after"]
    study.repo.git("switch", "--quiet", "main")
    study.repo.git("rm", "--quiet", study.device.file(ONE))
    machine.ok("restore", ONE, "--cid", cid[-10:], at=study.device.root)
    assert study.device.read(ONE)["n"] == 99


def test_restore_finds_what_was_stashed_before_and_what_was_amended(
    study: Study, machine: Machine
) -> None:
    cids: list[str] = []
    for n in (10, 11):
        study.device.save(ONE, n=n)
        cids.append(str(cid_of({"$type": "com.example.note", "n": n})))
        study.repo.git("stash")
    study.device.save(ONE, n=12)
    study.repo.commit_all("To be amended")
    cids.append(str(cid_of({"$type": "com.example.note", "n": 12})))
    study.device.save(ONE, n=13)
    study.repo.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    for n, cid in enumerate(cids, start=10):
        machine.ok("restore", ONE, "--cid", cid, at=study.device.root)
        assert study.device.read(ONE)["n"] == n


def test_a_version_that_is_nowhere_is_not_found(study: Study, machine: Machine) -> None:
    ran = machine.run("restore", ONE, "--cid", "aaaaaaaaaa", at=study.device.root)
    assert ran.code == 1
    assert "there is no superseded version" in ran.err
    ran = machine.run("restore", ONE, "--cid", "", at=study.device.root)
    assert ran.code == 2
    assert json.loads(study.device.file(ONE).read_text(encoding="utf-8"))["n"] == 2


@pytest.mark.parametrize("which", [("--cid",), ()])
def test_a_dry_run_names_the_version_that_would_come_and_writes_nothing(
    study: Study, machine: Machine, which: tuple[str, ...]
) -> None:
    root = study.device.root
    study.device.file(ONE).write_text("{")
    cid = str(cid_of({"$type": "com.example.note", "n": 0 if which else 2}))
    words = (*which, cid[-10:]) if which else ()
    ran = machine.ok("restore", ONE, *words, "--dry-run", "--json", at=root)
    assert json.loads(ran.out)["restore"] == [{"path": ONE, "cid": cid}]
    assert study.device.file(ONE).read_text() == "{"
    machine.ok("restore", ONE, *words, at=root)
    assert json.loads(study.device.file(ONE).read_text())["n"] == (0 if which else 2)
