"""How people write the files of records: as JSON, or as a page with front matter and a body.

Which of the two a text is, its beginning says; every collection of the model may have pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.config.values import Markdown
from syncd.errors import BadJson
from syncd.forms import Form, with_markdown
from tests.rigs.pictures import drawn

BODY = "text"
COLLECTIONS = tuple(
    f"com.example.{name}" for name in ("note", "page", "merged", "mine", "theirs", "same")
)
"""Those that random play writes to."""


def pages(collections: Iterable[str]) -> Markdown:
    """The setting `[files] markdown` for these collections."""
    return tuple((name, ((BODY,),)) for name in sorted(collections))


def page_of(record: Mapping[str, Any]) -> bytes:
    """The page of a record as a person types it: also one that names a file to be uploaded."""
    fields = (f"{k}: {json.dumps(v)}" for k, v in record.items() if k not in ("$type", BODY))
    return "\n".join(["---", *fields, "---", "", record.get(BODY, ""), ""]).encode()


def body_of(v: object) -> dict[str, str]:
    """The body of a record by what is new in it: one for pages, another, none, one for JSON."""
    if not isinstance(v, int):
        return {BODY: "Same"}
    text = (f"Text {v}", None, f"\n# {v}\n\n---\nb: {v}\n", f"a\r\nb {v}")[v % 4]
    return {} if text is None else {BODY: text}


def reformatted(text: bytes) -> bytes:
    """The same record, laid out anew: nothing that anybody has to keep."""
    if text.startswith(b"---"):
        return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"---", b"--- ", 1)
    return json.dumps(json.loads(text), indent=7).encode() + b"\r\n"


@lru_cache(maxsize=10_000)
def cid_of_text(text: bytes, collection: str) -> Cid | None:
    """What a text says, whatever the settings of its mirror; None if it says nothing.

    One that names a picture to upload says what it will be then.
    """
    try:
        return cid_of(_form(collection).parse(text, collection, drawn))
    except BadJson:
        return None


def as_written(form: Form, record: dict[str, Any], *, in_json: bool) -> bytes:
    """A record as a person writes it."""
    return json.dumps(record).encode() if in_json else form.format(record)


@cache
def _form(collection: str) -> Form:
    return with_markdown(pages([collection])).of(collection)
