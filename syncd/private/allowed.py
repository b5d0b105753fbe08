"""Remember what a person allowed on this machine. Kept outside of every mirror; knows no meaning.

Settings may come with a pull of git, a copy or a backup. Those that could harm their reader count
only where a person of this machine said so, of exactly that. What cannot be read allows nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from syncd.errors import FileProblem
from syncd.private.directory import make_private, state_directory
from syncd.trouble import explain_at
from syncd.values import dataclass

_MOST = 256


@dataclass(frozen=True, slots=True)
class Allowed:
    """The permission for one mirror; `file` holds it, and is missing if nothing was allowed."""

    file: Path

    @classmethod
    def of(cls, kind: str, mirror: str) -> Allowed:
        """Return the permission of a kind, a directory's name, for the mirror of that name.

        Raises SyncdError without a home.
        """
        name = hashlib.sha256(mirror.encode("utf-8", "surrogateescape")).hexdigest()
        return cls(state_directory() / kind / name)

    def allows(self, what: str) -> bool:
        """Return whether a person allowed exactly this."""
        try:
            with self.file.open("rb") as file:
                kept = file.read(_MOST)
        except OSError:
            # As after `sudo syncd`, which left a directory that is closed to this user.
            return False
        return kept.decode("ascii", "replace").strip() == what

    def allow(self, what: str) -> None:
        """Record that a person allowed this, and nothing else any more.

        `what` is a word or a digest. Raises FileProblem.
        """
        unfinished = self.file.with_suffix(".new")
        try:
            make_private(self.file.parent, self.file.parent.parent)
            # Whatever a stop left there, and whatever the umask: what is open would be reported.
            unfinished.unlink(missing_ok=True)
            unfinished.touch(mode=0o600)
            unfinished.write_text(f"{what}\n", encoding="ascii")
            unfinished.replace(self.file)
        except OSError as error:
            raise self._problem(error) from error

    def forbid(self) -> bool:
        """Remove the permission; return whether there was one. Raises FileProblem."""
        try:
            self.file.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._problem(error) from error
        return True

    def _problem(self, error: OSError) -> FileProblem:
        cause, hint = explain_at(error, self.file)
        return FileProblem(f"{self.file} cannot be written: {cause}", hint=hint)
