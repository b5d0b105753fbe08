"""Publishing by git on the reference PDS, as a CI job does it: from a fresh clone each time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.atproto.data import Record, cid_of
from tests.editors.test_formatters import run_prettier
from tests.rigs.home import Home
from tests.rigs.machine import Machine, save

ONE, TWO, NEW = (f"com.example.note/{name}" for name in ("one", "two", "new"))


@pytest.fixture
def machine(home: Home) -> Machine:
    laptop = home.machine()
    config = laptop.home / ".gitconfig"  # where git before 2.32 looks too
    config.write_text(
        "[user]\n\tname = Alice\n\temail = a@example.com\n[init]\n\tdefaultBranch = main\n",
        encoding="utf-8",
    )
    return replace(laptop, environ={"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"})


def git(machine: Machine, at: Path, *words: str) -> str:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    done = subprocess.run(
        ["git", *words],
        cwd=at,
        env={**environ, **machine.environment()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.strip()


def job(home: Home, machine: Machine, name: str, *, password: bool = True) -> Path:
    """What a CI has: a fresh clone, a home with an identity for git, and maybe the password."""
    git(machine, home.tmp_path, "clone", "--quiet", "site.git", name)
    secret = machine.home / "secret"
    secret.touch(mode=0o600)
    secret.write_text(home.account.password, encoding="utf-8")
    given = {"SYNCD_PASSWORD_FILE": str(secret), "SYNCD_PDS": home.pds.url}
    environ = given if password else {}
    runner = Machine(home.tmp_path / f"home-of-{name}", {**machine.environ, **environ})
    shutil.copy(machine.home / ".gitconfig", runner.home)
    found = runner.ok("sync", "--json", at=home.tmp_path / name).json
    assert (found["conflicts"], found["problems"], found["held"]) == ([], [], [])
    (home.tmp_path / f"{name}.requests").write_text(str(found["requests"]), encoding="utf-8")
    return home.tmp_path / name


def test_a_merged_pull_request_is_published_from_a_fresh_clone_and_only_once(
    home: Home, machine: Machine
) -> None:
    home.write(ONE, text="one")
    home.write(TWO, text="two")
    site = home.clone(machine)
    settings = site / "syncd.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f'{text}\n[git]\ncommit = true\npush = "origin"\n', encoding="utf-8")
    git(machine, home.tmp_path, "init", "--quiet", "--bare", "site.git")
    git(machine, site, "init", "--quiet")
    git(machine, site, "remote", "add", "origin", str(home.tmp_path / "site.git"))
    git(machine, site, "add", "syncd.toml")
    git(machine, site, "commit", "--quiet", "--message", "Settings")
    machine.ok("sync", at=site)
    git(machine, home.tmp_path, "clone", "--quiet", "site.git", "colleague")
    colleague = home.tmp_path / "colleague"
    save(colleague, ONE, text="edited")
    save(colleague, NEW, text="new")
    (colleague / f"{TWO}.json").unlink()
    git(machine, colleague, "add", "--all")
    git(machine, colleague, "commit", "--quiet", "--message", "A pull request")
    git(machine, colleague, "push", "--quiet")

    first = job(home, machine, "first")
    assert home.records().keys() == {ONE, NEW}
    assert git(machine, first, "log", "-1", "--format=%s") == f"Published at rev {home.rev()}"
    commits, rev, tip = len(home.history()), home.rev(), git(machine, first, "rev-parse", "HEAD")

    second = job(home, machine, "second", password=False)
    assert (len(home.history()), home.rev()) == (commits, rev)
    assert (home.tmp_path / "second.requests").read_text(encoding="utf-8") == "2"
    assert git(machine, second, "rev-parse", "HEAD") == tip
    assert git(machine, home.tmp_path / "site.git", "rev-parse", "main") == tip


def published_site(home: Home, machine: Machine, more: str = "") -> tuple[Path, Path]:
    """The clone of the person who writes a site that a CI publishes, and its remote; both empty."""
    site, bare = home.tmp_path / "site", home.tmp_path / "site.git"
    site.mkdir()
    settings = f'[mirror]\ndid = "{home.account.did}"\nmode = "publish"\n'
    settings += f'pds = "{home.pds.url}"\nplc = "{home.pds.plc_url}"\n{more}'
    (site / "syncd.toml").write_text(settings, encoding="utf-8")
    git(machine, home.tmp_path, "init", "--quiet", "--bare", "site.git")
    git(machine, site, "init", "--quiet")
    git(machine, site, "remote", "add", "origin", str(bare))
    return site, bare


def test_two_jobs_that_publish_at_the_same_moment_write_each_record_once(
    home: Home, machine: Machine
) -> None:
    site, bare = published_site(home, machine)
    given = {"SYNCD_PASSWORD": home.account.password, "SYNCD_PDS": home.pds.url}

    def job(name: str, *words: str) -> Callable[[], Any]:
        git(machine, home.tmp_path, "clone", "--quiet", *words, bare.as_uri(), name)
        runner = Machine(home.tmp_path / f"home-of-{name}", {**machine.environ, **given})
        return lambda: runner.run("sync", "--json", at=home.tmp_path / name)

    for turn in range(2):
        for number in range(30):
            save(site, f"com.example.note/n{number + turn}", text=str(number * (turn + 1)))
        (site / f"com.example.note/n{turn}.json").unlink()
        git(machine, site, "add", "--all")
        git(machine, site, "commit", "--quiet", "--message", "A change")
        git(machine, site, "push", "--quiet", "origin", "main")
        before = home.records()
        jobs = [job(f"full-{turn}"), job(f"shallow-{turn}", "--depth=1")]
        with ThreadPoolExecutor(2) as pool:
            ran = list(pool.map(lambda run: run(), jobs))
        assert [each.code for each in ran] == [0, 0], ran
        after = home.records()
        changed = {path for path in before | after if before.get(path) != after.get(path)}
        assert sum(each.json["pushed"] for each in ran) == len(changed)
        assert {f"{path}.json" for path in after} == {
            str(file.relative_to(site)) for file in site.glob("*/*.json")
        }
        tip = git(machine, bare, "rev-parse", "main")
        assert git(machine, bare, "rev-parse", "refs/syncd/published") == tip


@pytest.mark.parametrize("clone", ["", "--depth=1", "--filter=blob:none"], ids=repr)
def test_a_branch_is_published_one_way_and_what_others_wrote_stays(
    home: Home, machine: Machine, clone: str
) -> None:
    home.write(ONE, text="one")
    site, bare = home.tmp_path / "site", home.tmp_path / "site.git"
    site.mkdir()
    settings = f'[mirror]\ndid = "{home.account.did}"\nmode = "publish"\n'
    settings += f'pds = "{home.pds.url}"\nplc = "{home.pds.plc_url}"\n'
    (site / "syncd.toml").write_text(settings, encoding="utf-8")
    for path, text in ((ONE, "one"), (TWO, "two")):
        save(site, path, text=text)
    git(machine, home.tmp_path, "init", "--quiet", "--bare", "site.git")
    git(machine, bare, "config", "uploadpack.allowFilter", "true")
    git(machine, site, "init", "--quiet")
    git(machine, site, "remote", "add", "origin", str(bare))

    def publish(name: str, code: int = 0) -> dict[str, Any]:
        git(machine, site, "add", "--all")
        git(machine, site, "commit", "--quiet", "--message", name)
        git(machine, site, "push", "--quiet", "origin", "main")
        words = (clone,) if clone else ()
        git(machine, home.tmp_path, "clone", "--quiet", *words, bare.as_uri(), name)
        given = {"SYNCD_PASSWORD": home.account.password, "SYNCD_PDS": home.pds.url}
        runner = Machine(home.tmp_path / f"home-of-{name}", {**machine.environ, **given})
        ran = runner.run("sync", "--json", at=home.tmp_path / name)
        assert ran.code == code, ran
        found: dict[str, Any] = ran.json
        return found

    publish("first")
    assert home.records().keys() == {ONE, TWO}
    home.write(ONE, text="foreign")
    home.write(NEW, text="foreign")
    theirs = home.records()
    save(site, ONE, text="edited")
    (site / f"{TWO}.json").unlink()
    second = publish("second", code=3)
    assert [conflict["path"] for conflict in second["conflicts"]] == [ONE]
    assert [item["path"] for item in second["foreign"]] == [NEW]
    assert home.records() == {path: cid for path, cid in theirs.items() if path != TWO}
    kept = list((home.tmp_path / "second" / "syncd-kept" / "conflicts").rglob("*.json"))
    assert [file.name.split(".")[1] for file in kept] == [theirs[ONE]]
    settings += '\n[conflicts]\nlocal = ["com.example.note"]\n'
    (site / "syncd.toml").write_text(settings, encoding="utf-8")
    third = publish("third")
    assert (third["pushed"], home.records()[NEW]) == (1, theirs[NEW])
    assert home.records()[ONE] != theirs[ONE]
    tip = git(machine, bare, "rev-parse", "main")
    assert git(machine, bare, "rev-parse", "refs/syncd/published") == tip


POSTS = '\n[files]\nmarkdown = { "com.whtwnd.blog.entry" = "content" }\n'
POST = """---
title:   'A "walk"'   # mine
createdAt:  2026-11-29T12:00:00.000Z
tags: [ 'a',   "b" ]
---

