"""Publishing by git on the reference PDS, as a CI job does it: from a fresh clone each time."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rigs.home import Home
from tests.rigs.machine import Machine, save

ONE, TWO, NEW = (f"com.example.note/{name}" for name in ("one", "two", "new"))


@pytest.fixture
def machine(home: Home) -> Machine:
    laptop = home.machine()
    config = laptop.home / "gitconfig"
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
    """What a CI has: a fresh clone, an empty home, and maybe the password."""
    git(machine, home.tmp_path, "clone", "--quiet", "site.git", name)
    secret = machine.home / "secret"
    secret.touch(mode=0o600)
    secret.write_text(home.account.password, encoding="utf-8")
    given = {"SYNCD_PASSWORD_FILE": str(secret), "SYNCD_PDS": home.pds.url}
    environ = given if password else {}
    runner = Machine(home.tmp_path / f"home-of-{name}", {**machine.environ, **environ})
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
