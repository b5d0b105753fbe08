"""A terminal that is not UTF-8, a user without a home: a sentence, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.cli.commands.run import mirrors_of
from syncd.cli.screen.output import say, say_json, take_any_text, tell
from syncd.errors import SyncdError
from syncd.private import state_directory
from syncd.trouble import at_home
from tests.rigs.mirrors import make_mirror

PARTY = "🎉 fünf \udcff"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_any_text_can_be_said_in_any_encoding(
    encoding: str, errors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with out.open("w", encoding=encoding, errors=errors) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        take_any_text()
        say(PARTY)
        tell(PARTY)
        say_json({"text": PARTY}, indent=None)
    *_, last = out.read_bytes().splitlines()
    said = json.loads(last.decode(encoding))
    assert said["text"].encode("utf-8", "surrogatepass").endswith(b"\xed\xb3\xbf")
    assert said["text"].startswith("🎉 fünf ")


@pytest.mark.parametrize(
    "environ",
    [{"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1:strict"}],
    ids=["ascii", "latin-1"],
)
def test_no_command_needs_a_terminal_with_utf_8(environ: dict[str, str], tmp_path: Path) -> None:
    root = make_mirror(tmp_path / "🎉")
    note = root / "com.example.note"
    note.mkdir()
    (note / "one.json").write_text('{"$type": "com.example.note", "text": "🎉"}', encoding="utf-8")
    for command in ("status --json", "sync", "man", "clone --help"):
        ran = run(["-C", str(root), *command.split()], environ, tmp_path)
        assert b"Traceback" not in ran.stderr, ran
        assert ran.returncode in (0, 3, 69), ran


def run(
    words: list[str], environ: dict[str, str], home: Path
) -> subprocess.CompletedProcess[bytes]:
    bare = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        **environ,
    }
    return subprocess.run(
        [sys.executable, "-m", "syncd", *words],
        env=bare,
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_without_a_home_nothing_is_looked_for_below_the_current_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", unknown)
    for look in (
        state_directory,
        lambda: at_home("~/mirrors.toml"),
        lambda: mirrors_of(Path(), (), {"SYNCD_CONFIG": "~/mirrors.toml"}),
    ):
        with pytest.raises(SyncdError) as refused:
            look()
        assert "HOME" in refused.value.hint
