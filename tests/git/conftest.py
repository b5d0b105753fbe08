"""A person with git: a configuration of their own, and mirrors that are git repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from syncd.config import Config
from syncd.cycle.git.companion import Companion
from syncd.git.commits import Worktree
from syncd.git.message import Published, parse_message
from syncd.git.program import OLDEST
from syncd.git.repository import find_repository
from syncd.sandbox import Sandbox
from tests.rigs.device import Device, World

IDENTITY = "[user]\n\tname = Alice\n\temail = alice@example.com\n"
SETTINGS = (
    "[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n"
    "[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"  # else a process for each commit
)


@dataclass(frozen=True, slots=True)
class Repo:
    """A git worktree, with the words a test needs."""

    top: Path

    def git(self, *words: str | Path, code: int = 0) -> str:
        """Run git as a person would; it must end with `code`."""
        done = subprocess.run(
            ["git", *map(str, words)],
            cwd=self.top,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, (words, done.stdout)
        return done.stdout.strip()

    def feed(self, text: str, *words: str) -> None:
        """Run git with `text` as its input."""
        command = ["git", *words]
        subprocess.run(command, cwd=self.top, input=text, text=True, timeout=300, check=True)

    def commit_all(self, subject: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        return self.git("rev-parse", "HEAD")

    def status(self) -> list[str]:
        return self.git("status", "--porcelain", "--untracked-files=all").splitlines()

    def subjects(self) -> list[str]:
        """All commits, newest first."""
        return self.git("log", "--format=%s").splitlines()

    def files_of(self, commit: str = "HEAD") -> list[str]:
        """What a commit changed."""
        shown = self.git("show", "--format=", "--name-only", "--no-renames", commit)
        return sorted(line for line in shown.splitlines() if line)

    def trailers(self, commit: str = "HEAD") -> Published | None:
        return parse_message(self.git("show", "--no-patch", "--format=%B", commit))

    def worktree(self, folder: Path | None = None) -> Worktree:
        repository = find_repository(folder or self.top)
        assert repository is not None
        return Worktree.at(repository)

    def hook(self, name: str, script: str) -> None:
        hooks = Path(self.git("rev-parse", "--git-path", "hooks"))
        file = self.top / hooks / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)


def make_repo(top: Path, algorithm: str = "sha1") -> Repo:
    top.mkdir(parents=True, exist_ok=True)
    repo = Repo(top)
    repo.git("init", "--quiet", f"--object-format={algorithm}")
    return repo


@pytest.fixture(autouse=True)
def own_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The git configuration of the person; the machine's own does not count."""
    assert shutil.which("git"), f"these tests need git {OLDEST} or newer: apt install git"
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "home/.gitconfig"
    config.parent.mkdir()
    config.write_text(IDENTITY + SETTINGS, encoding="utf-8")
    # Git before 2.32 does not know the variable, and looks in the home.
    monkeypatch.setenv("HOME", str(config.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return config


@dataclass(frozen=True, slots=True)
class Study:
    """A mirror whose folder is in a git repository, and the world around it."""

    world: World
    device: Device
    repo: Repo

    @property
    def prefix(self) -> str:
        relative = self.device.root.relative_to(self.repo.top).as_posix()
        return "" if relative == "." else f"{relative}/"


def with_git(world: World, root: Path, **settings: object) -> Device:
    """A mirror that meets the git around it; commits unless `settings` says otherwise."""
    config = Config(world.login.did, brake_records=100_000, git_commit=True)
    config = replace(config, **settings)  # type: ignore[arg-type]
    device = Device.make(root, world.account(), world.pds(), config)
    meet_git(device)
    return device


def meet_git(device: Device) -> None:
    mirror = device.mirror
    mirror.companion = Companion(mirror.workspace)


@pytest.fixture
def world(tmp_path: Path) -> World:
    sandbox = Sandbox()
    return World(tmp_path, sandbox, sandbox.create_account("alice"))


def make_study(world: World, top: Path, prefix: str) -> Study:
    """A mirror in the directory `prefix` of a git repository that has one commit."""
    device = with_git(world, top / prefix if prefix else top)
    repo = make_repo(top)
    (top / "README").write_text("about\n", encoding="utf-8")
    repo.commit_all("Begin")
    return Study(world, device, repo)


@pytest.fixture(params=["", "sites/my notes/"], ids=["at-the-top", "inside"])
def study(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Study:
    """A folder that is the top of a git repository, and one that is a directory inside one."""
    return make_study(world, tmp_path / "git", request.param)
