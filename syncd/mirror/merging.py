"""Settle conflicts by a merge, with or without an edit by hand. Never asks the PDS.

The result is written into the file, and a decision for the folder's version is noted with it: from
there it goes like any decision, in the next cycle of this or a running syncd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from syncd.atproto.cid import Cid
from syncd.atproto.dagcbor import encode
from syncd.atproto.data import cid_of
from syncd.cycle.pull.merge import clean_record, in_style, merged_file
from syncd.cycle.pull.supersede import Successor, Text, file_at, put
from syncd.cycle.workspace import Workspace
from syncd.errors import BadJson, FileChanged, SyncdError
from syncd.folder.write import kept_conflict
from syncd.forms import Form
from syncd.forms.by_line import by_line, from_lines, line_shown
from syncd.merge import Merged, marked
from syncd.mirror.conflicts import next_step
from syncd.mirror.notices import Notice, OnNotice, ignore
from syncd.model import Choice, Conflict, Decision, split_record_path

Edit: TypeAlias = Callable[[Path], None]
"""Let a person edit a file, and return when that is done. Raise SyncdError if it was not."""


def settle_by_merge(
    workspace: Workspace,
    conflicts: Sequence[Conflict],
    *,
    edit: Edit | None = None,
    on_notice: OnNotice = ignore,
) -> tuple[int, list[SyncdError]]:
    """Merge each conflict into its file and note the decision for the folder's version.

    With `edit`, a person finishes each merge by hand, both sides marked in the text. Return how
    many were merged, and why the others were not. Begin no further edit after an unfinished one.
    """
    done, failed = 0, list[SyncdError]()
    for conflict in conflicts:
        try:
            _settle(workspace, conflict, edit, on_notice)
        except SyncdError as error:
            failed.append(error)
            if edit is not None:
                break
        else:
            done += 1
    return done, failed


def _settle(
    workspace: Workspace, conflict: Conflict, edit: Edit | None, on_notice: OnNotice
) -> None:
    try:
        merged = _merged(workspace, conflict)
        text, cid = (
            clean_record(merged, conflict.path, workspace.folder.forms)
            if edit is None
            else _edited(workspace, conflict, merged, edit, on_notice)
        )
    except (BadJson, SyncdError) as error:
        message = f"{conflict.path} is not merged: {error.message}"
        hint = error.hint or f"syncd resolve {conflict.path} --edit, --local or --remote"
        raise SyncdError(message, hint=hint) from error
    # What a person edited has the form that they gave it.
    styled = in_style(text, conflict.path, workspace.folder.forms) if edit is None else text
    _put(workspace, conflict, styled, cid)
    workspace.state.decide([Decision(conflict.path, Choice.LOCAL, cid, conflict.remote)])
    for draft in _drafts(workspace, conflict).values():
        draft.unlink(missing_ok=True)


def _merged(workspace: Workspace, conflict: Conflict) -> Merged:
    if conflict.local is None or conflict.remote is None:
        raise SyncdError(
            "one side of the conflict is not a record", hint="fix the file, or use --remote"
        )
    if conflict.unshown:
        raise SyncdError(f"of the repo's version: {conflict.unshown}", hint=next_step(conflict))
    folder, collection = workspace.folder, split_record_path(conflict.path)[0]
    name = kept_conflict(folder, conflict.path, conflict.remote)
    kept = workspace.root / (name or "")
    try:
        if name is None:
            raise FileNotFoundError
        record = folder.forms.of(collection).parse(kept.read_bytes(), collection)
    except BadJson as error:
        hint = "copy what you need from it into the file, then: --local"
        place = "" if error.line is None else f":{error.line}:{error.column}"
        raise SyncdError(
            f"the repo's version ({kept}{place}): {error.message}", hint=hint
        ) from None
    except OSError:
        hint = "run syncd sync, which writes it again; if no file can show it, use --local"
        raise SyncdError("the repo's version is not available here", hint=hint) from None
    if cid_of(record) != conflict.remote:
        hint = "copy what you need from it into the file, then: --local"
        raise SyncdError(f"{kept} is not the repo's version, or JSON cannot express it", hint=hint)
    blocks = {conflict.remote: encode(record)}
    return merged_file(workspace, conflict, blocks)


def _edited(
    workspace: Workspace, conflict: Conflict, merged: Merged, edit: Edit, on_notice: OnNotice
) -> tuple[bytes, Cid]:
    """Return the merge as a person edited it. An unfinished edit is continued."""
    collection, rkey = split_record_path(conflict.path)
    form = workspace.folder.forms.of(collection)
    draft = _draft(workspace, conflict)
    if draft is None:
        text = marked(merged, form)
        draft = _drafts(workspace, conflict)[form.ending_of(text)]
        draft.parent.mkdir(mode=0o700, exist_ok=True)
        draft.write_bytes(by_line(form, text))
    else:
        on_notice(Notice(f"continuing the unfinished edit in {draft}"))
    again = f"syncd resolve {conflict.path} --edit"
    try:
        edit(draft)
    except SyncdError as error:
        unchanged = f"nothing was changed; continue with: {again}"
        error.hint = "; ".join(filter(None, (error.hint, unchanged)))
        raise
    try:
        text, cid = _read(draft.read_bytes(), form, collection, marked(merged, form))
    except OSError as error:
        hint = f"nothing was changed; begin again with: {again}"
        raise SyncdError(f"the editor left no file: {error.strerror}", hint=hint) from error
    except BadJson as error:
        place = "" if error.line is None else f"line {error.line}, column {error.column}: "
        hint = f"nothing was changed; your text for {rkey} is in {draft}; continue with: {again}"
        raise SyncdError(f"{place}{error.message}", hint=hint) from error
    return text, cid


def _read(shown: bytes, form: Form, collection: str, before: bytes) -> tuple[bytes, Cid]:
    """Return the text and the CID of an edited merge. Raises BadJson, with its place in `shown`."""
    text = from_lines(form, shown, before)
    try:
        return text, cid_of(form.parse(text, collection))
    except BadJson as error:
        if error.line is not None:
            error.line = line_shown(form, shown, error.line)
        raise


def _draft(workspace: Workspace, conflict: Conflict) -> Path | None:
    """Return the file of an unfinished edit, if there is one."""
    return next((draft for draft in _drafts(workspace, conflict).values() if draft.exists()), None)


def _drafts(workspace: Workspace, conflict: Conflict) -> dict[str, Path]:
    """Return the files in which a conflict is edited, by ending; the name is its two sides."""
    sides = f"{str(conflict.local)[-10:]}.{str(conflict.remote)[-10:]}"
    form = workspace.folder.forms.of(split_record_path(conflict.path)[0])
    return {ending: workspace.own / "edit" / f"{sides}{ending}" for ending in form.endings}


def _put(workspace: Workspace, conflict: Conflict, text: Text, cid: Cid) -> None:
    """Write the merge over the file it was made from, which goes to history first."""
    path = conflict.path
    seen = file_at(workspace.folder, path)
    if seen is None or seen.cid != conflict.local:
        draft = _draft(workspace, conflict)
        kept = f"; your text is in {draft}" if draft else ""
        message = f"{path} was edited meanwhile"
        raise FileChanged(message, hint=f"nothing was changed{kept}")
    put(workspace, Successor(path, seen, cid, conflict.base, "resolved: merged", text))
