"""Bring superseded versions back into their files. Never asks the PDS and never syncs.

The push follows with the next cycle of whichever process runs it, whatever delays other edits.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from syncd.atproto.cid import Cid
from syncd.cycle.pull.merge import in_style
from syncd.cycle.pull.supersede import Successor, file_at, put
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong, SyncdError
from syncd.folder.names import relative_paths
from syncd.mirror.git_versions import superseded_in_git
from syncd.mirror.names import Name
from syncd.mirror.notices import OnNotice, ignore
from syncd.mirror.past.texts import cid_in_file, fitting, is_in_file, with_comments
from syncd.mirror.past.then import find_later, read_agreed
from syncd.mirror.past.undo import (
    EDITED,
    Undo,
    begin_restore,
    content_as,
    end_restore,
    end_stopped,
    end_undo,
    read_stopped,
)
from syncd.mirror.timeline import read_superseded
from syncd.mirror.waiting import publish_version
from syncd.model import RecordPath, Seen, Side, split_record_path
from syncd.model.brake import UNDONE
from syncd.state import Provenance, Superseded
from syncd.values import dataclass


def restore(
    workspace: Workspace, path: RecordPath, ending: str | None = None, on_notice: OnNotice = ignore
) -> Superseded:
    """Write a version of `path` into the folder: the newest, or the one whose CID ends in `ending`.

    The newest is what both sides had last, where the file is gone or was edited and not sent.
    With `ending`, versions on any git branch count too. The file's present text goes to history.

    Raises:
        SyncdError: There is no such version, or several; or it cannot be read or said in JSON.
        FileChanged, FileProblem: The file was edited meanwhile, or the disk refuses.
    """
    event = find_version(workspace, path, ending, on_notice)
    restore_version(workspace, event)
    return event


def find_version(
    workspace: Workspace, path: RecordPath, wanted: str | None, on_notice: OnNotice = ignore
) -> Superseded:
    """Return the version that `restore` would write. Raises SyncdError as it does."""
    ending = (wanted or "").removeprefix("…")
    every = _versions(workspace, path, on_notice)
    found = [event for event in every if str(event.cid).endswith(ending)]
    if not found and ending:
        found = list(superseded_in_git(workspace, path, ending, on_notice))
    if not found:
        which = f" that ends in {wanted}" if wanted else ""
        hint = "list what can be restored: syncd log"
        message = f"there is no superseded version of {path}{which}"
        if not wanted and workspace.state.base_of([path]):
            message = f"{path} has no version but the one in its file"
        raise SyncdError(message, hint=hint)
    if len({event.cid for event in found}) > 1 and wanted:
        raise SyncdError(
            f"{wanted} matches several versions of {path}", hint="give more of the CID"
        )
    return fitting(workspace, found[0])


def restore_version(workspace: Workspace, event: Superseded) -> bool:
    """Write one version into the folder; see `restore`. Return whether its file changed."""
    cid = cid_in_file(workspace, event)
    earlier = begin_restore(workspace, {event.path: cid}, _texts([event]))
    try:
        is_new = not has_version(workspace, event)
        if is_new:
            _write_back(workspace, event)
    except SyncdError:
        end_restore(workspace, earlier, ())
        raise
    # A person asked for this version, so no setting delays it.
    publish_version(workspace, event.path, cid)
    end_restore(workspace, earlier, [event.path])
    return is_new


def has_version(workspace: Workspace, event: Superseded) -> bool:
    """Return whether the file has that version already. Raises FileProblem if it is unreadable."""
    seen = file_at(workspace.folder, event.path)
    return seen is not None and is_in_file(event, seen)


def _texts(events: Sequence[Superseded]) -> dict[RecordPath, Cid]:
    return {event.path: event.cid for event in events if not event.cid.is_block}


def find_back(
    workspace: Workspace, path: RecordPath, steps: int, on_notice: OnNotice = ignore
) -> Superseded:
    """Return the version `steps` before the present file of `path`, in order of time.

    A version that came again counts where it was first, so that restoring does not make a way
    back longer. Raises SyncdError if there are not so many.
    """
    events = [fitting(workspace, event) for event in _versions(workspace, path, on_notice)]
    # Newest first: of equal versions the last one here came first.
    order = [e for at, e in enumerate(events) if all(e.cid != o.cid for o in events[at + 1 :])]
    cids, seen = [event.cid for event in order], file_at(workspace.folder, path)
    now = None if seen is None else seen.cid
    # An edit that is in no list yet follows what both sides had, else what went last.
    earlier = [workspace.state.base_of([path]).get(path), *(event.cid for event in events)]
    last = next((cids.index(cid) for cid in earlier if cid in cids), 0)
    at = cids.index(now) if now in cids else last - 1
    if not 0 <= at + steps < len(order):
        count = max(0, len(order) - at - 1)
        hint = "list what can be restored: syncd log"
        versions = "version" if count == 1 else "versions"
        older = f"{count or 'no'} older {versions}"
        raise SyncdError(f"{path} has {older}, and --back {steps} was asked for", hint=hint)
    return order[at + steps]


@dataclass(frozen=True, slots=True)
class Wish:
    """The versions to bring back.

    Attributes:
        names: What the records are called.
        deleted: Only records that have no file.
        before: The versions of this moment (unix seconds), of records that were there then; None:
            the newest ones.
    """

    names: Sequence[Name]
    deleted: bool = False
    before: int | None = None

    def means(self, path: RecordPath) -> bool:
        """Return whether the wish names `path`."""
        return any(path in name.records or name.covers(path) for name in self.names)


@dataclass(frozen=True, slots=True)
class Restored:
    """The restored versions, and the reasons why others were not restored."""

    done: tuple[Superseded, ...]
    failed: Mapping[RecordPath, SyncdError]


def plan_restore(
    workspace: Workspace, wish: Wish, on_notice: OnNotice = ignore
) -> list[Superseded]:
    """Return the versions to bring back, by path; none where the file has that version already.

    A second call after a stop in the middle returns those that are missing still.
    """
    wanted = _wanted_of_history(workspace, wish, on_notice)
    for event in _unsent(workspace, wish, wanted):
        if wish.before is None or event.path not in wanted:
            wanted[event.path] = event
    if wish.before is not None:
        for path in find_later(workspace, wanted, wish.before):
            del wanted[path]
    files = {path: file_at(workspace.folder, path) for path in wanted}
    events = [fitting(workspace, wanted[path]) for path in sorted(wanted)]
    missing = [
        event
        for event in events
        if (seen := files[event.path]) is None or not (wish.deleted or is_in_file(event, seen))
    ]
    return missing if wish.before else _without_done(workspace, missing, files)


def _without_done(
    workspace: Workspace, events: Sequence[Superseded], files: Mapping[RecordPath, Seen | None]
) -> list[Superseded]:
    """Leave out what a restore did that was stopped: what it replaced is the newest version now."""
    stopped = read_stopped(workspace)
    return [
        event
        for event in events
        if (seen := files[event.path]) is None
        or (after := stopped.after.get(event.path)) != content_as(seen, after)
        or stopped.before.get(event.path) not in (event.cid, cid_in_file(workspace, event))
    ]


def _wanted_of_history(
    workspace: Workspace, wish: Wish, on_notice: OnNotice
) -> dict[RecordPath, Superseded]:
    wanted: dict[RecordPath, Superseded] = {}
    for event in read_superseded(workspace, None, -1, on_notice):
        if not wish.means(event.path):
            continue
        if wish.before is None:
            wanted.setdefault(event.path, event)
        elif event.at >= wish.before:
            # Newest first: what went first after that moment was there at that moment.
            wanted[event.path] = event
    return wanted


def has_versions(workspace: Workspace, wish: Wish) -> bool:
    """Return whether history has a version that is wished for, also one that is in its file."""
    return bool(_wanted_of_history(workspace, wish, ignore))


def _unsent(
    workspace: Workspace, wish: Wish, wanted: Collection[RecordPath]
) -> Iterator[Superseded]:
    """Yield what both sides had last of records whose file is gone, no record, or edited.

    An edit is looked for only where history has versions, or where something waits for a person:
    to read each file of a mirror would take long.
    """
    waiting = {RecordPath(item.path) for item in workspace.state.waiting()}
    for path in workspace.state.base():
        if not (workspace.config.covers_path(path) and wish.means(path)):
            continue
        if (_is_gone(workspace, path) or path in wanted or path in waiting) and (
            agreed := read_agreed(workspace, path)
        ):
            yield agreed


def _is_gone(workspace: Workspace, path: RecordPath) -> bool:
    folder = workspace.folder
    names = relative_paths(path, portable=folder.portable, forms=folder.forms)
    return not any(os.path.lexists(workspace.root / name) for name in names)


def restore_all(workspace: Workspace, events: Sequence[Superseded]) -> Restored:
    """Write each of `events` into the folder; a failure leaves its file unchanged."""
    if not events:
        end_stopped(workspace)
        return Restored((), {})
    done: list[Superseded] = []
    written: list[RecordPath] = []
    failed: dict[RecordPath, SyncdError] = {}
    cids = {event.path: cid_in_file(workspace, event) for event in events}
    earlier = begin_restore(workspace, cids, _texts(events))
    try:
        for event in events:
            try:
                _write_back(workspace, event)
                written.append(event.path)
                publish_version(workspace, event.path, cids[event.path])
            except FolderWrong:
                raise
            except SyncdError as error:
                failed[event.path] = error
            else:
                done.append(event)
    except FolderWrong:
        end_restore(workspace, earlier, written)
        raise
    end_restore(workspace, earlier, written)
    return Restored(tuple(done), failed)


@dataclass(frozen=True, slots=True)
class Undone:
    """The files that are as before the last restore, and why the others are not."""

    done: tuple[Undo, ...]
    failed: Mapping[RecordPath, SyncdError]


def undo_restore(workspace: Workspace, plan: Sequence[Undo]) -> Undone:
    """Give each file its content from before the last restore, or remove it.

    What it has now goes to history first. A deletion then goes the way of any other: past the
    brake, with the next sync.
    """
    done: list[Undo] = []
    failed: dict[RecordPath, SyncdError] = {}
    for undo in plan:
        try:
            _take_back(workspace, undo)
        except FolderWrong:
            raise
        except SyncdError as error:
            failed[undo.path] = error
        else:
            done.append(undo)
    # While an undo is incomplete, the same command continues it; afterwards it undoes the restore
    # before. An edited file needs a person, so it does not keep the undo open.
    if not any(undo.path in failed and not undo.is_edited for undo in plan):
        end_undo(workspace, done)
    return Undone(tuple(done), failed)


def edited_since() -> SyncdError:
    """Return the error that says why an undo leaves a file unchanged."""
    hint = "list its versions: syncd log PATH; bring one back: syncd restore PATH --cid CID"
    return SyncdError(f"{EDITED}, so it stays unchanged", hint=hint)


def _take_back(workspace: Workspace, undo: Undo) -> None:
    path = undo.path
    if undo.is_edited:
        raise edited_since()
    if undo.back is not None:
        named = (path, Side.LOCAL, undo.back, b"", None, workspace.now(), "restored", None)
        version = Superseded(*named, Provenance.FOLDER)
        if version.cid.is_block:
            version = fitting(workspace, with_comments(workspace, version))
        _write_back(workspace, version)
        publish_version(workspace, path, cid_in_file(workspace, version))
        return
    seen, base = file_at(workspace.folder, path), workspace.state.base_of([path]).get(path)
    if seen is not None and content_as(seen, undo.now) == undo.now:
        put(workspace, Successor(path, seen, None, base, UNDONE))


def _versions(workspace: Workspace, path: RecordPath, on_notice: OnNotice) -> list[Superseded]:
    """Return the versions of `path` before its present file, newest first."""
    agreed = read_agreed(workspace, path)
    return [*([agreed] if agreed else []), *read_superseded(workspace, path, -1, on_notice)]


def _write_back(workspace: Workspace, event: Superseded) -> None:
    content = event.content or workspace.history.content(event.cid)
    if content is None:
        hint = "list the others: syncd log"
        raise SyncdError(f"the version {event.cid} can no longer be read", hint=hint)
    path = event.path
    collection = split_record_path(path)[0]
    form = workspace.folder.forms.of(collection)
    place = form.unsayable(content, collection) if event.cid.is_block else None
    _check_tellable(event, place)
    base = workspace.state.base_of([path]).get(path)
    text = form.file_of(content) if event.cid.is_block else content
    seen = file_at(workspace.folder, path)
    styled = in_style(text, path, workspace.folder.forms) if event.cid.is_block else text
    put(workspace, Successor(path, seen, event.cid, base, "restored", styled))


def _check_tellable(event: Superseded, place: str | None) -> None:
    """Raise SyncdError if no file can say `place` of it: its file would be another record."""
    if place is not None:
        raise SyncdError(
            f"the version {event.cid} of {event.path} cannot be restored: it holds {place}",
            hint=(
                "no file can express that, and syncd cannot send it to a PDS; the version "
                "stays in history"
            ),
        )
