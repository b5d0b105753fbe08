"""Read the answers to writes. An answer that cannot be read is Unknown: the write may stand.

Every reader expects a 2xx (see `raise_for`). Sources: lexicons com.atproto.repo.*
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.syntax import Tid
from syncd.atproto.xrpc.answer import (
    Fields,
    Response,
    as_object,
    commit_pair,
    maybe,
    parsed,
    read_object,
)
from syncd.atproto.xrpc.request import WriteOp
from syncd.errors import BadAnswer, Unknown

_WORD_LENGTH = 40


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """`cids` in the order of the ops, None for a deletion or where the PDS does not say.

    `commit` and `rev` are None if the PDS found nothing to do, or does not say. `validation` is
    what it found of each record's type, where it says: `valid` or `unknown`.
    """

    cids: tuple[Cid | None, ...]
    commit: Cid | None
    rev: Tid | None
    validation: tuple[str | None, ...] = field(default=(), compare=False)


def read_applied(response: Response, ops: Sequence[WriteOp]) -> WriteAnswer:
    """applyWrites. Raises Unknown if the answer cannot be read or is about other records."""
    with _unknown_if_unreadable():
        fields = read_object(response)
        results = maybe(fields, "results", list)
        if results is None:
            return WriteAnswer((None,) * len(ops), *_commit(fields))
        if len(results) != len(ops):
            raise BadAnswer(f"the PDS answered {len(ops)} writes with {len(results)} results")
        told = [as_object(result) for result in results]
        cids = tuple(_result(op, each) for op, each in zip(ops, told, strict=True))
        return WriteAnswer(cids, *_commit(fields), tuple(map(_validation, told)))


def read_put(response: Response, op: WriteOp) -> WriteAnswer:
    """putRecord, createRecord. Raises Unknown as `read_applied` does."""
    with _unknown_if_unreadable():
        fields = read_object(response)
        return WriteAnswer((_result(op, fields),), *_commit(fields), (_validation(fields),))


def read_deleted(response: Response) -> WriteAnswer:
    """deleteRecord: an empty object says that there was no such record. Raises Unknown."""
    with _unknown_if_unreadable():
        return WriteAnswer((None,), *_commit(read_object(response)))


@contextmanager
def _unknown_if_unreadable() -> Iterator[None]:
    try:
        yield
    except BadAnswer as error:
        raise Unknown(f"a write was answered unreadably: {error.message}") from error


def _result(op: WriteOp, fields: Fields) -> Cid | None:
    uri = maybe(fields, "uri", str)
    if uri is not None and not uri.endswith(f"/{op.collection}/{op.rkey}"):
        raise BadAnswer(f"the PDS answered for another record than {op.collection}/{op.rkey}")
    text = None if op.action == "delete" else maybe(fields, "cid", str)
    return None if text is None else parsed(parse_cid, text)


def _validation(fields: Fields) -> str | None:
    """A word of the server's, cut to what a log line holds; anything else is not told."""
    word = fields.get("validationStatus")
    return word[:_WORD_LENGTH] if isinstance(word, str) and word.isalnum() else None


def _commit(fields: Fields) -> tuple[Cid | None, Tid | None]:
    commit = maybe(fields, "commit", dict)
    return (None, None) if commit is None else commit_pair(commit)
