"""Write a front matter in syncd's own style: a line for each key and item, no line folded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from syncd.atproto.data import Json
from syncd.atproto.jsontext import file_order
from syncd.errors import BadData
from syncd.forms.frontmatter.scalars import is_plain_in_flow, key_of, quoted, written
from syncd.forms.frontmatter.tree import MAX_DEPTH
from syncd.values import dataclass

_BLOCKS = 8
"""How deep lists and maps have lines of their own; deeper ones stand in brackets."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a person chose: how far a list is indented below its key, and quotes in brackets."""

    lists: int = 2
    is_quoted: bool = True


OWN = Style()


def write_front(entries: Mapping[str, Json], style: Style = OWN) -> str:
    """Write the lines of a front matter. Raises BadData if it cannot say a value."""
    return "".join(f"{line}\n" for line in lines_of(entries, 0, style))


def lines_of(entries: Mapping[str, Json], indent: int, style: Style = OWN) -> Iterator[str]:
    """Yield the lines of a map. Raises BadData as `write_front` does."""
    for key in sorted(entries, key=file_order):
        yield from entry_lines(key, entries[key], indent, style)


def entry_lines(key: str, value: Json, indent: int, style: Style = OWN) -> Iterator[str]:
    """Yield the lines of one entry of a map, whose key stands after `indent` spaces."""
    label = " " * indent + _key(key) + ":"
    if isinstance(value, dict) and value and indent < 2 * _BLOCKS:
        yield label
        yield from lines_of(value, indent + 2, style)
    elif isinstance(value, list) and value and indent < 2 * _BLOCKS:
        yield label
        for item in value:
            yield from item_lines(item, indent + style.lists, style)
    else:
        yield f"{label} {flow_or_scalar(value, style)}"


def item_lines(item: Json, indent: int, style: Style = OWN) -> Iterator[str]:
    """Yield the lines of one item of a list, whose dash stands after `indent` spaces."""
    if isinstance(item, dict) and item:
        first, *rest = lines_of(item, indent + 2, style)
        yield " " * indent + "- " + first[indent + 2 :]
        yield from rest
    else:
        yield " " * indent + "- " + flow_or_scalar(item, style)


def flow_or_scalar(value: Json, style: Style = OWN) -> str:
    """Write a value in one line."""
    return _flow(value, style, MAX_DEPTH) if isinstance(value, list | dict) else written(value)


def _flow(value: Json, style: Style, room: int) -> str:
    if not room:
        raise BadData(f"lists and maps are nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        pairs = (
            f"{_flow_key(k)}: {_flow(value[k], style, room - 1)}"
            for k in sorted(value, key=file_order)
        )
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item, style, room - 1) for item in value) + "]"
    if isinstance(value, str):
        return value if not style.is_quoted and is_plain_in_flow(value) else quoted(value)
    return written(value)


def _flow_key(key: str) -> str:
    if key_of(key) is None:
        raise BadData("a key is too long for a front matter")
    return quoted(key)


def _key(key: str) -> str:
    text = key_of(key)
    if text is None:
        raise BadData("a key is too long for a front matter")
    return text
