"""Put entries into a list of someone's settings, and take them out again. Pure.

Everything else stays to the letter: comments, order, line ends. What `without_entries` leaves of
`with_entries` is the text from before, but for lists and objects that were there empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from syncd.errors import BadJson
from syncd.mirror.editors.jsonc import Item, Node, parse_jsonc, value_of

Entry: TypeAlias = "dict[str, Any]"
IsOurs: TypeAlias = Callable[[object], bool]
_UNIT: Final = re.compile(r"\{[ \t]*\r?\n([ \t]+)\S")


def with_entries(text: str, path: Sequence[str], entries: Sequence[Entry], is_ours: IsOurs) -> str:
    """Return `text` with `entries` first in the list at `path`, instead of our former ones.

    Raises BadJson: the text is no JSON with comments, or holds something else at `path`.
    """
    text = without_entries(text, path, is_ours)
    root = parse_jsonc(text)
    if root is None:
        return text + _written(path, entries, "", "  ", _line_end(text)) + _line_end(text)
    _check_kind(text, root, "object")
    unit = found[1] if (found := _UNIT.search(text)) else "  "
    here, depth = root, 0
    for key in path:
        member = here.member(key)
        if member is None:
            break
        here, depth = member.value, depth + 1
        _check_kind(text, here, "array" if depth == len(path) else "object")
    return _insert(text, here, path[depth:], entries, unit * (depth + 1), unit)


def without_entries(text: str, path: Sequence[str], is_ours: IsOurs) -> str:
    """Return `text` without our entries and without the containers that become empty.

    Raises BadJson: the text is no JSON with comments.
    """
    while True:
        root = parse_jsonc(text)
        found = None if root is None else _found(root, path)
        if found is None:
            return text
        owners, node = found
        ours = [item for item in node.inside if is_ours(_shown(text, item))]
        if not ours:
            return text
        text = _cut(text, node, ours[-1])
        if len(node.inside) == 1:
            text = _without_empty(text, path, len(owners))


def has_entries(text: str, path: Sequence[str], is_ours: IsOurs) -> bool:
    """Return whether any entry of ours is in the list at `path`. Raises BadJson."""
    return without_entries(text, path, is_ours) != text


def _shown(text: str, item: Item) -> object:
    return value_of(text, item.value)


def _found(root: Node, path: Sequence[str]) -> tuple[list[Node], Node] | None:
    """Return the list at `path` and the objects around it; None if there is no such list."""
    owners, here = [], root
    for key in path:
        member = here.member(key) if here.kind == "object" else None
        if member is None:
            return None
        owners.append(here)
        here = member.value
    return (owners, here) if here.kind == "array" else None


def _without_empty(text: str, path: Sequence[str], depth: int) -> str:
    """Remove the members on `path` that hold nothing, not even a comment, innermost first."""
    for length in range(depth, 0, -1):
        root = parse_jsonc(text)
        assert root is not None
        here, member = root, None
        for key in path[:length]:
            owner, member = here, here.member(key)
            assert member is not None
            here = member.value
        if here.inside or text[here.start + 1 : here.end - 1].strip():
            return text
        assert member is not None
        text = _cut(text, owner, member)
    return text


def _cut(text: str, owner: Node, item: Item) -> str:
    """Remove an item with its comma and the blanks before it."""
    start = len(text[: item.start].rstrip(" \t\r\n"))
    if item.comma is not None:
        return text[:start] + text[item.comma + 1 :]
    before = [each for each in owner.inside if each.end < item.start]
    if before and before[-1].comma is not None:
        comma = before[-1].comma
        return text[:comma] + text[comma + 1 : max(start, comma + 1)] + text[item.end :]
    # Alone in it: what is left is blank, as `{}` and `[]` are.
    is_alone = (
        not text[owner.start + 1 : start].strip() and not text[item.end : owner.end - 1].strip()
    )
    return (
        text[: owner.start + 1] + text[owner.end - 1 :]
        if is_alone
        else text[:start] + text[item.end :]
    )


def _insert(
    text: str, node: Node, path: Sequence[str], entries: Sequence[Entry], indent: str, unit: str
) -> str:
    end = _line_end(text)
    if path:
        new = f"{_quoted(path[0])}: {_written(path[1:], entries, indent, unit, end)}"
        pieces = [new]
    else:
        pieces = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    lines = f",{end}{indent}".join(pieces)
    rest = text[node.start + 1 :]
    close = f"{end}{indent[: -len(unit)]}" if not rest[: node.end - node.start - 2].strip() else ""
    comma = "," if node.inside else ""
    if close:
        rest = rest.lstrip(" \t\r\n")
    return f"{text[: node.start + 1]}{end}{indent}{lines}{comma}{close}{rest}"


def _written(
    path: Sequence[str], entries: Sequence[Entry], indent: str, unit: str, end: str
) -> str:
    """Write the entries as the list at `path`, in as many objects; `indent` is that of its line."""
    inner = indent + unit
    if path:
        value = f"{_quoted(path[0])}: {_written(path[1:], entries, inner, unit, end)}"
        return f"{{{end}{inner}{value}{end}{indent}}}"
    lines = f",{end}{inner}".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    return f"[{end}{inner}{lines}{end}{indent}]"


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _check_kind(text: str, node: Node, kind: str) -> None:
    if node.kind != kind:
        before = text[: node.start]
        line, column = before.count("\n") + 1, node.start - (before.rfind("\n") + 1) + 1
        words = {"object": "an object", "array": "a list"}[kind]
        raise BadJson(f"{words} is expected here", line=line, column=column)
