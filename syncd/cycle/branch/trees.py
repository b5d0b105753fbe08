"""What a branch of git has: the records of a commit, and its files in a folder of syncd's own.

Reads git's objects, so what a job changed, added or checked out otherwise has no part in it. Never
writes where git or a person works, and never asks a PDS.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from hashlib import sha256
from pathlib import Path
from typing import Final

from syncd.atproto.blob import BlobRef, Refer
from syncd.atproto.cid import Cid, cid_of_block
from syncd.atproto.dagcbor import encode
from syncd.atproto.syntax import parse_nsid
from syncd.blobs.files import may_name
from syncd.config import FILE_NAME, Config, parse_config
from syncd.cycle.branch.mark import Mark
from syncd.cycle.branch.named import NamedFiles
from syncd.cycle.git.records import Cids, cid_in, record_paths, records_in
from syncd.errors import BadData, BadJson, BadSyntax, ConfigWrong
from syncd.folder.ignore.rules import IGNORE_FILE
from syncd.folder.read import RACY_NS
from syncd.forms import DRAFT, ENDINGS, Forms, block_at_once
from syncd.git.commits import GitFile, Worktree
from syncd.git.published import blobs_between
from syncd.model import RecordPath, Seen, split_record_path
from syncd.values import dataclass

_NO_FILE: Final = "git-has-a-link-or-a-submodule-here"
"""Where a link leads that stands for what is no file in git: such a name is not absent."""
_NOT_A_NAME: Final = ("", ".", "..")


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides agreed on with the last publication: CIDs, and the records of most.

    Attributes:
        base: The CID of each record.
        blocks: The records themselves, but for those of `Mark.open`.
        cids: The CID of each of git's blobs that was read for this, as `records_at` takes them.
    """

    base: Mapping[RecordPath, Cid] = field(default_factory=dict)
    blocks: Mapping[RecordPath, bytes] = field(default_factory=dict)
    cids: Cids = field(default_factory=dict)


def settings_at(work: Worktree, commit: str, environ: Mapping[str, str]) -> Config | None:
    """Return the settings that a commit has; None if it has none. Raises ConfigWrong, GitFailed."""
    name = f"{work.repository.prefix}{FILE_NAME}"
    content = next(work.contents((f"{commit}:{name}",)))
    return None if content is None else parse_config(content, Path(name), environ)


def agreed_at(work: Worktree, mark: Mark, config: Config) -> Agreed:
    """Return what the last publication left in both sides, as far as it concerns `config`.

    Nothing, if the commit published another account, or has no settings to say what it published.
    Raises GitFailed.
    """
    try:
        then = settings_at(work, mark.commit, {})
    except ConfigWrong:
        then = None
    if then is None or then.did != config.did:
        return Agreed()
    blocks, cids = _blocks(work, mark.commit, then)
    base: dict[RecordPath, Cid | None] = {p: cid_of_block(block) for p, block in blocks.items()}
    base |= mark.open
    found = {p: cid for p, cid in base.items() if cid is not None and config.covers_path(p)}
    kept = {p: b for p, b in blocks.items() if p in found and p not in mark.open}
    # A text is the same record only where it is read in the same form.
    return Agreed(found, kept, cids if then.forms == config.forms else {})


def _blocks(work: Worktree, commit: str, config: Config) -> tuple[dict[RecordPath, bytes], Cids]:
    """Return the records of a commit as blocks, and the CIDs of the blobs of git that hold them."""
    blocks: dict[RecordPath, bytes] = {}
    cids: Cids = {}
    for path, blob, block, names_a_file in _read(work, commit, config):
        blocks[path] = block
        # What a record with a named file is depends on that file as well.
        if not names_a_file:
            cids[split_record_path(path)[0], blob] = cid_of_block(block)
    return blocks, cids


def _read(
    work: Worktree, commit: str, config: Config
) -> Iterator[tuple[RecordPath, str, bytes, bool]]:
    """Yield of each record of a commit: path, git's blob, block, whether it names a file."""
    files, named = work.files(commit), NamedFiles(work, commit, config)
    asked: list[str] = []

    def refer(name: str) -> BlobRef:
        asked.append(name)
        return named.refer(name)

    paths = dict(record_paths(files, config))
    ids = [files[name].id for name in paths]
    work.bring_blobs(commit, ids)
    count = Counter(paths.values())
    for path, blob, content in zip(paths.values(), ids, work.contents(ids), strict=True):
        if count[path] > 1:
            continue  # two files, so neither was published
        asked.clear()
        try:
            block = _block(content or b"", split_record_path(path)[0], config.forms, refer)
            yield path, blob, block, bool(asked)
        except (BadJson, BadData):
            continue  # no record, so it was not published either


