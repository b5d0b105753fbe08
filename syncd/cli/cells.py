"""Measure texts by the columns that a terminal needs for them; pad, cut and break them by these.

A letter of Chinese or Japanese and most emoji need two columns, an accent needs none. Imports no
library for the signs of European texts: whoever presses Tab waits for this module.
"""

from __future__ import annotations

from typing import Final

from syncd.values.patterns import pattern

_NARROW: Final = pattern("[ -~\xa1-\xac\xae-\u02ff\u2013\u2014\u2018-\u201d\u2026\u2192\u21b3]*")
"""Texts with a column for each character."""
_WORD: Final = pattern(r"(\s*)(\S+)")
_PIECE: Final = pattern(
    "[\x21-\u10ff\u2000-\u206f]+|[\U0001f1e6-\U0001f1ff]{2}"
    "|.(?:[\u0300-\u036f\u20e3\ufe0f\U0001f3fb-\U0001f3ff]|\u200d.)*"
)
"""What stays together in a word that is broken: Western letters, or one sign of another script."""
_CLOSING: Final = "、。,.!?:;)」』】》〉"
"""What begins no line."""
_LATER: Final = 2
_TAB: Final = 8
_ELLIPSIS: Final = "…"


def cells(text: str) -> int:
    """Return the number of columns that a terminal needs for a text."""
    if _NARROW.fullmatch(text):
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 (few texts need it, and Tab none)

    return cell_len(text) + _TAB * text.count("\t")


def padded(text: str, width: int) -> str:
    """Return a text with spaces after it, so that it fills `width` columns."""
    return text + " " * (width - cells(text))


def cut(text: str, room: int) -> str:
    """Return a line that fits `room` columns and can be taken away again; 0: no terminal.

    The end of one that needs more is an ellipsis, and the last column stays free: what is in it
    may have a line of its own.
    """
    if not room or cells(text) < room:
        return text
    while text and cells(text) >= room - 1:
        text = text[:-1]
    return text + _ELLIPSIS


def broken(text: str, room: int, indent: int | None = None) -> list[str]:
    """Return the lines of a sentence, broken between words; a word that is too long stays whole.

    Where a script puts no space between words, a line may end after each sign, but in no path.
    `indent`: that of the later lines; None keeps to that of the first, or two if that has none.
    `room` 0 is no terminal.
    """
    if not room or cells(text) <= room:
        return [text]
    lead = len(text) - len(text.lstrip(" "))
    deep = (lead or _LATER) if indent is None else indent
    further = " " * (deep if deep * 3 < room else min(lead, _LATER) or _LATER)
    lines, line, is_begun = [], " " * lead, False
    for gap, word in _parts(text.strip(" "), room - len(further)):
        space = " " * cells(gap)
        if is_begun and cells(line) + len(space) + cells(word) > room:
            lines.append(line)
            line, space = further, ""
        line, is_begun = f"{line}{space}{word}", True
    return [*lines, line]


def _parts(text: str, room: int) -> list[tuple[str, str]]:
    """Return the words with the space before each; of one that is too wide, its signs."""
    parts: list[tuple[str, str]] = []
    for gap, word in _WORD.findall(text):
        pieces = [word]
        if cells(word) > room and "/" not in word:
            pieces = _PIECE.findall(word)
        begin = len(parts)
        for piece in pieces:
            if len(parts) > begin and piece[0] in _CLOSING:
                parts[-1] = (parts[-1][0], parts[-1][1] + piece)
            else:
                parts.append((gap if len(parts) == begin else "", piece))
    return parts


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of an indented sentence, broken between words; one if `width` is 0."""
    return broken(f"  {text}", width)
