"""Where a repo lives, as one value that is passed whole. Holds; never asks."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.model import Account
from syncd.pds import Pds


@dataclass(frozen=True, slots=True)
class Home:
    """An account, and a client of the PDS that hosts its repo."""

    account: Account
    pds: Pds
