"""Change the values of a front matter and leave all else of its text as it is. Pure.

What stays: comments, empty lines, the order of keys, quotes, spaces. Whoever calls it reads the
result and drops it if it does not say what it was to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from syncd.atproto.data import Json
from syncd.atproto.jsontext import file_order
from syncd.forms.frontmatter.emit import Style, entry_lines, flow_or_scalar, item_lines
from syncd.forms.frontmatter.scalars import is_day, is_plain, quoted, single_quoted, written
from syncd.forms.frontmatter.tree import Entry, Node, is_same
from syncd.values import dataclass


def edited(text: str, old: Node, new: Mapping[str, Json]) -> str:
    """Return `text`, which means `old`, with the fewest changes that make it mean `new`."""
    edit = _Edit(text, Style(_list_indent(text, old)))
    edit.map(old, new, 0)
    return edit.result()


def _list_indent(text: str, node: Node) -> int:
    """Return how far the first list with lines is indented below its key."""
    for entry in node.entries or ():
        if entry.node.items and entry.node.is_block:
            return min(8, max(0, _column(text, entry.node.at) - _column(text, entry.at)))
        if entry.node.entries and (found := _list_indent(text, entry.node)) != _LIST_INDENT:
            return found
    return _LIST_INDENT


_LIST_INDENT = 2


def _column(text: str, at: int) -> int:
    return at - (text.rfind("\n", 0, at) + 1)


@dataclass(slots=True)
class _Edit:
    """The replacements in `text`: start, end and new text of each."""

    text: str
    style: Style
    changes: list[tuple[int, int, str]] = field(default_factory=list)

    def result(self) -> str:
        parts, last = [], 0
        for start, end, new in sorted(self.changes, key=lambda change: change[:2]):
            parts += [self.text[last:start], new]
            last = end
        text = "".join((*parts, self.text[last:]))
        return text if not text or text.endswith("\n") else f"{text}\n"

    def map(self, old: Node, new: Mapping[str, Json], indent: int) -> None:
        """Change a map with lines, whose keys stand after `indent` spaces."""
        entries = old.entries or ()
        for entry in entries:
            if entry.key not in new:
                self._remove(entry.at, entry.node.end)
            elif not is_same(entry.node.value, new[entry.key]):
                self._entry(entry, new[entry.key], indent)
        for before, keys in _added(entries, new):
            lines = (
                line for key in keys for line in entry_lines(key, new[key], indent, self.style)
            )
            self._insert(before, lines, self._line_start(old.at))

    def _entry(self, entry: Entry, new: Json, indent: int) -> None:
        node = entry.node
        if node.is_block and node.entries and isinstance(new, dict) and new:
            self.map(node, new, _column(self.text, node.entries[0].at))
        elif node.is_block and node.items and isinstance(new, list) and new:
            self._list(node, node.items, new)
        elif not node.is_block and (not isinstance(new, dict | list) or node.is_flow or not new):
            space = " " * (self.text[node.at - 1 : node.at] not in (" ", "\n", ""))
            self.changes.append((node.at, node.end, space + self._in_line(node, new, indent)))
        else:
            lines = "\n".join(entry_lines(entry.key, new, indent, self.style))
            self.changes.append((entry.at, node.end, lines[indent:]))

    def _list(self, node: Node, items: Sequence[Node], new: Sequence[Json]) -> None:
        """Change a list with lines: what it begins and ends with alike stays."""
        most = min(len(items), len(new))
        first = next((i for i in range(most) if not is_same(items[i].value, new[i])), most)
        last = next(
            (i for i in range(most - first) if not is_same(items[-1 - i].value, new[-1 - i])),
            most - first,
        )
        for item in items[first : len(items) - last]:
            self._remove(item.at, item.end)
        indent = _column(self.text, node.at)
        lines = [
            line
            for item in new[first : len(new) - last]
            for line in item_lines(item, indent, self.style)
        ]
        if lines and first:
            self._insert(items[first - 1].end, lines)
        elif lines:
            self._insert(-1, lines, self._line_start(node.at))

    def _in_line(self, old: Node, new: Json, indent: int) -> str:
        """Write a value in one place of a line, quoted as the old one was."""
        was = self.text[old.at : old.end]
        if isinstance(new, dict | list):
            return flow_or_scalar(new, Style(is_quoted='"' in was or "'" in was))
        if not isinstance(new, str):
            return written(new)
        if was.startswith('"'):
            return quoted(new)
        if was.startswith("'"):
            return single_quoted(new) or quoted(new)
        if was.startswith(("|", ">")):
            # As deep as before: a comment that follows is otherwise a line of the block.
            deep = _block_indent(was, indent + 2)
            if (block := _literal(new, deep)) is not None:
                return block
        return new if is_plain(new) or (is_day(was) and is_day(new)) else quoted(new)

    def _remove(self, at: int, end: int) -> None:
        """Remove the lines from that of `at` to that of `end`."""
        self.changes.append((self._line_start(at), self._line_end(end), ""))

    def _insert(self, after: int, lines: Iterable[str], first: int = 0) -> None:
        """Insert lines after the line of an offset; at `first` if that is -1."""
        at = self._line_end(after) if after >= 0 else first
        text = "".join(f"{line}\n" for line in lines)
        lead = "\n" * (at > 0 and self.text[at - 1] != "\n")
        self.changes.append((at, at, lead + text))

    def _line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1


def _added(entries: Sequence[Entry], new: Mapping[str, Json]) -> Iterator[tuple[int, list[str]]]:
    """Yield the new keys, each run with the end of the entry before it; -1 for none."""
    kept = {entry.key: entry.node.end for entry in entries}
    before, runs = -1, dict[int, list[str]]()
    for key in sorted(new, key=file_order):
        if key in kept:
            before = kept[key]
        else:
            runs.setdefault(before, []).append(key)
    yield from runs.items()


def _block_indent(block: str, otherwise: int) -> int:
    """Return how far the first line of a block with words in it is indented."""
    lines = (line for line in block.split("\n")[1:] if line.strip())
    return next((len(line) - len(line.lstrip(" ")) for line in lines), otherwise)


def _literal(text: str, indent: int) -> str | None:
    """Write a text as a block of lines; None if that could be read otherwise."""
    lines = text.split("\n")
    is_ended = lines[-1] == ""
    lines = lines[:-1] if is_ended else lines
    if not lines or not lines[-1].strip() or lines[0][:1] in (" ", "\t", ""):
        return None
    return (
        "|"
        + "-" * (not is_ended)
        + "".join(f"\n{' ' * indent}{line}" if line else "\n" for line in lines)
    )
