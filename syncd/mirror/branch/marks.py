"""Keep the mark of the last publication: in a ref of the git remote, or in a file of a CI's cache.

The ref leads to the published commit itself; where something is open, to a commit beside the branch
that says what. It moves by compare-and-swap. A file has no such guard: whoever puts a CI's cache
back says which publication was the last one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

from syncd.cycle.branch.mark import Mark, format_mark, parse_mark
from syncd.errors import FileProblem
from syncd.git.published import REF, comes_from, note_beside
from syncd.mirror.branch.standing import Checkout, Found, Since, find_in_remote
from syncd.trouble import explain_at
from syncd.values import dataclass

_TRIES: Final = 3


class Marks(Protocol):
    """A place that keeps the mark."""

    def find(self, checkout: Checkout) -> Found:
        """Return the present mark. Raises GitFailed, FileProblem."""

    def move(self, checkout: Checkout, start: Since, mark: Mark) -> str:
        """Set the mark to `mark`. Return why another one stays, which is no fault; else nothing.

        Raises GitFailed, FileProblem.
        """


@dataclass(frozen=True, slots=True)
class RemoteMarks:
    """The mark in the git remote that the branch is in."""

    def find(self, checkout: Checkout) -> Found:
        return find_in_remote(checkout)

    def move(self, checkout: Checkout, start: Since, mark: Mark) -> str:
        """Move REF if it is unchanged; a newer publication by another job stays."""
        target = mark.commit
        if mark.open:
            target = note_beside(checkout.work, mark.commit, format_mark(mark))
        before = start.kept_as
        for _ in range(_TRIES):
            if before == target or checkout.upstream.move(before, target):
                return ""
            found = find_in_remote(checkout)
            before = found.kept_as
            if found.mark and comes_from(checkout.work, found.mark.commit, mark.commit):
                return f"another job has published {found.mark.commit[:10]} meanwhile"
        return f"other jobs keep moving {REF}; it stays at {(before or 'nothing')[:10]}"


@dataclass(frozen=True, slots=True)
class FileMarks:
    """The mark in a file."""

    file: Path

    def find(self, checkout: Checkout) -> Found:  # noqa: ARG002 - as the protocol has it
        try:
            text = self.file.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return Found(None, None)
        except OSError as error:
            raise self._problem(error, "read") from error
        return Found(parse_mark(text), text)

    def move(self, checkout: Checkout, start: Since, mark: Mark) -> str:  # noqa: ARG002
        """Replace the file atomically."""
        unfinished = self.file.with_name(f"{self.file.name}.new")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(format_mark(mark))
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.file)
        except OSError as error:
            raise self._problem(error, "written") from error
        return ""

    def _problem(self, error: OSError, done: str) -> FileProblem:
        cause, hint = explain_at(error, self.file)
        return FileProblem(f"{self.file} cannot be {done}: {cause}", hint=hint)
