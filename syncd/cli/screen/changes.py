"""Show the difference of two texts by line, with the words that changed. Never reads a file.

A line that is long and changed little is shown around its changes alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, unified_diff
from itertools import groupby
from typing import Final, TypeAlias

import click

from syncd.cli.screen.visible import visible
from syncd.values import dataclass
from syncd.values.patterns import pattern

Span: TypeAlias = tuple[str, bool]
"""Some text of a line, and whether it changed."""
_ALONE: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Japanese, Chinese
)
"""Letters of scripts that put no space between words: each is compared as a word."""
_WORDS: Final = pattern(rf"[{_ALONE}]|[^\W{_ALONE}]+|\s+|[^\w\s]")
_SENTENCE: Final = pattern(r"(?<=[.!?…])(?=\s+\S)|(?<=[。\uff01\uff1f])(?=.)")
_GOES_ON: Final = "↳"
LONG: Final = 160
"""A line that needs more cells is not shown whole if little of it changed, however wide a terminal
is. Where that has fewer columns, those count."""
_LEAST: Final = 40
"""The fewest columns that a line is cut for."""
_AROUND: Final = 40
"""The most cells that are shown on a side of a change."""
_NEAR: Final = 10
"""The fewest, also where the line does not fit then."""
_USUAL: Final = 79
_GAP: Final = " … "
_TOKEN: Final = 60
"""A word with more characters is compared by these."""
_TAB: Final = 8
_AS_PICTURE: Final = "\ufe0f"
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

    def shown(self, *, is_painted: bool, columns: int = 0) -> str:
        """Return the line, safe to show, for a terminal of so many columns (0: no terminal).

        `is_painted`: with colour. What names a place is never cut, and neither is what is new as a
        whole. Where the time of a file does not fit beside its name, it is on a line of its own.
        """
        texts = [(visible(text), is_changed) for text, is_changed in self.spans]
        if self.is_heading and 0 < columns < sum(_cells(text) for text, _ in texts) + 1:
            texts = [(text.replace("\t", "\n  "), False) for text, _ in texts]
        if not self.is_heading and self.sign != "@":
            texts = _fitted(
                texts, min(LONG, max(columns or LONG + 1, _LEAST) - 1), is_same=self.sign == " "
            )
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
    """Yield the lines of a diff: removed (-) and added (+), with a few around them."""
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
            yield from (Line(sign, ((text, False),)) for text in run)
    yield from _changed(went, [])


def _changed(went: Sequence[str], came: Sequence[str]) -> Iterator[Line]:
    """Yield the removed, then the added lines; show the words of lines that replace each other."""
    pairs = [_words(old, new) for old, new in zip(went, came, strict=False)]
    for at, text in enumerate(went):
        yield Line("-", pairs[at][0] if at < len(pairs) else ((text, False),))
    for at, text in enumerate(came):
        yield Line("+", pairs[at][1] if at < len(pairs) else ((text, False),))


def _words(old: str, new: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Return both lines in spans; a span marks words that only one of them has."""
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
    """Divide a text into words; keep an accent or a joined character with its base."""
    words: list[str] = []
    for word in _WORDS.findall(text):
        for part in word if len(word) > _TOKEN else (word,):
            if words and _is_joined(words[-1][-1], part[0]):
                words[-1] += part
            else:
                words.append(part)
    return words


def _is_joined(before: str, char: str) -> bool:
    """Return whether a terminal shows `char` in one place with the character before it."""
    if before.isascii() and char.isascii():
        return False
    is_tone = "\U0001f3fb" <= char <= "\U0001f3ff"
    return "\u200d" in (before, char) or is_tone or unicodedata.category(char).startswith("M")


def sentences(line: str) -> list[str]:
    """Return a long line with each sentence on a line, all but the first after a sign."""
    if len(line) <= LONG:
        return [line]
    first, *rest = _SENTENCE.split(line)
    return [first, *(_GOES_ON + sentence for sentence in rest)]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _fitted(spans: list[Span], room: int, *, is_same: bool) -> list[Span]:
    """Shorten a line that needs more than `room` cells, far from its changes."""
    if sum(_cells(text) for text, _ in spans) <= room:
        return spans
    if is_same:
        around = min(_AROUND, (room - len(_GAP)) // 2)
        return [(_shortened(text, around, around), False) for text, _ in spans]
    if not any(is_changed for _, is_changed in spans):
        return spans
    begin, around = _rooms(spans, room)
    last = len(spans) - 1
    return [
        (
            text
            if is_changed
            else _shortened(text, around if at else begin, around if at < last else 0),
            is_changed,
        )
        for at, (text, is_changed) in enumerate(spans)
    ]


def _rooms(spans: Sequence[Span], room: int) -> tuple[int, int]:
    """Return how many cells to show at the beginning of a line, and on each side of a change."""
    kept = [at for at, (_, is_changed) in enumerate(spans) if not is_changed]
    spare = room - sum(_cells(text) for text, is_changed in spans if is_changed)
    spare -= len(_GAP) * len(kept)
    edges = sum(2 - (at in (0, len(spans) - 1)) for at in kept)
    # In a narrow terminal what is near a change counts more than where the line begins. Not by
    # what is spare: then what went and what came would be cut in two ways.
    has_begin = room >= _USUAL
    around = spare // max(1, edges + (has_begin and 0 in kept))
    around = max(_NEAR, min(_AROUND, around))
    return around if has_begin else 0, around


def _shortened(text: str, begin: int, end: int) -> str:
    """Return the first and the last cells of a text, with a sign between them."""
    if _cells(text) <= begin + end + len(_GAP):
        return text
    # Within no character as people see them.
    first = last = used = 0
    while first < len(text) and used + _cells(text[first]) <= begin:
        used += _cells(text[first])
        first += 1
    while 0 < first < len(text) and _is_joined(text[first - 1], text[first]):
        first -= 1
    last, used = len(text), 0
    while last > first and used + _cells(text[last - 1]) <= end:
        used += _cells(text[last - 1])
        last -= 1
    while 0 < last < len(text) and _is_joined(text[last - 1], text[last]):
        last += 1
    left = f"{text[:first]} " if first else ""
    right = f" {text[last:]}" if last < len(text) else ""
    return f"{left}…{right}"


def _cells(text: str) -> int:
    """Return the largest number of columns that a terminal may need for a text."""
    if text.isascii():
        return len(text) + (_TAB - 1) * text.count("\t")
    return sum(map(_cells_of, text))


def _cells_of(char: str) -> int:
    if char == "\t":
        return _TAB
    if char == _AS_PICTURE:
        return 1  # which makes a picture of two columns of the sign before it
    if char == "\u200d" or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 1 + (unicodedata.east_asian_width(char) in "WF")
