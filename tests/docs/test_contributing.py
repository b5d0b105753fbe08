"""CONTRIBUTING.md: the story it shows is one that runs, and what it tells to run is there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import ELSEWHERE, marker_of

from .markdown import ROOT, console_lines, inline_code, read

DOCUMENT = read("CONTRIBUTING.md")


def test_the_story_that_is_shown_is_one_of_the_tests() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    stories = ast.parse(read("tests/cycle/test_mirror.py")).body
    assert ast.unparse(ast.parse(shown)) in {ast.unparse(story) for story in stories}


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for line in [*console_lines(DOCUMENT), *inline_code(DOCUMENT)]:
        if line.startswith("make "):
            words = re.sub(r'\w+=("[^"]*"|\S+)', "", line).split()[1:]
            assert set(words) <= targets, line


def test_every_path_in_the_running_text_exists() -> None:
    for code in inline_code(DOCUMENT):
        if re.fullmatch(r"(?:tests|syncd|docs)/[\w./]+|[\w-]+\.(?:md|txt|toml)", code):
            assert (ROOT / code).exists(), code


@pytest.mark.parametrize("target", ELSEWHERE)
def test_what_does_not_run_in_make_test_is_run_by_a_target_of_its_own(target: str) -> None:
    marked = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("*.py")
        if re.search(rf"pytest\.mark\.{marker_of(target)}\b", file.read_text(encoding="utf-8"))
    }
    (places,) = re.findall(rf"--only {target} ((?:tests/\S+ )+)", read("Makefile"))
    assert marked
    assert all(file.startswith(tuple(places.split())) for file in marked)
    assert f"`make {target}`" in DOCUMENT
