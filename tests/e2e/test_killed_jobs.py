"""Jobs that publish on the reference PDS and are killed, refused, or look for a secret.

A `git` before the real one in PATH does what the job meets: it kills syncd, or notes what it gets.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.rigs.home import Home
from tests.rigs.machine import Machine, Ran, save

from .test_git import NEW, ONE, TWO, git, machine

__all__ = ["machine"]
THEIRS = "com.example.note/theirs"
REF = "refs/syncd/published"
SETTINGS = """[mirror]
did = "{did}"
mode = "publish"
pds = "{pds}"
plc = "{plc}"

[hooks]
after_push = ["sh", "-c", "env >>$HOME/environment; ps -o args -p $PPID >>$HOME/environment"]
"""


@dataclass(frozen=True)
class Site:
    """A git remote, the clone of the person who commits, and the machines of jobs."""

    home: Home
    person: Machine
    bare: Path
    desk: Path

    def push(self, name: str) -> str:
        git(self.person, self.desk, "add", "--all")
        git(self.person, self.desk, "commit", "--quiet", "--message", name)
        git(self.person, self.desk, "push", "--quiet", "origin", "main")
        return git(self.person, self.desk, "rev-parse", "HEAD")

    def runner(self, name: str, before: str = "", **more: str) -> Machine:
        """A machine whose `git` runs `before` first, in the shell, and then the real one."""
        found = Machine(self.home.tmp_path / f"home of {name}")
        programs = found.home / "bin"
        programs.mkdir()
        real = shutil.which("git")
        (programs / "git").write_text(f'#!/bin/sh\n{before}\nexec {real} "$@"\n')
        (programs / "git").chmod(0o755)
        given = {"SYNCD_PASSWORD": self.home.account.password, "SYNCD_PDS": self.home.pds.url}
        path = {"PATH": f"{programs}:{found.environment()['PATH']}"}
        return replace(found, environ={**self.person.environ, **given, **path, **more})

    def job(self, name: str, runner: Machine, *words: str) -> Ran:
        """Clone, and publish."""
        git(
            self.person,
            self.home.tmp_path,
            "clone",
            "--quiet",
            "--depth=1",
            self.bare.as_uri(),
            name,
        )
        return runner.run("sync", *words, at=self.home.tmp_path / name)

    def ref(self) -> str:
        return git(self.person, self.bare, "for-each-ref", "--format=%(objectname)", REF)


@pytest.fixture
def site(home: Home, machine: Machine) -> Site:
    bare, desk = home.tmp_path / "eine Stelle für git.git", home.tmp_path / "desk"
    desk.mkdir()
    git(machine, home.tmp_path, "init", "--quiet", "--bare", str(bare))
    git(machine, desk, "init", "--quiet")
    git(machine, desk, "remote", "add", "origin", str(bare))
    words = SETTINGS.format(did=home.account.did, pds=home.pds.url, plc=home.pds.plc_url)
    (desk / "syncd.toml").write_text(words, encoding="utf-8")
    for path in (ONE, TWO):
        save(desk, path, text="as git has it")
    return Site(home, machine, bare, desk)


KILLED = {
    "before the ref is pushed": 'case "$*" in *push*) kill -9 $PPID; exit 1 ;; esac',
    "after the ref was pushed": 'case "$*" in *push*) {git} "$@"; kill -9 $PPID; exit 1 ;; esac',
    "while git asks the remote": 'case "$*" in *ls-remote*) n=$(cat "$HOME/n" 2>/dev/null)x; '
    'echo "$n" >"$HOME/n"; test "$n" != xx || { kill -9 $PPID; exit 1; } ;; esac',
}
"""By the time `ls-remote` is asked again, the repo was seen and nothing was written."""


@pytest.mark.parametrize("moment", KILLED)
def test_a_job_that_is_killed_is_done_again_and_writes_nothing_twice(
    site: Site, moment: str
) -> None:
    site.push("begin")
    assert site.job("first", site.runner("first")).code == 0
    before = site.ref()
    save(site.desk, ONE, text="edited")
    save(site.desk, NEW, text="new")
    (site.desk / f"{TWO}.json").unlink()
    commit = site.push("change")
    words = KILLED[moment].replace("{git}", str(shutil.which("git")))
    ran = site.job("killed", site.runner("killed", words))
    assert ran.code in (-9, 137)
    assert site.ref() == (commit if moment.startswith("after") else before)
    site.home.write(THEIRS, text="of another client")
    theirs, rev = site.home.cid(THEIRS), site.home.rev()
    again = site.job("again", site.runner("again"), "--json")
    found = again.json
    assert (again.code, found["conflicts"], found["problems"], found["held"]) == (0, [], [], [])
    assert [item["path"] for item in found["foreign"]] == [THEIRS]
    is_written = not moment.startswith("while")
    assert (found["pushed"], site.home.rev() == rev) == ((0, True) if is_written else (3, False))
    assert site.home.records().keys() == {ONE, NEW, THEIRS}
    assert (site.home.cid(THEIRS), site.ref()) == (theirs, commit)


NOISE = {
    "GIT_TRACE": "1",
    "GIT_TRACE_CURL": "1",
    "HTTPX_LOG_LEVEL": "debug",
    "PYTHONFAULTHANDLER": "1",
    "GITHUB_ACTIONS": "true",
}


def test_no_log_no_hook_no_git_and_no_file_has_the_password(site: Site) -> None:
    site.push("begin")
    noting = 'env >>"$HOME/environment"; ps -o args -p $PPID >>"$HOME/environment"'
    runner = site.runner("noisy", noting, **NOISE)
    ran = site.job("noisy", runner, "--allow-hooks")
    assert ran.code == 0
    assert "SYNCD_HOOK=after_push" in (runner.home / "environment").read_text()
    # A home of its own: there is no session in it.
    wrong = site.runner("refused", noting, **NOISE, SYNCD_PASSWORD="s3cret-but-wrong")
    save(site.desk, ONE, text="edited")
    site.push("change")
    refused = site.job("refused", wrong)
    assert refused.code == 77
    for secret in (site.home.account.password, "s3cret-but-wrong"):
        assert secret not in ran.out + ran.err + refused.out + refused.err
        for place in (
            runner.home,
            wrong.home,
            *(site.home.tmp_path / n for n in ("noisy", "refused")),
        ):
            files = [file for file in place.rglob("*") if file.is_file()]
            assert [str(file) for file in files if secret.encode() in file.read_bytes()] == []
