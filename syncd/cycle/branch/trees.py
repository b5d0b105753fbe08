"""What a branch of git has: the records of a commit, what was agreed on, and versions since.

Reads git's objects, so what a job changed, added or checked out otherwise has no part in it. Never
writes where git or a person works, and never asks a PDS.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path

from syncd.atproto.blob import BlobRef, Refer
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.dagcbor import encode
from syncd.blobs.files import may_name
from syncd.config import FILE_NAME, Config, parse_config
from syncd.cycle.branch.mark import Mark
from syncd.cycle.branch.named import NamedFiles
from syncd.cycle.git.records import Cids, cid_in, record_paths
from syncd.errors import BadData, BadJson, ConfigWrong
from syncd.forms import Forms, block_at_once
from syncd.git.commits import GitFile, Worktree
from syncd.git.published import blobs_between
from syncd.model import RecordPath, split_record_path
from syncd.values import dataclass


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides agreed on with the last publication: CIDs, and the records of most.

    Attributes:
        base: The CID of each record.
        blocks: The records themselves, but for those of `Mark.open`.
        cids: The CID of each of git's blobs that was read for this, as `records_in` takes them.
        files: Of each record with a single file, the name of the file and its blob in git. The file
            says what base says by the present settings, and names no file to be uploaded.
    """

    base: Mapping[RecordPath, Cid] = field(default_factory=dict)
    blocks: Mapping[RecordPath, bytes] = field(default_factory=dict)
    cids: Cids = field(default_factory=dict)
    files: Mapping[RecordPath, tuple[str, GitFile]] = field(default_factory=dict)


def settings_at(work: Worktree, commit: str, environ: Mapping[str, str]) -> Config | None:
    """Return the settings that a commit has; None if it has none. Raises ConfigWrong, GitFailed."""
    name = f"{work.repository.prefix}{FILE_NAME}"
    content = next(work.contents((f"{commit}:{name}",)))
    return None if content is None else parse_config(content, Path(name), environ)


def agreed_at(work: Worktree, mark: Mark, config: Config) -> Agreed:
    """Return what both sides had after the last publication, as far as `config` covers it.

    Nothing, if the commit published another account, or has no settings to say what it published.
    Raises GitFailed.
    """
    try:
        then = settings_at(work, mark.commit, {})
    except ConfigWrong:
        then = None
    if then is None or then.did != config.did:
        return Agreed()
    was = list(_read(work, mark.commit, then))
    base: dict[RecordPath, Cid | None] = {item.path: item.cid for item in was}
    base |= mark.open
    found = {p: cid for p, cid in base.items() if cid is not None and config.covers_path(p)}
    kept = {i.path: i.block for i in was if i.path in found and i.path not in mark.open}
    if (then.forms, then.is_portable) != (config.forms, config.is_portable):
        # A text is the same record only where it is read in the same form.
        return Agreed(found, kept)
    # What a record with a named file is depends on that file as well.
    plain = [item for item in was if not item.names_a_file]
    cids: Cids = {(split_record_path(i.path)[0], i.file.id): i.cid for i in plain}
    files = {i.path: (i.name, i.file) for i in plain if found.get(i.path) == i.cid}
    return Agreed(found, kept, cids, files)


@dataclass(frozen=True, slots=True)
class _Read:
    """A record of a commit, its file, and whether it names a file to be uploaded."""

    path: RecordPath
    name: str
    file: GitFile
    cid: Cid
    block: bytes
    names_a_file: bool


def _read(work: Worktree, commit: str, config: Config) -> Iterator[_Read]:
    """Yield the records of a commit. Raises GitFailed."""
    files, named = work.files(commit), NamedFiles(work, commit, config)
    asked: list[str] = []

    def refer(name: str) -> BlobRef:
        asked.append(name)
        return named.refer(name)

    paths = dict(record_paths(files, config))
    ids = [files[name].id for name in paths]
    work.bring_blobs(commit, ids)
    count = Counter(paths.values())
    texts = [content or b"" for content in work.contents(ids)]
    named.bring(zip(paths.values(), texts, strict=True))
    for (name, path), text in zip(paths.items(), texts, strict=True):
        if count[path] > 1:
            continue  # two files, so neither was published
        asked.clear()
        try:
            block = _block(text, split_record_path(path)[0], config.forms, refer)
            yield _Read(path, name, files[name], cid_of_block(block), block, bool(asked))
        except (BadJson, BadData):
            continue  # no record, so it was not published either


def _block(text: bytes, collection: str, forms: Forms, refer: Refer) -> bytes:
    form = forms.of(collection)
    block = None if may_name(text) else block_at_once(form, text, collection)
    return encode(form.parse(text, collection, refer)) if block is None else block


def versions_between(
    work: Worktree, older: str, newer: str, config: Config, paths: Collection[RecordPath]
) -> dict[RecordPath, set[Cid | None]]:
    """Return the versions of each of `paths` in the commits after `older`, up to `newer`.

    None is absence. Where a record may have two files, the absence of one says nothing. Raises
    GitFailed.
    """
    files = blobs_between(work, older, newer)
    # A text in between may name a file that either commit has.
    refers = [NamedFiles(work, commit, config).refer for commit in (older, newer)]
    every = _settings_between(work, older, config, files.get(FILE_NAME, set()))
    found: dict[RecordPath, set[Cid | None]] = defaultdict(set)
    for then in every:
        for name, path in record_paths(files, then):
            if path not in paths:
                continue
            ids = sorted(blob for blob in files[name] if blob is not None)
            found[path] |= {
                cid
                for text in work.contents(ids)
                for refer in refers
                if (cid := cid_in(text or b"", path, then.forms, refer)) is not None
            }
            if None in files[name] and _has_one_file(path, every):
                found[path].add(None)
    return dict(found)


def _settings_between(
    work: Worktree, older: str, config: Config, blobs: Collection[str | None]
) -> list[Config]:
    """Return `config`, and those earlier settings under which files have other names.

    `blobs` are what git had of them after the commit `older`. Raises GitFailed.
    """
    ids = sorted(blob for blob in blobs if blob is not None)
    name = f"{work.repository.prefix}{FILE_NAME}"
    found = {(config.is_portable, config.forms): config}
    for content in work.contents((f"{older}:{name}", *ids)) if ids else ():
        with suppress(ConfigWrong):
            then = parse_config(content or b"", Path(name), {})
            found.setdefault((then.is_portable, then.forms), then)
    return list(found.values())


def _has_one_file(path: RecordPath, every: Sequence[Config]) -> bool:
    """Return whether the file of a record has the same name under all of these settings."""
    collection = split_record_path(path)[0]
    endings = {ending for each in every for ending in each.forms.of(collection).endings}
    return len(endings) == len({each.is_portable for each in every}) == 1
