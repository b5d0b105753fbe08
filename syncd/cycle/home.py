"""Where a repo lives, as one value that is passed whole. Holds; never asks."""

from __future__ import annotations

from syncd.model import Account
from syncd.pds import Pds
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Home:
    """An account, and a client of the PDS that hosts its repo."""

    account: Account
    pds: Pds
