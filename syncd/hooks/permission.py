"""Remember which hooks a person allowed on this machine. Kept outside of every mirror.

A `[hooks]` table may come with a pull of git, a copy or a backup: it runs nothing before a person
of this machine has seen it. What cannot be read allows nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from syncd.errors import FileProblem
from syncd.hooks.table import Table
from syncd.private import make_private, state_directory
from syncd.trouble import explain_at
from syncd.values import dataclass

DIRECTORY: Final = "hooks"
_MOST = 256


@dataclass(frozen=True, slots=True)
class Permission:
    """What was allowed for the mirror at `root`; `file` remembers it."""

    file: Path

    @classmethod
    def of(cls, root: Path) -> Permission:
        """Return the permission of the mirror at `root`. Raises SyncdError without a home."""
        name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
        return cls(state_directory() / DIRECTORY / name)

    def allows(self, table: Table) -> bool:
        """Return whether a person allowed exactly this table."""
        try:
            with self.file.open("rb") as file:
                kept = file.read(_MOST)
            return kept.decode("ascii", "replace").strip() == table.digest()
        except OSError:
            return False

    def allow(self, digest: str) -> None:
        """Remember that what has this digest may run. Raises FileProblem."""
        unfinished = self.file.with_suffix(".new")
        try:
            make_private(self.file.parent, self.file.parent.parent)
            # Whatever a stop left there, and whatever the umask: what is open would be reported.
            unfinished.unlink(missing_ok=True)
            unfinished.touch(mode=0o600)
            unfinished.write_text(f"{digest}\n", encoding="ascii")
            unfinished.replace(self.file)
        except OSError as error:
            raise self._problem(error) from error

    def forbid(self) -> bool:
        """Forget it; return whether there was anything to forget. Raises FileProblem."""
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
