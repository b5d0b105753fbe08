"""A mirror on this disk, as one value that is passed whole. Changes nothing, and knows no PDS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from syncd.config import Config
from syncd.folder.root import OWN, Folder
from syncd.state import HISTORY_FILE, ActivityLog, History, State
from syncd.state.notes import Doubt
from syncd.values import dataclass

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder, what syncd remembers of it, its settings and its clock.

    Attributes:
        clock_ns: The wall clock in nanoseconds, for file times and the windows of the budget.
        suspicion: The doubt that opening it to read raised, and that nobody has noted yet.
    """

    folder: Folder
    state: State
    config: Config
    clock_ns: Callable[[], int]
    suspicion: Doubt | None = None

    @property
    def root(self) -> Path:
        """Return the folder's directory."""
        return self.folder.root

    @property
    def own(self) -> Path:
        """Return the directory of syncd's own files, `.syncd`."""
        return self.folder.root / OWN

    @property
    def doubt(self) -> Doubt | None:
        """Return why the state may not have lived here without a break, or None."""
        return self.suspicion or self.state.note(Doubt)

    @property
    def history(self) -> History:
        """Return the versions that syncd replaced or deleted in this mirror."""
        return History(self.own / HISTORY_FILE)

    @property
    def activity(self) -> ActivityLog:
        """Return the log of pulls and pushes."""
        return ActivityLog(self.own)

    def check(self) -> None:
        """Raise FolderWrong or StateWrong unless folder and state file are the original ones."""
        self.folder.check_marker(self.state.marker)
        self.state.check_in_place()

    def now(self) -> int:
        """Return the time of the wall clock in unix seconds."""
        return self.clock_ns() // SECOND_NS
