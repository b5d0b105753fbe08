"""Every lasting effect of syncd as a point that is counted: on the disk, in a database, at the PDS.

At a chosen point the program ends, or somebody else acts just before it. Nothing here knows what
syncd does with its effects; a point has a name and a number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, TypeVar
from unittest import mock

from syncd.atproto import xrpc
from syncd.atproto.syntax import Did
from syncd.model import RecordPath
from syncd.sandbox import MemoryPds, Sandbox, faults
from syncd.sandbox.repo.engine import Repo

from .journal import Sent

T = TypeVar("T")
Act = Callable[[], object]


class Crash(BaseException):
    """The program ended here. No handler of the program under test may catch it."""


class Points:
    """Counts from 0. Effect `die_at` is not done, nor any after it; `acts` come before theirs.

    `seen` has what `look` returned before each effect.
    """

    def __init__(
        self,
        die_at: int | None = None,
        acts: Mapping[int, Act] | None = None,
        look: Callable[[], object] = lambda: None,
    ) -> None:
        self.passed: list[str] = []
        self.seen: list[object] = []
        self.look = look
        self.die_at = die_at
        self.acts = acts or {}

    def meet(self, name: str) -> None:
        number = len(self.passed)
        if self.die_at is not None and number >= self.die_at:
            raise Crash
        self.seen.append(self.look())
        self.passed.append(name)
        if number in self.acts:
            self.acts[number]()


class Gate:
    """What all effects of one scene pass: nothing is counted unless there are `points`."""

    def __init__(self) -> None:
        self.points: Points | None = None

    def meet(self, name: str) -> None:
        if self.points is not None:
            self.points.meet(name)

    @contextmanager
    def counting(self, points: Points) -> Iterator[Points]:
        self.points = points
        try:
            yield points
        finally:
            self.points = None


def _nobody(request: xrpc.Request, changes: Sequence[Sent]) -> None:
    """Who watches what is sent where nobody does."""


class StagedPds(MemoryPds):
    """A PDS whose requests and whose answers to writes are points. Keeps what it was made to do."""

    def __init__(self, sandbox: Sandbox, did: Did, gate: Gate) -> None:
        super().__init__(sandbox, did)
        self.gate = gate
        self.sent: list[tuple[RecordPath, str]] = []
        self.witness: Callable[[xrpc.Request, Sequence[Sent]], None] = _nobody

    def _meet(self, nsid: str, paths: Any = ()) -> faults.Effect | None:  # noqa: ANN401
        self.gate.meet(f"ask {nsid}")
        return super()._meet(nsid, paths)

    async def _write(
        self, request: xrpc.Request, ops: Sequence[xrpc.WriteOp], apply: Callable[[Repo], T]
    ) -> T:
        def noted(repo: Repo) -> T:
            before, records = repo.head, repo.state.records
            answer = apply(repo)
            if repo.head != before:
                now = repo.state.records
                changes = [Sent(path, records.get(path), now.get(path)) for path in map(_path, ops)]
                self.sent += [(change.path, str(change.after)) for change in changes]
                self.witness(request, changes)
            return answer

        answer = await super()._write(request, ops, noted)
        self.gate.meet(f"answer {request.nsid}")
        return answer


def _path(op: xrpc.WriteOp) -> RecordPath:
    return RecordPath(f"{op.collection}/{op.rkey}")


@contextmanager
def staged_databases(gate: Gate) -> Iterator[None]:
    """Every transaction of every database that is opened meanwhile has a point before each end."""

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:  # noqa: ANN401
            if sql.startswith("BEGIN"):
                gate.meet("begin")
            return super().execute(sql, *args)

        def executescript(self, script: str, /) -> sqlite3.Cursor:
            gate.meet("make tables")
            return super().executescript(script)

        def __exit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> Literal[False]:
            if kind is None:
                try:
                    gate.meet("commit")
                except Crash:
                    self.rollback()
                    raise
            return super().__exit__(kind, error, trace)

    connect = sqlite3.connect

    def connect_staged(*args: Any, **kwargs: Any) -> sqlite3.Connection:  # noqa: ANN401
        return connect(*args, factory=Connection, **kwargs)

    with mock.patch("sqlite3.connect", connect_staged):
        yield
