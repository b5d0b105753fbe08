"""Upload the files that records name, just before these records are sent, and put in references.

Upload first, then the file of the record, then the record: a stop between any two leaves what the
next cycle begins with. Never uploads for a record that may not be sent, and sends no record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from syncd.atproto.blob import BlobRef, blob_refs
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import Value, decode, encode
from syncd.backoff import in_words
from syncd.blobs.files import Files, forget, shown
from syncd.cycle.home import Home
from syncd.cycle.observe.attached import Attached
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.pull.supersede import Successor, not_done, supersede
from syncd.cycle.push.renew import renew_texts
from syncd.cycle.workspace import SECOND_NS, Workspace
from syncd.errors import (
    BadAnswer,
    BadData,
    BadJson,
    CredentialsRefused,
    FileChanged,
    FileProblem,
    PdsError,
    Rejected,
    RepoUnavailable,
    SyncdError,
    TooLarge,
    UploadLimited,
)
from syncd.folder.write import read_bytes
from syncd.model import (
    Change,
    Memory,
    Pending,
    RecordPath,
    Refusal,
    Retry,
    Seen,
    Step,
    Verdict,
    Waiting,
    split_record_path,
)
from syncd.plan import kind_of
from syncd.state.learnt import UploadPause

__all__ = ["Attached", "Uploads"]

_REASON = "the files that it names were uploaded"
_HINT = "change the file, or name another"
_TYPED = "the PDS knows a file that it names as another type"
_UNKNOWN = -1
_ANY: Final = BlobRef(cid_of_blob(b""), "*/*", 0)
_EXPECTED: Final = re.compile(r"Expected: (\S+), Got: (\S+)")
"""How the reference PDS says which type it has, and which a record names."""


class _Refused(Exception):
    """The PDS takes no such file. `error` says why."""

    def __init__(self, name: str, error: Rejected) -> None:
        super().__init__(name)
        self.name, self.error = name, error


@dataclass(slots=True)
class Uploads:
    """The uploads of one account.

    `sent` is what this process has uploaded and a record may not name yet; `corrected` are those
    whose type a refusal named.
    """

    workspace: Workspace
    home: Home
    sent: dict[Cid, BlobRef] = field(default_factory=dict)
    corrected: set[Cid] = field(default_factory=set)
    _keeper: Keeper | None = None
    _most: int | None = _UNKNOWN
    _halt: SyncdError | None = None

    def take_halt(self) -> SyncdError | None:
        """Return why uploads were broken off since the last call, or None."""
        found, self._halt = self._halt, None
        return found

    async def attach(
        self, keeper: Keeper, steps: Sequence[Step], attached: Mapping[RecordPath, Attached]
    ) -> list[Step]:
        """Return the steps that may be sent: those that name no file, and those whose files are up.

        What becomes of the others is remembered: they wait.
        """
        ready: list[Step] = []
        self._keeper = keeper
        for step in steps:
            item = attached.get(step.path)
            waits = None if item is None else await self._carry_out(keeper, step, item)
            if waits is None:
                ready.append(step)
            else:
                self.workspace.state.record(Memory(waiting={step.path: (waits,)}))
        self._put_in_settled(keeper, attached)
        return renew_texts(self.workspace, keeper, ready)

    def _put_in_settled(self, keeper: Keeper, attached: Mapping[RecordPath, Attached]) -> None:
        """Put references into files whose records both sides have already, files and all."""
        base = self.workspace.state.base_of(attached)
        for path, item in attached.items():
            if base.get(path) == (cid := item.seen.cid):
                step = Step(path, Verdict.SETTLED, cid, cid, cid, _REASON)
                # Until it is possible, the file stays as it is, and is looked at again.
                with suppress(BadData, BadJson, FileChanged, FileProblem):
                    self._put_in(keeper, step, item.seen, item.refs)

    async def _carry_out(self, keeper: Keeper, step: Step, item: Attached) -> Waiting | None:
        """Upload the files of one record and put the references in; return why it waits."""
        if (waits := self._stopped(step, item.seen)) is not None:
            return waits
        try:
            refs = {name: await self._upload(step, name, ref) for name, ref in item.refs.items()}
            return self._put_in(keeper, step, item.seen, refs)
        except UploadLimited as error:
            return self._pending(step, item.seen, self._close(error))
        except _Refused as refused:
            return self._refusal(step, refused)
        except (PdsError, BadAnswer, CredentialsRefused, RepoUnavailable) as error:
            self._halt = error
            return Retry(step.path, error.message)
        except (BadData, BadJson, FileChanged, FileProblem) as error:
            return Retry(step.path, error.message)

    def _stopped(self, step: Step, seen: Seen) -> Waiting | None:
        """Return why nothing is uploaded now, whatever it is; None if something may be."""
        if self._halt is not None:
            return Retry(step.path, self._halt.message)
        until = self._closed_until()
        return self._pending(step, seen, until) if until > self.workspace.now() else None

    async def _upload(self, step: Step, name: str, expected: BlobRef) -> BlobRef:
        """Return the reference of a file that the PDS has; one that it has already is not sent.

        Raises FileChanged if the file is no longer what the plan was made from, and _Refused if it
        is none for this PDS.
        """
        known = self.sent.get(expected.cid) or self._named_before(step, expected.cid)
        if known is not None:
            return known
        most = await self._limit()
        if most is not None and expected.size > most:
            reason = f"{shown(name)} has {expected.size} bytes, and the PDS takes {most} at most"
            raise _Refused(name, TooLarge(reason, name="", status=413))
        try:
            return await self._send(name, expected)
        except Rejected as error:
            raise _Refused(name, error) from error

    async def _send(self, name: str, expected: BlobRef) -> BlobRef:
        with Files(self.workspace.folder.open).opened(name) as (file, size):
            if size != expected.size:
                raise FileChanged(f"{name} was changed after it was looked at")
            found = await self.home.pds.upload_blob(file, size, expected.mime_type)
        if found.cid != expected.cid:
            forget()
            raise FileChanged(f"{name} was changed after it was looked at")
        self.sent[found.cid] = found
        return found

    def _named_before(self, step: Step, cid: Cid) -> BlobRef | None:
        """Return the reference by which the repo's version of the record names the same bytes."""
        block = None if step.base is None else self.workspace.state.block(step.path, step.base)
        refs = () if block is None else blob_refs(decode(block))
        return next((ref for ref in refs if ref.cid == cid), None)

    async def _limit(self) -> int | None:
        """Return the largest blob that the PDS takes by its own word, asked for once."""
        if self._most == _UNKNOWN:
            self._most = await self.home.pds.fetch_blob_limit()
        return self._most

    def _put_in(
        self, keeper: Keeper, step: Step, seen: Seen, refs: Mapping[str, BlobRef]
    ) -> Waiting | None:
        """Put the references into the file, in its own style; return why the record waits.

        Raises BadData, BadJson, FileChanged or FileProblem if that is not possible now.
        """
        folder, path = self.workspace.folder, step.path
        collection = split_record_path(path)[0]
        form = folder.forms.of(collection)
        text, now = read_bytes(folder, path)
        if now.digest != seen.digest:
            raise FileChanged(f"{path} was edited after it was looked at")
        block = encode(form.parse(text, collection, refs.__getitem__))
        cid = cid_of_block(block)

        def restyled(old: bytes | None) -> bytes:
            return form.restyled(old or b"", block, collection)

        # As it stands the file is no record: history keeps its bytes, as what a person typed.
        expect = replace(seen, cid=cid_of_blob(text))
        successor = Successor(path, expect, cid, step.base, _REASON, restyled, later=cid)
        placed = supersede(folder, keeper, [successor])
        self.workspace.state.record(Memory(seen=placed.files))
        if path in placed.failed:
            return not_done(path, placed.failed[path])
        if cid != step.local:
            return Retry(path, "the PDS says that a file of it is of another kind")
        return None

    def _refusal(self, step: Step, refused: _Refused) -> Refusal:
        """Return why the PDS does not get a record, with the place of the file that it names."""

        def refer(name: str) -> BlobRef:
            if name == refused.name:
                raise BadData(refused.error.message)
            return _ANY

        line = column = None
        collection = split_record_path(step.path)[0]
        try:
            text, _ = read_bytes(self.workspace.folder, step.path)
            self.workspace.folder.forms.of(collection).parse(text, collection, refer)
        except BadJson as error:
            line, column = error.line, error.column
        except (BadData, FileChanged, FileProblem):
            pass
        reason = f"a file that it names cannot be uploaded: {refused.error.message}"
        return Refusal(step.path, step.local, reason, _HINT, line, column)

    def obey(self, change: Change, error: Rejected) -> Retry | None:
        """Give a file that was uploaded here the type by which a refusal says the PDS knows it.

        Of two uploads of the same bytes the type of the first counts, and only a record shows it.
        """
        asked = _EXPECTED.search(error.message) if error.name == "InvalidMimeType" else None
        if asked is None or change.record is None or self._keeper is None:
            return None
        expected, got = asked.groups()
        refs = {ref for ref in blob_refs(change.record) if ref.mime_type == got}
        ours = [ref for ref in refs if ref.cid in self.sent and ref.cid not in self.corrected]
        if len(ours) != 1:
            return None
        right = replace(ours[0], mime_type=expected)
        try:
            self._correct(self._keeper, change, ours[0], right)
        except (BadData, FileChanged, FileProblem):
            return None
        self.sent[right.cid] = right
        self.corrected.add(right.cid)
        return Retry(change.path, f"the PDS knows a file that it names as {expected}")

    def _correct(self, keeper: Keeper, change: Change, old: BlobRef, new: BlobRef) -> None:
        """Write the reference `new` for each `old` in the file of a record.

        Raises BadData, FileChanged or FileProblem if that is not possible now.
        """
        folder, path = self.workspace.folder, change.path
        collection = split_record_path(path)[0]
        form = folder.forms.of(collection)
        _, now = read_bytes(folder, path)
        block = encode(_replaced(change.record, old.value, new.value))
        cid = cid_of_block(block)

        def restyled(text: bytes | None) -> bytes:
            return form.restyled(text or b"", block, collection)

        assert change.after is not None
        seen = now.seen(path, change.after, seen_ns=0)
        successor = Successor(path, seen, cid, change.before, _TYPED, restyled, later=cid)
        placed = supersede(folder, keeper, [successor])
        self.workspace.state.record(Memory(seen=placed.files))
        if path in placed.failed:
            raise FileChanged(placed.failed[path].message)

    def _pending(self, step: Step, seen: Seen, until: int) -> Pending:
        """Return that a record waits for its files, and until when."""
        left = in_words(until - self.workspace.now())
        reason = f"{step.reason}: the PDS takes no more files for {left}"
        stamp_ns = max(seen.mtime_ns, seen.ctime_ns)
        due_ns = until * SECOND_NS
        found = (step.local, step.remote, due_ns, stamp_ns)
        return Pending(step.path, kind_of(step), reason, *found)

    def _closed_until(self) -> int:
        note = self.workspace.state.note(UploadPause)
        return 0 if note is None or note.pds != self.home.account.pds else note.until

    def _close(self, error: UploadLimited) -> int:
        """Upload nothing for as long as the PDS asked; return until when, in unix seconds."""
        until = self.workspace.now() + math.ceil(error.retry_seconds)
        self.workspace.state.keep(UploadPause(self.home.account.pds, until))
        return until


def _replaced(value: Value, old: Value, new: Value) -> Value:
    """Return `value` with `new` for each `old` in it."""
    if value == old:
        return new
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, old, new) for item in value]
    return value
