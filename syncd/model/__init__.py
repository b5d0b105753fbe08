"""The values that flow between syncd's parts. Frozen data; never any I/O, never a decision.

The three views of a repo are always named in this order: base (what both sides last agreed on),
local (the folder), remote (the verified tree on the PDS). Each maps record paths to CIDs.
"""

from syncd.model.memory import Memory, Seen
from syncd.model.paths import (
    CODEC,
    RecordPath,
    Snapshot,
    find_record_path,
    make_record_path,
    parse_record_path,
    split_record_path,
)
from syncd.model.plan import (
    Account,
    Arrival,
    Change,
    Choice,
    Conflict,
    Decision,
    Departure,
    Head,
    Held,
    Kind,
    Moved,
    Pending,
    Plan,
    Policy,
    Problem,
    Refusal,
    Retry,
    Side,
    Step,
    Verdict,
    Waiting,
)
from syncd.model.report import Report

__all__ = [
    "CODEC",
    "Account",
    "Arrival",
    "Change",
    "Choice",
    "Conflict",
    "Decision",
    "Departure",
    "Head",
    "Held",
    "Kind",
    "Memory",
    "Moved",
    "Pending",
    "Plan",
    "Policy",
    "Problem",
    "RecordPath",
    "Refusal",
    "Report",
    "Retry",
    "Seen",
    "Side",
    "Snapshot",
    "Step",
    "Verdict",
    "Waiting",
    "find_record_path",
    "make_record_path",
    "parse_record_path",
    "split_record_path",
]
