"""Read any front matter, by the events of ruamel.yaml. Pure; builds nothing but plain values.

The library says where each scalar, list and map begins and ends. What a word means, and what is
refused, is decided here. Needed only where a value takes several lines, has a comment behind it, or
stands in brackets that are not JSON's: the library is loaded then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from syncd.forms.frontmatter.scalars import resolve
from syncd.forms.frontmatter.tree import MAX_DEPTH, NOTHING, Entries, Fault, Node, list_of
from syncd.values import dataclass

MAX_CHARACTERS = 300_000
"""The largest front matter that is read here: the library needs five seconds for a megabyte."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_MARKER = re.compile(r"^(?:---|\.\.\.|%)", re.MULTILINE)
_NO_CHARACTER = re.compile(r"\\U(?!000|0010)[0-9a-fA-F]{8}")
_HALF = re.compile(r"[\ud800-\udfff]")
_TOO_DEEP = f"lists and maps are nested more than {MAX_DEPTH} deep"
_AS_JSON = "nest less deeply, or save the record as a JSON file instead"
_ITSELF = "write the character itself"
_REPEAT = "put a text that begins so into double quotes; else write the value in each place"
_NO_TAG = "put a text that begins so into double quotes; else remove the tag"
_AS_BYTES = 'write bytes in base64 as {"$bytes": "…"}'
_QUOTE = "put the text into double quotes"


def read_yaml(text: str) -> Node:
    """Read a front matter. Raises Fault if it is no map of plain values."""
    _check(text)
    from ruamel.yaml import YAML  # noqa: PLC0415 (slow, and seldom needed)
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        return _Builder(text).build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        raise _explained(text, error) from None
    except (YAMLError, ValueError, OverflowError, RecursionError, IndexError) as error:
        # The library does not say where such an escape stands.
        if (found := _NO_CHARACTER.search(text)) is not None:
            raise Fault(found.start(), f"{found[0]} is not a character", _ITSELF) from None
        reason = f"this is not YAML: {str(error).splitlines()[0] if str(error) else 'bad escape'}"
        raise Fault(0, reason) from None


def _check(text: str) -> None:
    """Raise Fault for what the library reads by other rules, or too slowly."""
    if len(text) > MAX_CHARACTERS:
        reason = f"the front matter has more than {MAX_CHARACTERS} characters"
        raise Fault(0, reason, "write each value on one line, long texts in double quotes")
    if found := _MARKER.search(text):
        reason = f"a line of the front matter begins with {found[0]}"
        raise Fault(found.start(), reason, "put the text into quotes, or indent it")
    depth = 0
    for bracket in _BRACKET.finditer(_QUOTED.sub(lambda found: " " * len(found[0]), text)):
        depth = max(0, depth + (1 if bracket[0] in "[{" else -1))
        if depth > MAX_DEPTH:
            raise Fault(bracket.start(), _TOO_DEEP, _AS_JSON)


def _explained(text: str, error: Any) -> Fault:  # noqa: ANN401
    """Return what the library refuses in the words of a person who does not know YAML's."""
    problem = str(error.problem or error.context)
    mark = error.problem_mark or error.context_mark
    at = len(text) if mark is None else min(mark.index, len(text))
    for said, reason, hint in _SAID:
        if said in problem:
            # What begins and does not end is named where it begins.
            is_open = error.context_mark is not None and (said in _BEGUN or at == len(text))
            at = error.context_mark.index if is_open else at
            return Fault(at, reason.format(text[at : at + 1]), hint)
    reason = f"this is not YAML: {problem}"
    return Fault(at, reason, "put texts with special characters into double quotes")


_SAID = (
    ("'\\t'", "there is a tab where YAML needs spaces", "replace it with spaces"),
    ("mapping values are not allowed", "a colon is not allowed here", _QUOTE),
    (
        "could not find expected ':'",
        "this line has no colon",
        "write `key: value`; indent a line that belongs to the one above it",
    ),
    (
        "unexpected end of stream",
        "the quoted text that begins here has no end",
        "write the closing quote; inside, write \\\" in double quotes, and '' in single quotes",
    ),
    (
        "expected ',' or",
        "what begins with a bracket needs a comma between values, and a bracket at its end",
        "put a text that has brackets into double quotes",
    ),
    (
        "escape",
        "a backslash in double quotes begins no escape that YAML knows",
        "write the backslash twice, or put the text into single quotes",
    ),
    ("cannot start any token", "a text without quotes cannot begin with {}", _QUOTE),
    ("expected the node content", "a text without quotes cannot begin with {}", _QUOTE),
    (
        "sequence entries are not allowed",
        "a list cannot begin here",
        "begin it in a line of its own, or put the text into double quotes",
    ),
    (
        "indentation indicator",
        "the text of | or > begins in the next line",
        "write it there, indented, or put it into double quotes",
    ),
    (
        "block mapping start",
        "this line is indented unlike those around it",
        "begin all keys of one map in the same column",
    ),
    ("found '<scalar>'", "something stands behind a text that has ended", f"{_QUOTE} as a whole"),
)
"""Of what the library says: a part of its words, what a person reads for that, and what to do."""
_BEGUN = frozenset({"could not find expected ':'", "unexpected end of stream"})


