"""Show how many records have a lexicon, as a line and as JSON. Never counts any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.cli.screen.output import many
from syncd.mirror.lexicons.counting import Counted


def lexicons_json(found: Counted) -> dict[str, Any]:
    """Return the JSON object of the counts."""
    known = {origin.value: count for origin, count in found.known.items()}
    return {"known": known, "unknown": found.unknown, "broken": found.broken}


def lexicons_line(found: Mapping[str, Any]) -> str:
    """Return the counts for a person, from their JSON; empty if no record has a lexicon."""
    known = {origin: count for origin, count in found["known"].items() if count}
    if not known:
        return ""
    places = ", ".join(f"{count} from the {origin}" for origin, count in _named(known))
    total, broken = sum(known.values()), found["broken"]
    verb = "has" if total == 1 else "have"
    have = f"{total} of {many(total + found['unknown'], 'record')} {verb} one: {places}"
    if broken == 0:
        return f"{have}; no record breaks its lexicon"
    which = "see which break it" if broken is None else f"{broken} break{'s' * (broken == 1)} it"
    return f"{have}; {which}: syncd lexicon check"


def _named(known: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(_NAMES[origin], count) for origin, count in known.items()]


_NAMES = {
    "mirror": "mirror",
    "folder": "folder",
    "resolved": "network",
    "bundle": "bundle",
}
