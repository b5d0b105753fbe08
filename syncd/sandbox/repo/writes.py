"""The four ways to write to a repo, with the checks of the reference PDS, in its order.

Works on values of the data model; never sees JSON, a session or an account. Sources: the lexicons
com.atproto.repo.{applyWrites,createRecord,putRecord,deleteRecord}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from syncd.atproto.cid import Cid
from syncd.atproto.data import MAX_INTEGER, Record, Value, cid_of
from syncd.atproto.syntax import Nsid
from syncd.atproto.xrpc import UNGUARDED, Action, Guard, WriteOp
from syncd.errors import BadData
from syncd.model import RecordPath, make_record_path
from syncd.sandbox.answer import internal, invalid
from syncd.sandbox.repo.commits import NewCommit
from syncd.sandbox.repo.engine import Repo
from syncd.sandbox.repo.references import references
from syncd.sandbox.repo.validation import validate_record
from syncd.values import dataclass

POINTS: Mapping[Action, int] = {"create": 3, "update": 2, "delete": 1}
"""The write points of each write of an applyWrites."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked write, and the validation status of its record, if any."""

    op: WriteOp
    status: str | None = None

    @property
    def path(self) -> RecordPath:
        return make_record_path(self.op.collection, self.op.rkey)

    @property
    def cid(self) -> Cid | None:
        """The CID of the record in the repo. Raises Rejected if it cannot be encoded."""
        try:
            return None if self.op.value is None else cid_of(self.op.value)
        except BadData:
            raise internal() from None


def prepare(op: WriteOp, *, validate: bool | None, at: str = "$.record") -> Prepared:
    """Complete a record with its `$type` and check it. Raises Rejected for an invalid record.

    `at` is the place of the record in the request, as messages name it.
    """
    if op.value is None:
        return Prepared(op)
    record = {**op.value, "$type": _type_of(op.value, op.collection)}
    if not _is_safe(record):
        raise internal()
    status = validate_record(op.collection, op.rkey, record, validate=validate, at=at)
    for reference in references(record):
        if reference.is_refused:
            raise invalid(f"Legacy blobs are not allowed ({reference.cid})")
    return Prepared(replace(op, value=record), status)


def _type_of(record: Record, collection: Nsid) -> str:
    kind = record.get("$type", collection)
    if kind != collection:
        raise invalid(f"Invalid $type: expected {collection}, got {kind!r}")
    return collection


def _is_safe(value: Value) -> bool:
    """Return whether JavaScript numbers can hold every integer exactly."""
    match value:
        case int():
            return abs(value) <= MAX_INTEGER
        case dict():
            return all(map(_is_safe, value.values()))
        case list():
            return all(map(_is_safe, value))
        case _:
            return True


def prepare_all(ops: Sequence[WriteOp], *, validate: bool | None) -> list[Prepared]:
    """Prepare the writes of an applyWrites, in order. Raises Rejected for the first invalid one."""
    places = (f"$.writes[{number}].record" for number in range(len(ops)))
    return [prepare(op, validate=validate, at=at) for op, at in zip(ops, places, strict=True)]


def put_record(
    repo: Repo, write: Prepared, *, swap_record: Guard, swap_commit: Cid | None = None
) -> NewCommit | None:
    """Create or update a record; None if the repo has it already.

    Raises Rejected: InvalidSwap, and as `Repo.apply`.
    """
    repo.refuse_guards(swap_record=swap_record)
    current = repo.current(write.path)
    # The reference PDS checks no guard if there is nothing to do.
    if current is not None and current == write.cid:
        return None
    repo.check_swap(swap_commit)
    if swap_record is not UNGUARDED:
        repo.check_record_swap(current, swap_record)
    return repo.apply([replace(write.op, action="create" if current is None else "update")])


def delete_record(
    repo: Repo, op: WriteOp, *, swap_record: Cid | None, swap_commit: Cid | None = None
) -> NewCommit | None:
    """Delete a record; None if there is no such record.

    Raises Rejected: InvalidSwap, and as `Repo.apply`.
    """
    repo.refuse_guards(swap_record=swap_record)
    current = repo.current(make_record_path(op.collection, op.rkey))
    # The reference PDS checks no guard if there is nothing to do.
    if current is None:
        return None
    repo.check_swap(swap_commit)
    if swap_record is not None:
        repo.check_record_swap(current, swap_record)
    return repo.apply([op])
