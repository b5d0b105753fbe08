"""What can be wrong around a mirror: measured at the edges, judged as values. Mends nothing."""

from syncd.doctor.examine import examine
from syncd.doctor.kinds import KINDS, Finding, Level

__all__ = ["KINDS", "Finding", "Level", "examine"]
