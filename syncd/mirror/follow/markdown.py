"""Follow the setting `[files] markdown`: rewrite the files of the collections that it changes.

Sends nothing and changes no record. Whoever calls it holds the lock of the folder.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from syncd.config import forms_of_text
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong
from syncd.folder.migrate.rewrite import Rewritten, changed_collections, rewrite
from syncd.folder.problems import explain
from syncd.folder.write import conflict_file, kept_conflict
from syncd.forms import Forms
from syncd.mirror.notices import Notice, OnNotice
from syncd.model import Conflict
from syncd.state.notes import MarkdownFiles


def follow_markdown(files: Workspace, on_notice: OnNotice) -> None:
    """Rewrite the files of collections whose form the setting `[files] markdown` has changed."""
    # A mirror from before there was the setting has no such fact, and JSON files.
    noted, now = files.state.note(MarkdownFiles), files.config.markdown_text
    before, forms = forms_of_text(noted.setting if noted else "[]"), files.config.forms
    if noted == MarkdownFiles(now) or (noted is None and before == forms):
        return
    chosen = changed_collections(before, forms, files.config.covers)
    try:
        done = rewrite(files.folder, before, chosen, _copies_to_rewrite(files, before, chosen))
    except OSError as error:
        cause, hint = explain(error)
        message = f"the files cannot be rewritten for [files] markdown: {cause}"
        raise FolderWrong(message, hint=hint) from error
    files.state.keep(MarkdownFiles(now))
    if done.count or done.left:
        on_notice(Notice(_said(done)))


def _said(done: Rewritten) -> str:
    files = "1 file" if done.count == 1 else f"{done.count} files"
    message = f"[files] markdown: syncd rewrote {files}"
    if not done.left:
        return message
    stay = "1 file stays" if len(done.left) == 1 else f"{len(done.left)} files stay"
    return f"{message}; {stay} unchanged, such as {done.left[0]}"


def _copies_to_rewrite(
    files: Workspace, before: Forms, chosen: Collection[str]
) -> list[tuple[str, str]]:
    """Return the files of open conflicts of some collections: present names and usual new ones."""
    was, now = replace(files.folder, forms=before), files.folder
    found = [
        (item.path, item.remote)
        for item in files.state.waiting()
        if isinstance(item, Conflict) and item.remote and item.path.partition("/")[0] in chosen
    ]
    return [
        (name, conflict_file(path, cid, portable=now.portable, forms=now.forms))
        for path, cid in found
        if (name := kept_conflict(was, path, cid)) is not None
    ]
