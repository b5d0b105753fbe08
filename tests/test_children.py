"""Programs that syncd starts: each gets its environment, less what is meant for syncd alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from syncd import desktop
from syncd.children import OWN, SECRETS, without_secrets
from syncd.cli import cli
from syncd.git.program import Git
from tests.rigs.lured import NOTE, Lured, home, mirror

__all__ = ["home", "mirror"]

HIDDEN = (*SECRETS, *OWN)
LOOK = 'import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], "w"))'


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service of systemd is started with."""
    for name in HIDDEN:
        monkeypatch.setenv(name, f"secret-of-{name}")
    monkeypatch.setenv("KEPT", "kept")


def spy(path: Path, seen: Path) -> Path:
    """A program that writes its environment to `seen`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{LOOK}' '{seen}'\n")
    path.chmod(0o755)
    return path


def assert_hidden(seen: Path) -> None:
    environ = json.loads(seen.read_text())
    assert [name for name in HIDDEN if name in environ] == []
    assert [value for value in environ.values() if "secret-of" in value] == []
    assert environ["KEPT"] == "kept"


def test_all_else_stays_as_it_is() -> None:
    environ = {"PATH": "/bin", "SYNCD_PLC_URL": "https://plc.example.com", "EDITOR": "vi"}
    assert without_secrets({**environ, **dict.fromkeys(HIDDEN, "x")}) == environ


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("hook", ["pre-commit", "commit-msg", "post-commit"])
def test_a_git_hook_gets_no_secret(tmp_path: Path, hook: str) -> None:
    seen = tmp_path / "seen"
    git = Git(tmp_path / "repo")
    git.top.mkdir()
    git.run("init", "--quiet")
    spy(git.top / ".git" / "hooks" / hook, seen)
    name = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    git.run("commit", "--allow-empty", "--quiet", "--message", "x", options=name)
    assert_hidden(seen)


@pytest.mark.usefixtures("service")
def test_what_shows_words_on_the_desktop_gets_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    spy(tmp_path / "bin" / desktop.PROGRAM, seen)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    desktop._run([desktop.PROGRAM, "title"])
    assert_hidden(seen)


def test_an_editor_gets_no_secret(mirror: Lured, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the sync before it used the one that was given."""
    mirror.edit("both")
    assert mirror.sync().exit_code == 0
    mirror.write_remotely("both")
    mirror.edit("both")
    assert mirror.sync().exit_code == 3
    seen = mirror.home / "seen"
    monkeypatch.setenv("EDITOR", str(spy(mirror.home / "editor", seen)))
    monkeypatch.delenv("VISUAL", raising=False)
    for name in HIDDEN:
        monkeypatch.setenv(name, f"secret-of-{name}")
    monkeypatch.setenv("KEPT", "kept")
    words = ["-C", str(mirror.root), "resolve", f"{NOTE}/both", "--edit"]
    CliRunner().invoke(cli, words)
    assert_hidden(seen)
