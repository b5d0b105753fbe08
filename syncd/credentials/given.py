"""Remember at which origin a password was first taken that syncd does not keep itself.

Such a password comes from the environment, a file or systemd, and carries no origin. What is kept
here is a salted hash of it, and the account and origin of the login. Never the password.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from syncd.credentials.entry import is_origin
from syncd.credentials.secretfile import read_secret, write_secret
from syncd.values import dataclass

SUFFIX: Final = ".given"
KEPT: Final = 32
"""How many passwords of one account are remembered; the oldest are forgotten first."""

_SALT_BYTES = 16
_COST = 2**12
"""Of scrypt: the hash of a password takes some 10 ms, so a weak one is not guessed for nothing."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Which account's login accepted a password, and at which origin."""

    did: str
    origin: str


def find_taken(password: str, file: Path) -> Taken | None:
    """Return where `password` was first accepted; None if no login here accepted it.

    A login of the account that `file` belongs to counts before those of others, beside it.
    """
    others = sorted(path for path in file.parent.glob(f"*{SUFFIX}") if path != file)
    found = (_find(password, path) for path in (file, *others))
    return next((taken for taken in found if taken is not None), None)


def keep_taken(password: str, taken: Taken, file: Path) -> None:
    """Remember that a login accepted `password`. Raises FileProblem."""
    noted = _read(file)
    salt = noted["salt"] if noted else secrets.token_hex(_SALT_BYTES)
    origins: dict[str, str] = dict(noted["origins"]) if noted else {}
    digest = _digest(password, salt)
    if origins.get(digest) == taken.origin:
        return
    origins.pop(digest, None)
    newest = dict([*origins.items(), (digest, taken.origin)][-KEPT:])
    write_secret(file, json.dumps({"did": taken.did, "salt": salt, "origins": newest}) + "\n")


def _find(password: str, file: Path) -> Taken | None:
    noted = _read(file)
    origin = None if noted is None else noted["origins"].get(_digest(password, noted["salt"]))
    return None if noted is None or origin is None else Taken(noted["did"], origin)


def _read(file: Path) -> Mapping[str, Any] | None:
    """Return the content of `file`; None if it is missing or damaged."""
    try:
        fields = json.loads(read_secret(file) or "")
    except (ValueError, RecursionError):
        return None
    match fields:
        case {"did": str(), "salt": str(), "origins": dict(origins)}:
            return fields if all(map(is_origin, origins.values())) else None
    return None


def _digest(password: str, salt: str) -> str:
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=_COST, r=8, p=1).hex()
