"""The README's commands, each run as it stands, and what they promise."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import fields
from pathlib import Path

from syncd.config.values import Config
from syncd.model.brake import Brake
from tests.rigs.terminal import HANDLE, Terminal

from .markdown import ROOT, console_lines, read

DOCUMENT = read("README.md")
LINES = console_lines(DOCUMENT)
CID = re.compile(r"\bbafyrei[a-z2-7]{52}\b")
NOTE = "com.example.note/hello"


def recipe(target: str) -> list[str]:
    """What `make` would run for `target`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--dry-run", "--directory", ROOT, *target.split()],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return done.stdout.splitlines()


def test_these_are_all_the_commands() -> None:
    use = [f"syncd login {HANDLE}", f"syncd clone {HANDLE}", f"cd {HANDLE}", "syncd run"]
    install = "pipx install '.[fast,keyring,sandbox]'"
    assert ["make demo", "make demo ONCE=1", install, *use, "make test"] == LINES


def test_make_runs_the_demo_and_the_tests() -> None:
    assert any(line.endswith("bin/syncd demo") for line in map(str.rstrip, recipe("demo")))
    assert any(line.endswith("bin/syncd demo --once") for line in recipe("demo ONCE=1"))
    assert any("-m pytest" in line for line in recipe("test"))
    assert any("tests.reference.install" in line for line in recipe("test"))


def test_the_demo_names_each_step_and_leaves_what_it_made_in_a_directory_that_was_named(
    terminal: Terminal,
) -> None:
    out = terminal.ok(f"syncd demo --once {terminal.home / 'demo'}")
    _, *steps = re.split(r"^== ", out, flags=re.MULTILINE)
    titles = [step.splitlines()[0] for step in steps]
    assert len(titles) == 8
    for title, step in zip(titles[:7], steps[:7], strict=True):
        assert re.search(r"com\.example\.note/\w+", step), title
        assert CID.search(step), title
    for step, reported in zip(steps[2:6], ("pushed", "pulled", "pushed", "pulled"), strict=True):
        assert re.search(rf"^{reported} +com\.example\.note/\w+$", step, re.MULTILINE), step
    assert "my version, made offline" in steps[6]
    assert "their version, made meanwhile" in steps[6]
    assert "3 records agree: files, base, tree, root and signature" in steps[7]
    assert "blobs: 2 named, 2 here; each file was hashed" in steps[7]
    mirror = terminal.home / "demo" / "alice"
    assert (mirror / "syncd.toml").exists()
    # A picture went each way.
    assert len(list((mirror / "blobs").iterdir())) == 2


def test_the_lines_under_use_it_work_as_they_stand(terminal: Terminal) -> None:
    *first, run = LINES[3:7]
    out = terminal.run_until("watching", *first, run, at=terminal.home)
    assert "logged in as alice.example.com" in out
    assert "cloned 0 records" in out
    assert "stopped" in out
    assert (terminal.home / HANDLE / "syncd.toml").is_file()


def test_a_folder_can_be_looked_at_without_an_account(terminal: Terminal) -> None:
    assert "cloned 0 records" in terminal.ok(f"syncd clone {HANDLE} --read-only")


def test_the_numbers_are_those_of_the_code() -> None:
    (records, percent) = re.findall(r"More than (\d+) records and (\d+) %", DOCUMENT)[0]
    assert (int(records), int(percent)) == (Brake().records, Brake().percent)
    (days, megabytes) = re.findall(r"(\d+) days and (\d+) megabytes", DOCUMENT)[0]
    default = {field.name: field.default for field in fields(Config)}
    bounds = default["history_days"], default["history_megabytes"]
    assert (int(days), int(megabytes)) == bounds


def test_what_the_readme_needs_is_in_a_clone() -> None:
    wanted = {"Makefile", "constraints.txt", "constraints-lowest.txt", "LICENSE", "pyproject.toml"}
    assert [name for name in sorted(wanted) if not Path(ROOT, name).is_file()] == []
