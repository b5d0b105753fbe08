"""Look at one record before and after a write that no guard protects. Never writes.

A look is the trouble of that one write. Where the PDS does not answer for one record, its newest
commit can: as long as it is the one that was verified, the record is what the verified tree says.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from syncd.atproto.cid import Cid
from syncd.errors import BadAnswer, PdsError, RateLimited, SwapFailed, Unreachable
from syncd.model import Change, RecordPath
from syncd.pds import Pds
from syncd.values import dataclass


class Unseen(Enum):
    """The state of a record that the PDS did not answer for; None would mean that it is absent."""

    UNSEEN = "unseen"


UNSEEN: Final = Unseen.UNSEEN


class Unclear(PdsError):
    """The PDS does not report the state of one record; nothing was written."""

    effect = "nothing was written; the change waits until syncd looks again"
    advice = "nothing"


@dataclass(slots=True)
class Looks:
    """The looks of one push.

    Attributes:
        known: The commit of the tree that the changes were planned against, until the first write
            of our own: a commit of another client may lie below that.
    """

    pds: Pds
    known: Cid | None = None

    async def check(self, change: Change) -> bool:
        """Check that the record is still `change.before`; return whether the PDS has its content.

        A PDS may lose it with that of an equal record that was edited or deleted. Only the tree
        has the record then, and what replaces or deletes it takes nothing away.

        Raises:
            SwapFailed: It is not.
            Unclear: The PDS does not answer for it, and has a commit that was not verified.
            Unreachable, RateLimited: The PDS answers nothing else either.
        """
        try:
            found = await self.pds.fetch_record(change.path)
        except RateLimited:
            raise
        except (PdsError, BadAnswer) as error:
            if not await self._is_as_verified():
                raise Unclear(f"the PDS does not show this record: {error.message}") from error
            return True
        is_lost = found is None and change.before is not None and await self._is_as_verified()
        if found != change.before and not is_lost:
            raise SwapFailed(f"{change.path} was changed in the repo meanwhile")
        return not is_lost

    async def _is_as_verified(self) -> bool:
        """Return whether nobody has written to the repo since its tree was verified.

        Not where the PDS answers, and names no commit.
        """
        try:
            newest, _ = await self.pds.fetch_latest()
        except (Unreachable, RateLimited):
            raise
        except (PdsError, BadAnswer):
            return False
        return newest == self.known

    async def at(self, path: RecordPath) -> Cid | Unseen | None:
        """Return the present version of the record; UNSEEN if the PDS does not answer for it.

        Raises RateLimited.
        """
        try:
            return await self.pds.fetch_record(path)
        except RateLimited:
            raise
        except (PdsError, BadAnswer):
            return UNSEEN
