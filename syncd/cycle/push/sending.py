"""Send the bytes of blobs to the PDS, some at a time, each once. Names no record.

What a sync would fetch from there again is copied to `blobs/` meanwhile: the disk works on one blob
while the network works on the next.
What became of each is kept until it is asked for: a record waits for its own blobs alone. After an
answer that holds for all of them, or several in a row that say nothing, none is begun any more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import field
from functools import partial
from typing import BinaryIO, Final, TypeAlias

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.blobs.copying import Copies
from syncd.blobs.files import too_large
from syncd.blobs.streams import Later, aside, in_streams
from syncd.cycle.blobs.attached import store_of
from syncd.cycle.home import Home
from syncd.cycle.workspace import Workspace
from syncd.errors import (
    BadAnswer,
    BadData,
    FileChanged,
    FileProblem,
    PdsError,
    Rejected,
    SyncdError,
    TooLarge,
    Unreachable,
)
from syncd.state.learnt import KnownBlobLimit, KnownUploads
from syncd.values import dataclass

COPIERS: Final = 2
"""How many blobs are copied at once: a disk does not get faster by more of them."""
ORDINARY_BYTES: Final = 1_000_000
"""Every PDS takes a blob of that size: an avatar may have it. Of a larger one it is asked first."""


SILENCES: Final = 2
"""After so many uploads in a row without a usable answer, the PDS is in trouble, and not one blob.
"""


OnSent: TypeAlias = Callable[[Cid], None]


def _nothing(_: Cid) -> None:
    """Hear of a blob that was sent, and have no use for that."""


class Refused(Exception):
    """The PDS refuses such a blob. `error` says why."""

    def __init__(self, name: str, error: Rejected) -> None:
        super().__init__(name)
        self.name, self.error = name, error


@dataclass(frozen=True, slots=True)
class Parcel:
    """The bytes of a blob. `name` is what a person knows them by; `opened` gives them and a size.

    `opened` may raise BadData, FileChanged or FileProblem. `is_kept`: once they are sent, the bytes
    are copied to `blobs/`, which has none of them.
    """

    name: str
    ref: BlobRef
    opened: Callable[[], AbstractContextManager[tuple[BinaryIO, int]]]
    is_kept: bool = False


@dataclass(slots=True)
class Sender:
    """Sends the blobs of one account. `sent` is what this process has uploaded, by its CID."""

    workspace: Workspace
    home: Home
    sent: dict[Cid, BlobRef] = field(default_factory=dict)
    _failed: dict[Cid, SyncdError | Refused] = field(default_factory=dict)
    _copies: Copies = field(init=False)
    _later: Later = field(init=False)
    _on_sent: OnSent = _nothing
    _most: int | None = None
    _has_asked: bool = False
    _is_over: bool = False
    _unanswered: int = 0
    _late: set[Cid] = field(default_factory=set)

    async def send_all(self, parcels: Iterable[Parcel], on_sent: OnSent = _nothing) -> None:
        """Send each of `parcels` that this process has not sent, in their order.

        Those that got no usable answer before go last: the others may get one. `on_sent` hears
        of each blob that is sent.
        """
        waits = [p for p in parcels if p.ref.cid not in self.sent]
        new = {p.ref.cid: p for p in sorted(waits, key=lambda p: p.ref.cid in self._late)}
        self._failed, self._is_over, self._unanswered = {}, False, 0
        if not new:
            return
        store, waiting = store_of(self.workspace), iter(new.values())
        self._copies, self._on_sent = Copies(store), on_sent
        if any(parcel.is_kept for parcel in new.values()):
            store.sweep()
        try:
            async with aside(COPIERS) as self._later:
                await in_streams(lambda: self._work(waiting), len(new))
        finally:
            self._keep_count()
        try:
            placed = self._copies.place()
        except FileProblem:
            return
        self.workspace.state.attachments.keep_stamps(placed)

    def take(self, parcel: Parcel) -> BlobRef:
        """Return the reference of the PDS to a parcel of the last `send_all`.

        Raises what kept it from being sent: Refused, UploadLimited, FileChanged and so on.
        """
        cid = parcel.ref.cid
        if cid in self.sent:
            return self.sent[cid]
        # An earlier one ended the round: whoever asks in order has met its error already.
        raise self._failed.get(cid) or FileChanged(f"{parcel.name} was not sent yet")

    async def _work(self, waiting: Iterator[Parcel]) -> None:
        for parcel in waiting:
            if self._is_over:
                return
            try:
                await self._send(parcel)
            except (BadData, FileChanged, FileProblem, Refused) as error:
                self._failed[parcel.ref.cid] = error
            except (Unreachable, BadAnswer) as error:
                self._failed[parcel.ref.cid] = error
                self._late.add(parcel.ref.cid)
                self._unanswered += 1
                self._is_over = self._is_over or self._unanswered >= SILENCES
            except SyncdError as error:
                self._failed[parcel.ref.cid] = error
                self._is_over = True
            else:
                self._late.discard(parcel.ref.cid)
                self._unanswered = 0
                self._on_sent(parcel.ref.cid)

    async def _send(self, parcel: Parcel) -> None:
        """Send one blob. Raises Refused if the PDS does not take it, FileChanged if it changed."""
        expected = parcel.ref
        most = await self._limit() if expected.size > ORDINARY_BYTES else None
        if most is not None and expected.size > most:
            reason = too_large(parcel.name, expected.size, most).message
            raise Refused(parcel.name, TooLarge(reason, name="", status=413))
        try:
            with parcel.opened() as (file, size):
                if size != expected.size:
                    raise FileChanged(f"{parcel.name} was changed after syncd read it")
                found = await self._upload(file, expected)
                if found.cid != expected.cid:
                    raise FileChanged(f"{parcel.name} was changed after syncd read it")
        except Rejected as error:
            raise Refused(parcel.name, error) from error
        self.sent[found.cid] = found
        if parcel.is_kept:
            self._later(partial(self._copy, parcel, found))

    async def _upload(self, file: BinaryIO, expected: BlobRef) -> BlobRef:
        """Upload what was hashed before, by the look or by `compared`: it is not hashed again."""
        size, mime_type = expected.size, expected.mime_type
        return await self.home.pds.upload_blob(file, size, mime_type, expected.cid)

    async def _copy(self, parcel: Parcel, found: BlobRef) -> None:
        """Copy what was sent to `blobs/`; what cannot be copied is fetched, like any other blob."""
        with suppress(BadData, FileChanged, FileProblem), parcel.opened() as (file, _):
            await self._copies.store.beside(partial(self._copies.add, file, found, parcel.name))

    def _keep_count(self) -> None:
        """Record how many more blobs the PDS accepts, if its answers say that."""
        limit, pds = self.home.pds.upload_limit, self.home.account.pds
        if limit is not None:
            found = KnownUploads(pds, limit.remaining, limit.limit, math.ceil(limit.reset_at))
            self.workspace.state.keep(found)

    async def _limit(self) -> int | None:
        """Return the largest blob that the PDS says it accepts; ask once.

        None where it does not say: then an upload shows it.
        """
        if not self._has_asked:
            self._has_asked = True
            with suppress(PdsError, BadAnswer):
                self._most = await self.home.pds.fetch_blob_limit()
            if self._most is not None:
                now, pds = self.workspace.now(), self.home.account.pds
                self.workspace.state.keep(KnownBlobLimit(pds, self._most, now))
        return self._most
