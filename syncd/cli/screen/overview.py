"""Show where all mirrors stand, a row for each. Never finds facts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import click

from syncd.cli.cells import cells, padded, wrapped
from syncd.cli.screen.colour import has_colour
from syncd.cli.screen.output import columns, many, say
from syncd.cli.screen.visible import visible
from syncd.trouble import at_home

_HEAD: Final = ("mirror", "account", "daemon", "records", "to push", "needs you")
_GAP: Final = 2


def say_overview(found: Mapping[str, Any]) -> None:
    """Print the object of `status --all --json` as a table; on a narrow terminal in blocks."""
    mirrors = found["mirrors"]
    rows = [_row(mirror) for mirror in mirrors]
    widths = [max(map(cells, column)) for column in zip(_HEAD, *rows, strict=True)]
    room = columns()
    is_wide = not room or sum(widths) + _GAP * len(widths) <= room
    is_painted = has_colour(sys.stdout, os.environ)
    if is_wide:
        say(_line(_HEAD, widths), paint=_dim if is_painted else str)
    for mirror, row in zip(mirrors, rows, strict=True):
        paint = _paint(mirror) if is_painted else str
        lines = [_line(row, widths)] if is_wide else _block(row)
        for line in lines:
            say(line, paint=paint)
        for line in (line for cause in _causes(mirror) for line in wrapped(cause, room)):
            say(line, paint=paint)


def _row(mirror: Mapping[str, Any]) -> tuple[str, ...]:
    status = mirror["status"]
    # As it is shown, so that the columns stay below their heads.
    folder = visible(_short(mirror["folder"]))
    if status is None:
        return folder, "-", "-", "-", "-", "cannot be looked at"
    daemon, account = status["daemon"], status["account"]
    phase = (daemon["phase"] or "starting") if daemon["pid"] else "not running"
    counts = (str(status["records"]), str(status["pending"]["push"]))
    return folder, account["handle"] or account["did"], phase, *counts, _waits(status)


def _waits(status: Mapping[str, Any]) -> str:
    kinds = (("conflicts", "conflict"), ("problems", "problem"), ("held", "held change"))
    words = [many(len(status[name]), word) for name, word in kinds if status[name]]
    return ", ".join(words) or "-"


def _causes(mirror: Mapping[str, Any]) -> list[str]:
    """Return the lines below a row: the problem of the whole mirror and the next step."""
    status = mirror["status"] or {}
    last = status.get("last_cycle") or {}
    doubts = [status.get("doubt"), status.get("doubted_rev")]
    daemon = status.get("daemon") or {}
    said = [mirror["error"], daemon.get("trouble"), status.get("disk"), last.get("refused")]
    found = {(one.get("message") or one.get("reason"), one["hint"]) for one in said + doubts if one}
    steps = {(said, f"next: {hint}" if hint else "") for said, hint in found}
    if any(status.get(name) for name in ("conflicts", "problems", "held")):
        steps.add(("", f"next: syncd -C {_short(mirror['folder'])} status"))
    return [line for step in sorted(steps, reverse=True) for line in step if line]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    parts = [padded(word, width) for word, width in zip(row, widths, strict=True)]
    return (" " * _GAP).join(parts).rstrip()


def _block(row: Sequence[str]) -> list[str]:
    """Return a row as lines for a narrow terminal, without breaking a name."""
    facts = zip(_HEAD[1:], row[1:], strict=True)
    return [row[0], *(f"  {name:<13} {word}" for name, word in facts if word != "-")]


def _short(folder: str) -> str:
    home = f"{at_home('~')}/"
    return f"~/{folder.removeprefix(home)}" if folder.startswith(home) else folder


def _paint(mirror: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the function that colours a row that needs a person."""
    status = mirror["status"]
    is_wrong = status is None or status["needs_a_person"]
    return lambda line: click.style(line, fg="yellow" if is_wrong else None)


def _dim(line: str) -> str:
    return click.style(line, dim=True)
