"""`syncd diff`: what differs between base, local and remote, as a diff of readable JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from fnmatch import fnmatchcase
from pathlib import Path

import click

from syncd.atproto.cid import Cid
from syncd.atproto.jsontext import format_record, parse_record
from syncd.cli.opened import open_mirror
from syncd.cli.output import cid_json, say, say_json
from syncd.cycle.mirror import Mirror
from syncd.cycle.pull import record_of
from syncd.errors import BadJson, NotFound
from syncd.folder.write import read_bytes
from syncd.model import RecordPath, Step, Verdict, split_record_path

_SHOWN = (Verdict.PUSH, Verdict.PULL, Verdict.CONFLICT)


@dataclass(frozen=True, slots=True)
class Difference:
    """One path, and the text of each side as far as it can be had."""

    step: Step
    local: str | None
    remote: str | None


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def diff(directory: Path, paths: tuple[str, ...], as_json: bool) -> None:
    """Show what differs between the repo (-) and the folder (+). PATH may be a pattern."""
    found = asyncio.run(_differences(directory, paths))
    if as_json:
        say_json({"differences": [_json(difference) for difference in found]})
        return
    for difference in found:
        say(f"{difference.step.verdict.value}: {difference.step.reason}")
        for line in _lines(difference):
            say(line)


async def _differences(directory: Path, patterns: tuple[str, ...]) -> list[Difference]:
    async with open_mirror(directory) as mirror:
        report = await mirror.preview()
        steps = [
            step
            for step in report.plan.steps
            if step.verdict in _SHOWN and _is_wanted(step.path, patterns)
        ]
        cids = {step.remote for step in steps if step.remote is not None}
        blocks = await _blocks(mirror, cids)
        return [_difference(mirror, step, blocks) for step in steps]


def _is_wanted(path: RecordPath, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(path, pattern) for pattern in patterns)


async def _blocks(mirror: Mirror, cids: set[Cid]) -> Mapping[Cid, bytes]:
    try:
        return await mirror.pds.fetch_blocks(sorted(cids)) if cids else {}
    except NotFound:
        return {}


def _difference(mirror: Mirror, step: Step, blocks: Mapping[Cid, bytes]) -> Difference:
    local = None
    if step.local is not None:
        local = _readable(read_bytes(mirror.folder, step.path)[0], step.path)
    remote = None
    if step.remote is not None and step.remote in blocks:
        remote = format_record(record_of(blocks[step.remote])).decode("utf-8")
    return Difference(step, local, remote)


def _readable(content: bytes, path: RecordPath) -> str:
    """The record in the form syncd writes, so that only its meaning is compared."""
    with suppress(BadJson):
        content = format_record(parse_record(content, split_record_path(path)[0]))
    return content.decode("utf-8", "replace")


def _lines(difference: Difference) -> list[str]:
    before = (difference.remote or "").splitlines()
    after = (difference.local or "").splitlines()
    path = difference.step.path
    return list(unified_diff(before, after, f"repo/{path}", f"folder/{path}", lineterm=""))


def _json(difference: Difference) -> dict[str, object]:
    step = difference.step
    return {
        "path": step.path,
        "verdict": step.verdict.value,
        "reason": step.reason,
        "base": cid_json(step.base),
        "local": cid_json(step.local),
        "remote": cid_json(step.remote),
        "diff": "\n".join(_lines(difference)),
    }
