"""The PDS: what syncd asks of it (`Pds`), and how it asks over HTTP (`HttpPds`).

The only HTTP client of syncd beside identity resolution, and the only websocket client. Knows no
folder, no plan and no state. Streams are not imported from here, so that what listens to none
starts faster.
"""

from syncd.pds.bounds import DEFAULT_BOUNDS, Bounds
from syncd.pds.claims import is_app_password
from syncd.pds.client import NO_COMMIT, HttpPds, encoded_size, honoured_by, op_of
from syncd.pds.doorbell import Doorbell, Reason, Ring, size_of
from syncd.pds.http import OnRequest
from syncd.pds.protocol import Meanwhile, Pds, Tokens
from syncd.pds.session import log_in, log_out
from syncd.pds.tokens import MemoryTokens

__all__ = [
    "DEFAULT_BOUNDS",
    "NO_COMMIT",
    "Bounds",
    "Doorbell",
    "HttpPds",
    "Meanwhile",
    "MemoryTokens",
    "OnRequest",
    "Pds",
    "Reason",
    "Ring",
    "Tokens",
    "encoded_size",
    "honoured_by",
    "is_app_password",
    "log_in",
    "log_out",
    "op_of",
    "size_of",
]
