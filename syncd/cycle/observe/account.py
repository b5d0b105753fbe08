"""Find an account again after it moved, and explain why its repo cannot be read.

Never touches a file: no status of an account is a reason to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from syncd.cycle.home import Home
from syncd.errors import BadCommit, RepoUnavailable, RolledBack, SyncdError, Unreachable, WrongKey
from syncd.model import Account
from syncd.pds import Pds
from syncd.values import dataclass

LOST = (BadCommit, RolledBack, RepoUnavailable, Unreachable)
"""Errors whose cause may be that the account has moved to another PDS."""

RESOLVE_SECONDS: Final = 60
"""The least time between two resolutions of an account without an error."""


@dataclass(slots=True)
class Whereabouts:
    """The means to find an account again.

    Attributes:
        resolve: Resolves the account anew from its DID document.
        connect: Makes a client of the PDS of an account.
        changed: Called for every difference with the account before and after.
        asked_ns: When the account was resolved last, by the wall clock.
    """

    resolve: Callable[[], Awaitable[Account]]
    connect: Callable[[Account], Pds]
    changed: Callable[[Account, Account], None]
    asked_ns: int = 0

    async def find(self, home: Home, now_ns: int, *, if_due: bool = False) -> Home:
        """Return the home of the account now, or `home` if it cannot be resolved.

        With `if_due`, resolve only if the last time is at least `RESOLVE_SECONDS` ago.
        """
        if if_due and abs(now_ns - self.asked_ns) < RESOLVE_SECONDS * 1_000_000_000:
            return home
        self.asked_ns = now_ns
        try:
            now = await self.resolve()
        except SyncdError:
            # An error in resolving proves no move. The known PDS is still the best one to ask.
            return home
        if now != home.account:
            self.changed(home.account, now)
        return Home(now, home.pds if now.pds == home.account.pds else self.connect(now))


def describe_change(before: Account, after: Account) -> tuple[str, ...]:
    """Return a sentence for each change of an account: handle, PDS, key."""
    name = after.handle or before.handle or after.did
    sentences = (
        (before.handle, after.handle, f"{before.handle or after.did} is now called {after.handle}"),
        (before.pds, after.pds, f"{name} moved from {before.pds} to {after.pds}"),
        (before.key, after.key, f"{name} now signs with {after.key}, no longer with {before.key}"),
    )
    return tuple(sentence for old, new, sentence in sentences if old != new and new is not None)


async def explain(error: SyncdError, pds: Pds, before: Account, now: Account) -> SyncdError:
    """Return the same error in words for the owner, after the account was resolved again."""
    match error:
        case RepoUnavailable():
            return describe_state(now, await _state_of(error, pds))
        case WrongKey():
            return describe_wrong_key(error, before, now)
        case _:
            return error


async def _state_of(error: RepoUnavailable, pds: Pds) -> str:
    """Ask the PDS for the status of the account; return that of the refused request otherwise."""
    try:
        status = await pds.fetch_status()
    except RepoUnavailable as refusal:
        return refusal.status
    except SyncdError:
        return error.status
    return error.status if status.active else status.status or "inactive"


_GOES_ON = "until then syncd changes no file; afterwards it syncs again on its own"

_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "deactivated": (
        "is deactivated by its owner",
        f"activate it where it was deactivated; {_GOES_ON}",
    ),
    "takendown": (
        "was taken down by its PDS",
        f"ask the operator of the PDS to lift that; {_GOES_ON}",
    ),
    "suspended": (
        "is suspended by its PDS for a time",
        f"wait until it ends, or ask the operator of the PDS; {_GOES_ON}",
    ),
    "deleted": (
        "was deleted from its PDS",
        "the files stay as they are; to keep them elsewhere, copy the folder",
    ),
    "notfound": (
        "is not known to its PDS",
        "if it moved, its DID document does not say so yet; the files stay as they are",
    ),
}


def describe_state(account: Account, status: str) -> RepoUnavailable:
    """Make the error for an account with `status` (lexicon com.atproto.sync.getRepoStatus)."""
    words, hint = _STATES.get(
        status, (f"is {status[:40]}", f"ask the operator of its PDS to activate it; {_GOES_ON}")
    )
    name = account.handle or account.did
    return RepoUnavailable(f"the account {name} {words} ({account.pds})", status=status, hint=hint)


def describe_wrong_key(error: WrongKey, before: Account, now: Account) -> WrongKey:
    """Add the known key and the key in the DID document to the error."""
    if before.key == now.key:
        keys = f"its DID document still names the key {now.key}"
    else:
        keys = f"its key was {before.key}, and its DID document now names {now.key}"
    hint = "nothing was changed; if you did not change the key, ask the operator of the PDS"
    return WrongKey(f"{error.message}; {keys}", hint=hint)
