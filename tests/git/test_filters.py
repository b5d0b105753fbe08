"""Filters of git that change a file on its way into a commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rigs.device import World

from .conftest import Study, make_study

ONE, TWO = "com.example.note/one", "com.example.note/two"


@pytest.fixture
def study(world: World, tmp_path: Path) -> Study:
    return make_study(world, tmp_path / "git", "my notes/")


def attributes(study: Study, words: str) -> None:
    (study.repo.top / ".gitattributes").write_text(f"one.json {words}\n", encoding="utf-8")
    study.repo.commit_all("Attributes")


def redact(study: Study) -> None:
    study.repo.git("config", "filter.redact.clean", "sed 's/\\$Id: secret\\$/none/'")
    attributes(study, "filter=redact")


def empty(study: Study) -> None:
    study.repo.git("config", "filter.empty.clean", "true")
    attributes(study, "filter=empty")


OTHERWISE: dict[str, Callable[[Study], None]] = {
    "a filter": redact,
    "a filter that takes all": empty,
    "ident": lambda study: attributes(study, "ident"),
    "working-tree-encoding": lambda s: attributes(s, "working-tree-encoding=ISO-8859-1"),
}


@pytest.mark.parametrize("how", OTHERWISE)
async def test_a_record_that_git_would_store_as_another_is_not_committed_and_told(
    study: Study, how: str
) -> None:
    await study.world.write(ONE, text="one")
    await study.device.sync()
    OTHERWISE[how](study)
    study.device.save(ONE, text="$Id: secret$ ö")
    study.device.save_text(ONE, study.device.file(ONE).read_text().replace("\\u00f6", "ö"))
    study.device.save(TWO, text="two")
    report = await study.device.sync()
    assert [problem.path for problem in report.problems] == [".git"]
    assert ONE in report.problems[0].reason
    assert study.repo.files_of() == [f"my notes/{TWO}.json"]
    tip = study.repo.git("rev-parse", "HEAD")
    report = await study.device.sync()
    assert [problem.path for problem in report.problems] == [".git"]
    assert study.repo.git("rev-parse", "HEAD") == tip
    (study.repo.top / ".gitattributes").write_text("", encoding="utf-8")
    assert (await study.device.sync()).is_settled
    assert json.loads(study.repo.git("show", f"HEAD:my notes/{ONE}.json"))["text"].startswith("$Id")


async def test_a_file_that_git_keeps_encrypted_is_committed(study: Study) -> None:
    """As git-crypt and git-lfs do: what is checked out is the record again."""
    study.repo.git("config", "filter.crypt.clean", "base64")
    study.repo.git("config", "filter.crypt.smudge", "base64 --decode")
    attributes(study, "filter=crypt")
    study.device.save(ONE, text="one")
    assert (await study.device.sync()).is_settled
    assert study.repo.files_of() == [f"my notes/{ONE}.json"]
    assert "{" not in study.repo.git("show", f"HEAD:my notes/{ONE}.json")
    tip = study.repo.git("rev-parse", "HEAD")
    assert (await study.device.sync()).is_settled
    assert study.repo.git("rev-parse", "HEAD") == tip
