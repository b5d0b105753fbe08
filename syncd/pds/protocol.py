"""What syncd asks of a PDS, and of whoever keeps its credentials. Promises only, no behaviour."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO, Protocol, TypeAlias

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.atproto.syntax import Did, Tid
from syncd.atproto.xrpc import RateLimit, RepoStatus
from syncd.exchange import Session, Written
from syncd.model import Change, RecordPath

Meanwhile: TypeAlias = Callable[[], None]
"""What to do between a request and its answer."""


class Pds(Protocol):
    """One account's repo on the server that hosts it.

    Every method may raise Unreachable, RateLimited, RepoUnavailable or BadAnswer; every write may
    also raise CredentialsRefused. After any of these a write was not applied, except that a
    RateLimited which stands for a 503 leaves it open, as Unknown does.
    """

    @property
    def did(self) -> Did:
        """Return the DID of the repo."""

    @property
    def rate_limit(self) -> RateLimit | None:
        """Return the rate limit that the PDS reported last; None if it never reported one."""

    @property
    def upload_limit(self) -> RateLimit | None:
        """Return the same for uploads, which have a bucket of their own."""

    @property
    def server_time(self) -> float | None:
        """Return the time at the PDS by its last answer, in unix seconds; None if unknown."""

    @property
    def requests(self) -> int:
        """Return the number of requests sent so far."""

    async def fetch_latest(self, *, is_poll: bool = False) -> tuple[Cid, Tid]:
        """Return the newest commit and its rev, unverified (com.atproto.sync.getLatestCommit).

        `is_poll`: it is asked for every few seconds. A PDS in trouble is asked nothing else then.
        """

    async def fetch_status(self) -> RepoStatus:
        """Return whether the repo can be read, and why not (com.atproto.sync.getRepoStatus)."""

    def fetch_repo(self, since: Tid | None = None) -> AsyncGenerator[bytes, None]:
        """Return the CAR of the repo, or of the blocks after `since`, in pieces of any size.

        Nothing in it is verified, and that it ended is no proof that it is whole. Close it if you
        leave it early, also by an error: a connection hangs on it.
        """

    async def fetch_blocks(self, cids: Sequence[Cid]) -> dict[Cid, bytes]:
        """Return all of `cids`, each with its hash checked (com.atproto.sync.getBlocks).

        Raises:
            NotFound: The PDS does not have one of them (any more).
            BadCar: A block is not the content of its CID.
        """

    async def fetch_record(self, path: RecordPath) -> Cid | None:
        """Return the present CID of a record, unverified; None if the PDS says there is none."""

    def fetch_blob(self, cid: Cid) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Yield the bytes of a blob in pieces, unverified (com.atproto.sync.getBlob).

        Raises when it is entered, and between pieces too. That they ended is no proof that they
        are whole.

        Raises:
            BlobNotFound: The PDS does not give it, now or to anybody, which deletes nothing.
        """

    async def fetch_blob_limit(self) -> int | None:
        """Return the largest blob, in bytes, that the PDS says it accepts; None if it does not."""

    async def upload_blob(
        self, file: BinaryIO, size: int, mime_type: str, expected: Cid | None = None
    ) -> BlobRef:
        """Upload the next `size` bytes of `file` (com.atproto.repo.uploadBlob).

        `expected` is what they are, if that is known: then they are not hashed once more. The
        answer may still name others, those of a file that has changed.

        Safe to repeat. The PDS drops the blob after a while if no record names it. Its word on the
        MIME type is not the last one: of two uploads of the same bytes the type of the first
        counts, whatever is answered to the second.

        Raises:
            FileChanged: `file` has fewer bytes or more, or changed while it was sent.
            TooLarge: The PDS takes no blob of that size.
            Rejected: The PDS refuses this blob for another reason.
            UploadLimited: The PDS takes no blob for a while; it does take writes.
            Unreachable: No usable answer. The blob may be there.
        """

    async def honours_swaps(self) -> bool | None:
        """Return whether the PDS refuses an empty batch on a commit that no repo has.

        Where it accepts it, or supports no guard, every guard of the methods below is a wish. None
        if it refuses the batch for another reason, which shows nothing. Writes no record. Raises
        as `write` does.
        """

    async def write(
        self,
        changes: Sequence[Change],
        *,
        swap: Cid | None,
        validate: bool | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> Written:
        """Apply all of `changes` or none of them, if the repo is still at commit `swap`.

        None is no guard. Creations need none: every PDS that was tried refuses applyWrites#create
        on an existing record, by SwapFailed, Rejected or (the reference PDS: a 500) Unknown.
        `meanwhile` may be called, also twice, once the request is sent and before it is answered.

        Raises:
            SwapFailed: The repo has moved on; nothing was written.
            Rejected: A record was refused; nothing was written. TooLarge: the batch was.
            GuardUnsupported: The PDS takes no write with such a guard; nothing was written.
            Unknown: No usable answer. The writes may or may not have been applied.
        """

    async def put(
        self, change: Change, *, validate: bool | None = None, is_guarded: bool = True
    ) -> Written:
        """Write one record if it is still `change.before` there. Raises as `write` does.

        Safe to repeat: where the record is `change.after` already, this succeeds.
        Not `is_guarded`, it is written whatever is there.
        """

    async def delete(self, change: Change, *, is_guarded: bool = True) -> Written:
        """Delete one record if it is still `change.before` there. Raises as `write` does.

        Safe to repeat: where there is no record any more, this succeeds.
        Not `is_guarded`, it is deleted whatever is there.
        """


class Tokens(Protocol):
    """Keeps one account's credentials. Its methods may block on the disk, but not for long."""

    def load(self) -> Session | None:
        """Return the newest kept session, of any process and for any origin.

        Raises CredentialsRefused; Unreachable if nobody says which origin an old one is for.
        """

    def keep(self, session: Session, password: str | None = None) -> None:
        """Replace the kept session, durably.

        `password`, where one was spent on the session, is for the same origin from now on.
        """

    def password(self, origin: str) -> str | None:
        """Return the password for the server at `origin`; None if there is no password at all.

        Raises CredentialsElsewhere if it is for another server, and CredentialsRefused or
        Unreachable if it is not known which one it is for.
        """

    def given_at(self) -> str | None:
        """Return where a person gives the password that was returned last.

        None if syncd keeps it itself: then a login replaces it.
        """

    def forget(self) -> None:
        """Drop the kept session, and the password where syncd itself keeps it."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Keep every other process from renewing this account's session until the `with` ends."""
