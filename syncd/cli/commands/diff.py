"""Show how base, local and remote differ, as a diff of readable JSON (`syncd diff`). Only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from difflib import unified_diff
from pathlib import Path
from typing import TypeAlias

import click

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.atproto.inexact import record_of
from syncd.atproto.syntax import tid_microseconds
from syncd.blobs.words import Spoken
from syncd.cli import loop
from syncd.cli.arguments.places import standing
from syncd.cli.screen.changes import Line, changes
from syncd.cli.screen.output import (
    cid_json,
    grouped,
    many,
    problem_json,
    say,
    say_changes,
    say_json,
    say_waiting,
)
from syncd.cli.screen.verbose import listeners
from syncd.cycle.mirror import Mirror
from syncd.errors import BadData, BadJson, NotFound
from syncd.folder.write import read_bytes
from syncd.forms import Form
from syncd.forms.by_line import by_line
from syncd.merge import changed
from syncd.mirror.blobs.rows import words_of
from syncd.mirror.names import check_known, read_names
from syncd.mirror.online import open_to_look
from syncd.mirror.selection import matching, unmatched
from syncd.mirror.times import rfc3339
from syncd.model import Held, Kind, Problem, Report, Side, Step, Verdict, split_record_path
from syncd.values import dataclass

Words: TypeAlias = Callable[[BlobRef], str]
_SHOWN = (Verdict.PUSH, Verdict.PULL, Verdict.CONFLICT)


@dataclass(frozen=True, slots=True)
class RecordDiff:
    """The difference of one path.

    Attributes:
        local: The text of the file; None if there is none.
        remote: The repo's record as text; None if there is none or its block is missing.
        changed: The fields that each side changed since base, if base is known.
        local_at: The time of the file's last save, in RFC 3339.
        remote_at: The time of the repo's last commit, in RFC 3339.
        is_held: The change waits until a person approves it.
        unshown: Why no text can show the repo's version; empty if one does.
    """

    step: Step
    local: str | None
    remote: str | None
    changed: Mapping[Side, tuple[str, ...]]
    local_at: str = ""
    remote_at: str = ""
    is_held: bool = False
    unshown: str = ""

    @property
    def verdict(self) -> str:
        """Return what a sync would do with the record."""
        return "held" if self.is_held else self.step.verdict.value


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def diff(directory: Path, paths: tuple[str, ...], as_json: bool) -> None:
    """Show what differs between the repo (-) and the folder (+).

    PATH is a record, its file, a directory, an at:// URI or a pattern.

    \b
    Examples:
      syncd diff
      syncd diff app.bsky.actor.profile/self
    """
    found, problems = loop.run(_differences(directory, paths))
    if as_json:
        differences = [_json(difference) for difference in found]
        say_json({"differences": differences, "problems": list(map(problem_json, problems))})
        return
    for (verdict, reason, _), alike in grouped(found, _kind):
        count = f", {many(len(alike), 'record')}" if len(alike) > 1 else ""
        say(f"{verdict}{count}: {reason}")
        for difference in alike:
            _say_difference(difference)
    say_waiting((), problems, ())


def _kind(difference: RecordDiff) -> tuple[str, ...]:
    """Return what differences have in common that get one line; each conflict has its own."""
    is_conflict = difference.step.verdict is Verdict.CONFLICT
    path = difference.step.path if is_conflict else ""
    return difference.verdict, difference.step.reason, path


def _say_difference(difference: RecordDiff) -> None:
    path, lines = difference.step.path, list(_changes(difference))
    if difference.unshown:
        say(f"  no text can show the repo's version of {path}: {difference.unshown}")
    elif not lines:
        say(f"  {path}")
    for line in _changed_fields(difference):
        say(line)
    say_changes(lines)


async def _differences(
    directory: Path, paths: tuple[str, ...]
) -> tuple[list[RecordDiff], list[Problem]]:
    """Return what differs, and the problems of what was named: a file that is no record differs
    in nothing that could be shown."""
    async with open_to_look(directory, listeners()) as mirror:
        names = read_names(mirror.workspace, paths, standing(directory))
        report = await mirror.preview()
        planned = [step for step in report.plan.steps if step.verdict in _SHOWN]
        held = [_step_of(mirror, item) for item in report.plan.held]
        every = (*planned, *held, *_delayed(mirror, report))
        problems = matching(report.plan.problems, names)
        for name in unmatched((*every, *problems), names):
            check_known(mirror.workspace, name)
        wanted = matching(every, names) if names else every
        steps = sorted(wanted, key=lambda step: step.path)
        cids = {step.remote for step in steps if step.remote is not None}
        blocks = await _blocks(mirror, cids)
        words = words_of(mirror.workspace)
        found = ((_difference(mirror, step, blocks, words), step in held) for step in steps)
        return [replace(one, is_held=is_held) for one, is_held in found], problems


def _step_of(mirror: Mirror, held: Held) -> Step:
    """Return the step that an approval of a held change would lead to."""
    base = mirror.state.base_of([held.path]).get(held.path)
    verdict = Verdict.PUSH if held.side is Side.LOCAL else Verdict.PULL
    local, remote = held.local, held.remote
    if held.kind is Kind.DELETION:
        # The side that lost the record has nothing; the other side still has what base has.
        local, remote = (None, base) if held.side is Side.LOCAL else (base, None)
    return Step(held.path, verdict, base, local, remote, held.reason)


def _delayed(mirror: Mirror, report: Report) -> list[Step]:
    """Return the pushes that a setting delays, which have no step in the plan."""
    base = mirror.state.base_of([item.path for item in report.pending])
    return [
        Step(i.path, Verdict.PUSH, base.get(i.path), i.local, i.remote, i.reason)
        for i in report.pending
    ]


async def _blocks(mirror: Mirror, cids: set[Cid]) -> Mapping[Cid, bytes]:
    # One CID that is not that of a record would leave all others without an answer.
    wanted = sorted(cid for cid in cids if cid.is_block)
    try:
        return await mirror.pds.fetch_blocks(wanted) if wanted else {}
    except NotFound:
        return {}


def _difference(
    mirror: Mirror, step: Step, blocks: Mapping[Cid, bytes], words: Words
) -> RecordDiff:
    local, mine, local_at = None, None, ""
    collection = split_record_path(step.path)[0]
    form = mirror.folder.forms.of(collection)
    if step.local is not None:
        content, now = read_bytes(mirror.folder, step.path)
        local = readable(content, form, collection, words)
        local_at = rfc3339(now.mtime_ns // 1_000_000_000)
        with suppress(BadJson):
            mine = form.parse(content, collection)
    remote, theirs, unshown = None, None, ""
    if step.remote is not None and step.remote in blocks:
        try:
            remote = readable(form.file_of(blocks[step.remote]), form, collection, words)
            theirs = record_of(blocks[step.remote])
        except BadData as error:
            unshown = "" if remote else error.message
    block = None if step.base is None else mirror.state.block(step.path, step.base)
    found: dict[Side, tuple[str, ...]] = {}
    for side, record in ((Side.LOCAL, mine), (Side.REMOTE, theirs)):
        if block is not None and record is not None:
            with suppress(BadData):
                found[side] = changed(record_of(block), record)
    return RecordDiff(step, local, remote, found, local_at, _head_time(mirror), unshown=unshown)


def _head_time(mirror: Mirror) -> str:
    head = mirror.state.head()
    return "" if head is None else rfc3339(tid_microseconds(head.rev) // 1_000_000)


def _changed_fields(difference: RecordDiff) -> list[str]:
    """Name the changed fields of each side, for a conflict with a known base."""
    if difference.step.verdict is not Verdict.CONFLICT:
        return []
    names = {Side.LOCAL: ("folder", difference.local_at), Side.REMOTE: ("repo", "")}
    return [
        f"  {where} changed {', '.join(difference.changed[side])}"
        + (f" (saved {at})" if at else "")
        for side, (where, at) in names.items()
        if difference.changed.get(side)
    ]


def difference_of(remote: str, local: str, path: str) -> Iterator[Line]:
    """Yield the diff of two texts of one record: what the repo has (-) and the folder (+)."""
    return changes(_split(remote), _split(local), (f"repo/{path}", f"folder/{path}"), ("", ""))


def readable(content: bytes, form: Form, collection: str, words: Words) -> str:
    """Lay the record out as syncd writes it, so that the diff shows only changes of meaning.

    Each blob is one line, in `words`; a file to upload says so.
    """
    spoken = Spoken(words)
    with suppress(BadJson):
        content = form.format(spoken.said(form.parse(content, collection, spoken.refer)))
    return by_line(form, content).decode("utf-8", "replace")


def _changes(difference: RecordDiff) -> Iterator[Line]:
    before, after, names, times = _compared(difference)
    return changes(before, after, names, times)


def _split(text: str | None) -> list[str]:
    # Only LF ends a line of a file; other line separators can be in its strings.
    return text.removesuffix("\n").split("\n") if text else []


def _compared(
    difference: RecordDiff,
) -> tuple[list[str], list[str], tuple[str, str], tuple[str, str]]:
    before, after = _split(difference.remote), _split(difference.local)
    path = difference.step.path
    names = (f"repo/{path}", f"folder/{path}")
    times = (difference.remote_at if before else "", difference.local_at)
    return before, after, names, times


def _json(difference: RecordDiff) -> dict[str, object]:
    step = difference.step
    before, after, names, times = _compared(difference)
    return {
        "path": step.path,
        "verdict": difference.verdict,
        "reason": step.reason,
        "unshown": difference.unshown,
        "base": cid_json(step.base),
        "local": cid_json(step.local),
        "remote": cid_json(step.remote),
        "changed": {side.value: list(found) for side, found in difference.changed.items()},
        "diff": "\n".join(unified_diff(before, after, *names, *times, lineterm="")),
    }
