"""A mirror whose `.syncd` was removed, as by `git clean -fdx`: what waited there is not let go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.cycle.outside import leave_trace, trace_of
from syncd.model import Conflict, RecordPath, Waiting
from tests.rigs.device import World
from tests.rigs.lured import NOTE, Lured, home, mirror  # noqa: F401

from .conftest import Repo, make_repo

Act = Callable[[Lured], None]


@pytest.fixture
def site(mirror: Lured) -> Lured:  # noqa: F811
    """Three notes, published and committed, with settings that git has too."""
    for name in ("second", "third"):
        mirror.edit(name)
    repo = make_repo(mirror.root)
    mirror.configure(pds=mirror.honest.url)
    set_up(mirror, "[git]", "commit = true")
    repo.commit_all("Begin")
    assert mirror.sync().exit_code == 0
    return mirror


def set_up(site: Lured, *lines: str) -> None:
    with (site.root / "syncd.toml").open("a") as file:
        file.write("\n".join(("", *lines, "")))


def clean(site: Lured) -> None:
    Repo(site.root).git("clean", "-fdxq")
    assert not (site.root / ".syncd").exists()


def remove(site: Lured) -> None:
    shutil.rmtree(site.root / ".syncd")


def commit(site: Lured) -> None:
    Repo(site.root).commit_all("As it is")


def conflict(site: Lured) -> None:
    site.edit("first")
    site.write_remotely("first")


def ask(site: Lured) -> None:
    set_up(site, "[push]", 'when = "ask"')
    commit(site)
    site.edit("first")


def brake(site: Lured) -> None:
    set_up(site, "[brake]", "records = 0", "percent = 0")
    commit(site)
    (site.root / NOTE / "first.json").unlink()


def slip(site: Lured) -> None:
    (site.root / "com.example.notes").mkdir()
    (site.root / "com.example.notes" / "new.json").write_text("{}")


def doubt(site: Lured) -> None:
    (site.root / ".syncd" / "state.db").unlink()
    site.edit("new")


def move(site: Lured) -> None:
    folder = site.root / NOTE
    (folder / "first.json").rename(folder / "first.draft.json")


def versions(site: Lured) -> dict[str, str]:
    return {str(p): str(c) for p, c in site.sandbox.repo(site.did).state.records.items()}


@pytest.mark.parametrize(
    ("act", "remove_it"),
    [
        (conflict, clean),
        (brake, clean),
        (brake, remove),
        (slip, remove),
        (doubt, clean),
        (ask, clean),
        (move, remove),
    ],
)
def test_what_waited_is_neither_pushed_nor_deleted_when_its_state_is_removed(
    site: Lured, act: Act, remove_it: Act
) -> None:
    act(site)
    waits = json.loads(site.run("-C", str(site.root), "sync", "--json").stdout)
    assert any(waits[kind] for kind in ("conflicts", "held", "waiting", "problems"))
    # A person commits what they did, but means no publication by it.
    commit(site)
    set_up(site, "# and the settings change")
    before = versions(site)
    remove_it(site)
    for _ in range(2):
        site.sync()
        assert versions(site) == before
    site.run("-C", str(site.root), "approve", "--all")
    site.run("-C", str(site.root), "resolve", NOTE, "--local")
    site.run("-C", str(site.root), "publish", "--all")
    assert site.sync().exit_code in (0, 3)


@pytest.mark.parametrize("remove_it", [clean, remove])
def test_what_no_commit_has_waits_where_the_state_was_removed(site: Lured, remove_it: Act) -> None:
    site.edit("first")
    Repo(site.root).git("rm", "--quiet", "--cached", f"{NOTE}/second.json")
    before = versions(site)
    remove_it(site)
    assert site.sync().exit_code == 3
    assert versions(site) == before
    site.ok("-C", str(site.root), "approve", "--all")
    assert versions(site).keys() == before.keys()
    assert versions(site) != before
    # Nothing waits any more, so the next removal raises no question.
    set_up(site, "# so that there is something to commit")
    commit(site)
    assert site.sync().exit_code == 0
    remove_it(site)
    assert site.sync().exit_code == 0


def test_a_runner_that_keeps_its_workspace_publishes_commits_without_a_question(
    site: Lured,
) -> None:
    """As CI does: its home stays, and what git does not have goes before each job."""
    before = versions(site)
    site.edit("first")
    (site.root / NOTE / "second.json").unlink()
    commit(site)
    clean(site)
    assert site.sync().exit_code == 0
    assert versions(site).keys() == before.keys() - {f"{NOTE}/second"}
    assert versions(site)[f"{NOTE}/first"] != before[f"{NOTE}/first"]


def test_a_fresh_clone_beside_a_mirror_in_which_something_waits_asks_nothing(
    site: Lured,
) -> None:
    conflict(site)
    assert site.sync().exit_code == 3
    job = site.home / "job"
    repo = Repo(site.root)
    repo.git("clone", "--quiet", site.root, job)
    (job / NOTE / "third.json").write_text('{"text": "by a job"}')
    before = versions(site)
    assert site.run("-C", str(job), "sync").exit_code == 0
    assert versions(site)[f"{NOTE}/third"] != before[f"{NOTE}/third"]


def test_a_trace_that_cannot_be_read_counts_as_one_of_something_that_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    root = tmp_path / "mirror"
    root.mkdir()
    assert trace_of(root) is None
    for waits in (True, False):
        leave_trace(root, waits=waits)
        found = trace_of(root)
        assert found is not None
        assert found.waits is waits
    (file,) = (tmp_path / "state" / "syncd" / "mirrors").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(b"{")
    found = trace_of(root)
    assert found is not None
    assert found.waits


async def test_that_something_waits_is_said_before_the_state_file_has_it(world: World) -> None:
    device, one = world.device(), RecordPath(f"{NOTE}/one")
    said: list[tuple[bool, list[Waiting]]] = []
    state = device.mirror.state
    device.mirror.on_waiting = lambda waits: said.append((waits, list(state.waiting())))
    await world.write(one, n=1)
    device.save(one, n=2)
    await device.sync()
    assert (True, []) in said
    last_waits, (item,) = said[-1]
    assert last_waits
    assert isinstance(item, Conflict)
    device.save(one, n=1)
    await device.sync()
    assert said[-1] == (False, [])
    assert [waits for waits, items in said if items] == [True] * sum(bool(i) for _, i in said)