def _whole(text: str, at: int) -> str:
    """Return a text with each pair of escapes that JSON writes for one character as that."""
    if _HALF.search(text) is None:
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise Fault(at, "an escape is only half of a character", _ITSELF) from None


@dataclass(slots=True)
class _Open:
    """A list or a map that has not ended yet."""

    entries: Entries | None
    is_flow: bool
    at: int
    items: list[Node] = field(default_factory=list)
    key: tuple[str, int, int] | None = None
    end: int = 0


@dataclass(slots=True)
class _Builder:
    text: str
    stack: list[_Open] = field(default_factory=list)
    root: Node | None = None

    def build(self, events: Iterator[Any]) -> Node:
        for event in events:
            self._take(type(event).__name__, event)
        node = NOTHING if self.root is None else self.root
        if node.entries is None:
            hint = "write each field as `key: value`, with a space after the colon"
            raise Fault(node.at, "the front matter must be lines of `key: value`", hint)
        return node

    def _take(self, kind: str, event: Any) -> None:  # noqa: ANN401
        at = event.start_mark.index
        if kind == "AliasEvent":
            raise Fault(at, "an alias (*) is not allowed here", _REPEAT)
        if getattr(event, "anchor", None) is not None:
            raise Fault(at, "an anchor (&) is not allowed here", _REPEAT)
        if getattr(event, "tag", None) is not None:
            is_bytes = str(event.tag).endswith("binary")
            raise Fault(at, "a tag (!) is not allowed here", _AS_BYTES if is_bytes else _NO_TAG)
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._open(kind == "MappingStartEvent", at)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._close(event.end_mark.index)
        elif kind == "ScalarEvent":
            self._scalar(event, at)

    def _open(self, is_map: bool, at: int) -> None:
        self._check_is_value(at)
        if len(self.stack) >= MAX_DEPTH:
            raise Fault(at, _TOO_DEEP, _AS_JSON)
        # The library says of a block that it is in the style of "flow".
        is_flow = self.text[at : at + 1] in ("[", "{")
        self.stack.append(_Open(Entries(at) if is_map else None, is_flow, at))

    def _close(self, end: int) -> None:
        opened = self.stack.pop()
        # The library ends a block where the next token is, which is behind comments.
        end = end if opened.is_flow else opened.end
        if opened.entries is not None:
            self._put(opened.entries.node(end, is_flow=opened.is_flow))
        else:
            self._put(list_of(opened.at, end, opened.items, is_flow=opened.is_flow))

    def _scalar(self, event: Any, at: int) -> None:  # noqa: ANN401
        end = at + len(self.text[at : event.end_mark.index].rstrip())
        is_word = event.style is None
        value = resolve(event.value, at) if is_word else _whole(event.value, at)
        top = self.stack[-1] if self.stack else None
        if top is None or top.entries is None or top.key is not None:
            self._put(Node(at, end, value))
            return
        if is_word and value == "<<":
            raise Fault(at, "a merge key (<<) is not allowed here", "write its fields themselves")
        if is_word and value is None and not event.value:
            raise Fault(
                at, "a key is missing before the colon", "write its name, or remove the line"
            )
        if not isinstance(value, str):
            shown = event.value[:40]
            raise Fault(at, f"the key {shown} is not text", f'put it into quotes: "{shown}":')
        if is_word and not value[:1].isprintable():
            shown = f"U+{ord(value[0]):04X}"
            reason = f"a key begins with the invisible character {shown}"
            raise Fault(at, reason, "remove it, or put the key into double quotes")
        top.key = value, at, end

    def _check_is_value(self, at: int) -> None:
        if self.stack and self.stack[-1].entries is not None and self.stack[-1].key is None:
            raise Fault(at, "a list or a map cannot be a key", _QUOTE)

    def _put(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if top.entries is None:
            top.items.append(node)
        else:
            assert top.key is not None
            key, at, end = top.key
            node = self._after_colon(node, end)
            top.entries.add(key, at, node)
            top.key = None
        top.end = max(top.end, node.end)

    def _after_colon(self, node: Node, end: int) -> Node:
        """Return `node` where an empty value stands: the library puts it at the next token."""
        if node.at != node.end or node.value is not None:
            return node
        colon = self.text.find(":", end)
        at = colon + 1 if colon >= 0 else end
        return Node(at, at, None)
