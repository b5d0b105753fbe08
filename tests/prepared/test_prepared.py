"""What is answered from tables made beforehand is what click answers, whatever is typed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete
from hypothesis import example, given
from hypothesis import strategies as st

from docs import tab as tables
from syncd.cli import COMMANDS, cli
from syncd.prepared import help as prepared_help
from syncd.prepared.help import answer_help
from syncd.prepared.known import Known, known_commands, options_of
from syncd.prepared.offer import OFFERS
from syncd.prepared.tab import ASKED_BY, answer_tab, complete
from tests.docs.markdown import ROOT

SHELLS: Mapping[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}


def below(path: str, command: Known) -> Iterator[tuple[str, Known]]:
    yield path, command
    for name, each in command.get("commands", {}).items():
        yield from below(f"{path} {name}".strip(), each)


ALL = dict(below("", known_commands()))
LINES = st.deferred(
    lambda: st.sampled_from(sorted(ALL)).flatmap(
        lambda path: st.tuples(
            st.lists(typed("")), st.just(path.split()), st.lists(typed(path)), st.booleans()
        ).map(lambda each: [*(each[0] if each[3] else []), *each[1], *each[2]])
    )
)
"""Words that a person could type after `syncd`, and some that nobody would."""


def typed(path: str) -> st.SearchStrategy[str]:
    """Return words about the command at `path`: its options, their values, and others."""
    command = ALL[path]
    options = [name for option in options_of(command) for name in option["option"]]
    values = [
        choice
        for each in command["takes"]
        if isinstance(each.get("value"), list)
        for choice in each["value"]
    ]
    odd = ["a", "--", "-", "-vC", "-Cx", "-vh", "-hv", "=", "--no-such", "-z", "--json=1"]
    whole = st.sampled_from([*options, *values, *odd, *command.get("commands", ())])
    parts = st.tuples(whole, st.integers(1, 6)).map(lambda each: each[0][: each[1]])
    joined = st.tuples(whole, whole).map("=".join)
    return whole | parts | joined


@pytest.fixture(scope="module", autouse=True)
def _offers() -> Iterator[None]:
    """Offer made-up names, in the table and in the commands themselves."""
    with pytest.MonkeyPatch.context() as patch:
        for path in OFFERS:
            patch.setitem(dict_of_offers(), path, made_up(path))
            parameter = offered_parameter(path)
            patch.setattr(parameter, "shell_complete", completed_by(path))
        yield


def dict_of_offers() -> dict[str, Any]:
    assert isinstance(OFFERS, dict)
    return OFFERS


def made_up(path: str) -> Callable[[Path, str], list[str]]:
    return lambda directory, start: [f"{directory}:{path}:{start}"] if start != "a" else []


def completed_by(path: str) -> Callable[[click.Context, str], list[Any]]:
    def shell_complete(ctx: click.Context, incomplete: str) -> list[Any]:
        directory = ctx.find_root().params.get("directory") or Path()
        found = made_up(path)(Path(directory), incomplete)
        item = click.shell_completion.CompletionItem
        return [item(name) for name in found] or [item(incomplete, type="file")]

    return shell_complete


def offered_parameter(path: str) -> click.Parameter:
    """Return the parameter whose value is offered: of most commands, the first argument."""
    command: click.Command = cli
    for name in path.split():
        assert isinstance(command, click.Group)
        below = command.get_command(click.Context(command), name)
        assert below is not None
        command = below
    option = tables.OFFERED_OPTION.get(path)
    if option is None:
        return next(each for each in command.params if isinstance(each, click.Argument))
    return next(each for each in command.params if each.name == option)


@given(LINES)
@example(["clone", "a"])
@example(["-C", "there", "log"])
@example(["-Cthere", "log", "a", "b"])
@example(["blob", "add", "x", "--to", "b"])
@example(["sync", "--format=git"])
@example(["sync", "--no-such", "--format", "git"])
@example(["lexicon", "--", "show", "--js"])
@example(["log", "--", "--js"])
@example(["clone", "--", "a"])
def test_tab_offers_what_click_would_offer(words: list[str]) -> None:
    for typed, incomplete in ((words[:-1], words[-1] if words else ""), (words, "")):
        asked = BashComplete(cli, {}, "syncd", ASKED_BY)
        expected = asked.get_completions(list(typed), incomplete)
        items = complete(known_commands(), typed, incomplete)
        assert [(each.value, each.kind) for each in items] == [
            (each.value, each.type) for each in expected
        ]
        if incomplete.startswith("-") and items[:1] and items[0].value.startswith("-"):
            assert [each.line for each in items] == [each.help or "" for each in expected]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "cursor"),
    [
        ("syncd log --js", "--js"),
        ("syncd log ", ""),
        ("syncd -C 'a b' log a", "a"),
        ("syncd log 'not yet", "'not yet"),
        ("syncd log did:plc:x", "did:plc:x"),
        ("syncd service ", ""),
        ("syncd log a\\ b", "a\\ b"),
    ],
)
def test_each_shell_reads_what_click_would_have_printed(
    shell: str, line: str, cursor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = len(line.split(" ")) - 1 if "' " not in line else 4
    environ = {
        ASKED_BY: f"{shell}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": cursor if shell == "fish" else str(number),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    expected = SHELLS[shell](cli, {}, "syncd", ASKED_BY).complete()
    assert answer_tab(environ) == expected + "\n"


def test_a_shell_that_only_click_knows_is_left_to_click() -> None:
    assert answer_tab({ASKED_BY: "powershell_complete"}) is None
    assert answer_tab({ASKED_BY: "bash_source"}) is None


def test_the_line_beside_a_command_is_that_of_help() -> None:
    items = complete(known_commands(), [], "")
    assert [(each.value, each.line) for each in items] == [
        (name, line) for name, (_, line) in COMMANDS.items()
    ]


@pytest.mark.parametrize("path", ALL)
def test_the_help_of_a_command_is_what_click_lays_out(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a change of a command: `python -m docs.tab`."""
    monkeypatch.setenv("COLUMNS", "100")
    for words in ([*path.split(), "--help"], [*path.split(), "-h"], ["help", *path.split()]):
        cli.main(list(words), prog_name="syncd", standalone_mode=False)
        assert answer_help(words, os.environ) == capsys.readouterr().out


def test_help_that_is_laid_out_otherwise_or_refused_is_left_to_click() -> None:
    for columns in ("79", "20", "0", "wide"):
        assert answer_help(["sync", "--help"], {"COLUMNS": columns}) is None
    for words in (
        ["lexicon check", "-h"],
        ["help", "sync", "-h"],
        ["-v", "-h"],
        ["help", "git.md"],
    ):
        assert answer_help(words, {"COLUMNS": "80"}) is None


def test_the_tables_are_what_the_commands_are() -> None:
    """After a change of a command: `python -m docs.tab`."""
    assert prepared_help.FILE.read_text(encoding="utf-8") == tables.text_of_help()


def test_help_that_cannot_be_printed_is_a_sentence_and_an_exit_code() -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "syncd", "sync", "--help"],
            env=environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("syncd: ")
    assert "Traceback" not in done.stderr
