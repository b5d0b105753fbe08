"""Find the records in a git tree and their CIDs. Reads git's objects; never asks a PDS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from syncd.atproto.blob import Refer
from syncd.atproto.cid import Cid
from syncd.atproto.data import cid_of
from syncd.config import Config
from syncd.errors import BadData, BadJson, BadSyntax
from syncd.folder.names import record_path_of
from syncd.forms import Forms
from syncd.git.commits import Tree, Worktree
from syncd.model import RecordPath, split_record_path

Cids: TypeAlias = dict[tuple[str, str], Cid | None]
"""The CID of a git blob as a record, by collection and blob id; None if it is no record."""


def records_in(
    work: Worktree,
    files: Tree,
    config: Config,
    cids: Cids,
    refer: Refer | None = None,
) -> dict[RecordPath, Cid]:
    """Return the CIDs of the mirrored, readable records among the `files` of a git tree.

    Blobs that are not in `cids` are read and added to it; `refer` as in `cid_in`. Raises GitFailed.
    """
    paths = dict(record_paths(files, config))
    keys = {name: (split_record_path(path)[0], files[name].id) for name, path in paths.items()}
    unknown = sorted({key[1] for key in keys.values() if key not in cids})
    contents = dict(zip(unknown, work.contents(unknown), strict=True))
    for name, key in keys.items():
        if key not in cids:
            cids[key] = cid_in(contents[key[1]] or b"", paths[name], config.forms, refer)
    # Where two files stand for one record, neither says which it is.
    count = Counter(paths.values())
    found = ((path, cids[keys[name]]) for name, path in paths.items() if count[path] == 1)
    return {path: cid for path, cid in found if cid is not None}


def record_paths(files: Iterable[str], config: Config) -> Iterable[tuple[str, RecordPath]]:
    """Yield (file, record path) for each file with the name of a mirrored record."""
    for name in files:
        try:
            path = record_path_of(name, portable=config.is_portable, forms=config.forms)
        except BadSyntax:
            continue
        if config.covers_path(path):
            yield name, path


def cid_in(text: bytes, path: RecordPath, forms: Forms, refer: Refer | None = None) -> Cid | None:
    """Return the CID of the record in a file; None if the text is no record.

    With `refer`, a text may name files to be uploaded, as `Form.parse` has it.
    """
    try:
        collection = split_record_path(path)[0]
        return cid_of(forms.of(collection).parse(text, collection, refer))
    except (BadJson, BadData):
        return None
