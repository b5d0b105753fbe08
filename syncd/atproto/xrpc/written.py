"""Read the answers to writes. An unreadable answer raises Unknown: the write may have succeeded.

Every reader expects a 2xx (see `raise_for`). Never retries. Sources: lexicons com.atproto.repo.*
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field

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
from syncd.values import dataclass

_WORD_LENGTH = 40
_NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class WriteAnswer:
    """The answer to a write. None stands for all that the PDS omits.

    Attributes:
        cids: The new CID of each op, in order; None for a deletion.
        commit, rev: The new commit; None if the PDS had nothing to do.
        validation: The PDS's word on each record against its lexicon: `valid` or `unknown`.
    """

    cids: tuple[Cid | None, ...]
    commit: Cid | None
    rev: Tid | None
    validation: tuple[str | None, ...] = field(default=(), compare=False)


def read_applied(response: Response, ops: Sequence[WriteOp]) -> WriteAnswer:
    """Read applyWrites. Raises Unknown if the answer is unreadable or about other records.

    The lexicon lets a PDS leave out `results` and `commit`. Without both, an answer does not show
    that anything was written: a proxy may have made it.
    """
    with _unknown_if_unreadable():
        fields = read_object(response)
        results = maybe(fields, "results", list)
        if results is None:
            return _said((None,) * len(ops), fields)
        if len(results) != len(ops):
            raise BadAnswer(f"the PDS answered {len(ops)} writes with {len(results)} results")
        objects = [as_object(result) for result in results]
        cids = tuple(_result(op, each) for op, each in zip(ops, objects, strict=True))
        return _said(cids, fields, tuple(map(_validation, objects)))


def read_put(response: Response, op: WriteOp) -> WriteAnswer:
    """Read putRecord or createRecord. Raises Unknown as `read_applied` does."""
    with _unknown_if_unreadable():
        fields = read_object(response)
        return _said((_result(op, fields),), fields, (_validation(fields),))


def read_deleted(response: Response) -> WriteAnswer:
    """Read deleteRecord; no commit means that there may have been no such record. Raises Unknown.

    A 204 is an answer without a body.
    """
    if response.status == _NO_CONTENT:
        return WriteAnswer((None,), None, None)
    with _unknown_if_unreadable():
        return WriteAnswer((None,), *_commit(read_object(response)))


@contextmanager
def _unknown_if_unreadable() -> Iterator[None]:
    try:
        yield
    except BadAnswer as error:
        reason = f"the answer to a write cannot be read: {error.message}"
        raise Unknown(reason, hint=error.hint) from error


def _said(
    cids: tuple[Cid | None, ...], fields: Fields, validation: tuple[str | None, ...] = ()
) -> WriteAnswer:
    commit = _commit(fields)
    if cids and commit == (None, None) and not any(cids):
        raise BadAnswer("the PDS does not say what it wrote")
    return WriteAnswer(cids, *commit, validation)


def _result(op: WriteOp, fields: Fields) -> Cid | None:
    uri = maybe(fields, "uri", str)
    if uri is not None and not uri.endswith(f"/{op.collection}/{op.rkey}"):
        raise BadAnswer(f"the PDS answered for another record than {op.collection}/{op.rkey}")
    text = None if op.action == "delete" else maybe(fields, "cid", str)
    return None if text is None else parsed(parse_cid, text)


def _validation(fields: Fields) -> str | None:
    """Return the server's word, cut to a length fit for a log line; None for anything else."""
    word = fields.get("validationStatus")
    return word[:_WORD_LENGTH] if isinstance(word, str) and word.isalnum() else None


def _commit(fields: Fields) -> tuple[Cid | None, Tid | None]:
    commit = maybe(fields, "commit", dict)
    return (None, None) if commit is None else commit_pair(commit)
