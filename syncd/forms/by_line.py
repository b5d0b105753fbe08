"""Show the strings of a JSON text that have line breaks line by line, and read that back. Pure.

Such a text is for people and their editors only, and no file of a record: three quotes after a key
begin a string, its lines follow as they are, and a line of three quotes ends it. Other forms show
texts by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from typing import Final

from syncd.errors import BadJson
from syncd.forms.form import Form, Marks
from syncd.forms.json_form import JsonForm
from syncd.values import dataclass
from syncd.values.patterns import pattern

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_VALUE: Final = pattern(rf"(\s*(?:{_STRING}: )?)({_STRING})(,?)")
_OPEN: Final = pattern(rf'(\s*(?:{_STRING}: )?)("{{3,}})')
_UNFIT: Final = pattern("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]")
"""What an editor or a terminal may change or hide: a string with it stays a JSON string."""
_QUOTES: Final = 3
_MARK: Final = pattern(r"<{7,} folder|={7,}|>{7,} repo")
_USUAL: Final = Marks()


@dataclass(frozen=True, slots=True)
class _Text:
    """A string value with line breaks: what stands before it, its lines, and the comma after it."""

    head: str
    lines: tuple[str, ...]
    comma: str

    def shown(self, lines: Sequence[str]) -> list[str]:
        quotes = '"' * _QUOTES
        while any(line.removesuffix(",") == quotes for line in lines):
            quotes += '"'
        return [self.head + quotes, *lines, quotes + self.comma]


def by_line(form: Form, text: bytes) -> bytes:
    """Return a text in lines, with its long strings line by line.

    Where both sides of a collision are such strings, the marks are around the lines that differ.
    """
    if not isinstance(form, JsonForm):
        return text
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    shown = "\n".join(line for piece in _pieces(lines) for line in piece)
    return shown.encode("utf-8", "surrogateescape")


def from_lines(form: Form, text: bytes, before: bytes) -> bytes:
    """Return the text that `by_line` has shown and a person has edited.

    `before` is what it was made from: the lines of its strings that look like marks are none.

    Raises BadJson, with its line in the edited text: a string is not ended, or a mark is left.
    """
    if not isinstance(form, JsonForm):
        return text
    known = _marks_in(before.decode("utf-8", "surrogateescape").split("\n"))
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    found = (line for _, line in _read(lines, known))
    return "\n".join(found).encode("utf-8", "surrogateescape")


def line_shown(form: Form, text: bytes, line: int) -> int:
    """Return the line of the edited text from which `from_lines` made a line."""
    if not isinstance(form, JsonForm):
        return line
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    with suppress(BadJson):
        numbers = [number for number, _ in _read(lines, None)]
        return numbers[line - 1] if 0 < line <= len(numbers) else line
    return line


def _pieces(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    at = 0
    while at < len(lines):
        both = _collided(lines[at : at + 5])
        if both is not None:
            yield both[0].shown(_woven(*both))
            at += 5
            continue
        found = _text_in(lines[at])
        yield [lines[at]] if found is None else found.shown(found.lines)
        at += 1


def _text_in(line: str) -> _Text | None:
    """Return the string of a line, if it has line breaks and can be shown unchanged."""
    found = _VALUE.fullmatch(line)
    if found is None or "\\n" not in found[2]:
        return None
    with suppress(ValueError):
        value = json.loads(found[2])
        if "\n" in value and not _UNFIT.search(value):
            return _Text(found[1], tuple(value.split("\n")), found[3])
    return None


def _collided(lines: Sequence[str]) -> tuple[_Text, _Text] | None:
    match lines:
        case [_USUAL.folder, folder, _USUAL.middle, repo, _USUAL.repo]:
            mine, theirs = _text_in(folder), _text_in(repo)
            if mine is not None and theirs is not None and mine.head == theirs.head:
                return mine, theirs
    return None


def _woven(mine: _Text, theirs: _Text) -> list[str]:
    """Return the lines of both sides, with marks around the different ones."""
    length = 7
    both = (*mine.lines, *theirs.lines)
    while any(line.startswith(char * length) for line in both for char in "<=>"):
        length += 1
    matcher = SequenceMatcher(None, mine.lines, theirs.lines, autojunk=False)
    woven: list[str] = []
    for tag, start, end, first, last in matcher.get_opcodes():
        if tag == "equal":
            woven += mine.lines[start:end]
            continue
        woven += ["<" * length + " folder", *mine.lines[start:end], "=" * length]
        woven += [*theirs.lines[first:last], ">" * length + " repo"]
    return woven


def _marks_in(lines: Sequence[str]) -> set[str]:
    texts = (found.lines for line in lines if (found := _text_in(line)) is not None)
    return {line for text in texts for line in text if _MARK.fullmatch(line)}


def _read(lines: Sequence[str], known: Collection[str] | None) -> Iterator[tuple[int, str]]:
    """Yield each line as JSON has it, with its number in `lines`, counted from 1."""
    at = 0
    while at < len(lines):
        number, line = at + 1, lines[at].removesuffix("\r")
        begin = _OPEN.fullmatch(line)
        at += 1
        if begin is None:
            yield number, lines[at - 1]
            continue
        body: list[str] = []
        while at < len(lines) and lines[at].rstrip("\r,") != begin[2]:
            # No string with a carriage return is shown: it is the editor's.
            body.append(lines[at].removesuffix("\r"))
            at += 1
            if known is not None and _MARK.fullmatch(body[-1]) and body[-1] not in known:
                raise BadJson("a marker of the merge is left", line=at, column=1)
        if at == len(lines):
            message = f"the text that begins here needs a line of {begin[2]} at its end"
            raise BadJson(message, line=number, column=len(begin[1]) + 1)
        yield number, begin[1] + json.dumps("\n".join(body), ensure_ascii=False) + _comma(lines[at])
        at += 1


def _comma(line: str) -> str:
    return "," * line.rstrip("\r").endswith(",")
