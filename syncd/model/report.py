"""The results of a cycle. Frozen data; never any I/O."""

from __future__ import annotations

from dataclasses import field, replace

from syncd.errors import BadAnswer, CredentialsRefused, RateLimited, SyncdError, Unreachable
from syncd.model.paths import RecordPath
from syncd.model.plan import Conflict, Head, Held, Pending, Plan, Problem, Retry
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one cycle. `deleted` paths are among `pushed` and `pulled` too."""

    pushed: tuple[RecordPath, ...] = ()
    pulled: tuple[RecordPath, ...] = ()
    adopted: tuple[RecordPath, ...] = ()
    merged: tuple[RecordPath, ...] = ()
    deleted: tuple[RecordPath, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: tuple[Held, ...] = ()
    requests: int = 0
    head: Head | None = None
    plan: Plan = field(default_factory=Plan)
    unsent: tuple[RecordPath, ...] = ()
    retries: tuple[Retry, ...] = ()
    remarks: tuple[str, ...] = ()
    halted: SyncdError | None = None
    pending: tuple[Pending, ...] = ()

    @property
    def is_settled(self) -> bool:
        """True if a person has nothing to do."""
        return not (self.conflicts or self.problems or self.held)

    @property
    def is_unfinished(self) -> bool:
        """True if another cycle is needed."""
        return bool(self.unsent or self.retries or self.halted)

    @property
    def needs_a_pause(self) -> bool:
        """True if syncd cannot push now: the PDS asks for a pause or for other credentials."""
        return isinstance(self.halted, RateLimited | CredentialsRefused)

    @property
    def is_cut_off(self) -> bool:
        """True if a push met no PDS: another cycle at once would meet none either."""
        return isinstance(self.halted, Unreachable | BadAnswer)

    def followed_by(self, later: Report) -> Report:
        """Combine two cycles: actions add up, open items are those of the later cycle."""
        return replace(
            later,
            pushed=self.pushed + later.pushed,
            pulled=self.pulled + later.pulled,
            adopted=self.adopted + later.adopted,
            merged=self.merged + later.merged,
            deleted=self.deleted + later.deleted,
            remarks=self.remarks + later.remarks,
            requests=self.requests + later.requests,
            plan=self.plan,
        )
