"""Show the difference of two texts by line, with the words that changed. Never reads a file.

A line that is long and changed little is shown around its changes alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, unified_diff
from itertools import groupby
from typing import Final, TypeAlias

import click

from syncd.cli.screen.visible import visible
from syncd.values import dataclass

Span: TypeAlias = tuple[str, bool]
"""Some text of a line, and whether it changed."""
_ALONE: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Japanese, Chinese
)
"""Letters of scripts that put no space between words: each is compared as a word."""
_WORDS: Final = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+|\s+|[^\w\s]")
_SENTENCE: Final = re.compile(r"(?<=[.!?…])(?=\s+\S)|(?<=[。\uff01\uff1f])(?=.)")
_GOES_ON: Final = "↳"
LONG: Final = 160
"""A line with more characters is not shown whole if little of it changed."""
_AROUND: Final = 40
_COMPARED: Final = 3_000
"""More words than this, between what both lines begin and end with, are not compared."""
_ALIKE: Final = 0.3
_COLOURS: Final = {"-": "red", "+": "green", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a diff: its sign, and its text in spans. `is_heading`: it names a file."""

    sign: str
    spans: tuple[Span, ...]
    is_heading: bool = False

    def shown(self, *, is_painted: bool) -> str:
        """Return the line for a terminal, safe to show; `is_painted`: with colour."""
        texts = [(visible(text), is_changed) for text, is_changed in self.spans]
        if not is_painted:
            return self.sign + "".join(text for text, _ in texts)
        if self.is_heading:
            return click.style(self.sign + "".join(text for text, _ in texts), bold=True)
        colour = _COLOURS.get(self.sign)
        if colour is None:
            return self.sign + "".join(text for text, _ in texts)
        painted = (click.style(text, fg=colour, reverse=new or None) for text, new in texts)
        return click.style(self.sign, fg=colour) + "".join(painted)


def changes(
    before: Sequence[str], after: Sequence[str], names: tuple[str, str], times: tuple[str, str]
) -> Iterator[Line]:
    """Yield the lines of a diff: what went (-) and came (+), and a few around them."""
    found = unified_diff(before, after, *names, *times, lineterm="")
    for number, line in zip(range(2), found, strict=False):
        yield Line("-+"[number], ((line[1:], False),), is_heading=True)
    went: list[str] = []
    for sign, lines in groupby(found, key=lambda line: line[0]):
        run = [line[1:] for line in lines]
        if sign == "-":
            went = run
            continue
        came, went_before, went = (run if sign == "+" else []), went, []
        yield from _changed(went_before, came)
        if sign != "+":
            yield from (Line(sign, _cut_around(((text, False),), sign)) for text in run)
    yield from _changed(went, [])


def _changed(went: Sequence[str], came: Sequence[str]) -> Iterator[Line]:
    """Yield what went, then what came; lines that stand in each other's place show their words."""
    pairs = [_words(old, new) for old, new in zip(went, came, strict=False)]
    for at, text in enumerate(went):
        yield Line("-", _cut(pairs[at][0]) if at < len(pairs) else ((text, False),))
    for at, text in enumerate(came):
        yield Line("+", _cut(pairs[at][1]) if at < len(pairs) else ((text, False),))


def _words(old: str, new: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return both lines in spans, with the words that are in one of them alone."""
    mine, theirs = _split(old), _split(new)
    begin = _common(mine, theirs)
    end = _common(mine[begin:][::-1], theirs[begin:][::-1])
    was, now = mine[begin : len(mine) - end], theirs[begin : len(theirs) - end]
    same = len("".join(mine[:begin] + mine[len(mine) - end :]))
    codes: Sequence[tuple[str, int, int, int, int]] = [("replace", 0, len(was), 0, len(now))]
    if max(len(was), len(now)) <= _COMPARED:
        codes = SequenceMatcher(None, was, now, autojunk=False).get_opcodes()
        same += sum(len("".join(was[a:b])) for tag, a, b, _, _ in codes if tag == "equal")
    if same < _ALIKE * max(len(old), len(new)):
        return ((old, False),), ((new, False),)
    first, last = "".join(mine[:begin]), "".join(mine[len(mine) - end :])
    left = [("".join(was[a:b]), tag != "equal") for tag, a, b, _, _ in codes]
    right = [("".join(now[a:b]), tag != "equal") for tag, _, _, a, b in codes]
    sides = ([(first, False), *spans, (last, False)] for spans in (left, right))
    shown = [tuple(span for span in side if span[0]) for side in sides]
    return shown[0], shown[1]


def _split(text: str) -> list[str]:
    """Divide a text into words; an accent or a joined picture stays with what it is part of."""
    words: list[str] = []
    for word in _WORDS.findall(text):
        if words and _is_joined(words[-1][-1], word[0]):
            words[-1] += word
        else:
            words.append(word)
    return words


def _is_joined(before: str, char: str) -> bool:
    """Return whether a terminal shows `char` in one place with the character before it."""
    if before.isascii() and char.isascii():
        return False
    is_tone = "\U0001f3fb" <= char <= "\U0001f3ff"
    return "\u200d" in (before, char) or is_tone or unicodedata.category(char).startswith("M")


def sentences(line: str) -> list[str]:
    """Return a long line of a text with each sentence in a line, all but the first after a sign."""
    if len(line) <= LONG:
        return [line]
    first, *rest = _SENTENCE.split(line)
    return [first, *(_GOES_ON + sentence for sentence in rest)]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _cut_around(spans: tuple[Span, ...], sign: str) -> tuple[Span, ...]:
    """Leave out most of a long line that did not change; what names a place is never cut."""
    if sign != " " or len(spans[0][0]) <= LONG:
        return spans
    return ((_shortened(spans[0][0], is_last=False), False),)


def _cut(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Leave out what is far from any change in a long line."""
    if sum(len(text) for text, _ in spans) <= LONG or not any(changed for _, changed in spans):
        return spans
    last = len(spans) - 1
    return tuple(
        (text if changed else _shortened(text, is_last=at == last), changed)
        for at, (text, changed) in enumerate(spans)
    )


def _shortened(text: str, *, is_last: bool) -> str:
    if len(text) <= 3 * _AROUND:
        return text
    first = text[: _edge(text, _AROUND)]
    return f"{first} …" if is_last else f"{first} … {text[_edge(text, len(text) - _AROUND) :]}"


def _edge(text: str, at: int) -> int:
    """Return the first place from `at` on that is within no character as people see them."""
    while 0 < at < len(text) and _is_joined(text[at - 1], text[at]):
        at += 1
    return at
