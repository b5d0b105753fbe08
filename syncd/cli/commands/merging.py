"""Settle conflicts by a merge, with or without an editor. Never asks the PDS.

The result is written into the file, and a decision for the folder's version is noted with it: from
there it goes like any decision, in the next cycle of this or a running syncd.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from syncd.atproto.cid import Cid
from syncd.atproto.dagcbor import encode
from syncd.atproto.data import cid_of
from syncd.atproto.jsontext import parse_record
from syncd.children import without_secrets
from syncd.cli.screen.output import tell
from syncd.cycle.pull.archive import keep_file
from syncd.cycle.pull.merge import clean_record, merged_file
from syncd.cycle.workspace import Workspace
from syncd.errors import BadJson, ConfigWrong, FileChanged, SyncdError
from syncd.folder.root import Folder
from syncd.folder.write import conflict_file, write
from syncd.merge import Merged, marked
from syncd.model import Choice, Conflict, Decision, split_record_path

EDITORS = ("VISUAL", "EDITOR")
DEFAULT_EDITOR = "vi"


def settle_by_merge(
    files: Workspace, chosen: Sequence[Conflict], *, use_editor: bool
) -> tuple[int, list[SyncdError]]:
    """Merge each conflict into its file and note the decision.

    Returns how many were, and why others were not. After an edit that was not finished no further
    one is begun.
    """
    done, failed = 0, list[SyncdError]()
    for conflict in chosen:
        try:
            _settle(files, conflict, use_editor=use_editor)
        except SyncdError as error:
            failed.append(error)
            if use_editor:
                break
        else:
            done += 1
    return done, failed


def _settle(files: Workspace, conflict: Conflict, *, use_editor: bool) -> None:
    folder = files.folder
    try:
        merged = _merged(files, folder, conflict)
        text, cid = _edited(files, conflict, merged) if use_editor else _clean(conflict, merged)
    except (BadJson, SyncdError) as error:
        message = f"{conflict.path} is not merged: {error.message}"
        hint = error.hint or f"syncd resolve {conflict.path} --edit, --local or --remote"
        raise SyncdError(message, hint=hint) from error
    _put(files, folder, conflict, text, cid)
    files.state.decide([Decision(conflict.path, Choice.LOCAL, cid, conflict.remote)])
    _draft(files.root, conflict).unlink(missing_ok=True)


def _merged(files: Workspace, folder: Folder, conflict: Conflict) -> Merged:
    if conflict.local is None or conflict.remote is None:
        raise SyncdError("one of its sides is no record", hint="mend the file, or take --remote")
    kept = files.root / conflict_file(conflict.path, conflict.remote, portable=folder.portable)
    try:
        record = parse_record(kept.read_bytes(), split_record_path(conflict.path)[0])
    except OSError:
        hint = "run syncd sync, which lays it down again"
        raise SyncdError("the repo's version is not at hand", hint=hint) from None
    if cid_of(record) != conflict.remote:
        hint = "take from it what you need into the file, then --local"
        raise SyncdError(f"{kept} is not the repo's version, or JSON cannot say that", hint=hint)
    blocks = {conflict.remote: encode(record)}
    return merged_file(files, conflict, blocks)


def _clean(conflict: Conflict, merged: Merged) -> tuple[bytes, Cid]:
    return clean_record(merged, conflict.path)


def _edited(files: Workspace, conflict: Conflict, merged: Merged) -> tuple[bytes, Cid]:
    """What a person made of the merge. An edit that is not finished waits to be gone on with."""
    collection, rkey = split_record_path(conflict.path)
    draft = _draft(files.root, conflict)
    if draft.exists():
        tell(f"syncd: going on with the edit that was not finished, in {draft}")
    else:
        draft.parent.mkdir(mode=0o700, exist_ok=True)
        draft.write_bytes(marked(merged))
    _run_editor(draft)
    text = draft.read_bytes()
    try:
        cid = cid_of(parse_record(text, collection))
    except BadJson as error:
        place = "" if error.line is None else f"line {error.line}, column {error.column}: "
        again = f"syncd resolve {conflict.path} --edit"
        hint = f"nothing was changed; your text for {rkey} is in {draft}; go on with it: {again}"
        raise SyncdError(f"{place}{error.message}", hint=hint) from error
    return text, cid


def _draft(root: Path, conflict: Conflict) -> Path:
    """Where a conflict is edited: a short name for its two sides, in the way of no other edit."""
    sides = f"{str(conflict.local)[-10:]}.{str(conflict.remote)[-10:]}"
    return root / ".syncd" / "edit" / f"{sides}.json"


def _as_named(draft: Path) -> str:
    """As short as may be: vim asks for a key where a name does not fit its last line."""
    here = Path.cwd()
    return str(draft.relative_to(here) if draft.is_relative_to(here) else draft)


def _run_editor(draft: Path) -> None:
    names = (os.environ.get(name, "").strip() for name in EDITORS)
    editor = next((name for name in names if name), DEFAULT_EDITOR)
    try:
        command = [*shlex.split(editor), _as_named(draft)]
        done = subprocess.run(command, env=without_secrets(), check=False)  # noqa: S603
    except (OSError, ValueError) as error:
        hint = "set $VISUAL or $EDITOR to an editor that is installed"
        raise ConfigWrong(f"the editor {editor!r} cannot be started: {error}", hint=hint) from None
    if done.returncode != 0:
        hint = "nothing was changed"
        raise SyncdError(f"the editor {editor!r} ended with {done.returncode}", hint=hint)


def _put(files: Workspace, folder: Folder, conflict: Conflict, text: bytes, cid: Cid) -> None:
    """Write the merge over the file it was made from, which goes to history first."""
    seen = keep_file(
        files.history,
        folder,
        conflict.path,
        conflict.base,
        after=cid,
        at=int(time.time()),
        reason="resolved: merged",
    )
    if seen is None or seen.cid != conflict.local:
        draft = _draft(files.root, conflict)
        kept = f"; your text is in {draft}" if draft.exists() else ""
        message = f"{conflict.path} was edited meanwhile"
        raise FileChanged(message, hint=f"nothing was changed{kept}")
    if cid != conflict.local:
        write(folder, conflict.path, text, expect=seen, cid=cid)
