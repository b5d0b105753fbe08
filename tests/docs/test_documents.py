"""What every document must keep: links lead somewhere, and commands exist as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from syncd.cli import COMMANDS, cli
from syncd.prepared.pages import find_pages

from .markdown import DOCUMENTS, ROOT, console_lines, inline_code, links

NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
TOPICS = {*find_pages(), *COMMANDS, "topics"}
LAST_WORDS = re.compile(r"\s*(?:[|&;>].*)?$")


def commands_in(text: str) -> list[str]:
    """Every `syncd …` of a document, in its console blocks and in running text."""
    lines = [line.removeprefix("sudo -u syncd -H ") for line in console_lines(text)]
    shown = [*lines, *inline_code(text)]
    return [LAST_WORDS.sub("", line) for line in shown if line.startswith("syncd ")]


def check(line: str) -> None:
    """Raise AssertionError unless syncd has the command and the options of `line`."""
    words = shlex.split(re.sub(r"\[[^\]]*\]|…|\.\.\.", "", line))[1:]
    if words[:1] == ["-C"]:
        words = words[2:]
    if not words or words[0].startswith("-") or not re.fullmatch(r"[a-z]+", words[0]):
        return
    name, *arguments = words
    assert name in COMMANDS, f"{line}: there is no command {name}"
    if name == "help":
        assert not arguments or arguments[0].isupper() or arguments[0] in TOPICS, line
        return
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    if isinstance(command, click.Group) and arguments:
        command = command.get_command(click.Context(command), arguments[0])
        assert command is not None, f"{line}: {name} has no {arguments[0]}"
    known = {option for param in command.params for option in param.opts} | {"--help", "-h"}
    for word in arguments:
        if word.startswith("-"):
            assert word.split("=")[0] in known, f"{line}: {name} has no {word}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_command_and_option_exists(path: Path) -> None:
    for line in commands_in(path.read_text(encoding="utf-8")):
        check(line)


def test_every_command_is_in_the_readme_or_the_operations() -> None:
    text = "\n".join((ROOT / name).read_text() for name in ("README.md", "docs/operations.md"))
    assert [
        name
        for name in COMMANDS
        if f"`{name}`" not in text and not re.search(rf"syncd (?:-C \S+ )?{name}", text)
    ] == []


@pytest.mark.parametrize(
    "line", ["syncd synk", "syncd sync --fast", "syncd resolve P --theirs", "syncd help nobody"]
)
def test_a_command_that_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        check(line)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in links(path.read_text(encoding="utf-8")):
        target = link.split("#")[0]
        if target and not link.startswith(("https://", "mailto:")):
            assert (path.parent / target).exists(), f"{path.name}: {link}"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_exists_and_names_a_document_that_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=/usr/bin/env (.*)$", text, re.MULTILINE)
    check(line)
    assert (ROOT / "docs" / "operations.md").is_file()
    # What a timer starts is not started again when it ends, so no exit code prevents that.
    kept_down = [] if "Type=oneshot" in text else ["75 77 78"]
    assert re.findall(r"^RestartPreventExitStatus=(.*)$", text, re.MULTILINE) == kept_down


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_has_nothing_to_say_about_a_unit(path: Path, tmp_path: Path) -> None:
    manager = "--user" if "user" in path.name else "--system"
    done = subprocess.run(
        ["systemd-analyze", manager, "verify", path],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
