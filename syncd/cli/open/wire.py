"""A report as JSON and back, for a command whose sync a daemon does. Loses only the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.atproto.cid import Cid, parse_cid
from syncd.atproto.syntax import Tid
from syncd.cli.screen.output import waiting_json
from syncd.errors import SyncdError
from syncd.model import Conflict, Head, Held, Problem, RecordPath, Report, Side

_DONE = ("pushed", "pulled", "adopted", "merged", "deleted")


class ToldError(SyncdError):
    """An error of another process, as it told it."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(str(error["message"]), hint=str(error["hint"]))
        self.exit_code = int(error["exit_code"])  # type: ignore[misc]


def error_to_wire(error: SyncdError) -> dict[str, Any]:
    return {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}


def report_to_wire(report: Report) -> dict[str, Any]:
    """All of a report that a command tells of."""
    head, halted = report.head, report.halted
    return {
        **{name: list(getattr(report, name)) for name in _DONE},
        **waiting_json(report.conflicts, report.problems, report.held),
        "told": list(report.told),
        "requests": report.requests,
        "head": None if head is None else [str(head.commit), head.rev, str(head.data)],
        "halted": None if halted is None else error_to_wire(halted),
    }


def report_from_wire(wire: Mapping[str, Any]) -> Report:
    """The report again, of which the halt is a ToldError."""
    head, halted = wire["head"], wire["halted"]
    pushed, pulled, adopted, merged, deleted = (
        tuple(map(RecordPath, wire[name])) for name in _DONE
    )
    return Report(
        pushed,
        pulled,
        adopted,
        merged,
        deleted,
        conflicts=tuple(map(_conflict, wire["conflicts"])),
        problems=tuple(Problem(**item) for item in wire["problems"]),
        held=tuple(
            Held(RecordPath(item["path"]), Side(item["side"]), item["reason"])
            for item in wire["held"]
        ),
        told=tuple(wire["told"]),
        requests=wire["requests"],
        head=None if head is None else Head(parse_cid(head[0]), Tid(head[1]), parse_cid(head[2])),
        halted=None if halted is None else ToldError(halted),
    )


def _conflict(item: Mapping[str, Any]) -> Conflict:
    base, local, remote = (_cid(item[side]) for side in ("base", "local", "remote"))
    return Conflict(RecordPath(item["path"]), base, local, remote, item["reason"])


def _cid(text: str | None) -> Cid | None:
    return None if text is None else parse_cid(text)
