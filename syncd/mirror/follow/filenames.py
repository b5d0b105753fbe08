"""Follow the setting `filenames`: rename the files of a mirror where it was changed.

Sends nothing and changes no record. Whoever calls it holds the lock of the folder.
"""

from __future__ import annotations

from syncd.config import PORTABLE
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong
from syncd.folder.probe import probe
from syncd.folder.problems import explain
from syncd.folder.respell import respell
from syncd.folder.write import conflict_file
from syncd.mirror.notices import Notice, OnNotice
from syncd.model import Conflict
from syncd.state.notes import Filenames


def follow_filenames(files: Workspace, on_notice: OnNotice) -> None:
    """Rename all files if the setting `filenames` has changed since they were named."""
    # A mirror from before there was the setting has no such fact, and plain names.
    before, now = files.state.note(Filenames) or Filenames("plain"), files.config.filenames
    if before.setting == now:
        return
    lack = "" if files.config.is_portable else probe(files.root).lack
    if lack:
        raise FolderWrong(
            f"the file system of {files.root} {lack}", hint=f'put filenames = "{PORTABLE}" back'
        )
    try:
        count = respell(files.folder, files.config.covers, _kept_conflicts(files))
    except OSError as error:
        cause, hint = explain(error)
        message = f'the files cannot be renamed for filenames = "{now}": {cause}'
        raise FolderWrong(message, hint=hint) from error
    files.state.keep(Filenames(now))
    renamed = "1 file" if count == 1 else f"{count} files"
    on_notice(Notice(f'filenames = "{now}": syncd renamed {renamed}'))


def _kept_conflicts(files: Workspace) -> list[tuple[str, str]]:
    """Return the files of open conflicts: their present names and their new ones."""
    now, forms = files.config.is_portable, files.config.forms
    found = (item for item in files.state.waiting() if isinstance(item, Conflict))
    kept = [(item.path, item.remote) for item in found if item.remote is not None]
    return [
        (
            conflict_file(path, cid, portable=not now, forms=forms, ending=ending),
            conflict_file(path, cid, portable=now, forms=forms, ending=ending),
        )
        for path, cid in kept
        for ending in forms.of(path.partition("/")[0]).endings
    ]
