"""docs/errors.md and the README name every exit code, and quote only sentences of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docs.catalogue import HEADER, render, shown, write
from syncd.cli.screen.output import NEEDS_A_PERSON
from syncd.errors import SyncdError

from .markdown import ROOT, read, table

DOCUMENT = read("docs/errors.md")
OF_THE_SHELL = {0, 2, 130}
"""Done, a wrong command line, and Ctrl-C: not errors of the tree."""


def branches(error: type[SyncdError] = SyncdError) -> Iterator[type[SyncdError]]:
    yield error
    for branch in error.__subclasses__():
        yield from branches(branch)


def codes() -> set[int]:
    return {error.exit_code for error in branches()} | OF_THE_SHELL | {NEEDS_A_PERSON}


def test_the_table_has_every_exit_code_once() -> None:
    rows = [int(row[0]) for row in table(DOCUMENT, "code", "meaning", "what to do")]
    assert rows == sorted(codes())


def test_the_catalogue_is_what_the_code_says() -> None:
    assert shown() == render(), "python -m docs.catalogue writes it anew"


def test_the_catalogue_ends_where_its_table_ends(tmp_path: Path) -> None:
    page = tmp_path / "errors.md"
    page.write_text(f"above\n\n## Every error\n\nWords.\n\n{shown()}\n## Below\n\n| a |\n", "utf-8")
    assert shown(page) == shown()
    write(page)
    assert page.read_text("utf-8").endswith("\n## Below\n\n| a |\n")


def test_each_error_of_the_tree_is_read_as_python_has_it() -> None:
    """The catalogue is made from the source: what it reads there, a program meets."""
    rows = {row[0].strip("`"): row for row in table(DOCUMENT, *HEADER)}
    for error in branches():
        _, code, _, cause, effect, advice = rows[error.__name__]
        assert (effect, advice) == (error.effect, error.advice)
        assert cause[0].isupper()
        assert code in (str(error.exit_code), "that of the error")


def test_the_readme_has_the_same_codes_but_that_of_ctrl_c() -> None:
    (sentence,) = re.findall(r"Exit codes: (.*?)\. ", read("README.md"), re.DOTALL)
    assert {int(code) for code in re.findall(r"(?:^|· |·\n)(\d+) ", sentence)} == codes() - {130}


def test_every_sentence_that_is_quoted_is_said_by_the_code() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "syncd").rglob("*.py"))
    said = re.sub(r"\{[^{}]*\}", " ", re.sub(r'"\s*f?"', "", sources))
    sentences = re.findall(r'^\*\*"(.*?)"\.?\*\*', DOCUMENT, re.MULTILINE)
    assert len(sentences) >= 15
    for quoted in sentences:
        for part in (part.strip(" ,") for part in quoted.split("…")):
            assert re.search(re.escape(part).replace(r"\ ", r"\s+"), said), quoted


def test_every_sentence_about_the_folder_is_said_by_the_code() -> None:
    sources = "".join(file.read_text() for file in (ROOT / "syncd").rglob("*.py"))
    named = sources.replace("{OWN}", ".syncd").replace("{state.path.name}", "state.db")
    named = named.replace("{file} is gone", "syncd.toml is gone")
    said = re.sub(r"\{[^{}]*\}", " ", re.sub(r'"\s*f?"', "", named))
    refused = table(DOCUMENT, "syncd says", "what happened", "what to do")
    told = table(DOCUMENT, "syncd says", "what happened", "what follows")
    assert (len(refused), len(told)) == (10, 6)
    for row in [*refused, *told]:
        for part in row[0].strip('"').split("…"):
            assert part.strip().removesuffix(" did:") in said, row[0]
