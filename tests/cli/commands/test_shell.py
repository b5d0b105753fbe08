"""The command line as a shell, a reader of manuals and a bad typist meet it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import click
import pytest
from click.testing import CliRunner

from syncd import __version__
from syncd.cli import COMMANDS, MEANT, cli, main
from syncd.cli.commands.shell import EXIT
from syncd.prepared.pages import find_pages
from tests.docs.markdown import ROOT, read, table, without_fences


def all_commands() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from (
                (f"{name} {sub}", found)
                for sub, found in command.commands.items()
                if not found.hidden
            )


COMMAND_NAMES = [name for name, _ in all_commands()]


def run(*arguments: str, **environ: str) -> str:
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-m", "syncd", *arguments],
        env={**bare, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_the_only_option_about_a_password_names_a_file() -> None:
    about = re.compile("passw|token|secret|credential")
    found = {
        (name, option)
        for name, command in all_commands()
        for parameter in command.params
        for option in [parameter.name or "", *parameter.opts]
        if about.search(option)
    }
    assert found == {("login", "password_file"), ("login", "--password-file")}


@pytest.mark.parametrize(("name", "command"), list(all_commands()), ids=COMMAND_NAMES)
def test_the_help_of_every_command_shows_how_it_is_used(name: str, command: click.Command) -> None:
    text = command.help or ""
    examples = re.findall(r"^\s*(?:\w+=\S+ |sudo |.*\| )?syncd .*", text, re.MULTILINE)
    assert examples, f"syncd {name} --help has no example"
    assert any(name in line for line in examples)


@pytest.mark.parametrize(
    ("typed", "meant"), [(["statsu"], "status"), (["service", "instal"], "install")]
)
def test_a_misspelt_command_is_answered_with_the_nearest(typed: list[str], meant: str) -> None:
    result = CliRunner().invoke(cli, typed)
    assert result.exit_code == 2
    assert f"did you mean '{meant}'?" in result.output


@pytest.mark.parametrize(("typed", "meant"), list(MEANT.items()))
def test_the_name_that_another_program_has_for_a_command_is_answered_with_ours(
    typed: str, meant: str
) -> None:
    result = CliRunner().invoke(cli, [typed])
    assert result.exit_code == 2
    assert meant in result.output
    for name in re.findall(r"'syncd ([a-z]+)", meant):
        assert name in COMMANDS
    assert typed not in COMMANDS


@pytest.mark.parametrize("command", [[], ["sync"], ["lexicon"], ["lexicon", "check"]])
def test_help_shows_what_the_option_shows(command: list[str]) -> None:
    asked = CliRunner().invoke(cli, ["help", *command], prog_name="syncd")
    shown = CliRunner().invoke(cli, [*command, "--help"], prog_name="syncd")
    assert (asked.exit_code, asked.output) == (0, shown.output)


@pytest.mark.parametrize("name", ["configuration", "glossary", "git.md", "doctor.md", "security"])
def test_help_shows_a_page_of_the_documentation(name: str) -> None:
    shown = CliRunner().invoke(cli, ["help", name])
    stem = name.removesuffix(".md")
    page = read("SECURITY.md" if stem == "security" else f"docs/{stem}.md")
    assert shown.exit_code == 0
    headings = re.findall(r"^#+ .*$", page, re.MULTILINE)
    assert [line for line in shown.output.splitlines() if line in headings] == headings
    assert len(shown.output.splitlines()) == len(page.strip().splitlines())


def test_a_page_names_other_pages_by_the_command_that_shows_them() -> None:
    """A page of the documentation lies nowhere that a reader of a terminal could click."""
    for name in {page.stem for page in find_pages().values()}:
        shown = CliRunner().invoke(cli, ["help", f"{name.lower()}.md"])
        assert shown.exit_code == 0, name
        assert "](#" not in without_fences(shown.output), name
        links = re.findall(r"\]\((?!https:)([^)#]+\.md)", without_fences(shown.output))
        assert {Path(link).name for link in links} <= {"CHANGELOG.md", "ARCHITECTURE.md"}
        for named in re.findall(r"`syncd help ([\w.-]+)`", shown.output):
            assert CliRunner().invoke(cli, ["help", named]).exit_code == 0, (name, named)


def test_the_topics_are_all_pages_each_with_the_command_that_shows_it() -> None:
    lines = CliRunner().invoke(cli, ["help", "topics"]).output.splitlines()
    assert {line.split()[2].removesuffix(".md") for line in lines} == {
        page.stem.lower() for page in find_pages().values()
    }
    for line in lines:
        title = re.split(r"\s{2,}|(?<=\.md) ", line, maxsplit=1)[1].strip()
        shown = CliRunner().invoke(cli, line.split()[1:3]).output
        assert shown.startswith(f"# {title}"), line


@pytest.mark.parametrize(
    ("typed", "meant"), [("confguration", "configuration"), ("statsu", "status")]
)
def test_a_misspelt_topic_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    shown = CliRunner().invoke(cli, ["help", typed])
    assert shown.exit_code == 2
    assert f"did you mean '{meant}'?" in shown.output


def test_no_sentence_names_a_file_that_is_not_installed() -> None:
    """A page of the documentation is `syncd help NAME`, wherever syncd runs."""
    texts = [text for module in (ROOT / "syncd").rglob("*.py") for text in sentences_of(module)]
    # The README of another program is not ours.
    assert [t for t in texts if re.search(r"docs/\w+\.md", t) and "github.com" not in t] == []
    named = {name for text in texts for name in re.findall(r"syncd help ([a-z]+)", text)}
    assert {"configuration", "operations"} <= named <= {*find_pages(), *COMMANDS, "topics"}


def sentences_of(module: Path) -> list[str]:
    """All texts of a module but its docstrings."""
    nodes = list(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))
    docs = {ast.get_docstring(node, clean=False) for node in nodes if _has_doc(node)}
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and text not in docs]


def _has_doc(node: ast.AST) -> TypeGuard[ast.Module | ast.ClassDef | ast.FunctionDef]:
    return isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)


@pytest.mark.parametrize(
    ("written", "name"),
    [("SECURITY.md", "security"), ("docs/git.md", "git.md"), ("Tutorial", "tutorial"),
     ("docs/Errors.md", "errors"), ("topic", "topics")],
)  # fmt: skip
def test_a_page_is_found_as_documents_write_its_name(written: str, name: str) -> None:
    found, meant = (CliRunner().invoke(cli, ["help", word]) for word in (written, name))
    assert found.exit_code == 0
    assert found.output == meant.output


@pytest.mark.parametrize("command", [["synk"], ["sync", "now"], ["lexicon", "chek"]])
def test_help_for_no_command_says_so(command: list[str]) -> None:
    assert CliRunner().invoke(cli, ["help", *command]).exit_code == 2


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("stat", "did you mean 'status'?"),
        ("pul", "'syncd sync' sends your changes"),
        ("puhs", "'syncd sync' sends your changes"),
        ("versoin", "see 'syncd --version'"),
        ("deltee", "delete the file, then 'syncd sync'"),
        ("git instal", "did you mean 'install'?"),
        ("hooks alow", "did you mean 'allow'?"),
        ("hooks disallow", "syncd hooks forbid"),
        ("hooks revoek", "syncd hooks forbid"),
        ("service start", "syncd service install"),
        ("service stop", "syncd service uninstall"),
        ("help confguration", "did you mean 'configuration'?"),
        ("status -C /notes", "It comes before the command: syncd -C … status"),
        ("--json status", "It comes after the command: syncd COMMAND --json"),
        ("--dry-run sync", "It comes after the command: syncd COMMAND --dry-run"),
        ("git install -v", "It comes before the command: syncd -v … git install"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_was_meant(
    typed: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["syncd", *typed.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == "" or "--json" in typed
    assert words in said.err


def test_an_option_that_no_command_has_is_not_sent_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["status", "--colour"], ["--colour", "status"]):
        monkeypatch.setattr(sys, "argv", ["syncd", *words])
        with pytest.raises(SystemExit):
            main()
        assert "the command:" not in capsys.readouterr().err


def test_the_version_names_what_syncd_is_made_of() -> None:
    lines = run("--version").splitlines()
    assert lines[0] == f"syncd {__version__}"
    assert {"cbor2", "click", "httpx", "watchdog"} <= {line.split()[0] for line in lines}
    assert all(re.fullmatch(r"\S+ \S.*", line) for line in lines)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script_that_asks_syncd(shell: str) -> None:
    script = run("completion", shell)
    assert f"_SYNCD_COMPLETE={shell}_complete" in script


def test_a_shell_is_told_commands_and_options() -> None:
    def complete(words: str, at: int) -> set[str]:
        more = {"_SYNCD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        return {line.partition(",")[2] for line in run(**more).splitlines()}

    assert complete("syncd re", 1) == {"resolve", "reject", "restore", "resume", "reload"}
    assert "--watch" in complete("syncd status --", 2)
    assert complete("syncd service ", 2) == {"install", "uninstall", "status"}


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    """In a real bash: the script is sourced, and its function called as the shell would."""
    program = tmp_path / "syncd"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m syncd "$@"\n')
    program.chmod(0o755)
    (tmp_path / "script").write_text(run("completion", "bash"))
    ask = (
        f'PATH="{tmp_path}:$PATH"; . "{tmp_path}/script"; COMP_WORDS=(syncd stat); COMP_CWORD=1; '
        '_syncd_completion syncd stat syncd; echo "${COMPREPLY[@]}"'
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", ask], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["status"]


def test_the_manual_has_every_command_and_exit_code() -> None:
    page = run("man").replace("\\-", "-")
    for name, _ in all_commands():
        assert re.search(rf"^\.SS syncd {name}\b", page, re.MULTILINE), name
    for code in EXIT:
        assert f"\n.TP\n{code}\n" in page
    known = {int(row[0]) for row in table(read("docs/errors.md"), "code", "meaning", "what to do")}
    assert EXIT.keys() | {130} == known


def test_troff_has_nothing_to_say_about_the_manual() -> None:
    troff = shutil.which("groff") or shutil.which("mandoc")
    assert troff is not None, "install groff (apt install groff-base) to check the manual page"
    flags = ["-ww", "-man", "-Tutf8", "-K", "utf8"] if troff.endswith("groff") else ["-Tlint"]
    done = subprocess.run(
        [troff, *flags], input=run("man"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
