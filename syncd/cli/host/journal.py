"""What a daemon has to say, one entry an effect: as text, as JSON lines, or as fields of journald.

Never says anything by itself, and never fails for want of a listener.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path

import click

from syncd.cli.screen.colour import has_colour
from syncd.cli.screen.output import say, say_json, tell
from syncd.mirror.times import local_time, rfc3339
from syncd.values import dataclass

JOURNAL = Path("/run/systemd/journal/socket")
_COLOURS = {"pushed": "blue", "pulled": "cyan", "merged": "cyan", "deleted": "yellow"}


class Level(IntEnum):
    """The levels of syslog(3)."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event.

    Attributes:
        event: What kind of thing, in one word; programs may filter by it.
        message: It in a sentence, without its path.
        path: The record it happened to, if it did to one.
        place: Where in its file, such as "line 1, column 2".
        mirror: The folder, or "" for the whole process.
        hint: What a person can do next.
        count: The number of records; if there are many, `path` is their collection.
    """

    event: str
    message: str = ""
    level: Level = Level.INFO
    path: str = ""
    mirror: str = ""
    hint: str = ""
    place: str = ""
    count: int = 1

    @property
    def line(self) -> str:
        """Return the entry as one line for people."""
        where = f"{self.path} ({self.place})" if self.place else self.path
        if self.count > 1:
            where = f"{self.count} records of {self.path}"
        return ": ".join(part for part in (where, self.message) if part)

    def fields(self) -> dict[str, str]:
        """Return the entry as names and values, without empty ones."""
        named = {
            "event": self.event,
            "path": self.path,
            "place": self.place,
            "mirror": self.mirror,
            "message": self.line,
            "hint": self.hint,
            "count": str(self.count) if self.count > 1 else "",
        }
        return {name: value for name, value in named.items() if value}


Voice = Callable[[LogEntry], None]


def say_text(entry: LogEntry, *, prefix: str = "") -> None:
    """Print for people: results on stdout, problems on stderr, with times on a terminal."""
    is_wrong = entry.level <= Level.WARNING and not entry.path
    out, stream = (tell, sys.stderr) if is_wrong else (say, sys.stdout)
    stamp = f"{local_time(time.time())[-8:]} " if stream.isatty() else ""
    paint = _paint(entry) if has_colour(stream, os.environ) else str
    if is_wrong:
        out(f"{stamp}syncd: {prefix}{entry.line}", paint=paint)
    elif entry.path or entry.event == "note":
        out(f"{stamp}{prefix}{entry.event:<9} {entry.line}", paint=paint)
    else:
        out(f"{stamp}{prefix}{entry.line}", paint=paint)
    if entry.hint:
        out(f"{' ' * len(stamp)}  next: {entry.hint}")


def _paint(entry: LogEntry) -> Callable[[str], str]:
    """Return the function that colours a line; its words say the same without it."""
    is_wrong = entry.level <= Level.WARNING
    colour = "yellow" if is_wrong else _COLOURS.get(entry.event)
    return lambda line: click.style(line, fg=colour, bold=is_wrong or None)


def say_named_text(entry: LogEntry) -> None:
    """Print an entry after the name of its folder, for several mirrors in one process."""
    say_text(entry, prefix=f"[{Path(entry.mirror).name}] " if entry.mirror else "")


def say_json_line(entry: LogEntry) -> None:
    """Print one JSON object a line on stdout, for a program."""
    stamp = {"at": rfc3339(time.time()), "level": entry.level.name.lower()}
    say_json({**stamp, **entry.fields()}, indent=None)


def journal(address: Path = JOURNAL) -> Voice:
    """Send to journald, with a searchable field, SYNCD_ before its name, for each value."""

    def send(entry: LogEntry) -> None:
        fields = entry.fields()
        message = fields.pop("message", entry.event)
        own = {f"SYNCD_{name.upper()}": value for name, value in fields.items()}
        base = {
            "MESSAGE": f"{entry.event}: {message}" if entry.path else message,
            "PRIORITY": str(entry.level.value),
            "SYSLOG_IDENTIFIER": "syncd",
        }
        if not _send(address, {**base, **own}):
            say_text(entry)

    return send


def _send(address: Path, fields: Mapping[str, str]) -> bool:
    """Send one datagram in journald's native protocol; return False if that fails."""
    datagram = b"".join(_field(name, value.encode()) for name, value in fields.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.connect(str(address))
            out.send(datagram)
    except OSError:
        return False
    return True


def _field(name: str, value: bytes) -> bytes:
    """Encode a field of journald; put a little-endian 64-bit length before several lines."""
    if b"\n" in value:
        return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


def is_journaled(environ: Mapping[str, str]) -> bool:
    """Return whether stderr goes to journald: systemd names device and inode of that stream."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
