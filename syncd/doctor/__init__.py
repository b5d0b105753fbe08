"""Find problems of a mirror and suggest fixes. Never fixes anything.

The edges measure; pure functions judge the measurements.
"""

from syncd.doctor.examine import examine
from syncd.doctor.kinds import KINDS, Finding, Severity

__all__ = ["KINDS", "Finding", "Severity", "examine"]
