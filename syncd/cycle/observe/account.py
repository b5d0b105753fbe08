"""What became of an account whose repo cannot be seen: told apart, and found again where it moved.

No state of an account is ever a reason to touch a file: what is learned here is only told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from syncd.cycle.home import Home
from syncd.errors import BadCommit, RepoUnavailable, RolledBack, SyncdError, Unreachable, WrongKey
from syncd.model import Account
from syncd.pds import Pds

LOST = (BadCommit, RolledBack, RepoUnavailable, Unreachable)
"""What may be no fault of the PDS that was asked, but the account living elsewhere by now."""

RESOLVE_SECONDS: Final = 60
"""How often, at most, an account is resolved only because something might have changed."""


@dataclass(slots=True)
class Whereabouts:
    """How an account is found again.

    Attributes:
        resolve: Who it is and where it lives by its DID document, asked anew.
        connect: A client of the PDS of an account.
        changed: Told of every difference, with the account before and after.
    """

    resolve: Callable[[], Awaitable[Account]]
    connect: Callable[[Account], Pds]
    changed: Callable[[Account, Account], None]
    _asked_ns: int = 0

    async def find(self, home: Home, now_ns: int, *, if_due: bool = False) -> Home:
        """Return where the account lives now, or `home` if nobody can be asked.

        With `if_due`, ask nobody unless the last question is `RESOLVE_SECONDS` old.
        """
        if if_due and abs(now_ns - self._asked_ns) < RESOLVE_SECONDS * 1_000_000_000:
            return home
        self._asked_ns = now_ns
        try:
            now = await self.resolve()
        except SyncdError:
            return home
        if now != home.account:
            self.changed(home.account, now)
        return Home(now, home.pds if now.pds == home.account.pds else self.connect(now))


def describe_change(before: Account, after: Account) -> tuple[str, ...]:
    """What is new about an account, a sentence for each."""
    name = after.handle or before.handle or after.did
    sentences = (
        (before.handle, after.handle, f"{before.handle or after.did} is now called {after.handle}"),
        (before.pds, after.pds, f"{name} moved from {before.pds} to {after.pds}"),
        (before.key, after.key, f"{name} signs with {after.key} now, no longer with {before.key}"),
    )
    return tuple(sentence for old, new, sentence in sentences if old != new and new is not None)


async def explain(error: SyncdError, pds: Pds, before: Account, now: Account) -> SyncdError:
    """The same error in words for its owner, after the account was resolved again."""
    match error:
        case RepoUnavailable():
            return describe_state(now, await _state_of(error, pds))
        case WrongKey():
            return describe_wrong_key(error, before, now)
        case _:
            return error


async def _state_of(error: RepoUnavailable, pds: Pds) -> str:
    """What the PDS says of the account itself, or else what the refused request said."""
    try:
        status = await pds.fetch_status()
    except RepoUnavailable as refusal:
        return refusal.status
    except SyncdError:
        return error.status
    return error.status if status.active else status.status or "inactive"


_GOES_ON = "no file is touched meanwhile, and sync goes on by itself"

_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "deactivated": (
        "is deactivated: its owner has switched it off",
        f"activate it where it was deactivated; {_GOES_ON}",
    ),
    "takendown": (
        "was taken down by its PDS",
        f"ask the operator of the PDS; {_GOES_ON} when that is lifted",
    ),
    "suspended": (
        "is suspended by its PDS for a time",
        f"wait, or ask the operator of the PDS; {_GOES_ON} when that is over",
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
    """What an account's state means for a mirror of its repo (lexicon sync.getRepoStatus)."""
    words, hint = _STATES.get(status, (f"is {status[:40]}", f"ask its PDS; {_GOES_ON}"))
    name = account.handle or account.did
    return RepoUnavailable(f"the account {name} {words} ({account.pds})", status=status, hint=hint)


def describe_wrong_key(error: WrongKey, before: Account, now: Account) -> WrongKey:
    """Name the key that was known and the one that the DID document names now."""
    if before.key == now.key:
        keys = f"its key is still {now.key} by its DID document"
    else:
        keys = f"its key was {before.key} and is now {now.key} by its DID document"
    hint = "nothing was changed; if you did not change its key, ask the operator of the PDS"
    return WrongKey(f"{error.message}; {keys}", hint=hint)
