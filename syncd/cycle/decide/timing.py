"""Delay the pushes that the settings delay: until a person publishes, or the file rests. Pure.

A new record under a name such as `tmp` rests for a moment even without a setting: who runs
`jq … a.json > tmp.json && mv tmp.json a.json` means no record of that name.
Takes the pushes of a plan, returns those that wait. Never holds a change for its content, and never
delays what a person decided or published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from syncd.config import Config
from syncd.cycle.workspace import SECOND_NS
from syncd.model import Choice, Decision, Kind, Pending, RecordPath, Seen, Step, split_record_path
from syncd.plan import kind_of, still_holds
from syncd.slips import is_passing
from syncd.values import dataclass

_ASKED = "waits for syncd publish"
_RESTS = "waits until the file has not changed for {:g} s"
_PASSES = "under the name of a passing file"
PASSING_SECONDS = 10.0
"""How long a new file with the name of a passing one is left alone: a script is done with it."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a delay depends on.

    Attributes:
        files: The files that the plan is made from.
        before: What was delayed in an earlier cycle.
        decisions: What a person decided or published. It is sent at once.
        now_ns: The time of the wall clock.
    """

    config: Config
    files: Mapping[RecordPath, Seen]
    before: Mapping[RecordPath, Pending]
    decisions: Mapping[RecordPath, Decision]
    now_ns: int

    def delay(self, push: Step) -> Pending | None:
        """Return the delay of `push`, or None if it is due."""
        # A mirror that never pushes has nothing to delay: each of its edits is a problem.
        if self.config.read_only or self.is_chosen(push):
            return None
        stamp_ns = self._stamp_ns(push.path)
        item = Pending(push.path, kind_of(push), "", push.local, push.remote, None, stamp_ns)
        if self.config.asks_before_push(push.path) or self._has_asked(item):
            return replace(item, reason=f"{push.reason}: {_ASKED}")
        seconds = self.config.settle_seconds_of(push.path)
        reason = push.reason
        if self._is_passing(item):
            seconds, reason = max(seconds, PASSING_SECONDS), f"{reason}, {_PASSES}"
        due_ns = self._due_ns(push.path, stamp_ns, int(seconds * SECOND_NS))
        if due_ns <= self.now_ns or not seconds:
            return None
        return replace(item, reason=f"{reason}: {_RESTS.format(seconds)}", due_ns=due_ns)

    def _has_asked(self, item: Pending) -> bool:
        """Return whether this very change waited for a person before.

        Who took `when = "ask"` out of a shared file did not publish it.
        """
        known = self.before.get(item.path)
        if known is None or not known.reason.endswith(_ASKED):
            return False
        return (known.kind, known.local, known.remote) == (item.kind, item.local, item.remote)

    def _is_passing(self, item: Pending) -> bool:
        # What git publishes is a commit: no program is at work on it.
        is_new = item.kind is Kind.CREATION and not self.config.is_one_way
        return is_new and is_passing(split_record_path(item.path)[1])

    def is_chosen(self, push: Step) -> bool:
        """Return whether a person decided or published exactly this change."""
        decision = self.decisions.get(push.path)
        return decision is not None and still_holds(decision, push.local, push.remote)

    def is_approved(self, push: Step) -> bool:
        """Return whether a person decided the outcome of the record, and not only the time."""
        decision = self.decisions.get(push.path)
        is_time = decision is not None and decision.choice in (Choice.PUBLISH, Choice.DELETE)
        return self.is_chosen(push) and not is_time

    def _stamp_ns(self, path: RecordPath) -> int | None:
        """Return when the file system says the file was changed last; None without a file.

        `touch -d` and a move keep or set the time of the content. The time of the inode shows both.
        """
        seen = self.files.get(path)
        if seen is None:
            return None
        # Anybody may give a file any mtime; one of the future must not delay the push until then.
        is_later = seen.ctime_ns < seen.mtime_ns <= self.now_ns
        return seen.mtime_ns if is_later else seen.ctime_ns

    def _due_ns(self, path: RecordPath, stamp_ns: int | None, settle_ns: int) -> int:
        # A missing file, and a stamp of the future, do not say since when a file is left alone: it
        # is since the first look that found it so, which no later look can put off.
        known = self.before.get(path)
        since_ns = self.now_ns if stamp_ns is None else min(stamp_ns, self.now_ns)
        due_ns = since_ns + settle_ns
        if known is None or known.due_ns is None or known.stamp_ns != stamp_ns:
            return due_ns
        return min(due_ns, known.due_ns)


def delays(pushes: Sequence[Step], timing: Timing) -> dict[RecordPath, Pending]:
    """Return which of `pushes` wait, by path.

    The deletion of a record waits for its content, which went to an heir or stands in a creation:
    were it sent alone, the repo would not have the content, and would drop its blobs.
    """
    found = {step.path: item for step in pushes if (item := timing.delay(step)) is not None}
    creations = {item.local: item for item in found.values() if item.kind is Kind.CREATION}
    for step in pushes:
        home = creations.get(step.remote) if step.heir is None else found.get(step.heir)
        is_alone = step.local is None and home is not None and step.path not in found
        if home is not None and is_alone and not timing.is_approved(step):
            found[step.path] = _with(step, home)
    return {path: found[path] for path in sorted(found)}


def _with(deletion: Step, home: Pending) -> Pending:
    reason = f"{deletion.reason}: its content is in {home.path}, which waits"
    return Pending(deletion.path, Kind.DELETION, reason, None, deletion.remote, home.due_ns)
