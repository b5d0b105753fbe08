"""A text of Markdown without its markup, and when a record that has both gets it anew. Pure.

Never decides whether a collection has such a field: a setting names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from syncd.atproto.data import Record, Value
from syncd.forms.form import Form

if TYPE_CHECKING:
    from markdown_it.token import Token


def plain_text(markdown: str) -> str:
    """Return the words of a text, with an empty line between its blocks.

    What markup alone says is left out: addresses of links, and HTML.
    """
    # Few mirrors name such a field, and each command would import what reads Markdown.
    from markdown_it import MarkdownIt  # noqa: PLC0415

    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    blocks: list[str] = []
    for token in tokens:
        if token.type == "inline":
            blocks.append("".join(_words(token.children or ())))
        elif token.type in ("fence", "code_block"):
            blocks.append(token.content.rstrip("\n"))
    return "\n\n".join(filter(None, blocks))


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("text", "code_inline", "image"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield "\n"


def renewed(
    record: Record,
    before: Record | None,
    form: Form,
    keys: Sequence[str],
    typed: Record | None = None,
) -> Record:
    """Return the record with its plain text at `keys` made again, if that is due.

    It is due where the body was edited and that text was not, and in a new record without one.

    Args:
        before: The version that both sides had; None for a new record.
        keys: Where the text without markup is.
        typed: What the file said before that text was last made anew: that it differs from
            `before` since is no edit of a person.
    """
    body, old = _body(record, form), None if before is None else _body(before, form)
    present = _at(record, keys)
    made = None if typed is None else _body(typed, form)
    is_ours = made is not None and present == plain_text(made)
    is_as_before = present is None if before is None else present == _at(before, keys)
    is_text = present is None or isinstance(present, str)
    if body is None or body == old or not is_text or not (is_ours or is_as_before):
        return record
    return _with(record, keys, plain_text(body))


def _body(record: Record, form: Form) -> str | None:
    """Return the text of a record that a person edits by lines; None if it has none."""
    found = (_at(record, keys) for keys in form.bodies)
    return next((value for value in found if isinstance(value, str)), None)


def _at(value: Value, keys: Sequence[str]) -> Value:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _with(record: Record, keys: Sequence[str], text: str) -> Record:
    """Return the record with `text` at `keys`; unchanged without a map around that place."""
    key, *rest = keys
    if not rest:
        return {**record, key: text}
    inner = record.get(key)
    return {**record, key: _with(inner, rest, text)} if isinstance(inner, dict) else record
