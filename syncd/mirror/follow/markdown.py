"""Follow the setting `[files] markdown`: rewrite the files of the collections that it changes.

Sends nothing and changes no record. Whoever calls it holds the lock of the folder.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from syncd.config import forms_of_text
from syncd.cycle.workspace import Workspace
from syncd.errors import FolderWrong
from syncd.folder.migrate.rewrite import changed_collections, rewrite
from syncd.folder.problems import explain, printable
from syncd.folder.write import conflict_file, kept_conflict
from syncd.forms import Forms
from syncd.mirror.notices import Notice, OnNotice
from syncd.model import Conflict
from syncd.state.notes import MarkdownFiles

_NAMED: Final = 10
"""How many files a notice names."""
_HINT: Final = (
    "write each of them anew in the form that it has to have now, or change the setting back"
)


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
    if done.count:
        on_notice(Notice(f"[files] markdown: syncd rewrote {_many(done.count)}"))
    if done.left:
        verb = "stays as it is" if len(done.left) == 1 else "stay as they are"
        on_notice(
            Notice(f"[files] markdown: {_many(len(done.left))} {verb}: {_listed(done.left)}", _HINT)
        )


def _many(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(printable, names[:_NAMED])) + more


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