# {0}

Words.
"""


def test_posts_in_markdown_are_published_one_way_and_their_form_alone_sends_nothing(
    home: Home, machine: Machine
) -> None:
    one, two, three = (f"com.whtwnd.blog.entry/{name}" for name in ("one", "two", "three"))
    site, bare = published_site(home, machine, POSTS)

    def put(path: str, title: str) -> None:
        (site / f"{path}.md").parent.mkdir(exist_ok=True)
        (site / f"{path}.md").write_text(POST.format(title), encoding="utf-8")

    def publish(name: str, code: int = 0) -> dict[str, Any]:
        git(machine, site, "add", "--all")
        git(machine, site, "commit", "--quiet", "--message", name)
        git(machine, site, "push", "--quiet", "origin", "main")
        git(machine, home.tmp_path, "clone", "--quiet", "--depth=1", bare.as_uri(), name)
        given = {"SYNCD_PASSWORD": home.account.password, "SYNCD_PDS": home.pds.url}
        runner = Machine(home.tmp_path / f"home-of-{name}", {**machine.environ, **given})
        ran = runner.run("sync", "--json", at=home.tmp_path / name)
        assert ran.code == code, ran
        found: dict[str, Any] = ran.json
        return found

    def cid(title: str) -> str:
        fields: Record = {
            "title": 'A "walk"',
            "createdAt": "2026-11-29T12:00:00.000Z",
            "tags": ["a", "b"],
        }
        record = {"$type": "com.whtwnd.blog.entry", **fields, "content": f"# {title}\n\nWords."}
        return str(cid_of(record))

    for path in (one, two, three):
        put(path, "A walk")
    assert publish("first")["pushed"] == 3
    assert home.records() == dict.fromkeys((one, two, three), cid("A walk"))
    commits = len(home.history())
    run_prettier(site)
    assert (site / f"{one}.md").read_text(encoding="utf-8") != POST.format("A walk")
    (site / f"{three}.md").write_bytes((site / f"{three}.md").read_bytes().replace(b"\n", b"\r\n"))
    assert publish("formatted")["pushed"] == 0
    assert (len(home.history()), home.records()[one]) == (commits, cid("A walk"))
    put(one, "An edit")
    (site / f"{two}.md").unlink()
    assert publish("edited")["pushed"] == 2
    assert home.records() == {one: cid("An edit"), three: cid("A walk")}
    home.write(three, title="T", content="By another")
    theirs = home.cid(three)
    put(three, "Mine")
    put(one, "Another edit")
    (site / f"{two}.md").write_text("---\ntitle: 'open\n---\n\nHi\n", encoding="utf-8")
    found = publish("torn", code=3)
    assert [conflict["path"] for conflict in found["conflicts"]] == [three]
    (problem,) = found["problems"]
    assert (problem["path"], problem["line"], problem["column"]) == (two, 2, 8)
    assert home.records() == {one: cid("Another edit"), three: theirs}
    kept = list((home.tmp_path / "torn" / "syncd-kept" / "conflicts").rglob("*.md"))
    assert [file.read_text() for file in kept] == ["---\ntitle: T\n---\n\nBy another\n"]
