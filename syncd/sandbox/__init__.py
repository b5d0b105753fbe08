"""A PDS small enough to embed: real CIDs, real trees, signed commits, the reference PDS's answers.

For trying syncd, for its demo, and for its tests; never for data that matters. `Sandbox` is the
server as an object. `http.server.serve` serves it on a port of the loopback, `http.server.start`
does so in a thread (both need the extra `sandbox`), and `MemoryPds` calls it without HTTP.
"""

from syncd.sandbox.accounts import Status
from syncd.sandbox.direct import MemoryPds
from syncd.sandbox.faults import (
    Call,
    Cut,
    Delay,
    DropAnswer,
    DropRequest,
    Faults,
    Html,
    LoseBlock,
    Refuse,
    Stale,
    Torn,
)
from syncd.sandbox.host import Login, Sandbox
from syncd.sandbox.limits import Bucket, RateLimits

__all__ = [
    "Bucket",
    "Call",
    "Cut",
    "Delay",
    "DropAnswer",
    "DropRequest",
    "Faults",
    "Html",
    "Login",
    "LoseBlock",
    "MemoryPds",
    "RateLimits",
    "Refuse",
    "Sandbox",
    "Stale",
    "Status",
    "Torn",
]
