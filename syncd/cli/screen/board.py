"""Draw `status` for a terminal: the same facts, in order and with colour. Never finds facts.

Colour only repeats a word or a sign, so the text is complete without it. Colour-blind people can
distinguish blue and yellow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from syncd.cli.screen.lexicons import lexicons_line
from syncd.cli.screen.output import APPROVE_HINT, LINES, PUBLISH_HINT, RESOLVE_HINT
from syncd.cli.screen.seen import REFRESH_SECONDS, Seen
from syncd.cli.screen.visible import visible
from syncd.model import Conflict, Held, Problem

_PHASES = {
    "idle": ("●", "bold blue"),
    "syncing": ("↻", "bold blue"),
    "offline": ("○", "bold yellow"),
    "paused": ("‖", "bold yellow"),
    "halted": ("✖", "bold yellow reverse"),
}


def draw(seen: Seen) -> RenderableType:
    """Draw the facts of `status --json`, and the items that wait for a person."""
    found, waiting = seen
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, value in _facts(found):
        facts.add_row(name, value)
    lists = [_waiting(*waiting)] if any(waiting) else []
    lists += [_later(found["waiting"])] if found["waiting"] else []
    return Group(facts, *lists)


def show(seen: Seen) -> None:
    """Print the status once."""
    Console().print(draw(seen))


def watch(look: Callable[[], Seen], pause: Callable[[float], None] = time.sleep) -> None:
    """Show the status and its changes until Ctrl-C."""
    with Live(draw(look()), auto_refresh=False, screen=False) as live:
        while True:
            pause(REFRESH_SECONDS)
            live.update(draw(look()), refresh=True)


def _facts(found: Mapping[str, Any]) -> list[tuple[str, RenderableType]]:
    account, head, last = found["account"], found["head"], found["last_cycle"]
    who = account["handle"] or account["did"]
    rows: list[tuple[str, RenderableType]] = [
        ("account", _text(f"{who} on {account['pds']}", style="bold")),
        ("folder", _text(found["folder"])),
        ("daemon", _daemon(found["daemon"])),
        *_trouble(found["daemon"]["trouble"]),
        *_warning("repo", found["doubted_rev"]),
        *_warning("doubt", found["doubt"]),
        *(row for shared in found["shared"] for row in _warning("shared", shared)),
        ("head", _text(f"{head['cid']} at rev {head['rev']}" if head else "none yet: syncd sync")),
        ("records", _records(found)),
    ]
    if found["no_records"]:
        words = f"{found['no_records']} are no records: syncd status --ignored"
        rows.append(("others", _text(words)))
    if known := lexicons_line(found["lexicons"]):
        rows.append(("lexicons", _text(known)))
    if found["budget"]["counted"]:
        rows.append(("budget", _budget(found["budget"])))
    if found["guards"] is False:
        words = "this PDS ignores them: syncd looks before and after each write instead"
        rows.append(("guards", _text(words, style="yellow")))
    if found["watch"]:
        rows.append(("events", _text(found["watch"]["problem"], style="yellow")))
    if last:
        rows.append(("last", _text(f"{last['at']}, {_done(last)} in {last['seconds']:.1f} s")))
        rows += _refusal(last.get("refused"))
    return rows


def _daemon(daemon: Mapping[str, Any]) -> Text:
    if not daemon["pid"]:
        return _text("○ not running", style="yellow")
    sign, style = _PHASES.get(str(daemon["phase"]), ("●", "bold"))
    return Text.assemble((f"{sign} {daemon['phase']}", style), f" (pid {daemon['pid']})")


def _trouble(trouble: Mapping[str, str] | None) -> list[tuple[str, RenderableType]]:
    if trouble is None:
        return []
    hint = [("", _text(f"next: {trouble['hint']}", style="blue"))] if trouble["hint"] else []
    return [("", _text(trouble["message"], style="yellow")), *hint]


def _refusal(refused: Mapping[str, str] | None) -> list[tuple[str, RenderableType]]:
    said = None if refused is None else {"reason": refused["message"], "hint": refused["hint"]}
    return _warning("refused", said)


def _warning(name: str, said: Mapping[str, str] | None) -> list[tuple[str, RenderableType]]:
    if said is None:
        return []
    next_step = ("", _text(f"next: {said['hint']}", style="blue"))
    return [(name, _text(said["reason"], style="yellow")), next_step]


def _records(found: Mapping[str, Any]) -> Text:
    waiting = found["pending"]["push"]
    return Text.assemble(
        str(found["records"]), ", ", (f"{waiting} to push", "bold yellow" if waiting else "")
    )


def _budget(budget: Mapping[str, Any]) -> Text:
    hour, day = budget["hour"]["left"], budget["day"]["left"]
    done = f"; what is to push is done by {budget['push_done_at']}"
    end = done if budget["push_done_at"] else ""
    return _text(f"{hour} write points left this hour, {day} today{end}")


def _done(last: Mapping[str, Any]) -> str:
    names = ("pushed", "pulled", "merged", "adopted")
    nothing = "nothing done" if last.get("refused") else "nothing to do"
    return ", ".join(f"{last[name]} {name}" for name in names if last.get(name)) or nothing


def _waiting(
    conflicts: Sequence[Conflict], problems: Sequence[Problem], held: Sequence[Held]
) -> RenderableType:
    table = Table(title="waits for you", title_justify="left", title_style="bold yellow", box=None)
    for column in ("what", "record", "why"):
        table.add_column(column, header_style="dim", overflow="fold")
    for conflict in conflicts:
        table.add_row("≠ conflict", _text(conflict.path), _text(conflict.reason))
    for problem in problems:
        place = f"{problem.place}: " if problem.place else ""
        table.add_row("! problem", _text(problem.path), _text(place + problem.reason))
    for item in held:
        table.add_row("‖ held", _text(item.path), _text(item.reason))
    hints = [RESOLVE_HINT] * any(conflicts) + [problem.hint for problem in problems]
    hints += [APPROVE_HINT] * any(held)
    steps = [_text(f"next: {hint}", style="blue") for hint in dict.fromkeys(hints) if hint]
    return Group(Text(), table, *steps)


def _later(waiting: Sequence[Mapping[str, str]]) -> RenderableType:
    table = Table(title="not pushed yet", title_justify="left", title_style="bold", box=None)
    for column in ("what", "record", "why"):
        table.add_column(column, header_style="dim", overflow="fold")
    for item in waiting[:LINES]:
        table.add_row(f"… {item['kind']}", _text(item["path"]), _text(item["reason"]))
    if len(waiting) > LINES:
        table.add_row("…", f"{len(waiting) - LINES} more", "")
    return Group(Text(), table, _text(f"next: {PUBLISH_HINT}", style="blue"))


def _text(words: str, style: str = "") -> Text:
    """Make words from a server or a file safe to show."""
    return Text(visible(words), style=style)
