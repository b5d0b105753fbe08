"""Draw `status` for a terminal: the same facts, in order and with colour. Never finds facts.

Colour only repeats a word or a sign, so the text is complete without it. Colour-blind people can
distinguish blue and yellow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.text import Text

from syncd.cli.cells import broken, cells
from syncd.cli.screen.blobs import blobs_line, pictures_line, uploads_line
from syncd.cli.screen.lexicons import lexicons_line
from syncd.cli.screen.output import APPROVE_HINT, LINES, PUBLISH_HINT, RESOLVE_HINT, held_alike
from syncd.cli.screen.seen import REFRESH_SECONDS, Seen
from syncd.cli.screen.visible import visible
from syncd.mirror.times import local_of
from syncd.model import Conflict, Held, Problem
from syncd.values import dataclass

Item: TypeAlias = tuple[str, str, str]
"""A sign with its kind, the record, and the reason."""
_PHASES = {
    "idle": ("●", "bold blue"),
    "syncing": ("↻", "bold blue"),
    "offline": ("○", "bold yellow"),
    "paused": ("‖", "bold yellow"),
    "halted": ("✖", "bold yellow reverse"),
}


@dataclass(frozen=True, slots=True)
class Hanging:
    """Words after a name, all at one indent, broken between words alone.

    Printed with the overflow "ignore", a path or a CID that is wider than a line stays in one
    piece, so that a person can copy it. `--watch` draws over its own lines: there rich breaks it.
    """

    name: str
    words: Text
    indent: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield each line."""
        longest = max(map(cells, self.words.plain.split()), default=0)
        is_beside = self.indent + longest <= options.max_width
        indent = self.indent if is_beside else min(self.indent, _LEAST)
        lead = self.name.ljust(indent)
        if self.name and not is_beside:
            yield Text(self.name, style="dim")
            lead = " " * indent
        at = 0
        for line in broken(self.words.plain, max(1, options.max_width - indent), 0):
            at = self.words.plain.index(line, at)
            yield Text.assemble((lead, "dim"), self.words[at : at + len(line)])
            lead, at = " " * indent, at + len(line)


_LEAST = 2
"""The indent of what does not fit beside a name."""


def draw(seen: Seen) -> RenderableType:
    """Draw the facts of `status --json`, and the items that wait for a person."""
    found, waiting = seen
    rows = _facts(found, is_open=any(waiting))
    indent = max(len(name) for name, _ in rows) + _LEAST
    facts = [Hanging(name, value, indent) for name, value in rows]
    lists = [_waiting(*waiting)] if any(waiting) else []
    lists += [_later(found["waiting"])] if found["waiting"] else []
    return Group(*facts, *lists)


def show(seen: Seen, *, is_painted: bool = True) -> None:
    """Print the status once; without colour, the same lines."""
    _console(is_painted).print(draw(seen), no_wrap=True, overflow="ignore", crop=False)


def watch(
    look: Callable[[], Seen],
    pause: Callable[[float], None] = time.sleep,
    *,
    is_painted: bool = True,
) -> None:
    """Show the status and its changes until Ctrl-C."""
    console = _console(is_painted)
    with Live(draw(look()), console=console, auto_refresh=False, screen=False) as live:
        while True:
            pause(REFRESH_SECONDS)
            live.update(draw(look()), refresh=True)


def _console(is_painted: bool) -> Console:
    return Console() if is_painted else Console(color_system=None)


def _facts(found: Mapping[str, Any], *, is_open: bool) -> list[tuple[str, Text]]:
    account, head, last = found["account"], found["head"], found["last_cycle"]
    who = account["handle"] or account["did"]
    rows: list[tuple[str, Text]] = [
        ("account", _text(f"{who} on {account['pds']}", style="bold")),
        ("folder", _text(found["folder"])),
        ("daemon", _daemon(found["daemon"])),
        *_trouble(found["daemon"]["trouble"]),
        *_message("disk", found["disk"]),
        *_warning("repo", found["doubted_rev"]),
        *_warning("doubt", found["doubt"]),
        *(row for shared in found["shared"] for row in _warning("shared", shared)),
        ("head", _text(f"{head['cid']} at rev {head['rev']}" if head else "none yet: syncd sync")),
        ("records", _records(found)),
    ]
    rows += [(name, _text(words)) for name, words in _files(found) if words]
    if found["budget"]["counted"]:
        rows.append(("budget", _budget(found["budget"])))
    if found["guards"] is False:
        words = "this PDS ignores them: syncd looks before and after each write instead"
        rows.append(("guards", _text(words, style="yellow")))
    if found["watch"]:
        problem = f"every few seconds: {found['watch']['problem']}"
        rows += _warning("watch", {"reason": problem, "hint": found["watch"]["hint"]})
    if last:
        done = _done(last, is_open=is_open or bool(found["waiting"]))
        rows.append(("last", _text(f"{local_of(last['at'])}, {done} in {last['seconds']:.1f} s")))
        rows += _message("refused", last.get("refused"))
    return rows


