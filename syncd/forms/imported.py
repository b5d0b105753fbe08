"""Make a record of a post that a static site or a notebook has. Pure.

Front matter of Hugo, Astro, Eleventy, Jekyll and Obsidian is no record: what has a meaning here is
taken over under the name that the lexicon has for it, and all else is named to the person.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from syncd.atproto.data import Json, Record, from_json, to_json
from syncd.errors import BadData, BadJson
from syncd.forms.bodies import FIELDS, SHAPES
from syncd.forms.form import Form
from syncd.forms.markdown_form import Front, MarkdownForm, blamed, front_of, with_body
from syncd.forms.page import AS_YAML, BOM, Page, is_page, split_page
from syncd.values import dataclass

_FIELDS_OF: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("description", "summary", "excerpt", "subtitle"), ("description", "subtitle")),
    **dict.fromkeys(("date", "pubDate", "publishDate", "created"), ("publishedAt", "createdAt")),
    **dict.fromkeys(("updated", "updatedDate", "lastmod", "modified"), ("updatedAt",)),
    **dict.fromkeys(("tags", "categories"), ("tags",)),
    "title": ("title",),
}
"""What others call a field, and what records call it; of these, the first that is known counts."""
_DATES = frozenset({"publishedAt", "createdAt", "updatedAt"})
_SAID = frozenset({"draft", "published"})
"""What says that a post is a draft: here it is one until it is published."""

_EMPTY = b"---\n---\n"
"""Front matter that says nothing."""

_BEGINS = re.compile(r"[^\s#\]}-]")
"""How a line begins that is no part of the value above it."""
_KEY = re.compile(r"""("[^"\\]*"|'[^']*'|[^\s"':][^:]*?) *:(?:\s|$)""")
_MOST_UNREAD = 100
_JSON_FRONT = re.compile(rb'\{\s*(?:"|\})')
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:\.\d+)? ?(Z|[+-]\d\d:?\d\d)?)?"
)
_WORDS = re.compile(r"([A-Z][a-z]{2})[a-z]* (\d{1,2}),? (\d{4})")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Imported:
    """A record, and the keys of the front matter that are not in it."""

    record: Record
    left: tuple[str, ...]


def import_post(text: bytes, form: Form, begun: Record, fields: Collection[str]) -> Imported | None:
    """Read a post as a record; None where `form` has no place for a post.

    Args:
        begun: The fields that a new record has.
        fields: The fields that its lexicon knows; empty if there is none.

    Raises BadJson if its front matter cannot be read.
    """
    if not isinstance(form, MarkdownForm):
        return None
    if text.removeprefix(BOM.encode()).startswith(b"+++"):
        raise BadJson("syncd does not read front matter in TOML", line=1, column=1, hint=AS_YAML)
    if _JSON_FRONT.match(text.removeprefix(BOM.encode())):
        raise BadJson("syncd does not read front matter in JSON", line=1, column=1, hint=AS_YAML)
    known = frozenset(fields) or FIELDS.get(form.collection, frozenset()) | begun.keys()
    page, front, unread = _read(text, known)
    if "$type" in front:
        return Imported(form.parse(text, form.collection), ())
    taken = dict(_taken(front, known))
    shape = SHAPES.get(form.pointers[0], {})
    try:
        own: Front = {key: to_json(value) for key, value in begun.items()}
        whole = {**own, **shape, **{key: value for key, (_, value) in taken.items()}}
        record = from_json(with_body(whole, form.pointers[0], page.body))
    except BadData as error:
        raise blamed(text, error) from None
    used = {source for source, _ in taken.values()} | _SAID
    left = dict.fromkeys((*(key for key in front if key not in used), *unread))
    return Imported(record, tuple(left))


def _read(text: bytes, known: Collection[str]) -> tuple[Page, Front, list[str]]:
    """Read a post, or a note without properties, all of which is the body. Raises BadJson.

    Comes third: the keys whose values no record can have, where no field is made of them.
    """
    if is_page(text):
        return _read_page(text, known)
    try:
        return *front_of(_EMPTY + text.removeprefix(BOM.encode())), []
    except BadJson as error:
        line = None if error.line is None else error.line - _EMPTY.count(b"\n")
        raise BadJson(error.message, line=line, column=error.column, hint=error.hint) from None


def _read_page(text: bytes, known: Collection[str]) -> tuple[Page, Front, list[str]]:
    unread: list[str] = []
    page = split_page(text)
    lines = page.front.split("\n")
    while True:
        try:
            return *front_of(replace(page, front="\n".join(lines)).encode()), unread
        except BadJson as error:
            entry = _entry_at(lines, (error.line or 0) - 2)
            if entry is None or len(unread) == _MOST_UNREAD:
                raise
            key, start, end = entry
            if _names(key, known) or key == "$type":
                raise
            unread.append(key)
            # The other lines stay where they are: an error in them has its place.
            lines[start:end] = [""] * (end - start)


def _entry_at(lines: Sequence[str], index: int) -> tuple[str, int, int] | None:
    """Return the key whose value a line is part of, with its first line and that of the next."""
    last = min(index, len(lines) - 1)
    begun = (at for at in range(last, -1, -1) if _BEGINS.match(lines[at]))
    start = next(begun, None)
    found = None if start is None else _KEY.match(lines[start])
    if start is None or found is None:
        return None
    later = (at for at in range(start + 1, len(lines)) if _BEGINS.match(lines[at]))
    return found[1].strip("\"'"), start, next(later, len(lines))


def _names(key: str, known: Collection[str]) -> list[str]:
    """Return the fields that a key of a post may become, best first."""
    return [name for name in (key, *_FIELDS_OF.get(key, ())) if name in known]


def _taken(front: Front, known: Collection[str]) -> Iterator[tuple[str, tuple[str, Json]]]:
    """Yield each field of the record, the key that it comes from, and its value."""
    for key, value in front.items():
        for field in _names(key, known)[:1]:
            if (fitted := _fitted(field, value)) is not None:
                yield field, (key, fitted)


def _fitted(field: str, value: Json) -> Json:
    """Return the value in the type of the field; None if it does not fit."""
    if field in _DATES:
        return _datetime(value) if isinstance(value, str) else None
    if field == "tags":
        return _tags(value)
    return value


def _tags(value: Json) -> Json:
    if isinstance(value, str):
        return [word for word in re.split(r"\s*,\s*" if "," in value else r"\s+", value) if word]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return None


def _datetime(text: str) -> str | None:
    if found := _WORDS.fullmatch(text):
        month = found[1]
        if month not in _MONTHS:
            return None
        return f"{found[3]}-{_MONTHS.index(month) + 1:02}-{int(found[2]):02}T00:00:00.000Z"
    if (found := _ISO.fullmatch(text)) is None:
        return None
    date, zone = "-".join(found.group(1, 2, 3)), found[6] or "Z"
    zone = zone if ":" in zone or zone == "Z" else f"{zone[:3]}:{zone[3:]}"
    return f"{date}T{found[4] or '00:00'}{found[5] or ':00'}.000{zone}"
