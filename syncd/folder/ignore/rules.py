"""Read `.syncdignore` and say which new files are no records. Never looks at any other file.

The forms of builtin.py come first and the lines of the file after them, in gitignore's syntax: the
last one that fits a name decides, so a line that begins with `!` takes a built-in form back. The
caller leaves out what is a record already: as in git, that is never ignored.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import warnings
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

from syncd.folder.ignore.builtin import LEFTOVERS, combined
from syncd.folder.problems import explain
from syncd.model import Problem
from syncd.values import dataclass

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE: Final = ".syncdignore"
MAX_BYTES: Final = 1_000_000
_COMMENT = "#"
_STOPPED = "; until then no new file becomes a record"


@dataclass(frozen=True, slots=True)
class Match:
    """Why a name is ignored: the form or line, as half a sentence; the number of the line."""

    reason: str
    line: int | None = None


@dataclass(frozen=True)
class Rules:
    """The ignored names at one moment.

    Attributes:
        text: The content of `.syncdignore`; empty without one.
        unreadable: Why the file cannot be read, if it cannot.
    """

    text: str = ""
    unreadable: Problem | None = None

    @property
    def digest(self) -> bytes:
        """Return a value that changes whenever other names may be ignored."""
        whole = "\0".join((_builtin().pattern, self.text, str(self.unreadable)))
        return hashlib.sha256(whole.encode("utf-8")).digest()[:8]

    @property
    def problem(self) -> Problem | None:
        """Return the first thing in the file that syncd cannot understand, as a problem."""
        return self.unreadable or (self._parsed[1] if self.text else None)

    def excludes(self, relative: str) -> bool:
        """Return whether a new file must not become a record. `relative` ends with `/` for a
        directory.

        While the file has a problem, that is so for each: its author meant to keep something back.
        """
        return self.problem is not None or self.match(relative) is not None

    def match(self, relative: str) -> Match | None:
        """Return the rule that ignores the file or directory `relative`; None if none does."""
        for name in (*_parents(relative), relative) if self.text else ():
            found = self._parsed[0].check_file(name)
            # As in git, no line takes back a file whose directory is ignored.
            if found.include and found.index is not None:
                return Match(f"line {found.index + 1} of {IGNORE_FILE} ignores it", found.index + 1)
            # A line that begins with `!` takes back what a form says.
            if found.include is False and name == relative:
                return None
        form = _builtin().fullmatch(relative.rpartition("/")[2])
        if form is None or form.lastindex is None:
            return None
        return Match(f"it is {LEFTOVERS[form.lastindex - 1].what}")

    @cached_property
    def _parsed(self) -> tuple[GitIgnoreSpec, Problem | None]:
        from pathspec import GitIgnoreSpec  # noqa: PLC0415 (slow, and only where there is a file)

        lines = [line.removesuffix("\r") for line in self.text.split("\n")]
        # A blank line is left out by the library, and would shift the numbers of all that follow.
        lines = [line if line.strip() else _COMMENT for line in lines]
        bad = [number for number, line in enumerate(lines) if not _is_pattern(line)]
        for number in bad:
            lines[number] = _COMMENT
        return GitIgnoreSpec.from_lines(lines), _bad_line(self.text, bad[0]) if bad else None


def read_rules(root: int) -> Rules:
    """Read `.syncdignore` in the open directory `root`."""
    try:
        data = _read(root)
    except FileNotFoundError:
        return Rules()
    except OSError as error:
        cause, hint = explain(error)
        return _unreadable(f"it cannot be read: {cause}", hint)
    if not data:
        # Many programs empty a file before they write it anew.
        return _unreadable("it is empty", "delete it, or write patterns into it")
    if len(data) > MAX_BYTES:
        return _unreadable("it is larger than 1 MB", "keep only patterns in it")
    try:
        return Rules(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return _unreadable("it is not UTF-8", "save it as UTF-8", line)


def _parents(relative: str) -> list[str]:
    """Return the directories that `relative` is in, from the topmost, each with its `/`."""
    names = relative.removesuffix("/").split("/")[:-1]
    return ["/".join(names[: count + 1]) + "/" for count in range(len(names))]


def _read(root: int) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(IGNORE_FILE, flags, dir_fd=root)
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return opened.read(MAX_BYTES + 1)


def _unreadable(reason: str, hint: str, line: int | None = None) -> Rules:
    return Rules(unreadable=Problem(IGNORE_FILE, reason, hint + _STOPPED, line))


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            # Python warns of sets that it may read otherwise one day, as of [[:alpha:]].
            warnings.simplefilter("error")
            GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error, FutureWarning):
        return False
    return True


def _bad_line(text: str, number: int) -> Problem:
    line = text.split("\n")[number].strip()
    reason = f"{line!r} is not a pattern that syncd can read"
    hint = f"write the line as in a .gitignore, or delete it{_STOPPED}"
    return Problem(IGNORE_FILE, reason, hint, number + 1)


@cache
def _builtin() -> re.Pattern[str]:
    return combined()
