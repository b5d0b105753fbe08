"""Every form of git's index, and a patch by mail: what git has unmerged or left out is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.git.repository import find_repository
from syncd.model import RecordPath
from tests.rigs.device import World, rework

from .conftest import Study, make_repo, make_study, meet_git
from .test_unmerged import ONE, TWO, file_of, problems, side_branch, tear, unmerged

FORMS = {
    "version 4": ("update-index", "--index-version", "4"),
    "split": ("update-index", "--split-index"),
    "version 4 and split": ("update-index", "--index-version", "4", "--split-index"),
}
"""What makes git keep its index in another form from then on."""


@pytest.fixture
def study(world: World, tmp_path: Path) -> Study:
    return make_study(world, tmp_path / "git", "sites/my notes/")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("has_git", [True, False])
async def test_an_unmerged_file_waits_whatever_the_form_of_the_index(
    study: Study, form: str, has_git: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = study.device
    device.save(ONE, n=1)
    await device.sync()
    study.repo.git(*FORMS[form])
    index = unmerged(await tear(study, "stash pop"))
    device.save(ONE, n=7)
    device.save(TWO, n=7)
    if not has_git:
        rework(device.mirror, config=replace(device.mirror.config, git_commit=False))
        meet_git(device)
    with monkeypatch.context() as patched:
        if not has_git:
            patched.setenv("PATH", "/nowhere")
        report = await device.sync()
    assert report.pushed == (TWO,)
    assert "unmerged" in problems(report)[ONE]
    assert unmerged(study) == index


@pytest.mark.parametrize("form", FORMS)
async def test_what_a_sparse_checkout_leaves_out_stays_whatever_the_form_of_the_index(
    study: Study, form: str
) -> None:
    for path in (ONE, TWO):
        study.device.save(path, n=1)
    await study.device.sync()
    study.repo.git(*FORMS[form])
    study.repo.git("update-index", "--refresh")
    study.repo.git("sparse-checkout", "set", "--no-cone", "/*", f"!{file_of(study)}")
    assert not study.device.has(ONE)
    study.device.save(TWO, n=2)
    report = await study.device.sync()
    assert report.pushed == (TWO,)
    assert "sparse checkout" in problems(report)[ONE]
    assert ONE in study.world.records()
    assert study.repo.files_of() == [file_of(study, TWO)]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("form", FORMS)
def test_without_git_only_what_is_unmerged_counts_as_that(
    tmp_path: Path, form: str, algorithm: str
) -> None:
    repo = make_repo(tmp_path / "top", algorithm)
    names = ["a/one", "a/one more", "a/two", "b/" + "long" * 40, "b/one", "c", "é/one"]
    for name in names:
        (repo.top / name).parent.mkdir(exist_ok=True)
        (repo.top / name).write_text(name, encoding="utf-8")
    repo.commit_all("Begin")
    repo.git(*FORMS[form])
    found = find_repository(repo.top)
    assert found is not None
    assert [name for name in names if found.may_be_unmerged(name)] == []
    torn = {"a/one": (1, 3), "b/one": (2,), names[3]: (1, 2, 3), "é/one": (3,)}
    blob = repo.git("hash-object", "-w", "c")
    entries = "".join(
        f"100644 {blob} {stage}\t{name}\n" for name, stages in torn.items() for stage in stages
    )
    repo.git("rm", "--cached", "--quiet", *torn)
    repo.feed(entries, "update-index", "--index-info")
    assert {name for name in names if found.may_be_unmerged(name)} == torn.keys()


async def test_a_patch_by_mail_that_ends_in_a_conflict_holds_everything_back(study: Study) -> None:
    device, git = study.device, study.repo.git
    for path in (ONE, TWO):
        device.save(path, n=1)
    await device.sync()
    side_branch(study)
    mail = git("format-patch", "--stdout", "-1", "side")
    (study.repo.top / ".git" / "mail").write_text(f"{mail}\n", encoding="utf-8")
    device.save(ONE, n=3)
    assert (await device.sync()).is_settled
    git("am", "--3way", ".git/mail", code=128)
    assert file_of(study) in unmerged(study)
    index, rev = unmerged(study), study.world.rev()
    device.save(ONE, n=7)
    device.save(TWO, n=7)
    report = await device.sync()
    assert {ONE, TWO} <= problems(report).keys()
    assert (study.world.rev(), unmerged(study)) == (rev, index)
    git("am", "--abort")
    device.save(TWO, n=8)
    assert TWO in (await device.sync()).pushed


PAGE = RecordPath("com.example.page/home")


async def test_a_mirror_inside_a_submodule_has_that_submodule_for_its_git(
    world: World, tmp_path: Path
) -> None:
    origin = make_repo(tmp_path / "origin")
    (origin.top / "README").write_text("about", encoding="utf-8")
    origin.commit_all("Begin")
    outer = make_repo(tmp_path / "outer")
    add = ("submodule", "--quiet", "add", origin.top.as_uri(), "inner")
    outer.git("-c", "protocol.file.allow=always", *add)
    outer.commit_all("With it")
    study = make_study(world, outer.top / "inner", "notes")
    study.device.save(ONE, n=1)
    assert (await study.device.sync()).is_settled
    assert study.repo.files_of() == [file_of(study)]
    assert "M inner" in outer.git("status", "--porcelain")
    await tear(study, "stash pop")
    index = unmerged(study)
    study.device.save(ONE, n=7)
    report = await study.device.sync()
    assert "unmerged" in problems(report)[ONE]
    assert unmerged(study) == index


async def test_a_collection_that_is_a_submodule_keeps_its_records_when_git_empties_it(
    study: Study, tmp_path: Path
) -> None:
    device = study.device
    rework(device.mirror, config=replace(device.mirror.config, git_commit=False))
    meet_git(device)
    origin = make_repo(tmp_path / "origin")
    (origin.top / "one.json").write_text('{"n": 1}', encoding="utf-8")
    origin.commit_all("Begin")
    add = ("submodule", "--quiet", "add", origin.top.as_uri(), f"{study.prefix}com.example.note")
    study.repo.git("-c", "protocol.file.allow=always", *add)
    study.repo.commit_all("With it")
    device.save(PAGE, n=1)
    assert set((await device.sync()).pushed) == {ONE, PAGE}
    study.repo.git("submodule", "--quiet", "deinit", "--force", f"{study.prefix}com.example.note")
    assert not device.has(ONE)
    for _ in range(2):
        report = await device.sync()
        assert ONE in study.world.records()
        assert "submodule" in problems(report)[ONE]
    study.repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    report = await device.sync()
    assert report.is_settled
    # A deletion inside it is one as anywhere else.
    device.file(ONE).unlink()
    await device.sync()
    assert set(study.world.records()) == {PAGE}
