"""Object to changes that a setting kept in the folder until it was loosened.

`syncd.toml` and `.syncdignore` are shared, by git or a file-sync program. So who takes a line out
of one may know nothing of what this folder keeps back. What was there before waits until a person
of this folder approves it; what is saved later does not. Looks at the state file, and only if the
plan would push something.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final

from syncd.cycle.observe.ignored import names_of
from syncd.cycle.observe.scope import newly_covered
from syncd.cycle.observe.views import Sides
from syncd.cycle.workspace import Workspace
from syncd.folder.ignore.rules import IGNORE_FILE, Rules
from syncd.model import Held, Kind, RecordPath, Step, split_record_path
from syncd.plan import kind_of
from syncd.state.consent import KeptBack
from syncd.state.note import Note
from syncd.values import dataclass

MOST_TEXT: Final = 100_000
"""A longer `.syncdignore` is not remembered, and nothing is held for what it said."""
_UNTIL: Final = "until that changed"


@dataclass(frozen=True)
class Loosened:
    """What the settings kept back at the last look at all files."""

    workspace: Workspace
    sides: Sides

    def objection(self, step: Step) -> str | None:
        """Return why a push has to wait for a person; None if no setting kept it back."""
        config = self.workspace.config
        if config.read_only or config.is_one_way or step.path in self.sides.views.published:
            return None
        why = self._before.get(step.path) or self._kept_back(step)
        if why is None:
            return None
        # The same words for all of a collection, so that they are said once.
        publish = f"syncd approve {split_record_path(step.path)[0]}"
        return f"{why} {_UNTIL}; to keep it here, put the line back; to publish it: {publish}"

    def _kept_back(self, step: Step) -> str | None:
        if self._known is not None and self._known.read_only:
            return "the mirror was read-only"
        if self._was_outside is not None and self._was_outside(step.path):
            return "[mirror] collections or exclude left it out"
        if kind_of(step) is Kind.CREATION and self._was_ignored(step.path):
            return f"{IGNORE_FILE} left it out"
        return None

    def _was_ignored(self, path: RecordPath) -> bool:
        if self._ignored is None:
            return False
        return any(map(self._ignored.excludes, names_of(path, self.workspace.folder)))

    @cached_property
    def _before(self) -> dict[str, str]:
        """Return why what an earlier cycle held was kept back, by path: it stays held."""
        held = (item for item in self.sides.waiting if isinstance(item, Held))
        causes = ((item.path, item.reason.partition(f" {_UNTIL}")) for item in held)
        return {path: why.rpartition("; ")[2] for path, (why, until, _) in causes if until}

    @cached_property
    def _known(self) -> KeptBack | None:
        return self.workspace.state.note(KeptBack)

    @cached_property
    def _was_outside(self) -> Callable[[RecordPath], bool] | None:
        return newly_covered(self.workspace.state, self.workspace.config)

    @cached_property
    def _ignored(self) -> Rules | None:
        """Return the rules of the last look at all files, if they were others."""
        now, before = self.sides.rules, self._known
        if before is None or before.ignored is None:
            return None
        # To read patterns takes longer than all else here.
        if now is not None and now.text == before.ignored:
            return None
        return Rules(before.ignored)


def kept_back_notes(workspace: Workspace, sides: Sides) -> tuple[Note, ...]:
    """Return what the settings keep back after a look at all files, if that is new."""
    rules = sides.rules
    # While the rules cannot be read, they keep every new file back, and nobody meant that.
    if rules is None or rules.problem is not None:
        return ()
    text = rules.text if len(rules.text) <= MOST_TEXT else None
    note = KeptBack(text, workspace.config.read_only)
    return () if workspace.state.note(KeptBack) == note else (note,)
