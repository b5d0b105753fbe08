"""Bring superseded versions back into their files. Never asks the PDS and never syncs.

The push follows with the next cycle of whichever process runs it, whatever delays other edits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncd.cycle.pull.merge import in_style
from syncd.cycle.pull.supersede import Successor, file_at, put
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong, SyncdError
from syncd.mirror.git_versions import superseded_in_git
from syncd.mirror.names import Name
from syncd.mirror.notices import OnNotice, ignore
from syncd.mirror.timeline import read_superseded
from syncd.mirror.waiting import publish_version
from syncd.model import RecordPath, split_record_path
from syncd.state import Superseded


def restore(
    workspace: Workspace, path: RecordPath, ending: str | None = None, on_notice: OnNotice = ignore
) -> Superseded:
    """Write a version of `path` into the folder: the newest, or the one whose CID ends in `ending`.

    With `ending`, versions on any git branch count too. The file's present text goes to history.

    Raises:
        SyncdError: There is no such version, or several; or it cannot be read or said in JSON.
        FileChanged, FileProblem: The file was edited meanwhile, or the disk refuses.
    """
    event = _find(workspace, path, ending, on_notice)
    _write_back(workspace, event)
    # A person asked for this version, so no setting delays it.
    publish_version(workspace, path, event.cid)
    return event


@dataclass(frozen=True, slots=True)
class Wish:
    """Which versions are wanted back.

    Attributes:
        names: What the records are called.
        deleted: Only records that have no file.
        before: The versions of this moment (unix seconds); None: the newest ones of history.
    """

    names: Sequence[Name]
    deleted: bool = False
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """The versions that are in the folder again, and why others are not."""

    done: tuple[Superseded, ...]
    failed: Mapping[RecordPath, SyncdError]


def plan_restore(
    workspace: Workspace, wish: Wish, on_notice: OnNotice = ignore
) -> list[Superseded]:
    """Return the versions to bring back, by path; none where the file has that version already.

    A second call after a stop in the middle returns those that are missing still.
    """
    wanted: dict[RecordPath, Superseded] = {}
    for event in read_superseded(workspace, None, -1, on_notice):
        if not any(event.path in name.records or name.covers(event.path) for name in wish.names):
            continue
        if wish.before is None:
            wanted.setdefault(event.path, event)
        elif event.at >= wish.before:
            # Newest first: what went first after that moment was there at that moment.
            wanted[event.path] = event
    files = {path: file_at(workspace.folder, path) for path in wanted}
    return [
        event
        for path, event in sorted(wanted.items())
        if (seen := files[path]) is None or not (wish.deleted or seen.cid == event.cid)
    ]


def restore_all(workspace: Workspace, events: Sequence[Superseded]) -> Restored:
    """Write each of `events` into the folder; what fails leaves its file as it is."""
    done: list[Superseded] = []
    failed: dict[RecordPath, SyncdError] = {}
    for event in events:
        try:
            _write_back(workspace, event)
            publish_version(workspace, event.path, event.cid)
        except FolderWrong:
            raise
        except SyncdError as error:
            failed[event.path] = error
        else:
            done.append(event)
    return Restored(tuple(done), failed)


def _find(
    workspace: Workspace, path: RecordPath, wanted: str | None, on_notice: OnNotice
) -> Superseded:
    ending = (wanted or "").removeprefix("…")
    every = read_superseded(workspace, path, -1, on_notice)
    found = [event for event in every if str(event.cid).endswith(ending)]
    if not found and ending:
        found = list(superseded_in_git(workspace, path, ending, on_notice))
    if not found:
        which = f" that ends in {wanted}" if wanted else ""
        hint = "syncd log lists what can be restored"
        raise SyncdError(f"there is no superseded version of {path}{which}", hint=hint)
    if len({event.cid for event in found}) > 1 and wanted:
        raise SyncdError(f"{wanted} fits several versions of {path}", hint="give more of the CID")
    return found[0]


def _write_back(workspace: Workspace, event: Superseded) -> None:
    content = event.content or workspace.history.content(event.cid)
    if content is None:
        hint = "syncd log lists the others"
        raise SyncdError(f"the version {event.cid} is not readable any more", hint=hint)
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
            hint="no file can say it, and no PDS takes it from syncd; it stays in history",
        )
