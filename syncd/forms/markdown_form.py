"""Records as Markdown files with front matter, or as JSON where Markdown cannot say them. Pure.

The beginning of a text says which of the two it is, not its name: `---` begins a page, `{` JSON.
Never writes a page that would not read back as the same record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

from syncd.atproto.blob import Refer
from syncd.atproto.compiled import record_of
from syncd.atproto.data import (
    Json,
    Record,
    Value,
    decode,
    encode,
    from_json,
    read_json_value,
    to_json,
)
from syncd.atproto.jsontext import within_bounds
from syncd.errors import BadData, BadJson
from syncd.forms.bodies import SHAPES
from syncd.forms.form import Collided, Marks, Pointer, Sayer
from syncd.forms.frontmatter.edit import edited
from syncd.forms.frontmatter.emit import write_front
from syncd.forms.frontmatter.files import referred
from syncd.forms.frontmatter.lines import NotInLines, read_lines
from syncd.forms.frontmatter.scalars import UNSAFE
from syncd.forms.frontmatter.tree import Entry, Fault, Node, comments, every, is_same, places
from syncd.forms.frontmatter.yaml import read_yaml
from syncd.forms.json_form import JSON
from syncd.forms.marks import mark_lines
from syncd.forms.page import BOM, Page, find_unmerged, is_page, keep_ends, new_page, split_page
from syncd.values import dataclass

Keys: TypeAlias = "tuple[str, ...]"
"""The keys that lead to the body of a record."""
Front: TypeAlias = "dict[str, Json]"

BODY = "$body"
"""The key of a front matter that names where the body belongs."""
MAX_FRONT = 2_000_000
"""The largest front matter, in characters: to read a megabyte of short lines takes five seconds."""


@dataclass(frozen=True, slots=True)
class MarkdownForm:
    """The files of one collection; see `Form` for what each function is for.

    Attributes:
        collection: Whose `$type` the front matter leaves out.
        pointers: Where the body of a record may be: the first that holds a text counts.
    """

    collection: str
    pointers: tuple[Keys, ...]
    ending: ClassVar[str] = ".md"
    endings: ClassVar[tuple[str, ...]] = (".md", JSON.ending)

    @property
    def bodies(self) -> tuple[Keys, ...]:
        return self.pointers

    def ending_of(self, text: bytes) -> str:
        return self.ending if is_page(text) else JSON.ending

    def parse(self, text: bytes, collection: str, refer: Refer | None = None) -> Record:
        if _is_json(text):
            return JSON.parse(text, collection, refer)
        return self._read(text, collection, refer)[1]

    def parse_as(self, text: bytes, collection: str) -> Record:
        if _is_json(text):
            return JSON.parse_as(text, collection)
        return {**self._read(text, None)[1], "$type": collection}

    def format(self, record: Record) -> bytes:
        page = self._exact(record) if _is_encodable(record) else None
        return JSON.format(record) if page is None else page

    def begun(self, record: Record) -> bytes:
        """Write a new record, with an empty body if it has none."""
        front = _fields(record)
        if self._body_of(front) is None and _at(front, self.pointers[0][:1]) is None:
            front = {**front, **SHAPES.get(self.pointers[0], {})}
            return self.format(from_json(with_body(front, self.pointers[0], "")))
        return self.format(record)

    def file_of(self, block: bytes) -> bytes:
        with suppress(BadData):
            # Every value of a plain record is its own JSON: no other has to be made of it.
            plain = record_of(block)
            record = decode(block) if plain is None else plain
            page = self._exact(record, plain) if isinstance(record, dict) else None
            if page is not None:
                return within_bounds(page)
        return JSON.file_of(block)

    def restyled(self, old: bytes, block: bytes, collection: str) -> bytes:
        written = self.file_of(block)
        if not is_page(written):
            return written if is_page(old) else JSON.restyled(old, block, collection)
        if not is_page(old):
            return written
        for make in (self._edited, _with_line_ends):
            with suppress(BadJson, BadData):
                text = within_bounds(keep_ends(old, make(old, written).encode()))
                if encode(self.parse(text, collection)) == block:
                    return text
        return written

    def remarks(self, text: bytes) -> tuple[str, ...]:
        if _is_json(text):
            return ()
        try:
            page, node = _front_of(text)
        except BadJson:
            return ()
        return comments(page.front, _with_places(page, node)) if "#" in page.front else ()

    def is_exact(self, block: bytes, collection: str) -> bool:
        return JSON.is_exact(block, collection)

    def means(self, text: bytes, block: bytes, collection: str) -> bool:
        try:
            return JSON.means(self._as_json(text, collection), block, collection)
        except (BadJson, BadData):
            return False

    def unsayable(self, block: bytes, collection: str) -> str | None:
        return JSON.unsayable(block, collection)

    def what_text_leaves(self, text: bytes, block: bytes, collection: str) -> str | None:
        try:
            return JSON.what_text_leaves(self._as_json(text, collection), block, collection)
        except (BadJson, BadData):
            return None

    def ordered(self, text: bytes, sayer: Sayer | None = None) -> bytes:
        if _is_json(text):
            return JSON.ordered(text, sayer)
        with suppress(BadJson, BadData, Fault):
            if sayer is not None:
                return keep_ends(text, _said(text, sayer).encode())
        return text

    def find_places(
        self, text: bytes, pointers: Iterable[Pointer]
    ) -> dict[Pointer, tuple[int, int]]:
        if _is_json(text):
            return JSON.find_places(text, pointers)
        page, node = _front_of(text)
        found: dict[Pointer, int] = dict(places(_with_places(page, node)))
        body = self._place(node, dict(_map_of(node)))
        found[body] = -1
        shown = {
            pointer: next(
                pointer[:length]
                for length in range(len(pointer), -1, -1)
                if pointer[:length] in found
            )
            for pointer in pointers
        }
        return {
            pointer: page.place_of_body() if trail == body else page.place(found[trail])
            for pointer, trail in shown.items()
        }

    def marked(self, record: Record, collisions: Mapping[str, Collided], marks: Marks) -> bytes:
        front = _fields(record)
        found = self._body_of(front)
        if found is None or "\r" in found[1]:
            return JSON.marked(record, collisions, marks)
        keys, body = found
        lines = write_front(self._front(front, keys))
        text = mark_lines(new_page(lines, body), body, collisions, marks)
        is_shown = not any(sign.encode() in text for sign in collisions)
        return text if is_shown else JSON.marked(record, collisions, marks)

    # --- reading ----------------------------------------------------------------------------------

    def _as_json(self, text: bytes, collection: str) -> bytes:
        return text if _is_json(text) else JSON.format(self.parse(text, collection))

    def _read(
        self, text: bytes, collection: str | None, refer: Refer | None = None
    ) -> tuple[Page, Record]:
        """Read a page; `collection` None takes any `$type`. Raises BadJson with a place."""
        page, node = _front_of(text)
        try:
            given = node if refer is None else referred(node, refer)
            return page, self._record(page, given, collection)
        except Fault as fault:
            raise page.refusal(fault.at, fault.reason, fault.hint) from None

    def _record(self, page: Page, node: Node, collection: str | None) -> Record:
        fields = self._fields_in(page, node, collection)
        try:
            return from_json(fields)
        except BadData as error:
            raise _placed(_with_places(page, node), error) from None

    def _fields_in(self, page: Page, node: Node, collection: str | None = None) -> Front:
        """Return the fields of a page with its body. Raises Fault."""
        front = dict(_map_of(node))
        keys = self._place(node, front)
        kind = front.setdefault("$type", collection or self.collection)
        if collection is not None and kind != collection:
            at = next(entry.node.at for entry in node.entries or () if entry.key == "$type")
            reason = f'"$type" must be "{collection}", the collection of this file'
            raise Fault(at, reason, "remove the line: the directory names the collection")
        front.pop(BODY, None)
        return with_body(front, keys, page.body)

    def _place(self, node: Node, front: Front) -> Keys:
        """Return the place of the body, given the other fields. Raises Fault."""
        if BODY in front:
            return _named(node, front)
        for is_fitting in (_has_parent, _is_free):
            for keys in self.pointers:
                if is_fitting(front, keys) and _is_free(front, keys):
                    return keys
        name = ".".join(self.pointers[0])
        reason = f"the text below the front matter is {name}, but the front matter has {name} too"
        raise Fault(_node_at(node, self.pointers[0]).at, reason, f"remove {name} here")

    # --- writing ----------------------------------------------------------------------------------

    def _exact(self, record: Record, plain: Front | None = None) -> bytes | None:
        """Return the page of a record; None if it would not be exactly that record.

        `plain`: its fields, if the record of these very fields is known to be `record`.
        """
        front = _fields(record) if plain is None else plain
        found = self._body_of(front)
        if found is None:
            return None
        keys, body = found
        if "\r" in body or "\0" in body or find_unmerged(body) >= 0:
            return None
        try:
            page = new_page(write_front(self._front(front, keys)), body).encode()
            if plain is None:
                is_exact = is_same(self._read(page, self.collection)[1], record)
            else:
                is_exact = is_same(self._fields_in(*_front_of(page)), plain)
        except (BadData, BadJson, Fault):
            return None
        return page if is_exact else None

    def _body_of(self, front: Front) -> tuple[Keys, str] | None:
        """Return the first pointer that holds a text, and the text."""
        if front.get("$type") != self.collection or BODY in front:
            return None
        for keys in self.pointers:
            if isinstance(text := _at(front, keys), str):
                return keys, text
        return None

    def _front(self, front: Front, keys: Keys) -> Front:
        """Return the fields for the front matter of a page whose body is at `keys`."""
        rest = _without(front, keys)
        del rest["$type"]
        with suppress(Fault):
            if self._place(Node(0, 0, rest, entries=()), rest) == keys:
                return rest
        return {**rest, BODY: ".".join(keys)}

    def _edited(self, old: bytes, written: bytes) -> Page:
        """Return the page `old` with the content of `written`. Raises BadJson."""
        page, node = _front_of(old)
        new, wanted = _front_of(written)
        fields = dict(_map_of(wanted))
        before = _map_of(node)
        if "$type" in before:
            fields["$type"] = self.collection
        if BODY in before and BODY not in fields:
            fields[BODY] = ".".join(self._place(wanted, fields))
        return replace(page.with_body(new.body), front=edited(page.front, node, fields))


def _said(text: bytes, sayer: Sayer) -> Page:
    """Return a page with words for its references. Raises BadJson, BadData, Fault."""
    page, node = _front_of(text)
    front = dict(_map_of(referred(node, sayer.refer)))
    said = {key: to_json(value) for key, value in sayer.said(from_json(front)).items()}
    return page if said == front else replace(page, front=edited(page.front, node, said))


def _with_line_ends(old: bytes, written: bytes) -> Page:
    return replace(split_page(written), newline=split_page(old).newline)


def _is_json(text: bytes) -> bool:
    """Return whether a text is to be read as JSON: it begins as JSON, or is empty."""
    start = text.removeprefix(BOM.encode()).lstrip(b" \t\r\n")[:1]
    return start in (b"{", b"[", b"") or not text.strip(b"\0")


def _fields(record: Record) -> Front:
    """Return the fields of a record as JSON has them. Raises BadData."""
    return {key: to_json(value) for key, value in record.items()}


def _is_encodable(record: Record) -> bool:
    try:
        encode(record)
    except BadData:
        return False
    return True


def _front_of(text: bytes) -> tuple[Page, Node]:
    """Read the front matter of a page. Raises BadJson with a place."""
    page = split_page(text)
    try:
        if len(page.front) > MAX_FRONT:
            reason = f"the front matter has more than {MAX_FRONT} characters"
            raise Fault(0, reason, "save the record as a JSON file instead")
        if (found := UNSAFE.search(page.front)) is not None:
            reason = f"the character U+{ord(found[0]):04X} cannot be in front matter unescaped"
            hint = f'write it in double quotes as "\\u{ord(found[0]):04x}"'
            raise Fault(found.start(), reason, hint)
        try:
            return page, read_lines(page.front)
        except NotInLines:
            return page, read_yaml(page.front)
    except Fault as fault:
        raise page.refusal(fault.at, fault.reason, fault.hint) from None


def _with_places(page: Page, node: Node) -> Node:
    """Return the front matter with the place of each value in brackets too, if it can be read so.

    JSON in one line is read fast, and all in it has one place.
    """
    try:
        return read_yaml(page.front) if any(inner.is_flow for inner in every(node)) else node
    except Fault:
        return node


def front_of(text: bytes) -> tuple[Page, Front]:
    """Read a page and the fields of its front matter, whatever they are. Raises BadJson."""
    page, node = _front_of(text)
    return page, _map_of(node)


def blamed(text: bytes, error: BadData) -> BadJson:
    """Return the refusal of a page that can be read, at its value that no record can have."""
    page, node = _front_of(text)
    fault = _placed(_with_places(page, node), error)
    return page.refusal(fault.at, fault.reason, fault.hint)


def _map_of(node: Node) -> Front:
    return node.value if isinstance(node.value, dict) else {}


def _named(node: Node, front: Front) -> Keys:
    """Return the pointer that a front matter names. Raises Fault if no body can be there."""
    name = front[BODY]
    keys = tuple(name.split(".")) if isinstance(name, str) else ("",)
    if not all(keys) or not _is_free(front, keys):
        reason = f"{BODY} must name a field that the front matter does not have"
        raise Fault(_node_at(node, (BODY,)).at, reason, f"for example {BODY}: content")
    return keys


def _has_parent(front: Front, keys: Keys) -> bool:
    return isinstance(_at(front, keys[:-1]), dict)


def _is_free(front: Front, keys: Keys) -> bool:
    """Return whether a body can be put at `keys`: nothing is there, and only maps are around it."""
    inner: Json = front
    for key in keys:
        if not isinstance(inner, dict):
            return False
        if key not in inner:
            return True
        inner = inner[key]
    return False


def _at(front: Json, keys: Sequence[str]) -> Json:
    for key in keys:
        front = front.get(key) if isinstance(front, dict) else None
    return front


def with_body(front: Front, keys: Keys, body: str) -> Front:
    """Return the fields with the body in its place."""
    key, *rest = keys
    inner = front.get(key)
    below = with_body(inner if isinstance(inner, dict) else {}, tuple(rest), body) if rest else body
    return {**front, key: below}


def _without(front: Front, keys: Keys) -> Front:
    """Return the fields without the body; the maps around it stay."""
    key, *rest = keys
    inner = front[key]
    if rest and isinstance(inner, dict):
        return {**front, key: _without(inner, tuple(rest))}
    return {name: value for name, value in front.items() if name != key}


def _node_at(node: Node, trail: Sequence[str | int]) -> Node:
    """Return the innermost node on the way along `trail`."""
    for key in trail:
        entry = next((entry for entry in node.entries or () if entry.key == key), None)
        if entry is None:
            break
        node = entry.node
    return node


def _placed(node: Node, error: BadData) -> Fault:
    """Return the fault, with its place, of the innermost value that no record can have."""
    try:
        _converted(node)
    except Fault as fault:
        return fault
    return Fault(node.at, error.message, error.hint)


def _converted(node: Node) -> Value:
    """Convert a value as `from_json` does. Raises Fault with the place of what it refuses."""
    item: Any = node.value
    if node.entries is not None:
        item = {entry.key: _converted(entry.node) for entry in node.entries}
    elif node.items is not None:
        return [_converted(inner) for inner in node.items]
    try:
        return read_json_value(item)
    except BadData as error:
        raise Fault(_blamed(node).at, error.message, error.hint) from None


def _blamed(node: Node) -> Node | Entry:
    return node.entries[0] if node.entries else node
