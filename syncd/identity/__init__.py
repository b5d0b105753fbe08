"""Who an account is and where its repo lives, confirmed from both ends. Never guesses."""

from syncd.identity.names import TxtLookup, lookup_txt
from syncd.identity.resolver import PLC_DIRECTORY, resolve

__all__ = ["PLC_DIRECTORY", "TxtLookup", "lookup_txt", "resolve"]
