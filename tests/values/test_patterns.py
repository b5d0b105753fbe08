"""A pattern that is compiled when it is used first matches what `re.compile` does."""

import re

import pytest

from syncd.values import patterns
from syncd.values.patterns import pattern

WORDS, BYTES = pattern("([a-z]+)-([0-9]+)", re.IGNORECASE), pattern(rb"[\x00-\x1f]")


def test_every_method_gives_what_the_compiled_pattern_gives() -> None:
    compiled, text = re.compile("([a-z]+)-([0-9]+)", re.IGNORECASE), "AB-12, c-3; x"
    assert WORDS.findall(text) == compiled.findall(text) == [("AB", "12"), ("c", "3")]
    assert WORDS.sub(r"\2", text) == compiled.sub(r"\2", text) == "12, 3; x"
    assert WORDS.split(text) == compiled.split(text)
    assert [each.span() for each in WORDS.finditer(text)] == [(0, 5), (7, 10)]
    assert WORDS.fullmatch(text) is None
    assert WORDS.match(text) is not None
    assert (WORDS.pattern, WORDS.flags, WORDS.groups) == (
        compiled.pattern,
        compiled.flags,
        compiled.groups,
    )


def test_bytes_are_matched_by_a_pattern_of_bytes() -> None:
    assert BYTES.search(b"a\x02") is not None
    assert BYTES.search(b"a") is None


def test_nothing_is_compiled_before_the_first_use_and_nothing_looked_up_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[str] = []

    def compile_(source: str, flags: re.RegexFlag) -> re.Pattern[str]:
        compiled.append(source)
        return re.compile(source, flags)

    monkeypatch.setattr(patterns, "re", type("re", (), {"compile": staticmethod(compile_)}))
    made = pattern("a+")
    assert compiled == []
    assert made.match("aa") is not None
    assert made.match("b") is None
    assert compiled == ["a+"]


def test_a_wrong_expression_is_an_error_when_it_is_used() -> None:
    with pytest.raises(re.error):
        pattern("(").match("")
