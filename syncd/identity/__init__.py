"""Find an account and its PDS, confirmed by both its handle and its DID; find published lexicons.

Never guesses.
"""

from syncd.identity.names import TxtLookup, lookup_txt
from syncd.identity.resolver import PLC_DIRECTORY, resolve

__all__ = ["PLC_DIRECTORY", "TxtLookup", "lookup_txt", "resolve"]
