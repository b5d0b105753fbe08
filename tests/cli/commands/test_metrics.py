"""Prometheus's text: what is in it with a daemon and without, and that it can be read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from syncd.cli import cli
from syncd.cli.commands.metrics import _replace, render
from syncd.errors import FileProblem
from tests.mirror.test_delegate import NOTE, daemon, save
from tests.rigs.mirrors import make_mirror
from tests.rigs.terminal import HANDLE, Terminal, open_terminal

SAMPLE = re.compile(r'^(\w+)\{((?:\w+="(?:[^"\\\n]|\\.)*",?)+)\} (\S+)$')


def parse(text: str) -> dict[str, float]:
    """Every sample by its name and own labels; fails where a line is none."""
    found: dict[str, float] = {}
    typed: set[str] = set()
    for line in text.splitlines():
        if line.startswith("#"):
            typed.add(line.split()[2])
            continue
        match = SAMPLE.match(line)
        assert match, line
        name, labels, value = match.groups()
        assert name in typed, line
        own = [label for label in labels.split(",") if not label.startswith(("did=", "folder="))]
        key = name + (f"{{{','.join(own)}}}" if own else "")
        assert key not in found, line
        found[key] = float(value)
    return found


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as found:
        found.ok(f"syncd login {HANDLE}", f"syncd clone {HANDLE} ~/notes")
        yield found


def test_a_mirror_without_a_daemon_is_measured_from_the_disk(terminal: Terminal) -> None:
    notes = terminal.home / "notes"
    save(notes, text="hello")
    (notes / "com.example.note" / "bad.json").write_text("{")
    terminal.run("syncd sync", at=notes)
    found = parse(terminal.ok("syncd metrics", at=notes))
    assert (found["syncd_records"], found["syncd_problems"], found["syncd_up"]) == (1, 1, 0)
    assert found['syncd_budget_left{window="hour"}'] > 0
    assert found["syncd_doubt"] == 0
    assert "syncd_pushed_total" not in found


def test_a_daemon_adds_what_it_did(terminal: Terminal) -> None:
    notes = terminal.home / "notes"
    with daemon(terminal, notes):
        terminal.ok("syncd pause", at=notes)
        save(notes, text="hello")
        terminal.ok("syncd now", "syncd metrics --output ../notes.prom", at=notes)
        found = parse((terminal.home / "notes.prom").read_text())
    assert f"pushed    {NOTE}" in (terminal.home / "run.log").read_text()
    assert (found["syncd_up"], found["syncd_pushed_total"]) == (1, 1)
    assert found['syncd_phase{phase="paused"}'] == 1
    assert found['syncd_phase{phase="idle"}'] == 0
    assert found["syncd_last_success_seconds"] > 1_600_000_000
    assert sorted(terminal.home.glob("*.prom*")) == [terminal.home / "notes.prom"]


def test_a_file_that_cannot_be_written_is_an_error_in_a_sentence(terminal: Terminal) -> None:
    ran = terminal.run("syncd metrics --output /nowhere/at/all", at=terminal.home / "notes")
    assert ran.code == 1
    assert "cannot be written" in ran.out


@given(st.text(max_size=20))
def test_a_label_may_hold_anything(text: str) -> None:
    (line,) = [
        line
        for line in render([("a", "gauge", "help", 1)], {"folder": text}).split("\n")
        if line and line[0] != "#"
    ]
    written = line.removeprefix('a{folder="').removesuffix('"} 1')
    assert (
        re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], written, flags=re.DOTALL) == text
    )


@pytest.mark.parametrize("output", ["", ".", "/", "pipe", "file/below", "directory", "none/file"])
def test_an_output_that_is_no_file_is_refused_and_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("file").touch()
    Path("directory").mkdir()
    before = {path: path.lstat().st_ino for path in tmp_path.iterdir()}
    with pytest.raises(FileProblem):
        _replace(Path(output), "text")
    assert {path: path.lstat().st_ino for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", [b"b\xffd", b"a\nb", b"\x1b[2J", "\u202e".encode(), b'"\\q'])
def test_a_folder_of_any_name_has_labels_that_prometheus_reads(tmp_path: Path, name: bytes) -> None:
    root = make_mirror(tmp_path / os.fsdecode(name))
    printed = CliRunner().invoke(cli, ["-C", str(root), "metrics"], catch_exceptions=False)
    file = tmp_path / "file.prom"
    words = ["-C", str(root), "metrics", "--output", str(file)]
    assert CliRunner().invoke(cli, words, catch_exceptions=False).exit_code == 0
    for text in (printed.stdout, file.read_text(encoding="utf-8")):
        labels = set(re.findall(r'folder="((?:[^"\\]|\\.)*)"', text))
        assert all(set(re.findall(r"\\(.)", label)) <= set('\\"n') for label in labels)
        assert len(labels) == 1
