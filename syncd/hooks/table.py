"""What the `[hooks]` table asks for, and exactly what it would run, as a digest. Starts nothing.

The digest covers the words of each command, the time limit, and the content of each file in the
folder's git repository (or the folder) that a command names: a pull of git can change such a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from syncd.private.allowed import Allowed
from syncd.values import dataclass

AFTER_PULL: Final = "after_pull"
AFTER_PUSH: Final = "after_push"
ON_PROBLEM: Final = "on_problem"
EVENTS: Final = (AFTER_PULL, AFTER_PUSH, ON_PROBLEM)
_CHUNK = 1 << 20
_KIND: Final = "hooks"

Command: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The hooks of the mirror at `root`.

    Attributes:
        top: Where files lie that a pull of git, or a sync, may change: the top of the git
            repository, or the folder.
        commands: The command of each event, as a list of words; no shell reads them.
        seconds: How long one may take.
    """

    root: Path
    top: Path
    commands: Mapping[str, Command]
    seconds: float

    def program(self, command: Command) -> Path | None:
        """Return the file that a command runs; None if there is none to be run."""
        word = command[0]
        if "/" in word:
            place = self.root / word
            return place if os.access(place, os.X_OK) and place.is_file() else None
        found = shutil.which(word, path=os.environ.get("PATH", os.defpath))
        return None if found is None or not Path(found).is_absolute() else Path(found)

    def why_not(self, command: Command) -> str:
        """Return why there is no file that a command runs."""
        word = command[0]
        if "/" not in word:
            return f"there is no program {word} in PATH"
        place = self.root / word
        if not place.is_file():
            return f"there is no program {word}"
        return f"{word} is not executable: chmod +x {shlex.quote(word)}"

    def files(self, command: Command) -> Iterator[Path]:
        """Yield the files of the repository that the words of a command name."""
        for word in command:
            # Of a link, that in the repository counts: a pull can lead it elsewhere.
            place = Path(os.path.normpath(self.root / word))
            if place.is_relative_to(self.top) and place.is_file():
                yield place

    def digest(self) -> str:
        """Return the digest that a person allows; it changes if anything that would run changes.

        Raises OSError.
        """
        found = {
            event: [*command, *map(_identity, self.files(command))]
            for event, command in sorted(self.commands.items())
        }
        text = json.dumps([str(self.root), self.seconds, found], ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def _identity(file: Path) -> str:
    """Return the path of a file, through links, and its content. Raises OSError."""
    return f"{file} -> {file.resolve()}: {_digest(file)}"


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def permission_of(root: Path) -> Allowed:
    """Return the digest of the table that a person allowed for the mirror at `root`.

    Raises SyncdError without a home.
    """
    return Allowed.of(_KIND, str(root.resolve()))


def is_allowed(table: Table) -> bool:
    """Return whether a person allowed exactly this table. Raises SyncdError without a home."""
    try:
        return permission_of(table.root).allows(table.digest())
    except OSError:
        return False
