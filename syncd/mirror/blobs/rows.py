"""The blobs of a mirror as rows: what each is, who names it, and why it is not here.

Reads the state file and `blobs/`; asks no PDS, and fetches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache

from syncd.atproto.blob import BlobRef
from syncd.atproto.cid import Cid
from syncd.blobs.store import DIRECTORY, Checked, cid_of_name
from syncd.blobs.words import blob_words
from syncd.cycle.blobs.attached import (
    MEGABYTE,
    Attached,
    attached,
    fill,
    store_of,
)
from syncd.cycle.workspace import Workspace
from syncd.errors import FileProblem, StateWrong
from syncd.mirror.times import rfc3339
from syncd.model import Problem
from syncd.state.learnt import KnownUploads, UploadPause
from syncd.values import dataclass

GET = "syncd blob get"


@dataclass(frozen=True, slots=True)
class BlobRow:
    """One blob that records name.

    Attributes:
        file: Where its bytes are, from the top of the folder; None: they are not here.
        records: The records that name it, in order.
        missing: Why it is not here; empty if it is.
        hint: How to get it.
        is_not_given: The PDS was asked for it, and did not give it.
    """

    ref: BlobRef
    file: str | None
    records: tuple[str, ...]
    missing: str = ""
    hint: str = ""
    is_not_given: bool = False


@dataclass(frozen=True, slots=True)
class BlobCount:
    """The number of blobs that the records of a mirror name, by where they are.

    Attributes:
        here: Those whose bytes are in `blobs/`.
        due: Missing, and fetched by the next sync.
        beyond: Missing, and beyond a limit of the settings.
        not_given: Missing, because the PDS did not give them.
        not_asked: Missing, because the settings do not ask for them.
    """

    named: int
    here: int
    due: int
    beyond: int
    not_given: int
    not_asked: int

    @property
    def next(self) -> str:
        """Return the command that gets the blobs that no sync gets; empty if there are none."""
        if self.beyond or self.not_asked:
            return f"{GET} --all"
        return "syncd blob ls" if self.not_given else ""


@dataclass(frozen=True, slots=True)
class UploadsLeft:
    """How many of `limit` blobs the PDS still takes until the unix second `resets_at`.

    `limit` is None where only a refusal says that it takes none.
    """

    left: int
    limit: int | None
    resets_at: int


def uploads_left(workspace: Workspace, pds: str) -> UploadsLeft | None:
    """Return the limit that the answers to uploads reported; None if none is valid now."""
    now, state = workspace.now(), workspace.state
    pause, known = state.note(UploadPause), state.note(KnownUploads)
    if known is not None and (known.pds != pds or known.resets_at <= now):
        known = None
    if pause is not None and pause.pds == pds and pause.until > now:
        return UploadsLeft(0, None if known is None else known.limit, pause.until)
    return None if known is None else UploadsLeft(known.left, known.limit, known.resets_at)


def words_of(workspace: Workspace) -> Callable[[BlobRef], str]:
    """Return a function that describes a blob. It lists `blobs/` once, for the first blob."""

    @cache
    def names() -> Mapping[Cid, str]:
        return store_of(workspace).list().names

    return lambda ref: blob_words(ref, names())


def count_blobs(workspace: Workspace) -> BlobCount:
    """Count the blobs, by their names alone."""
    return _counted(attached(workspace))


def _counted(found: Attached) -> BlobCount:
    sorts = (found.due, found.beyond, found.resting, found.unasked)
    counts = [len(some) for some in sorts]
    return BlobCount(len(found.named), len(found.named) - sum(counts), *counts)


def look_at_blobs(workspace: Workspace, *, reads_all: bool = False) -> tuple[Attached, Checked]:
    """Return the blobs and their files; compare a file with its hash if it changed.

    With `reads_all`, every file is hashed.
    """
    with suppress(FileProblem, StateWrong):  # as on a disk that is read-only
        fill(workspace)
    store, attachments = store_of(workspace), workspace.state.attachments
    checked = store.check(store.list(), attachments.stamps(), reads_all=reads_all)
    return attached(workspace, checked), checked


def blob_rows(workspace: Workspace, records: Sequence[str] | None = None) -> list[BlobRow]:
    """Return the blobs that `records` name, or all of the mirror, in the order of the records."""
    found, checked = look_at_blobs(workspace)
    wanted = None if records is None else set(records)
    rows: list[BlobRow] = []
    for cid, item in found.named.items():
        if wanted is None or not wanted.isdisjoint(item.paths):
            stamp = checked.stamps.get(cid)
            file = None if stamp is None else f"{DIRECTORY}/{stamp.name}"
            why, hint = ("", "") if file else why_missing(workspace, found, item.ref)
            is_asked = not file and item.ref in found.resting
            records_of = tuple(map(str, item.paths))
            rows.append(BlobRow(item.ref, file, records_of, why, hint, is_not_given=is_asked))
    return rows


def why_missing(workspace: Workspace, found: Attached, ref: BlobRef) -> tuple[str, str]:
    """Return why a blob is not here, and how to get it."""
    config = workspace.config
    get = f"{GET} {ref.cid}"
    if ref in found.due:
        return "not fetched yet", "syncd sync"
    if ref in found.resting:
        asked = found.asked[ref.cid]
        return f"{asked.reason}; syncd asks again after {rfc3339(asked.due)}", get
    if ref in found.beyond:
        if ref.size > config.blobs_max_megabytes * MEGABYTE:
            limit = f"[blobs] max_megabytes = {config.blobs_max_megabytes}"
        else:
            limit = f"[blobs] total_megabytes = {config.blobs_total_megabytes}"
        return f"over the limit {limit}", get
    return "the settings in [blobs] leave it out", get


def blob_findings(workspace: Workspace) -> tuple[BlobCount, list[Problem]]:
    """Hash every file of `blobs/`; return the number of blobs and each fault.

    A blob that the settings leave out is no finding.
    """
    found, checked = look_at_blobs(workspace, reads_all=True)
    waiting = {item.path for item in workspace.state.waiting()}
    known = (*found.listing.problems, *checked.problems)
    problems = [problem for problem in known if problem.path not in waiting]
    problems += [
        Problem(
            f"{DIRECTORY}/{name}",
            "its content does not match its name, which is a hash",
            "run syncd sync: it renames this file and fetches the blob again",
        )
        for name in checked.edited
    ]
    left = {*found.beyond, *found.unasked}
    edited = {cid_of_name(name) for name in checked.edited}
    for ref in found.missing:
        if ref not in left and ref.cid not in edited:
            why, hint = why_missing(workspace, found, ref)
            path = str(found.named[ref.cid].paths[0])
            problems.append(
                Problem(path, f"its blob {blob_words(ref)} is missing in blobs/: {why}", hint)
            )
    return _counted(found), problems