def _block(text: bytes, collection: str, forms: Forms, refer: Refer) -> bytes:
    form = forms.of(collection)
    block = None if may_name(text) else block_at_once(form, text, collection)
    return encode(form.parse(text, collection, refer)) if block is None else block


def records_at(work: Worktree, commit: str, config: Config, known: Cids) -> dict[RecordPath, Cid]:
    """Return the CID of each record that `commit` has. Raises GitFailed.

    `known` has blobs of git that were read already, in the forms of `config`.
    """
    refer = NamedFiles(work, commit, config).refer
    return records_in(work, work.files(commit), config, dict(known), refer)


def versions_between(
    work: Worktree, older: str, newer: str, config: Config, paths: Collection[RecordPath]
) -> dict[RecordPath, set[Cid | None]]:
    """Return the versions of each of `paths` that git had after the commit `older`, to `newer`.

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
    """Return `config`, and those of the settings before it that name files otherwise.

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
    """Return whether the file of a record has the same name by all of these settings."""
    collection = split_record_path(path)[0]
    endings = {ending for each in every for ending in each.forms.of(collection).endings}
    return len(endings) == len({each.is_portable for each in every}) == 1


def lay_out(
    work: Worktree, commit: str, config: Config, root: Path, known: Cids
) -> dict[RecordPath, Seen]:
    """Write what `commit` has of collections into the directory `root`, which nobody else changes.

    A link or a submodule becomes a link that leads nowhere: its records are then not absent.

    Return what is known of the files without reading them: `known` has blobs of git that were read
    already, in the forms of `config`.

    Raises GitFailed, OSError.
    """
    wanted = {
        name: file
        for name, file in work.entries(commit).items()
        if name == IGNORE_FILE or _concerns(name, file, config)
    }
    regular = {name: file.id for name, file in wanted.items() if file.is_regular}
    work.bring_blobs(commit, regular.values())
    for directory in {name.rpartition("/")[0] for name in wanted}:
        (root / directory).mkdir(parents=True, exist_ok=True)
    paths, naming = dict(record_paths(regular, config)), dict[str, bytes]()
    found: dict[RecordPath, Seen] = {}
    for (name, blob), content in zip(regular.items(), work.contents(regular.values()), strict=True):
        text = content or b""
        now = _write(root / name, text)
        if may_name(text):
            naming[name] = text
        path = paths.get(name)
        cid = known.get((split_record_path(path)[0], blob)) if path else None
        if path and cid:
            found[path] = _seen(path, now, text, cid)
    _lay_out_named(NamedFiles(work, commit, config), naming, root)
    for name in wanted.keys() - regular.keys():
        (root / name).symlink_to(_NO_FILE)
    return found


def _write(place: Path, text: bytes) -> os.stat_result:
    with place.open("wb") as file:
        file.write(text)
        file.flush()
        return os.fstat(file.fileno())


def _seen(path: RecordPath, now: os.stat_result, text: bytes, cid: Cid) -> Seen:
    """Return the row of the scan cache of a file that was written here."""
    times = now.st_mtime_ns, now.st_ctime_ns
    # Nobody else changes the file, so no later content has its times.
    seen_ns = max(times) + RACY_NS
    return Seen(path, now.st_ino, now.st_size, *times, seen_ns, sha256(text).digest(), cid)


def _lay_out_named(named: NamedFiles, texts: Mapping[str, bytes], root: Path) -> None:
    """Write the files that these records name, as far as git has them."""
    for name, path in record_paths(texts, named.config):
        for each in named.named_in(texts[name], path):
            content = named.content(each)
            if content is not None and not (root / each).exists():
                place = root / each
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)


def _concerns(name: str, file: GitFile, config: Config) -> bool:
    """Return whether something in git may be the file of a record, or should have been one."""
    first, *rest = name.split("/")
    try:
        collection = parse_nsid(first)
    except BadSyntax:
        return False
    if any(part in _NOT_A_NAME for part in rest) or not config.covers(collection):
        return False
    # By any setting: a record whose file has another form than this one reads is not gone.
    endings = ENDINGS + config.forms.endings
    is_draft = any(name.endswith(DRAFT + ending) for ending in endings)
    return not file.is_regular or (name.endswith(endings) and not is_draft)
