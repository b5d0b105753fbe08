"""Upload the files that records name, just before these records are sent, and put in references.

Upload first, then the file of the record, then the record: a stop between any two leaves what the
next cycle begins with. Never uploads for a record that may not be sent, and sends no record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from functools import partial
from typing import Final

from syncd.atproto.blob import BlobRef, blob_refs
from syncd.atproto.cid import Cid, cid_of_blob, cid_of_block
from syncd.atproto.data import Value, decode, encode
from syncd.backoff import in_words
from syncd.blobs.consent import files_of
from syncd.cycle.blobs.again import Again, compared, name_of, opened_blob
from syncd.cycle.blobs.attached import Room, store_of
from syncd.cycle.home import Home
from syncd.cycle.observe.attached import Naming
from syncd.cycle.observe.views import Sides
from syncd.cycle.pull.archive import Keeper
from syncd.cycle.pull.supersede import Replacing, Successor, not_done, supersede
from syncd.cycle.push.ahead import Ahead, Found
from syncd.cycle.push.renew import renew_texts
from syncd.cycle.push.sending import Parcel, Refused, Sender
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
from syncd.values import dataclass

_REASON = "the files that it names were uploaded"
_LATER = "its files are uploaded after those of other records"
_HINT = "change the file, or name another"
_TYPED = "the PDS has a file of this record under another type"
_ANY: Final = BlobRef(cid_of_blob(b""), "*/*", 0)
_EXPECTED: Final = re.compile(r"Expected: (\S+), Got: (\S+)")
"""How the reference PDS says which type it has, and which a record names."""


MOST_AT_ONCE: Final = 200
"""How many files are uploaded before the records that name them are sent: as many as one request
has records. A stop has no more uploaded again, of which a PDS accepts so many a day."""


@dataclass(slots=True)
class Uploads:
    """The uploads of one account. `corrected` are those whose type a refusal named."""

    workspace: Workspace
    home: Home
    corrected: set[Cid] = field(default_factory=set)
    again: Again = field(default_factory=Again)
    sender: Sender = field(init=False)
    _keeper: Keeper | None = None
    _halt: SyncdError | None = None
    _named: dict[RecordPath, frozenset[Cid]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sender = Sender(self.workspace, self.home)

    def take_halt(self) -> SyncdError | None:
        """Return why uploads stopped since the last call; None if they did not."""
        found, self._halt = self._halt, None
        return found

    async def attach(self, keeper: Keeper, steps: Sequence[Step], sides: Sides) -> list[Step]:
        """Return the steps that may be sent: those without files, and those with uploaded ones.

        What `blobs/` has and the PDS may have dropped is uploaded too. What becomes of the other
        steps is remembered: they wait.
        """
        self._keeper, naming = keeper, sides.attached
        parcels = self._parcels(steps, sides)
        is_open, later = self._closed_until() <= self.workspace.now(), list[Step]()
        if is_open:
            steps, later = _divided(steps, {path: len(each) for path, each in parcels.items()})
        planned = {step.path: step for step in steps}
        self._named = {
            path: frozenset(parcel.ref.cid for parcel in parcels[path].values())
            for path in planned.keys() & parcels.keys()
        }

        def carry_out(path: RecordPath) -> Found:
            return self._carry_out(planned[path], naming.get(path), parcels.get(path, {}))

        replacing = Replacing(self.workspace.folder, keeper)
        ahead = Ahead(replacing, self._named, carry_out)
        if is_open:
            some = (each for step in steps for each in parcels.get(step.path, {}).values())
            await self.sender.send_all(some, ahead.sent)
        self.again.lacking -= self.sender.sent.keys()
        waits: dict[RecordPath, Waiting | None] = {}
        successors: list[Successor] = []
        for path, found in ahead.end(planned).items():
            if isinstance(found, Successor):
                successors.append(found)
            else:
                waits[path] = found
        waits |= self._put_in(replacing, successors, {step.path: step.local for step in steps})
        waits |= {step.path: Retry(step.path, _LATER) for step in later}
        ready = [step for step in steps if waits[step.path] is None]
        self.workspace.state.record(
            Memory(waiting={path: (why,) for path, why in waits.items() if why is not None})
        )
        self._put_in_settled(keeper, naming)
        return renew_texts(self.workspace, keeper, ready)

    def end(self, done: Iterable[RecordPath]) -> None:
        """Forget that the PDS has the blobs of these records, which may be deleted again."""
        for path in done:
            for cid in self._named.get(path, ()):
                self.sender.sent.pop(cid, None)

    def _parcels(self, steps: Sequence[Step], sides: Sides) -> dict[RecordPath, dict[str, Parcel]]:
        """Return the blobs that each step needs on the PDS, by the file that has the bytes."""
        workspace, naming = self.workspace, sides.attached
        found: dict[RecordPath, dict[str, Parcel]] = {}
        files = files_of(workspace.folder, workspace.config)
        room = Room.of(workspace) if naming else None
        for step in steps:
            if step.path in naming and room is not None:
                found[step.path] = {
                    name: Parcel(
                        name, ref, partial(files.ready, name, ref), room.takes(step.path, ref)
                    )
                    for name, ref in naming[step.path].refs.items()
                    if self._named_before(step, ref.cid) is None
                }
        again = self.again.to_send(workspace, sides, steps)
        if again:
            checked = compared(workspace, [ref for refs in again.values() for ref in refs])
            store = store_of(workspace)
            for path, refs in again.items():
                parcels = found.setdefault(path, {})
                for ref in refs:
                    if ref.cid in checked.stamps:
                        name = name_of(checked, ref.cid)
                        opened = partial(opened_blob, store, checked, ref.cid)
                        parcels[name] = Parcel(name, ref, opened)
        return found

    def _put_in_settled(self, keeper: Keeper, naming: Mapping[RecordPath, Naming]) -> None:
        """Put references into files whose records and blobs both sides have already."""
        base = self.workspace.state.base_of(naming)
        for path, item in naming.items():
            if base.get(path) == (cid := item.seen.cid):
                step = Step(path, Verdict.SETTLED, cid, cid, cid, _REASON)
                # Until it is possible, the file stays as it is, and is looked at again.
                with suppress(BadData, BadJson, FileChanged, FileProblem):
                    successor = self._successor(step, item.seen, item.refs)
                    replacing = Replacing(self.workspace.folder, keeper)
                    replacing.plan([successor])
                    self._put_in(replacing, [successor], {path: cid})

    def _carry_out(
        self, step: Step, item: Naming | None, parcels: Mapping[str, Parcel]
    ) -> Successor | Waiting | None:
        """Return the file with the references of its uploads, or why the record waits.

        None: it may be sent as it is.
        """
        if not parcels and item is None:
            return None
        try:
            stopped = self._stopped(step, item, parcels.values())
            return stopped or self._with_sent(step, item, parcels)
        except UploadLimited as error:
            return self._pending(step, item, self._close(error))
        except Refused as refused:
            # Where the record has the reference already, the PDS says the same of the record.
            return None if item is None else self._refusal(step, refused)
        except (PdsError, BadAnswer, CredentialsRefused, RepoUnavailable) as error:
            self._halt = error
            return Retry(step.path, error.message)
        except (BadData, BadJson, FileChanged, FileProblem) as error:
            return Retry(step.path, error.message)

    def _with_sent(
        self, step: Step, item: Naming | None, parcels: Mapping[str, Parcel]
    ) -> Successor | None:
        """Return the file of a record with the references of its blobs; None if it has them.

        Raises what kept one of `parcels` from being sent, and as `_successor`.
        """
        sent = {name: self.sender.take(parcel) for name, parcel in parcels.items()}
        if item is None:
            return None
        known = {name: self._named_before(step, ref.cid) for name, ref in item.refs.items()}
        refs = {name: ref or sent[name] for name, ref in known.items()}
        return self._successor(step, item.seen, refs)

    def _stopped(
        self, step: Step, item: Naming | None, parcels: Iterable[Parcel]
    ) -> Waiting | None:
        """Return why the remaining uploads wait; None if nothing remains, or all may proceed."""
        if all(parcel.ref.cid in self.sender.sent for parcel in parcels):
            return None
        if self._halt is not None:
            return Retry(step.path, self._halt.message)
        until = self._closed_until()
        return self._pending(step, item, until) if until > self.workspace.now() else None

    def _named_before(self, step: Step, cid: Cid) -> BlobRef | None:
        """Return the reference by which the repo's version of the record names the same bytes."""
        block = None if step.base is None else self.workspace.state.block(step.path, step.base)
        refs = () if block is None else blob_refs(decode(block))
        return next((ref for ref in refs if ref.cid == cid), None)

    def _successor(self, step: Step, seen: Seen, refs: Mapping[str, BlobRef]) -> Successor:
        """Return the file of a record with references instead of files, in its own style.

        Raises BadData, BadJson, FileChanged or FileProblem if that is not possible now.
        """
        folder, path = self.workspace.folder, step.path
        collection = split_record_path(path)[0]
        form = folder.forms.of(collection)
        text, now = read_bytes(folder, path)
        if now.digest != seen.digest:
            raise FileChanged(f"{path} was edited after syncd read it")
        block = encode(form.parse(text, collection, refs.__getitem__))
        cid = cid_of_block(block)

        def restyled(old: bytes | None) -> bytes:
            return form.restyled(old or b"", block, collection)

        # As it stands the file is no record: history keeps its bytes, as what a person typed.
        expect = replace(seen, cid=cid_of_blob(text))
        return Successor(path, expect, cid, step.base, _REASON, restyled, later=cid)

    def _put_in(
        self,
        replacing: Replacing,
        successors: Sequence[Successor],
        planned: Mapping[RecordPath, Cid | None],
    ) -> dict[RecordPath, Waiting | None]:
        """Bring `successors`, which are planned, to their places; return why any of them waits."""
        if not successors:
            return {}
        placed = replacing.carry_out()
        self.workspace.state.record(Memory(seen=placed.files))
        found: dict[RecordPath, Waiting | None] = {}
        for path, cid in ((successor.path, successor.cid) for successor in successors):
            if path in placed.failed:
                found[path] = not_done(path, placed.failed[path])
            elif cid != planned[path]:
                found[path] = Retry(
                    path, "the PDS says that a file of this record has another type"
                )
            else:
                found[path] = None
        return found

    def _refusal(self, step: Step, refused: Refused) -> Refusal:
        """Return why a record is not sent, with the place of the file that it names."""

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
        reason = f"a file of this record cannot be uploaded: {refused.error.message}"
        # What a PDS has no method for, no other file changes.
        hint = refused.error.hint if refused.error.status == 501 else _HINT
        return Refusal(step.path, step.local, reason, hint, line, column)

    def obey(self, change: Change, error: Rejected) -> Retry | None:
        """Carry out what a refusal asks for; return that the record is sent again.

        Upload what the PDS lacks, or give a file the type by which the PDS knows it.
        """
        if change.record is not None and error.name == "BlobNotFound":
            for ref in blob_refs(change.record):
                self.sender.sent.pop(ref.cid, None)
        return self._obey_type(change, error) or self.again.obey(self.workspace, change, error)

    def _obey_type(self, change: Change, error: Rejected) -> Retry | None:
        """Give an uploaded file the type that the PDS names in its refusal.

        Of two uploads of the same bytes the type of the first counts, and only a record shows it.
        """
        asked = _EXPECTED.search(error.message) if error.name == "InvalidMimeType" else None
        if asked is None or change.record is None or self._keeper is None:
            return None
        expected, got = asked.groups()
        refs = {ref for ref in blob_refs(change.record) if ref.mime_type == got}
        sent = self.sender.sent
        ours = [ref for ref in refs if ref.cid in sent and ref.cid not in self.corrected]
        if len(ours) != 1:
            return None
        right = replace(ours[0], mime_type=expected)
        try:
            self._correct(self._keeper, change, ours[0], right)
        except (BadData, FileChanged, FileProblem):
            return None
        sent[right.cid] = right
        self.corrected.add(right.cid)
        return Retry(change.path, f"the PDS has a file of this record as {expected}")

    def _correct(self, keeper: Keeper, change: Change, old: BlobRef, new: BlobRef) -> None:
        """Replace each reference `old` by `new` in the file of a record.

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

    def _pending(self, step: Step, item: Naming | None, until: int) -> Pending:
        """Return that a record waits for its files, and until when."""
        left = in_words(until - self.workspace.now())
        reason = f"{step.reason}: the PDS accepts no more files for {left}"
        known = self.workspace.state.seen_of([step.path])
        seen = known.get(step.path) if item is None else item.seen
        stamp_ns = 0 if seen is None else max(seen.mtime_ns, seen.ctime_ns)
        due_ns = until * SECOND_NS
        found = (step.local, step.remote, due_ns, stamp_ns)
        return Pending(step.path, kind_of(step), reason, *found)

    def _closed_until(self) -> int:
        note = self.workspace.state.note(UploadPause)
        return 0 if note is None or note.pds != self.home.account.pds else note.until

    def _close(self, error: UploadLimited) -> int:
        """Pause uploads for as long as the PDS asked; return the end in unix seconds."""
        until = self.workspace.now() + math.ceil(error.retry_seconds)
        self.workspace.state.keep(UploadPause(self.home.account.pds, until))
        return until


def _divided(
    steps: Sequence[Step], counts: Mapping[RecordPath, int]
) -> tuple[list[Step], list[Step]]:
    """Return the steps that are carried out now, and those for the next cycle.

    `counts` says how many files each has to upload. What moves leaves its place with the record
    that takes it over, and not before.
    """
    left, later = MOST_AT_ONCE, set[RecordPath]()
    for step in steps:
        count = counts.get(step.path, 0)
        if count and (later or count > left < MOST_AT_ONCE):
            later.add(step.path)
        else:
            left -= count
    waits = [step for step in steps if step.path in later or step.heir in later]
    later |= {step.path for step in waits}
    return [step for step in steps if step.path not in later], waits


def _replaced(value: Value, old: Value, new: Value) -> Value:
    """Return `value` with `new` for each `old` in it."""
    if value == old:
        return new
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, old, new) for item in value]
    return value