def _files(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the words of each row about files that has any."""
    drafts, others = found["drafts"], found["no_records"]
    yield "drafts", f"{drafts}, only in the folder: syncd publish PATH" if drafts else ""
    yield "others", f"{others} are not records: syncd status --ignored" if others else ""
    yield "pictures", pictures_line(found["pictures"])
    yield "lexicons", lexicons_line(found["lexicons"])
    blobs, command = blobs_line(found["blobs"]), found["blobs"]["next"]
    yield "blobs", f"{blobs}: {command}" if blobs and command else blobs
    yield "uploads", uploads_line(found["uploads"])


def _daemon(daemon: Mapping[str, Any]) -> Text:
    if not daemon["pid"]:
        return _text("○ not running", style="yellow")
    sign, style = _PHASES.get(str(daemon["phase"]), ("●", "bold"))
    return Text.assemble((f"{sign} {daemon['phase']}", style), f" (pid {daemon['pid']})")


def _trouble(trouble: Mapping[str, str] | None) -> list[tuple[str, Text]]:
    if trouble is None:
        return []
    hint = [("", _text(f"next: {trouble['hint']}", style="blue"))] if trouble["hint"] else []
    return [("", _text(trouble["message"], style="yellow")), *hint]


def _message(name: str, said: Mapping[str, str] | None) -> list[tuple[str, Text]]:
    found = None if said is None else {"reason": said["message"], "hint": said["hint"]}
    return _warning(name, found)


def _warning(name: str, said: Mapping[str, str] | None) -> list[tuple[str, Text]]:
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
    done = budget["push_done_at"]
    end = f"; what is to push will be pushed by {local_of(done)}" if done else ""
    return _text(f"{hour} write points are left for this hour, {day} for today{end}")


def _done(last: Mapping[str, Any], *, is_open: bool) -> str:
    """Return the results of the last cycle; `is_open`: something waits."""
    names = ("pushed", "pulled", "merged", "adopted")
    nothing = "nothing done" if last.get("refused") or is_open else "nothing to do"
    return ", ".join(f"{last[name]} {name}" for name in names if last.get(name)) or nothing


def _waiting(
    conflicts: Sequence[Conflict], problems: Sequence[Problem], held: Sequence[Held]
) -> RenderableType:
    items = _first([("≠ conflict", one.path, one.reason) for one in conflicts])
    items += _first([_problem(problem) for problem in problems])
    items += _first([("‖ held", name, reason) for name, reason, _ in held_alike(held)])
    hints = [RESOLVE_HINT] * any(conflicts) + [problem.hint for problem in problems[:LINES]]
    hints += [APPROVE_HINT] * any(held)
    steps = [_step(hint) for hint in dict.fromkeys(hints) if hint]
    title = _text("needs you", style="bold yellow")
    return Group(Text(), title, *_listed(items), *steps)


def _problem(problem: Problem) -> Item:
    place = f"{problem.place}: " if problem.place else ""
    return "! problem", problem.path, place + problem.reason


def _first(items: Sequence[Item]) -> list[Item]:
    """Return the first LINES of one kind, and the number of the others."""
    rest = len(items) - LINES
    others = (
        [(items[0][0], f"{rest} more", "syncd status --json names them all")] if rest > 0 else []
    )
    return [*items[:LINES], *others]


def _later(waiting: Sequence[Mapping[str, str]]) -> RenderableType:
    items = _first([(f"… {item['kind']}", item["path"], item["reason"]) for item in waiting])
    title = _text("not pushed yet", style="bold")
    return Group(Text(), title, *_listed(items), _step(PUBLISH_HINT))


def _listed(items: Iterable[Item]) -> Iterator[RenderableType]:
    """Yield each item as a line with its record, and its reason below; never break a key."""
    for what, record, why in items:
        yield Hanging("", _text(f"{what:<12}{record}"), 0)
        if why:
            yield Hanging("", _text(why, style="dim"), _LEAST)


def _step(hint: str) -> RenderableType:
    return Hanging("", _text(f"next: {hint}", style="blue"), 0)


def _text(words: str, style: str = "") -> Text:
    """Make words from a server or a file safe to show."""
    return Text(visible(words).replace("\t", " "), style=style)
