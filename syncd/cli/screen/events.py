"""Show what happened to records: a line for each event, or for many alike. Never finds events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

import click

from syncd.cli.cells import cells, wrapped
from syncd.cli.screen.output import cid_json, many, short
from syncd.mirror.past.events import COMMITTED, REFUSED, UNCONFIRMED, Event
from syncd.mirror.times import local_time, rfc3339
from syncd.model import Side
from syncd.state import How

ALIKE: Final = 5
"""More events than this that are alike, one after the other, are one line."""
_COLOURS: Final = {"created": "blue", "replaced": "cyan", "deleted": "yellow", REFUSED: "red"}
_DEEDS: Final = {REFUSED: "refused by the PDS", UNCONFIRMED: "push not confirmed"}


def alike(events: Sequence[Event]) -> Iterator[Event]:
    """Yield the events; combine many similar ones in a row into one, with their number."""

    def kind(event: Event) -> tuple[object, ...]:
        collection = event.path.partition("/")[0]
        return (collection, event.how, event.deed, event.side, event.at, event.commit, event.rev)

    for _, group in groupby(events, kind):
        found = list(group)
        if len(found) <= ALIKE or found[0].how == COMMITTED:
            yield from found
            continue
        reasons = {event.reason for event in found}
        collection = found[0].path.partition("/")[0]
        yield replace(
            found[0],
            path=collection,
            before=None,
            after=None,
            count=sum(event.count for event in found),
            reason=reasons.pop() if len(reasons) == 1 else "",
            validation=None,
        )


def event_parts(event: Event, *, is_local: bool) -> list[str]:
    """Return the line of an event in parts that must not be broken.

    `is_local`: with the time of this machine, and not in UTC.
    """
    when = local_time(event.at) if is_local else rfc3339(event.at)
    deed = f"{_deed(event):<22}"
    if event.how == COMMITTED:
        said = f"({(event.commit or '')[:10]} {event.author}: {event.subject})"
        return [when, deed, event.path, short(event.after), said]
    what = f"{short(event.before)} -> {short(event.after)}"
    if event.is_of_many:
        what = many(event.count, "record")
    remarks = [event.reason, f"lexicon {event.validation}" if event.validation else ""]
    why = "; ".join(remark for remark in remarks if remark)
    return [when, deed, event.path, what, *_origin(event), *([f"({why})"] if why else [])]


def painted(event: Event) -> Callable[[str], str]:
    """Return the function that colours the line of an event by its deed; pushes are bold."""
    colour = _COLOURS.get(event.deed)
    return lambda line: click.style(line, fg=colour, bold=event.side is Side.REMOTE or None)


def folded(parts: Sequence[str], width: int) -> list[str]:
    """Join parts to lines of `width` columns without breaking one; 0: one line.

    A sentence that needs more than a line is broken between words, and nothing is left out.
    """
    lines = [parts[0]]
    for part in parts[1:]:
        is_room = not width or cells(lines[-1]) + 2 + cells(part.rstrip()) <= width
        if is_room:
            lines[-1] = f"{lines[-1]}  {part}"
        else:
            lines += wrapped(part, width)
    return [line.rstrip() for line in lines]


def event_json(event: Event) -> dict[str, Any]:
    """Return the JSON object of an event."""
    return {
        "at": rfc3339(event.at),
        "how": event.how,
        "deed": event.deed,
        "side": None if event.side is None else event.side.value,
        "path": event.path,
        "count": event.count,
        "keys": list(event.keys),
        "before": cid_json(event.before),
        "after": cid_json(event.after),
        "rev": event.rev,
        "commit": event.commit,
        "pds": event.pds or None,
        "reason": event.reason or None,
        "origin": None if event.origin is None else event.origin.value,
        "validation": event.validation,
        "author": event.author or None,
        "subject": event.subject or None,
    }


def _deed(event: Event) -> str:
    if event.how == COMMITTED:
        return "deleted in git" if event.deed == "deleted" else "committed to git"
    if event.deed in _DEEDS:
        return _DEEDS[event.deed]
    if event.how == How.ADOPTED:
        return "found on both sides" if event.deed != "deleted" else "gone on both sides"
    if event.how == How.CLONED:
        return "cloned"
    verb = "merged" if event.how == How.MERGED else event.deed
    return f"{verb} in the {'repo' if event.side is Side.REMOTE else 'folder'}"


def _origin(event: Event) -> list[str]:
    if event.rev is None or not event.how:
        return []
    host = event.pds.partition("://")[2]
    way = "to" if event.how == How.PUSHED else "from"
    return [f"{way} {host} at rev {event.rev}" if host else f"at rev {event.rev}"]
